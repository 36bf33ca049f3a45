#pragma once

#include "core/memory.hpp"
#include "io/crypto.hpp"

#include <sluice/winhttp.h>

#include <cstddef>
#include <span>
#include <string_view>

namespace sluice::winhttp {

/// Overwrites what `text` holds and empties it. What it held before it last grew is the caller's
/// affair: reserve the room of a secret first.
inline void wipe(memory::growable<char>& text) noexcept {
  io::wipe(std::as_writable_bytes(std::span(text.data(), text.size())));
  text.clear();
}

/// A password or what is made of one: written once, into memory of its size, and overwritten before
/// that memory is given back.
class secret_text {
public:
  secret_text() noexcept = default;
  ~secret_text() { wipe(text_); }
  secret_text(secret_text&& other) noexcept = default;
  secret_text& operator=(secret_text&& other) noexcept;

  /// Takes a copy. ERROR_NOT_ENOUGH_MEMORY, and for WCHARs ERROR_INVALID_PARAMETER: then it
  /// is empty.
  [[nodiscard]] DWORD assign(std::wstring_view wide) noexcept;
  [[nodiscard]] DWORD assign(std::string_view bytes) noexcept;

  [[nodiscard]] std::string_view view() const noexcept { return text_.view(); }
  [[nodiscard]] bool empty() const noexcept { return text_.empty(); }

private:
  memory::growable<char> text_;
};

} // namespace sluice::winhttp
