#pragma once

#include "core/error.hpp"
#include "core/limits.hpp"
#include "core/memory.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sluice {

/// A strict, bounded, incremental parser for the head of an HTTP/1.1 message (RFC 9112): CRLF line
/// ends, no obsolete folding, no NUL or control bytes, no blank before the colon, exactly one blank
/// between the parts of the start line. Each byte is looked at once however the input is cut, and a
/// malformed head is refused at its first wrong byte. Memory grows with what has arrived, up to the
/// limits. Used through http_response_head or http_request_head. Not thread-safe.
class http_head {
public:
  struct field {
    std::string_view name;  // as sent
    std::string_view value; // surrounding blanks removed
  };

  struct feed_result {
    error reason = error::none; // anything else is final: response_malformed or
                                // request_malformed, header_too_big, too_many_headers, no_memory
    bool complete = false;      // the empty line was read
    std::size_t consumed_bytes = 0; // of `input`; bytes after the head are not consumed (HSK-30)
  };
  /// Takes the next bytes of the stream. After an error or `complete` it takes nothing and repeats
  /// its answer, until reset().
  [[nodiscard]] feed_result feed(std::span<const std::byte> input) noexcept;

  // After complete. The views live as long as this object is neither reset nor destroyed.
  [[nodiscard]] unsigned minor_version() const noexcept { return minor_version_; } // 0-9, of HTTP/1
  [[nodiscard]] std::size_t field_count() const noexcept { return fields_.size(); }
  [[nodiscard]] field at(std::size_t index) const noexcept; // index < field_count()
  /// The `nth` field of that name, case-insensitively; nullptr-data view when there is none.
  [[nodiscard]] std::string_view find(std::string_view name, std::size_t nth = 0) const noexcept;
  [[nodiscard]] std::size_t count(std::string_view name) const noexcept;
  /// The whole head as received: start line, fields, final CRLFCRLF.
  [[nodiscard]] std::string_view raw() const noexcept { return raw_.view(); }

  /// How often the parser has looked at a byte since reset(): the number of bytes it was fed,
  /// however they were cut. A guard against re-reading, which makes a slowly sent head quadratic.
  [[nodiscard]] std::size_t examined_bytes() const noexcept { return examined_; }

  /// Back to the state before the first byte; keeps its memory (next head on the connection).
  void reset() noexcept;

protected:
  enum class kind : std::uint8_t { response, request };

  http_head(kind what, const limits& bounds) noexcept;
  ~http_head() = default;

  enum class state : std::uint8_t {
    method, // request line
    target,
    version,          // inside "HTTP/1."
    minor_version,    // its digit
    before_line_feed, // end of a request line
    before_status,    // status line
    status_digit,
    after_status,
    reason_phrase,
    line_start, // a field or the empty line
    name,
    before_value, // blanks after the colon
    value,
    line_feed,     // CR was read, LF must follow
    end_line_feed, // the same in the empty line
    complete,
    failed,
  };

  struct field_range { // offsets into raw_
    std::uint32_t name_begin;
    std::uint32_t name_bytes;
    std::uint32_t value_begin;
    std::uint32_t value_bytes;
  };

  [[nodiscard]] error step(unsigned byte) noexcept;
  [[nodiscard]] error step_request_line(unsigned byte) noexcept;
  [[nodiscard]] error step_version(unsigned byte) noexcept;
  [[nodiscard]] error step_status_line(unsigned byte) noexcept;
  [[nodiscard]] error malformed() const noexcept {
    return what_ == kind::request ? error::request_malformed : error::response_malformed;
  }
  [[nodiscard]] state first_state() const noexcept {
    return what_ == kind::request ? state::method : state::version;
  }
  [[nodiscard]] error begin_field(unsigned byte) noexcept;
  [[nodiscard]] error step_field(unsigned byte) noexcept;

  std::size_t max_bytes_;
  std::size_t max_fields_;
  memory::growable<char> raw_;
  memory::growable<field_range> fields_;
  std::size_t examined_ = 0;
  std::uint32_t offset_ = 0;     // of the byte being looked at
  std::uint32_t text_begin_ = 0; // reason phrase; request: the target
  std::uint32_t text_bytes_ = 0;
  std::uint32_t method_bytes_ = 0;
  std::uint16_t status_ = 0;
  std::uint8_t minor_version_ = 0;
  std::uint8_t done_in_state_ = 0; // bytes of "HTTP/1." or of the status code already read
  kind what_;
  state state_;
  error failure_ = error::none;
};

/// The head of a response; malformed input is error::response_malformed.
class http_response_head : public http_head {
public:
  explicit http_response_head(const limits& bounds) noexcept : http_head(kind::response, bounds) {}

  [[nodiscard]] unsigned status() const noexcept { return status_; } // 100-999
  [[nodiscard]] std::string_view reason_phrase() const noexcept {
    return raw().substr(text_begin_, text_bytes_);
  }
};

/// The head of a request; malformed input is error::request_malformed.
class http_request_head : public http_head {
public:
  explicit http_request_head(const limits& bounds) noexcept : http_head(kind::request, bounds) {}

  [[nodiscard]] std::string_view method() const noexcept { return raw().substr(0, method_bytes_); }
  /// As sent: any form of request-target (RFC 9112 section 3.2), visible ASCII only.
  [[nodiscard]] std::string_view target() const noexcept {
    return raw().substr(text_begin_, text_bytes_);
  }
};

} // namespace sluice
