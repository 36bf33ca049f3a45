#include "core/memory.hpp"
#include "io/c_tls.hpp"
#include "sluice/c.h"
#include "sluice/sluice.hpp"

#include <algorithm>
#include <cstring>

// The TLS of the C API.

namespace sluice {
namespace {

static_assert(certificate_fault::unknown_authority == SLUICE_FAULT_UNKNOWN_AUTHORITY);
static_assert(certificate_fault::wrong_name == SLUICE_FAULT_WRONG_NAME);
static_assert(certificate_fault::wrong_date == SLUICE_FAULT_WRONG_DATE);
static_assert(certificate_fault::wrong_usage == SLUICE_FAULT_WRONG_USAGE);
static_assert(certificate_fault::revoked == SLUICE_FAULT_REVOKED);
static_assert(certificate_fault::revocation_unknown == SLUICE_FAULT_REVOCATION_UNKNOWN);
static_assert(certificate_fault::invalid == SLUICE_FAULT_INVALID);
static_assert(static_cast<int>(tls_version::tls1_3) == SLUICE_TLS_1_3);
static_assert(static_cast<int>(client_certificates::required) == SLUICE_CLIENTS_REQUIRED);

std::span<const std::byte> bytes_of(const void* from, std::size_t count) noexcept {
  return {static_cast<const std::byte*>(from), count};
}

tls_settings settings_of(const sluice_tls_settings* given) noexcept {
  sluice_tls_settings all;
  sluice_tls_settings_init(&all);
  if (given != nullptr) { // the members that the caller's version has
    std::memcpy(&all, given, std::min(given->size_bytes, sizeof all));
  }
  tls_settings made;
  made.ca_file = all.ca_file;
  made.ca_directory = all.ca_directory;
  made.ca_pem = bytes_of(all.ca_pem, all.ca_pem_bytes);
  made.revocation_file = all.revocation_file;
  made.check_revocation = all.check_revocation != 0;
  made.certificate_file = all.certificate_file;
  made.private_key_file = all.private_key_file;
  made.certificate_pem = bytes_of(all.certificate_pem, all.certificate_pem_bytes);
  made.private_key_pem = bytes_of(all.private_key_pem, all.private_key_pem_bytes);
  made.clients = static_cast<client_certificates>(all.clients);
  made.ignored_faults = all.ignored_faults;
  made.lowest = static_cast<tls_version>(all.lowest);
  made.highest = static_cast<tls_version>(all.highest);
  made.resume = all.resume != 0;
  made.key_log = all.key_log != 0;
  return made;
}

sluice_error make_tls(error (*make)(const tls_settings&, tls_config&) noexcept,
                      const sluice_tls_settings* settings, sluice_tls** made) noexcept {
  sluice_tls* const fresh = memory::create<sluice_tls>();
  if (fresh == nullptr) {
    return SLUICE_ERROR_NO_MEMORY;
  }
  const error failed = make(settings_of(settings), fresh->config);
  if (failed != error::none) {
    memory::destroy(fresh);
    return static_cast<sluice_error>(failed);
  }
  *made = fresh;
  return SLUICE_OK;
}

} // namespace
} // namespace sluice

using namespace sluice; // NOLINT(google-build-using-namespace): definitions of C functions only

extern "C" {

void sluice_tls_settings_init(sluice_tls_settings* settings) {
  *settings = {};
  settings->size_bytes = sizeof *settings;
  settings->highest = SLUICE_TLS_1_3;
  settings->resume = 1;
}

sluice_error sluice_tls_create_server(const sluice_tls_settings* settings, sluice_tls** made) {
  return make_tls(&tls_config::make_server, settings, made);
}
sluice_error sluice_tls_create_client(const sluice_tls_settings* settings, sluice_tls** made) {
  return make_tls(&tls_config::make_client, settings, made);
}
void sluice_tls_destroy(sluice_tls* tls) {
  memory::destroy(tls);
}

sluice_error sluice_listener_replace_tls(sluice_listener* of, const sluice_tls* replacement) {
  return static_cast<sluice_error>(reinterpret_cast<listener*>(of)->replace_tls(
      replacement != nullptr ? replacement->config : tls_config()));
}

int sluice_connection_tls(const sluice_connection* of, sluice_tls_info* to) {
  tls_info known;
  if (!reinterpret_cast<const connection*>(of)->tls(known)) {
    return 0;
  }
  sluice_tls_info now = {};
  now.size_bytes = std::min(to->size_bytes, sizeof now);
  now.established = known.established ? 1 : 0;
  now.resumed = known.resumed ? 1 : 0;
  now.cipher_bits = known.cipher_bits;
  now.version = static_cast<sluice_tls_version>(known.version);
  now.cipher = known.cipher;
  now.certificate_faults = known.certificate_faults;
  if (now.size_bytes >= sizeof now.size_bytes) {
    std::memcpy(to, &now, now.size_bytes);
  }
  return 1;
}
size_t sluice_connection_peer_certificate(const sluice_connection* of, void* to,
                                          size_t size_bytes) {
  return reinterpret_cast<const connection*>(of)->peer_certificate(
      {static_cast<std::byte*>(to), size_bytes});
}

} // extern "C"
