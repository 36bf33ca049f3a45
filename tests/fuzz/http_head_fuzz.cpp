// Any bytes as the head of a response or a request: cut anywhere the answer is the same as at once,
// each byte is looked at once, limits hold, and the fields of an accepted head are what splitting
// its text at CRLF and colon gives. Then the upgrade check runs on it. Input: kind, cuts, limits,
// text.

#include "core/client_handshake.hpp"
#include "core/http_head.hpp"
#include "fuzz_input.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

namespace {

using namespace sluice;

constexpr std::size_t max_text_bytes = 8192;

template <typename Head>
http_head::feed_result feed_cut(Head& head, std::span<const std::byte> text,
                                const std::vector<std::size_t>& cuts) {
  http_head::feed_result total;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= cuts.size(); ++i) {
    const std::size_t end = i < cuts.size() ? cuts[i] : text.size();
    const std::unique_ptr<std::byte[]> exact(new std::byte[end - begin]);
    std::copy(text.begin() + static_cast<std::ptrdiff_t>(begin),
              text.begin() + static_cast<std::ptrdiff_t>(end), exact.get());
    const auto result = head.feed({exact.get(), end - begin});
    total.reason = result.reason;
    total.complete = result.complete;
    total.consumed_bytes += result.consumed_bytes;
    if (result.reason != error::none || result.complete) {
      break;
    }
    fuzz::check(result.consumed_bytes == end - begin, "bytes of the head were left behind");
    begin = end;
  }
  return total;
}

std::string_view without_blanks(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Splits the accepted head anew, slowly.
template <typename Head>
void check_accepted(const Head& head, std::string_view text, const limits& bounds) {
  fuzz::check(head.raw() == text, "raw() is not what was fed");
  fuzz::check(text.size() <= bounds.max_head_bytes, "a head over its limit");
  fuzz::check(head.field_count() <= bounds.max_headers, "too many fields");
  fuzz::check(text.ends_with("\r\n\r\n"), "a head without its empty line");
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == '\r') {
      fuzz::check(i + 1 < text.size() && text[i + 1] == '\n', "bare CR");
    } else if (byte == '\n') {
      fuzz::check(i > 0 && text[i - 1] == '\r', "bare LF");
    } else {
      fuzz::check(byte == '\t' || (byte >= 0x20 && byte != 0x7F), "a control byte");
    }
  }
  std::size_t at = text.find("\r\n") + 2;
  for (std::size_t i = 0; i < head.field_count(); ++i) {
    const std::string_view line = text.substr(at, text.find("\r\n", at) - at);
    const std::size_t colon = line.find(':');
    fuzz::check(colon != std::string_view::npos && colon != 0, "a line that is no field");
    const std::string_view name = line.substr(0, colon);
    fuzz::check(is_field_name(name), "a name that is no token");
    fuzz::check(head.at(i).name == name, "another name");
    fuzz::check(head.at(i).value == without_blanks(line.substr(colon + 1)), "another value");
    fuzz::check(is_field_value(head.at(i).value), "a value with control bytes");
    fuzz::check(head.count(name) > 0 && head.find(name).data() != nullptr, "a field not found");
    at += line.size() + 2;
  }
  fuzz::check(at + 2 == text.size(), "fields were skipped");
}

template <typename Head>
void check_head(std::span<const std::byte> text, const std::vector<std::size_t>& cuts,
                const limits& bounds, Head& head) {
  Head whole(bounds);
  const auto at_once = whole.feed(text);
  const auto in_cuts = feed_cut(head, text, cuts);
  fuzz::check(at_once.reason == in_cuts.reason && at_once.complete == in_cuts.complete &&
                  at_once.consumed_bytes == in_cuts.consumed_bytes,
              "cuts change the answer");
  fuzz::check(whole.examined_bytes() == head.examined_bytes() &&
                  head.examined_bytes() <= in_cuts.consumed_bytes,
              "bytes were looked at again");
  if (!in_cuts.complete) {
    return;
  }
  const std::string text_of_head(reinterpret_cast<const char*>(text.data()),
                                 in_cuts.consumed_bytes);
  check_accepted(head, text_of_head, bounds);
  check_accepted(whole, text_of_head, bounds);
}

void check_response(const http_response_head& head) {
  fuzz::check(head.status() >= 100 && head.status() <= 999, "a status out of range");
  handshake_key key;
  std::memcpy(key.key.data(), "dGhlIHNhbXBsZSBub25jZQ==", key.key.size());
  std::memcpy(key.accept.data(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", key.accept.size());
  if (check_upgrade_response(head, key, "chat, superchat") == error::none) {
    fuzz::check(head.status() == 101, "upgraded without 101");
    fuzz::check(head.find("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" &&
                    head.count("sec-websocket-accept") == 1,
                "upgraded with a wrong Accept");
    fuzz::check(head.count("sec-websocket-extensions") == 0, "upgraded with an extension");
    const std::string_view protocol = head.find("sec-websocket-protocol");
    fuzz::check(protocol.data() == nullptr || protocol == "chat" || protocol == "superchat",
                "upgraded to a subprotocol that was not offered");
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::settings_reader settings(data, size);
  const bool request = (settings.next() & 1u) != 0;
  const unsigned cut_setting = settings.next();
  limits bounds;
  if (const unsigned setting = settings.next(); setting != 0) {
    bounds.max_head_bytes = setting * 4;
    bounds.max_headers = setting % 9;
  }
  const std::span<const std::byte> text = settings.rest(max_text_bytes);
  const std::vector<std::size_t> cuts = fuzz::cuts_from(cut_setting, text.size());
  if (request) {
    http_request_head head(bounds);
    check_head(text, cuts, bounds, head);
  } else {
    http_response_head head(bounds);
    check_head(text, cuts, bounds, head);
    if (head.raw().ends_with("\r\n\r\n")) {
      check_response(head);
    }
  }
  return 0;
}
