#include "winhttp/connection_facts.hpp"

#include "winhttp/options.hpp"
#include "winhttp/text.hpp"

#include <string_view>

namespace sluice::winhttp {
namespace {

// Counts 100 ns since 1601.
FILETIME file_time(std::int64_t seconds_since_1970) noexcept {
  constexpr std::int64_t seconds_from_1601_to_1970 = 11'644'473'600;
  const std::int64_t seconds = seconds_since_1970 + seconds_from_1601_to_1970;
  const auto ticks =
      seconds < 0 ? std::uint64_t{0} : static_cast<std::uint64_t>(seconds) * 10'000'000;
  FILETIME time{};
  time.dwLowDateTime = static_cast<DWORD>(ticks);
  time.dwHighDateTime = static_cast<DWORD>(ticks >> 32);
  return time;
}

} // namespace

void connection_facts::forget() noexcept {
  addresses_ = {};
  key_bits_ = 0;
  certificate_ = io::tls_certificate();
}

void connection_facts::note_addresses(const io::stream& of) noexcept {
  if (of.addresses(addresses_.LocalAddress, addresses_.RemoteAddress)) {
    addresses_.cbSize = sizeof(addresses_);
  }
}

void connection_facts::note_tls(const io::stream& of) noexcept {
  key_bits_ = static_cast<DWORD>(of.tls().cipher_bits);
  certificate_ = of.certificate();
}

DWORD connection_facts::query_option(DWORD option, void* buffer, DWORD* length) const noexcept {
  switch (option) {
  case WINHTTP_OPTION_CONNECTION_INFO:
    return addresses_.cbSize == 0 ? DWORD{ERROR_WINHTTP_INCORRECT_HANDLE_STATE}
                                  : give_value(addresses_, buffer, length);
  case WINHTTP_OPTION_SECURITY_KEY_BITNESS:
    return key_bits_ == 0 ? DWORD{ERROR_WINHTTP_INCORRECT_HANDLE_STATE}
                          : give_value(key_bits_, buffer, length);
  default:
    return query_certificate(buffer, length);
  }
}

DWORD connection_facts::query_certificate(void* buffer, DWORD* length) const noexcept {
  if (!certificate_) {
    return ERROR_WINHTTP_INCORRECT_HANDLE_STATE;
  }
  WINHTTP_CERTIFICATE_INFO info{};
  if (buffer == nullptr || *length < sizeof(info)) {
    return give_value(info, buffer, length);
  }
  memory::growable<char> subject;
  memory::growable<char> issuer;
  certificate_.append_subject(subject);
  certificate_.append_issuer(issuer);
  if (!subject.ok() || !issuer.ok()) {
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  info.ftStart = file_time(certificate_.valid_from());
  info.ftExpiry = file_time(certificate_.valid_until());
  info.dwKeySize = key_bits_;
  info.lpszSubjectInfo = allocate_wide(subject.view());
  info.lpszIssuerInfo = allocate_wide(issuer.view());
  if (info.lpszSubjectInfo == nullptr || info.lpszIssuerInfo == nullptr) {
    memory::release(info.lpszSubjectInfo);
    memory::release(info.lpszIssuerInfo);
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  return give_value(info, buffer, length);
}

} // namespace sluice::winhttp
