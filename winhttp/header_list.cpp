#include "winhttp/header_list.hpp"

#include "core/client_handshake.hpp"
#include "core/http_text.hpp"
#include "winhttp/text.hpp"

namespace sluice::winhttp {

header_list::field header_list::at(std::size_t index) const noexcept {
  const entry& found = entries_[index];
  return {{text_.data() + found.name_at, found.name_bytes},
          {text_.data() + found.value_at, found.value_bytes},
          found.generated};
}

std::size_t header_list::find(std::string_view name, std::size_t nth) const noexcept {
  for (std::size_t i = 0; i < size(); ++i) {
    if (equal_no_case(at(i).name, name) && nth-- == 0) {
      return i;
    }
  }
  return npos;
}

void header_list::copy_from(const header_list& other,
                            bool (*keep)(const field&) noexcept) noexcept {
  text_.clear();
  entries_.clear();
  failed_ = !other.ok();
  for (std::size_t i = 0; i < other.size(); ++i) {
    const field copied = other.at(i);
    if (keep == nullptr || keep(copied)) {
      append(copied.name, copied.value, copied.generated);
    }
  }
}

void header_list::append(std::string_view name, std::string_view value, bool generated) noexcept {
  const std::size_t name_at = text_.size();
  text_.append(name);
  const std::size_t value_at = text_.size();
  text_.append(value);
  if (text_.ok()) {
    entries_.append(entry{name_at, name.size(), value_at, value.size(), generated});
  }
}

void header_list::append_generated_lines(std::string_view lines) noexcept {
  while (!lines.empty()) {
    const std::size_t end = lines.find("\r\n");
    const std::string_view line = lines.substr(0, end);
    const std::size_t colon = line.find(':');
    append(line.substr(0, colon), http_text::trimmed(line.substr(colon + 1)), true);
    lines.remove_prefix(end + 2);
  }
}

void header_list::remove(std::string_view name) noexcept {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (!equal_no_case(at(i).name, name)) {
      entries_[kept++] = entries_[i];
    }
  }
  entries_.resize_down(kept);
}

void header_list::set_value(std::size_t index, std::string_view value) noexcept {
  const std::size_t value_at = text_.size();
  if (text_.append(value)) {
    entries_[index].value_at = value_at;
    entries_[index].value_bytes = value.size();
  }
}

DWORD header_list::apply(std::string_view lines, DWORD modifiers) noexcept {
  bool has_field = false;
  while (!lines.empty()) {
    const std::size_t end = lines.find("\r\n");
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 2);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
      // One empty line may end the block.
      if (line.empty() && lines.empty()) {
        break;
      }
      return ERROR_WINHTTP_INVALID_HEADER;
    }
    // A blank in front of the name would be folding; behind it, Windows tolerates one.
    std::string_view name = line.substr(0, colon);
    while (!name.empty() && (name.back() == ' ' || name.back() == '\t')) {
      name.remove_suffix(1);
    }
    const std::string_view value = http_text::trimmed(line.substr(colon + 1));
    if (!is_field_name(name) || !is_field_value(value)) {
      return ERROR_WINHTTP_INVALID_HEADER;
    }
    const DWORD code = apply_line(name, value, modifiers);
    if (code != ERROR_SUCCESS) {
      return code;
    }
    has_field = true;
  }
  if (!has_field) {
    return ERROR_WINHTTP_INVALID_HEADER;
  }
  return ok() ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
}

DWORD header_list::apply_line(std::string_view name, std::string_view value,
                              DWORD modifiers) noexcept {
  const std::size_t present = find(name);
  if ((modifiers & WINHTTP_ADDREQ_FLAG_ADD_IF_NEW) != 0 && present != npos) {
    return ERROR_WINHTTP_HEADER_ALREADY_EXISTS;
  }
  if ((modifiers & WINHTTP_ADDREQ_FLAG_REPLACE) != 0) {
    if (present == npos && (modifiers & WINHTTP_ADDREQ_FLAG_ADD) == 0) {
      return ERROR_WINHTTP_HEADER_NOT_FOUND;
    }
    remove(name);
    if (!value.empty()) { // REPLACE with an empty value removes
      append(name, value);
    }
    return ERROR_SUCCESS;
  }
  const DWORD coalesce = modifiers & (WINHTTP_ADDREQ_FLAG_COALESCE_WITH_COMMA |
                                      WINHTTP_ADDREQ_FLAG_COALESCE_WITH_SEMICOLON);
  if (coalesce != 0 && present != npos) {
    memory::growable<char> joined;
    joined.append(at(present).value);
    joined.append((coalesce & WINHTTP_ADDREQ_FLAG_COALESCE_WITH_COMMA) != 0
                      ? std::string_view(", ")
                      : std::string_view("; "));
    joined.append(value);
    if (!joined.ok()) {
      return ERROR_NOT_ENOUGH_MEMORY;
    }
    set_value(present, joined.view());
    return ERROR_SUCCESS;
  }
  append(name, value);
  return ERROR_SUCCESS;
}

} // namespace sluice::winhttp
