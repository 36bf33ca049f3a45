#include "winhttp/secret.hpp"

#include "winhttp/text.hpp"

#include <utility>

namespace sluice::winhttp {

secret_text& secret_text::operator=(secret_text&& other) noexcept {
  if (this != &other) {
    wipe(text_);
    text_ = std::move(other.text_);
  }
  return *this;
}

DWORD secret_text::assign(std::wstring_view wide) noexcept {
  constexpr std::size_t most_bytes = 4; // of a code point in UTF-8
  memory::growable<char> taken;
  DWORD code = taken.reserve(wide.size() * most_bytes) ? append_utf8(taken, wide)
                                                       : DWORD{ERROR_NOT_ENOUGH_MEMORY};
  if (code == ERROR_SUCCESS) {
    code = assign(taken.view());
  }
  wipe(taken);
  return code;
}

DWORD secret_text::assign(std::string_view bytes) noexcept {
  wipe(text_);
  return text_.reserve(bytes.size()) && text_.append(bytes) ? ERROR_SUCCESS
                                                            : ERROR_NOT_ENOUGH_MEMORY;
}

} // namespace sluice::winhttp
