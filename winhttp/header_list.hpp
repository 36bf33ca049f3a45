#pragma once

#include "core/memory.hpp"

#include <sluice/winhttp.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::winhttp {

/// The header fields of a request, in order. Names are compared without case and keep the case they
/// were given (HSK-07). Never throws: out of memory is a sticky failure that ok() shows.
class header_list {
public:
  struct field {
    std::string_view name;
    std::string_view value;
    bool generated; // made by SendRequest, and made anew by the next one (HSK-02)
  };

  header_list() noexcept = default;
  header_list(header_list&&) noexcept = default;
  header_list& operator=(header_list&&) noexcept = default;

  [[nodiscard]] bool ok() const noexcept { return !failed_ && text_.ok() && entries_.ok(); }
  /// Marks the list as incomplete: something that belongs in it could not be made.
  void fail() noexcept { failed_ = true; }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] field at(std::size_t index) const noexcept;

  static constexpr std::size_t npos = SIZE_MAX;
  /// Index of the `nth` field of that name; npos if there is none.
  [[nodiscard]] std::size_t find(std::string_view name, std::size_t nth = 0) const noexcept;

  /// Makes this list a copy of `other`, without the fields that `keep` (if given) refuses.
  void copy_from(const header_list& other, bool (*keep)(const field&) noexcept = nullptr) noexcept;

  void append(std::string_view name, std::string_view value, bool generated = false) noexcept;
  /// Appends well-formed `Name: value` lines of our own, each with its CRLF.
  void append_generated_lines(std::string_view lines) noexcept;
  void remove(std::string_view name) noexcept; // all of that name
  void set_value(std::size_t index, std::string_view value) noexcept;

  /// Applies `Name: value` lines with CRLF between them, as WinHttpAddRequestHeaders does (GET-07).
  /// `modifiers` are WINHTTP_ADDREQ_FLAG_..., 0 = add. Lines before the one that failed stay
  /// applied: work on a copy. Names and values are checked so that nothing can be smuggled into the
  /// request (ERROR_WINHTTP_INVALID_HEADER).
  [[nodiscard]] DWORD apply(std::string_view lines, DWORD modifiers) noexcept;

private:
  struct entry {
    std::size_t name_at;
    std::size_t name_bytes;
    std::size_t value_at;
    std::size_t value_bytes;
    bool generated;
  };

  [[nodiscard]] DWORD apply_line(std::string_view name, std::string_view value,
                                 DWORD modifiers) noexcept;

  memory::growable<char> text_; // names and values; copy_from() leaves behind what is not used
  memory::growable<entry> entries_;
  bool failed_ = false;
};

} // namespace sluice::winhttp
