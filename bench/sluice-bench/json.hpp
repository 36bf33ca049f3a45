#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace sluice_bench {

/// Writes one JSON value, member by member. Nesting is the caller's: begin and end must match.
class json_writer {
public:
  void begin_object(std::string_view name = {}) { open(name, '{'); }
  void end_object() { close('}'); }
  void begin_array(std::string_view name = {}) { open(name, '['); }
  void end_array() { close(']'); }

  void member(std::string_view name, std::string_view text) {
    begin_member(name);
    string(text);
  }
  void member(std::string_view name, const char* text) { member(name, std::string_view(text)); }
  void member(std::string_view name, std::uint64_t number) {
    begin_member(name);
    text_ += std::to_string(number);
  }
  void member(std::string_view name, bool value) {
    begin_member(name);
    text_ += value ? "true" : "false";
  }
  /// A number that is not finite becomes null.
  void member(std::string_view name, double number) {
    begin_member(name);
    if (!std::isfinite(number)) {
      text_ += "null";
      return;
    }
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.9g", number);
    text_ += digits;
  }
  /// An element of an array.
  void element(double number) { member({}, number); }

  [[nodiscard]] const std::string& text() const noexcept { return text_; }

private:
  void begin_member(std::string_view name) {
    if (!first_) {
      text_ += ",";
    }
    first_ = false;
    if (!name.empty()) {
      string(name);
      text_ += ":";
    }
  }
  void open(std::string_view name, char bracket) {
    begin_member(name);
    text_ += bracket;
    first_ = true;
  }
  void close(char bracket) {
    text_ += bracket;
    first_ = false;
  }
  void string(std::string_view text) {
    text_ += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\') {
        text_ += '\\';
        text_ += c;
      } else if (static_cast<unsigned char>(c) < 0x20) {
        char escape[8];
        std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
        text_ += escape;
      } else {
        text_ += c;
      }
    }
    text_ += '"';
  }

  std::string text_;
  bool first_ = true;
};

} // namespace sluice_bench
