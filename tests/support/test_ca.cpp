#include "support/test_ca.hpp"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace sluice::test {
namespace {

template <auto Free> struct freer {
  template <typename T> void operator()(T* object) const { Free(object); }
};
using key_ptr = std::unique_ptr<EVP_PKEY, freer<EVP_PKEY_free>>;
using cert_ptr = std::unique_ptr<X509, freer<X509_free>>;

void require(bool ok, const char* what) {
  if (!ok) {
    std::fprintf(stderr, "test_ca: %s failed\n", what);
    std::abort();
  }
}

template <typename Write> std::string pem(Write&& write) {
  BIO* const out = BIO_new(BIO_s_mem());
  require(write(out) == 1, "PEM");
  char* data = nullptr;
  const long size = BIO_get_mem_data(out, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(out);
  return text;
}

std::string pem_of(X509* certificate) {
  return pem([&](BIO* out) { return PEM_write_bio_X509(out, certificate); });
}
std::string pem_of(EVP_PKEY* key) {
  return pem([&](BIO* out) {
    return PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

// What a line of text cannot say.
void name_raw(X509* certificate, const std::string& name) {
  GENERAL_NAMES* const names = sk_GENERAL_NAME_new_null();
  GENERAL_NAME* const one = GENERAL_NAME_new();
  ASN1_IA5STRING* const text = ASN1_IA5STRING_new();
  ASN1_STRING_set(text, name.data(), static_cast<int>(name.size()));
  GENERAL_NAME_set0_value(one, GEN_DNS, text);
  sk_GENERAL_NAME_push(names, one);
  require(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1,
          "raw name");
  GENERAL_NAMES_free(names);
}

void extend(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  require(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1, value);
  X509_EXTENSION_free(extension);
}

void name(X509_NAME* to, const std::string& common_name) {
  X509_NAME_add_entry_by_txt(to, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                             0);
}

} // namespace

struct test_ca::state {
  key_ptr root_key{EVP_EC_gen("P-256")};
  key_ptr intermediate_key{EVP_EC_gen("P-256")};
  cert_ptr root;
  cert_ptr intermediate;
  mutable long serial = 1;

  cert_ptr blank(const std::string& common_name, EVP_PKEY* key, long from_days,
                 long to_days) const {
    cert_ptr made(X509_new());
    X509_set_version(made.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), from_days * 86400);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), to_days * 86400);
    X509_set_pubkey(made.get(), key);
    name(X509_get_subject_name(made.get()), common_name);
    return made;
  }

  test_identity leaf(const test_certificate& wanted, X509* by, EVP_PKEY* by_key) const;

  cert_ptr authority(const std::string& common_name, EVP_PKEY* key, X509* issuer,
                     EVP_PKEY* issuer_key) const {
    cert_ptr made = blank(common_name, key, -1, 365);
    X509* const by = issuer != nullptr ? issuer : made.get();
    X509_set_issuer_name(made.get(), X509_get_subject_name(by));
    extend(made.get(), by, NID_basic_constraints, "critical,CA:TRUE");
    extend(made.get(), by, NID_key_usage, "critical,keyCertSign,cRLSign");
    extend(made.get(), by, NID_subject_key_identifier, "hash");
    require(X509_sign(made.get(), issuer_key, EVP_sha256()) > 0, "sign");
    return made;
  }
};

test_ca::test_ca() : state_(new state) {
  static std::atomic<unsigned> count{0};
  std::string number(1, ' '); // no two have the same name
  number += std::to_string(++count);
  state_->root = state_->authority("Test Root" + number, state_->root_key.get(), nullptr,
                                   state_->root_key.get());
  state_->intermediate =
      state_->authority("Test Intermediate" + number, state_->intermediate_key.get(),
                        state_->root.get(), state_->root_key.get());
  root_pem_ = pem_of(state_->root.get());
}

test_ca::~test_ca() {
  delete state_;
}

test_identity test_ca::state::leaf(const test_certificate& wanted, X509* by,
                                   EVP_PKEY* by_key) const {
  const key_ptr key(EVP_EC_gen("P-256"));
  const cert_ptr made =
      blank(wanted.common_name, key.get(), wanted.valid_from_days, wanted.valid_to_days);
  X509* const issuer = wanted.self_signed ? made.get() : by;
  X509_set_issuer_name(made.get(), X509_get_subject_name(issuer));
  extend(made.get(), issuer, NID_basic_constraints, "critical,CA:FALSE");
  if (!wanted.raw_name.empty()) {
    name_raw(made.get(), wanted.raw_name);
  } else if (!wanted.alternative_names.empty()) {
    extend(made.get(), issuer, NID_subject_alt_name, wanted.alternative_names.c_str());
  }
  if (!wanted.extended_usage.empty()) {
    extend(made.get(), issuer, NID_ext_key_usage, wanted.extended_usage.c_str());
  }
  EVP_PKEY* const signer = wanted.self_signed ? key.get() : by_key;
  require(X509_sign(made.get(), signer, EVP_sha256()) > 0, "sign");
  return {pem_of(made.get()), pem_of(key.get())};
}

test_identity test_ca::issue_without_chain(const test_certificate& wanted) const {
  return state_->leaf(wanted, state_->intermediate.get(), state_->intermediate_key.get());
}

test_identity test_ca::issue_below(std::size_t authorities) const {
  std::string chain = pem_of(state_->intermediate.get());
  X509_up_ref(state_->intermediate.get());
  cert_ptr by(state_->intermediate.get());
  EVP_PKEY_up_ref(state_->intermediate_key.get());
  key_ptr by_key(state_->intermediate_key.get());
  for (std::size_t i = 0; i < authorities; ++i) {
    key_ptr key(EVP_EC_gen("P-256"));
    by = state_->authority("Authority " + std::to_string(i), key.get(), by.get(), by_key.get());
    by_key = std::move(key);
    chain.insert(0, pem_of(by.get()));
  }
  test_identity made = state_->leaf({}, by.get(), by_key.get());
  made.certificate += chain;
  return made;
}

test_identity test_ca::issue(const test_certificate& wanted) const {
  test_identity made = issue_without_chain(wanted);
  if (!wanted.self_signed) {
    made.certificate += pem_of(state_->intermediate.get());
  }
  return made;
}

std::string test_ca::revoke(const test_identity& revoked) const {
  BIO* const in =
      BIO_new_mem_buf(revoked.certificate.data(), static_cast<int>(revoked.certificate.size()));
  const cert_ptr leaf(PEM_read_bio_X509(in, nullptr, nullptr, nullptr));
  BIO_free(in);
  X509_CRL* const list = X509_CRL_new();
  X509_CRL_set_version(list, 1);
  X509_CRL_set_issuer_name(list, X509_get_subject_name(state_->intermediate.get()));
  ASN1_TIME* const now = X509_gmtime_adj(nullptr, -3600);
  ASN1_TIME* const later = X509_gmtime_adj(nullptr, 86400);
  X509_CRL_set1_lastUpdate(list, now);
  X509_CRL_set1_nextUpdate(list, later);
  X509_REVOKED* const entry = X509_REVOKED_new();
  X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(leaf.get()));
  X509_REVOKED_set_revocationDate(entry, now);
  X509_CRL_add0_revoked(list, entry);
  X509_CRL_sort(list);
  require(X509_CRL_sign(list, state_->intermediate_key.get(), EVP_sha256()) > 0, "sign list");
  std::string text = pem([&](BIO* out) { return PEM_write_bio_X509_CRL(out, list); });
  ASN1_TIME_free(now);
  ASN1_TIME_free(later);
  X509_CRL_free(list);
  return text;
}

} // namespace sluice::test
