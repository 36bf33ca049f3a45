#include "winhttp/security.hpp"

#include "io/crypto.hpp"
#include "winhttp/error_map.hpp"
#include "winhttp/options.hpp"
#include "winhttp/text.hpp"

#include <cstring>
#include <span>
#include <string_view>
#include <utility>

namespace sluice::winhttp {
namespace {

// A file's name; nullptr or an empty one: none.
[[nodiscard]] DWORD take_name(std::wstring_view wide, memory::growable<char>& name) noexcept {
  if (const std::size_t nul = wide.find(L'\0'); nul != std::wstring_view::npos) {
    wide = wide.substr(0, nul);
  }
  name.clear();
  if (wide.empty()) {
    return ERROR_SUCCESS;
  }
  const DWORD code = append_utf8(name, wide);
  name.append('\0');
  return code != ERROR_SUCCESS ? code
         : name.ok()           ? DWORD{ERROR_SUCCESS}
                               : DWORD{ERROR_NOT_ENOUGH_MEMORY};
}

[[nodiscard]] DWORD take_bytes(const void* bytes, std::size_t count,
                               memory::growable<std::byte>& to) noexcept {
  to.clear();
  return to.reserve(count) && to.append(static_cast<const std::byte*>(bytes), count)
             ? ERROR_SUCCESS
             : ERROR_NOT_ENOUGH_MEMORY;
}

[[nodiscard]] const char* name_or_none(const memory::growable<char>& name) noexcept {
  return name.empty() ? nullptr : name.data();
}

[[nodiscard]] std::span<const std::byte>
bytes_of(const memory::growable<std::byte>& bytes) noexcept {
  return {bytes.data(), bytes.size()};
}

template <typename T>
[[nodiscard]] bool copy(const memory::growable<T>& from, memory::growable<T>& to) noexcept {
  to.clear();
  return to.reserve(from.size()) && to.append(from.data(), from.size());
}

void wipe(memory::growable<std::byte>& secret) noexcept {
  io::wipe({secret.data(), secret.size()});
  secret.clear();
}

} // namespace

security_store::values::~values() {
  wipe(private_key_pem);
}

bool security_store::values::copy_from(const values& other) noexcept {
  key_log = other.key_log;
  return copy(other.ca_file, ca_file) && copy(other.ca_directory, ca_directory) &&
         copy(other.revocation_file, revocation_file) &&
         copy(other.certificate_file, certificate_file) &&
         copy(other.private_key_file, private_key_file) && copy(other.ca_pem, ca_pem) &&
         copy(other.certificate_pem, certificate_pem) &&
         copy(other.private_key_pem, private_key_pem);
}

DWORD security_store::values::set(DWORD option, const void* buffer, DWORD length) noexcept {
  if (buffer == nullptr && length != 0) {
    return ERROR_INVALID_PARAMETER;
  }
  const std::wstring_view text(static_cast<const WCHAR*>(buffer), length);
  switch (option) {
  case SLUICE_OPTION_TLS_CA_FILE:
    return take_name(text, ca_file);
  case SLUICE_OPTION_TLS_CA_DIRECTORY:
    return take_name(text, ca_directory);
  case SLUICE_OPTION_TLS_REVOCATION_FILE:
    return take_name(text, revocation_file);
  case SLUICE_OPTION_TLS_CA_PEM:
    return take_bytes(buffer, length, ca_pem);
  case SLUICE_OPTION_TLS_CLIENT_CERTIFICATE:
    return set_certificate(buffer, length);
  default: { // SLUICE_OPTION_TLS_KEY_LOG
    DWORD value = 0;
    const DWORD code = take_dword(buffer, length, value);
    key_log = value != 0;
    return code;
  }
  }
}

DWORD security_store::values::set_certificate(const void* buffer, DWORD length) noexcept {
  SLUICE_CLIENT_CERTIFICATE given{};
  if (buffer != nullptr) { // else there is none any more
    if (length != sizeof(given)) {
      return ERROR_INSUFFICIENT_BUFFER;
    }
    std::memcpy(&given, buffer, sizeof(given));
    const bool has_certificate =
        given.CertificateFile != nullptr || given.CertificatePem != nullptr;
    const bool has_key = given.PrivateKeyFile != nullptr || given.PrivateKeyPem != nullptr;
    if (!has_certificate || (given.CertificatePem == nullptr && given.CertificatePemLength != 0) ||
        (given.PrivateKeyPem == nullptr && given.PrivateKeyPemLength != 0)) {
      return ERROR_INVALID_PARAMETER;
    }
    if (!has_key) {
      return ERROR_WINHTTP_CLIENT_CERT_NO_PRIVATE_KEY;
    }
  }
  wipe(private_key_pem);
  DWORD code =
      take_name(given.CertificateFile != nullptr ? given.CertificateFile : L"", certificate_file);
  if (code == ERROR_SUCCESS) {
    code =
        take_name(given.PrivateKeyFile != nullptr ? given.PrivateKeyFile : L"", private_key_file);
  }
  if (code == ERROR_SUCCESS) {
    code = take_bytes(given.CertificatePem, given.CertificatePemLength, certificate_pem);
  }
  if (code == ERROR_SUCCESS) {
    code = take_bytes(given.PrivateKeyPem, given.PrivateKeyPemLength, private_key_pem);
  }
  return code;
}

DWORD security_store::values::make(io::tls_context_ref& made) const noexcept {
  tls_settings settings;
  settings.ca_file = name_or_none(ca_file);
  settings.ca_directory = name_or_none(ca_directory);
  settings.ca_pem = bytes_of(ca_pem);
  settings.revocation_file = name_or_none(revocation_file);
  settings.certificate_file = name_or_none(certificate_file);
  settings.private_key_file = name_or_none(private_key_file);
  settings.certificate_pem = bytes_of(certificate_pem);
  settings.private_key_pem = bytes_of(private_key_pem);
  settings.key_log = key_log;
  const error failed = io::tls_context::make_client(settings, made);
  return failed == error::tls_settings ? ERROR_INVALID_PARAMETER : to_win32(failed);
}

security_store::~security_store() = default;

bool security_store::has_option(DWORD option) noexcept {
  return option >= SLUICE_OPTION_TLS_CA_FILE && option <= SLUICE_OPTION_TLS_KEY_LOG;
}

DWORD security_store::set_option(DWORD option, const void* buffer, DWORD length) noexcept {
  const std::lock_guard lock(mutex_);
  values changed;
  if (!changed.copy_from(values_)) {
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  DWORD code = changed.set(option, buffer, length);
  if (code == ERROR_SUCCESS) {
    code = changed.make(context_);
  }
  if (code == ERROR_SUCCESS) {
    std::swap(values_, changed);
  }
  return code;
}

DWORD security_store::context(io::tls_context_ref& found) noexcept {
  const std::lock_guard lock(mutex_);
  if (!context_) {
    if (const DWORD code = values_.make(context_); code != ERROR_SUCCESS) {
      return code;
    }
  }
  found = context_;
  return ERROR_SUCCESS;
}

namespace {

struct fault_row {
  std::uint32_t fault;
  DWORD reported;
  DWORD ignored_by; // 0: nothing makes up for it
};

constexpr fault_row fault_rows[] = {
    {certificate_fault::unknown_authority, WINHTTP_CALLBACK_STATUS_FLAG_INVALID_CA,
     SECURITY_FLAG_IGNORE_UNKNOWN_CA},
    {certificate_fault::wrong_name, WINHTTP_CALLBACK_STATUS_FLAG_CERT_CN_INVALID,
     SECURITY_FLAG_IGNORE_CERT_CN_INVALID},
    {certificate_fault::wrong_date, WINHTTP_CALLBACK_STATUS_FLAG_CERT_DATE_INVALID,
     SECURITY_FLAG_IGNORE_CERT_DATE_INVALID},
    {certificate_fault::wrong_usage, WINHTTP_CALLBACK_STATUS_FLAG_CERT_WRONG_USAGE,
     SECURITY_FLAG_IGNORE_CERT_WRONG_USAGE},
    {certificate_fault::revoked, WINHTTP_CALLBACK_STATUS_FLAG_CERT_REVOKED, 0},
    {certificate_fault::revocation_unknown, WINHTTP_CALLBACK_STATUS_FLAG_CERT_REV_FAILED, 0},
    {certificate_fault::invalid, WINHTTP_CALLBACK_STATUS_FLAG_INVALID_CERT, 0},
};

} // namespace

std::uint32_t ignored_faults(DWORD security_flags) noexcept {
  std::uint32_t faults = 0;
  for (const fault_row& at : fault_rows) {
    faults |= (security_flags & at.ignored_by) != 0 ? at.fault : 0;
  }
  return faults;
}

DWORD secure_failure_bits(std::uint32_t faults) noexcept {
  DWORD bits = 0;
  for (const fault_row& at : fault_rows) {
    bits |= (faults & at.fault) != 0 ? at.reported : 0;
  }
  return bits;
}

// TLS-11, decision X-44: nothing below TLS 1.2, whatever the application asks for.
bool choose_versions(DWORD protocols, tls_version& lowest, tls_version& highest) noexcept {
  const bool any = protocols == 0;
  const bool tls1_2 = any || (protocols & WINHTTP_FLAG_SECURE_PROTOCOL_TLS1_2) != 0;
  const bool tls1_3 = any || (protocols & WINHTTP_FLAG_SECURE_PROTOCOL_TLS1_3) != 0;
  lowest = tls1_2 ? tls_version::tls1_2 : tls_version::tls1_3;
  highest = tls1_3 ? tls_version::tls1_3 : tls_version::tls1_2;
  return tls1_2 || tls1_3;
}

DWORD security_of(const io::tls_facts& facts) noexcept {
  return SECURITY_FLAG_SECURE | (facts.cipher_bits >= 128  ? SECURITY_FLAG_STRENGTH_STRONG
                                 : facts.cipher_bits >= 56 ? SECURITY_FLAG_STRENGTH_MEDIUM
                                                           : SECURITY_FLAG_STRENGTH_WEAK);
}

} // namespace sluice::winhttp
