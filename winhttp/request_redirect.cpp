#include "winhttp/request.hpp"

#include "winhttp/text.hpp"
#include "winhttp/url.hpp"

#include <utility>

namespace sluice::winhttp {
namespace {

[[nodiscard]] bool is_redirect(unsigned status) noexcept {
  return status == HTTP_STATUS_MOVED || status == HTTP_STATUS_REDIRECT ||
         status == HTTP_STATUS_REDIRECT_METHOD || status == HTTP_STATUS_REDIRECT_KEEP_VERB ||
         status == HTTP_STATUS_PERMANENT_REDIRECT;
}

[[nodiscard]] bool keeps_verb(unsigned status) noexcept {
  return status == HTTP_STATUS_REDIRECT_KEEP_VERB || status == HTTP_STATUS_PERMANENT_REDIRECT;
}

// RFC 3986 section 3.1: a scheme comes before any '/', '?' or '#'.
[[nodiscard]] bool has_scheme(std::string_view reference) noexcept {
  const std::size_t at = reference.find_first_of(":/?#");
  return at != std::string_view::npos && reference[at] == ':';
}

// A host of a URL without its brackets.
[[nodiscard]] std::string_view without_brackets(std::string_view host) noexcept {
  return host.size() >= 2 && host.front() == '[' ? host.substr(1, host.size() - 2) : host;
}

} // namespace

bool request::wants_redirect() const noexcept {
  const unsigned status = head_->status();
  if (!is_redirect(status) || from_proxy_ || head_->count("Location") == 0 ||
      (dwords_.get(dword_option::disable_feature) & WINHTTP_DISABLE_REDIRECTS) != 0 ||
      dwords_.get(dword_option::redirect_policy) == WINHTTP_OPTION_REDIRECT_POLICY_NEVER) {
    return false;
  }
  // The body is the caller's and gone: the application has to send it again itself.
  return !had_body_ || (body_left_ != any_length && !keeps_verb(status));
}

bool request::allows_redirect(const request_target& next) const noexcept {
  return next.secure || !current_.secure ||
         dwords_.get(dword_option::redirect_policy) == WINHTTP_OPTION_REDIRECT_POLICY_ALWAYS;
}

DWORD request::follow_redirect(request_target&& next) noexcept {
  const unsigned status = head_->status();
  const bool rewrites_post = !keeps_verb(status) && status != HTTP_STATUS_REDIRECT_METHOD &&
                             current_verb_.view() == "POST";
  const bool becomes_get =
      rewrites_post || (status == HTTP_STATUS_REDIRECT_METHOD && current_verb_.view() != "HEAD");

  memory::growable<char> url;
  next.append_url(url);
  memory::growable<WCHAR> wide;
  append_wide(wide, url.view());
  wide.append(L'\0');
  if (!url.ok() || !wide.ok()) {
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  notify(WINHTTP_CALLBACK_STATUS_REDIRECT, wide.data(), static_cast<DWORD>(wide.size() - 1));

  drop_exchange();
  body_left_ = 0;
  {
    const std::lock_guard guard(lock_);
    current_ = std::move(next);
    if (becomes_get) {
      current_verb_.clear();
      current_verb_.append("GET");
    }
    // Decision X-12: what was added for one server is kept from another.
    cross_origin_ = !current_.same_origin(original_);
    if (!current_verb_.ok()) {
      return ERROR_NOT_ENOUGH_MEMORY;
    }
  }
  return send_once(); // HSK-41, X-12: with a key of its own
}

// RFC 3986 section 5.2, from the URL of the last hop.
DWORD request::resolve_location(std::string_view location, request_target& next) const noexcept {
  memory::growable<char> absolute;
  if (location.substr(0, 2) == "//") {
    absolute.append(current_.secure ? std::string_view("https:") : std::string_view("http:"));
    absolute.append(location);
    location = absolute.view();
  }
  memory::growable<char> name;
  if (has_scheme(location) || !absolute.empty()) {
    url_parts<char> parts;
    switch (split_url(location, parts)) {
    case url_error::none:
      break;
    case url_error::unrecognized_scheme:
      return ERROR_WINHTTP_UNRECOGNIZED_SCHEME; // HSK-43, decision X-13: ws: too
    case url_error::invalid:
      return ERROR_WINHTTP_INVALID_URL;
    }
    const std::string_view host = without_brackets(parts.host);
    if (!is_host(host) || (parts.has_user && dwords_.get(dword_option::reject_userpwd) != 0)) {
      return ERROR_WINHTTP_INVALID_URL;
    }
    next.host.append(host);
    next.host.append('\0');
    next.port = parts.port;
    next.secure = parts.secure;
    append_without_dots(name, parts.path);
    name.append(parts.extra);
  } else {
    next.copy_from(current_);
    const std::string_view base = current_.path.view();
    const std::string_view base_path = base.substr(0, base.find('?'));
    const std::size_t extra_at = location.find_first_of("?#");
    const std::string_view path = location.substr(0, extra_at);
    if (path.empty()) {
      name.append(base_path);
    } else if (path.front() == '/') {
      append_without_dots(name, path);
    } else {
      memory::growable<char> merged;
      merged.append(base_path.substr(0, base_path.rfind('/') + 1));
      merged.append(path);
      append_without_dots(name, merged.view());
      if (!merged.ok()) {
        return ERROR_NOT_ENOUGH_MEMORY;
      }
    }
    if (extra_at != std::string_view::npos) {
      name.append(location.substr(extra_at));
    }
  }
  next.path.clear();
  if (!append_object_name(next.path, name.view(), escaping{})) {
    return ERROR_WINHTTP_INVALID_URL;
  }
  return absolute.ok() && name.ok() && next.ok() ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
}

} // namespace sluice::winhttp
