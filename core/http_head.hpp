#pragma once

#include "core/error.hpp"
#include "core/limits.hpp"
#include "core/memory.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sluice {

/// A strict, bounded, incremental parser for the head of an HTTP/1.1 response (RFC 9112): CRLF line
/// ends, no obsolete folding, no NUL or control bytes, no blank before the colon. Each byte is
/// looked at a constant number of times however the input is cut.
class http_response_head {
public:
  struct field {
    std::string_view name;  // as sent
    std::string_view value; // surrounding blanks removed
  };

  explicit http_response_head(const limits& bounds) noexcept;

  struct feed_result {
    error reason = error::none;   // anything else is final
    bool complete = false;        // the empty line was read
    std::size_t consumed_bytes = 0; // of `input`; bytes after the head are not consumed (HSK-30)
  };
  [[nodiscard]] feed_result feed(std::span<const std::byte> input) noexcept;

  // After complete. The views live as long as this object is neither fed nor destroyed.
  [[nodiscard]] unsigned minor_version() const noexcept;
  [[nodiscard]] unsigned status() const noexcept; // 100-999
  [[nodiscard]] std::string_view reason_phrase() const noexcept;
  [[nodiscard]] std::size_t field_count() const noexcept;
  [[nodiscard]] field at(std::size_t index) const noexcept;
  /// The `nth` field of that name, case-insensitively; nullptr-data view when there is none.
  [[nodiscard]] std::string_view find(std::string_view name, std::size_t nth = 0) const noexcept;
  [[nodiscard]] std::size_t count(std::string_view name) const noexcept;
  /// The whole head as received: status line, fields, final CRLFCRLF.
  [[nodiscard]] std::string_view raw() const noexcept;

  /// Back to the state before the first byte; keeps its memory (next response on the connection).
  void reset() noexcept;
};

} // namespace sluice
