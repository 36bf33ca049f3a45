#pragma once

#include "core/http_head.hpp"
#include "core/slice_queue.hpp"

#include <sluice/winhttp.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sluice::winhttp {

/// Takes the body of a response out of the bytes behind its head (RFC 9112 section 6): by
/// Content-Length, in chunks, or until the connection ends. Makes no system call: it asks for more
/// input instead.
class response_body {
public:
  /// Nothing to read: a 101 (GET-26), or no response yet.
  void start_empty() noexcept { *this = response_body(); }

  /// Chooses the framing. ERROR_WINHTTP_INVALID_SERVER_RESPONSE for lengths that contradict each
  /// other or are no numbers.
  [[nodiscard]] DWORD start(const http_response_head& head, std::string_view verb) noexcept;

  struct progress {
    DWORD code = ERROR_SUCCESS; // anything else is final
    std::size_t copied_bytes = 0;
    bool finished = false;    // the body is over
    bool needs_input = false; // nothing more without further bytes of the connection
  };

  /// Moves body bytes from `inbox` to `to` until one of them ends.
  [[nodiscard]] progress read(slice_queue& inbox, std::span<std::byte> to) noexcept;

  /// Body bytes that read() would give right now without further input, at least those of the first
  /// slice; `copied_bytes` holds the number.
  [[nodiscard]] progress peek(slice_queue& inbox) noexcept;

  /// The connection ended. ERROR_SUCCESS if that is how this body ends.
  [[nodiscard]] DWORD on_end_of_stream() noexcept;

private:
  enum class stage : std::uint8_t {
    counted,     // remaining_ bytes, then done
    until_close, // everything
    chunk_size,  // hexadecimal digits
    chunk_rest,  // extensions up to the line end
    chunk_data,  // remaining_ bytes
    chunk_cr,    // the line end behind the data
    chunk_lf,
    trailer_line, // fields behind the last chunk: skipped
    done,
  };

  // Works through framing bytes until there are body bytes to take or the inbox is empty.
  [[nodiscard]] DWORD parse_framing(slice_queue& inbox) noexcept;
  [[nodiscard]] DWORD parse_byte(char c) noexcept;
  [[nodiscard]] DWORD end_size_line() noexcept;
  [[nodiscard]] bool in_data() const noexcept {
    return stage_ == stage::counted || stage_ == stage::until_close || stage_ == stage::chunk_data;
  }

  stage stage_ = stage::done;
  std::uint64_t remaining_ = 0;
  std::size_t line_bytes_ = 0; // of the framing line that is being read
  std::size_t trailer_bytes_ = 0;
  bool has_digits_ = false;
  bool after_cr_ = false;
};

} // namespace sluice::winhttp
