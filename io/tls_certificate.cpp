#include "io/tls_certificate.hpp"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include <cstddef>
#include <ctime>

namespace sluice::io {
namespace {

void append_name(memory::growable<char>& to, const X509_NAME* name) noexcept {
  const int count = ::X509_NAME_entry_count(name);
  for (int i = 0; i < count; ++i) {
    if (i != 0) {
      to.append('\r');
      to.append('\n');
    }
    unsigned char* text = nullptr;
    const int size =
        ::ASN1_STRING_to_UTF8(&text, ::X509_NAME_ENTRY_get_data(::X509_NAME_get_entry(name, i)));
    for (int at = 0; at < size; ++at) {
      to.append(text[at] < 0x20 || text[at] == 0x7F ? '?' : static_cast<char>(text[at]));
    }
    ::OPENSSL_free(text);
  }
  ::ERR_clear_error();
}

std::int64_t seconds_of(const ASN1_TIME* time) noexcept {
  std::tm parts{};
  if (::ASN1_TIME_to_tm(time, &parts) != 1) {
    ::ERR_clear_error();
    return 0;
  }
  return ::timegm(&parts);
}

} // namespace

tls_certificate::~tls_certificate() {
  ::X509_free(certificate_);
}

void tls_certificate::append_subject(memory::growable<char>& to) const noexcept {
  append_name(to, ::X509_get_subject_name(certificate_));
}
void tls_certificate::append_issuer(memory::growable<char>& to) const noexcept {
  append_name(to, ::X509_get_issuer_name(certificate_));
}

std::int64_t tls_certificate::valid_from() const noexcept {
  return seconds_of(::X509_get0_notBefore(certificate_));
}
std::int64_t tls_certificate::valid_until() const noexcept {
  return seconds_of(::X509_get0_notAfter(certificate_));
}

} // namespace sluice::io
