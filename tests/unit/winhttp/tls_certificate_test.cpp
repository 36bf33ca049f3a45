// What a server may show, and what SendRequest says to it (section 18 of the contract).

#include "tls_fixture.hpp"

namespace sluice::test {
namespace {

using tls_certificates = backend_test;

constexpr DWORD bad_ca = WINHTTP_CALLBACK_STATUS_FLAG_INVALID_CA;
constexpr DWORD bad_name = WINHTTP_CALLBACK_STATUS_FLAG_CERT_CN_INVALID;
constexpr DWORD bad_date = WINHTTP_CALLBACK_STATUS_FLAG_CERT_DATE_INVALID;
constexpr DWORD bad_usage = WINHTTP_CALLBACK_STATUS_FLAG_CERT_WRONG_USAGE;

struct case_of {
  const char* what;
  test_identity identity;
  DWORD bits; // of SECURE_FAILURE; 0: it works
  const wchar_t* host = L"127.0.0.1";
};

std::vector<case_of> table() {
  const test_ca& ca = tls_test_authority();
  static const test_ca stranger;
  const test_certificate expired{.valid_from_days = -20, .valid_to_days = -10};
  const test_certificate early{.valid_from_days = 10, .valid_to_days = 20};
  return {
      {"valid", ca.issue(), 0},
      {"valid, by name", ca.issue(), 0, L"localhost"},
      {"wrong address", ca.issue({.alternative_names = "IP:127.0.0.2"}), bad_name},
      {"wrong name", ca.issue({.alternative_names = "DNS:example.org"}), bad_name, L"localhost"},
      {"name in the subject only", ca.issue({.alternative_names = ""}), bad_name, L"localhost"},
      {"expired", ca.issue(expired), bad_date},
      {"not yet valid", ca.issue(early), bad_date},
      {"wrong usage", ca.issue({.extended_usage = "clientAuth"}), bad_usage},
      {"self-signed", ca.issue({.self_signed = true}), bad_ca},
      {"unknown authority", stranger.issue(), bad_ca},
      {"missing intermediate", ca.issue_without_chain(), bad_ca},
      {"everything",
       stranger.issue({.alternative_names = "DNS:example.org",
                       .valid_from_days = -20,
                       .valid_to_days = -10,
                       .extended_usage = "clientAuth"}),
       bad_ca | bad_name | bad_date | bad_usage},
  };
}

DWORD flag_for(DWORD bit) {
  switch (bit) {
  case bad_ca:
    return SECURITY_FLAG_IGNORE_UNKNOWN_CA;
  case bad_name:
    return SECURITY_FLAG_IGNORE_CERT_CN_INVALID;
  case bad_date:
    return SECURITY_FLAG_IGNORE_CERT_DATE_INVALID;
  default:
    return SECURITY_FLAG_IGNORE_CERT_WRONG_USAGE;
  }
}

TEST_F(tls_certificates, TLS_04_TLS_05_the_table_with_all_bits_before_12175) {
  for (const case_of& at : table()) {
    SCOPED_TRACE(at.what);
    scripted_peer peer([&](scripted_peer& on) { serve_tls(on, {.identity = at.identity}); });
    secure_client client(peer.port(), at.host);
    if (at.bits == 0) {
      EXPECT_EQ(client.exchange(), 0u);
      EXPECT_TRUE(client.failures.empty());
    } else {
      EXPECT_EQ(client.send(), DWORD{ERROR_WINHTTP_SECURE_FAILURE}); // TLS-06: no other code
      EXPECT_EQ(client.failures, std::vector<DWORD>{at.bits});
      EXPECT_EQ(client.query(WINHTTP_OPTION_SECURITY_FLAGS), 0u);
    }
    client.request.reset();
  }
}

TEST_F(tls_certificates, TLS_02_TLS_04_each_flag_removes_its_own_error_and_no_other) {
  const std::vector<DWORD> bits = {bad_ca, bad_name, bad_date, bad_usage};
  for (const case_of& at : table()) {
    for (const DWORD ignored : bits) {
      SCOPED_TRACE(testing::Message() << at.what << " ignoring " << ignored);
      scripted_peer peer([&](scripted_peer& on) { serve_tls(on, {.identity = at.identity}); });
      secure_client client(peer.port(), at.host);
      client.ignore(flag_for(ignored));
      const DWORD left = at.bits & ~ignored;
      EXPECT_EQ(client.send(), left == 0 ? 0u : DWORD{ERROR_WINHTTP_SECURE_FAILURE});
      EXPECT_EQ(client.failures, left == 0 ? std::vector<DWORD>{} : std::vector<DWORD>{left});
      client.request.reset();
    }
  }
}

TEST_F(tls_certificates, TLS_02_all_four_flags_accept_everything_that_has_one) {
  const case_of worst = table().back();
  scripted_peer peer([&](scripted_peer& on) { serve_tls(on, {.identity = worst.identity}); });
  secure_client client(peer.port());
  client.ignore(SECURITY_FLAG_IGNORE_UNKNOWN_CA | SECURITY_FLAG_IGNORE_CERT_WRONG_USAGE |
                SECURITY_FLAG_IGNORE_CERT_CN_INVALID | SECURITY_FLAG_IGNORE_CERT_DATE_INVALID);
  EXPECT_EQ(client.exchange(), 0u);
  client.request.reset();
}

TEST_F(tls_certificates, TLS_03_flags_hold_for_the_request_with_its_redirects_and_no_other) {
  const test_identity identity = tls_test_authority().issue({.self_signed = true});
  scripted_peer other([&](scripted_peer& on) { serve_tls(on, {.identity = identity}); });
  scripted_peer peer([&](scripted_peer& on) {
    const std::string other_origin = "https://127.0.0.1:" + std::to_string(other.port());
    for (const std::string& origin : {std::string(), other_origin}) {
      peer_connection to = on.accept_plain();
      to.start_tls({.identity = identity});
      (void)to.read_request();
      to.send_response("HTTP/1.1 302 Found", "Location: " + origin + "/elsewhere\r\n");
      while (!to.read_some().empty()) {
      }
    }
    serve_tls(on, {.identity = identity});
  });
  secure_client client(peer.port());
  client.ignore(SECURITY_FLAG_IGNORE_UNKNOWN_CA);
  EXPECT_EQ(client.exchange(), 0u);
  EXPECT_TRUE(client.failures.empty());
  client.connect(L"127.0.0.1", peer.port());
  EXPECT_EQ(client.send(), DWORD{ERROR_WINHTTP_SECURE_FAILURE});
}

TEST_F(tls_certificates, HSK_40_TLS_12_a_redirect_leaves_TLS_only_where_the_policy_says_always) {
  for (const bool always : {false, true}) {
    scripted_peer plain([&](scripted_peer& on) {
      if (always) {
        peer_connection to = on.accept_plain();
        to.handshake();
        to.expect_eof();
      }
    });
    const std::string location =
        "Location: http://127.0.0.1:" + std::to_string(plain.port()) + "/\r\n";
    scripted_peer peer([&](scripted_peer& on) {
      peer_connection to = on.accept_plain();
      to.start_tls({.identity = tls_test_identity()});
      (void)to.read_request();
      to.send_response("HTTP/1.1 302 Found", location);
      while (!to.read_some().empty()) {
      }
    });
    secure_client client(peer.port());
    if (always) {
      DWORD policy = WINHTTP_OPTION_REDIRECT_POLICY_ALWAYS;
      EXPECT_TRUE(WinHttpSetOption(client.request, WINHTTP_OPTION_REDIRECT_POLICY, &policy,
                                   sizeof(policy)));
    }
    EXPECT_EQ(client.exchange(), 0u);
    EXPECT_EQ(query_status(client.request), always ? 101u : 302u);
    DWORD bits = 0;
    DWORD length = sizeof(bits);
    EXPECT_EQ(WinHttpQueryOption(client.request, WINHTTP_OPTION_SECURITY_KEY_BITNESS, &bits,
                                 &length) != FALSE,
              !always)
        << "X-55: without TLS there are none";
    client.request.reset();
  }
}

TEST_F(tls_certificates, TLS_08_the_mask_hides_the_notification_and_not_the_error) {
  const test_identity identity = tls_test_authority().issue({.self_signed = true});
  scripted_peer peer([&](scripted_peer& on) { serve_tls(on, {.identity = identity}); });
  secure_client client(peer.port());
  WinHttpSetStatusCallback(client.request, &secure_client::note,
                           WINHTTP_CALLBACK_FLAG_ALL_COMPLETIONS, 0);
  EXPECT_EQ(client.send(), DWORD{ERROR_WINHTTP_SECURE_FAILURE});
  EXPECT_TRUE(client.failures.empty());
}

TEST_F(tls_certificates, TLS_15_revocation_is_checked_when_it_is_enabled) {
  const test_identity revoked = tls_test_authority().issue();
  const temporary_file list(tls_test_authority().revoke(revoked));
  struct row {
    const char* what;
    const test_identity& identity;
    bool has_list;
    bool enabled;
    DWORD bits;
  };
  const row rows[] = {
      {"not enabled", revoked, true, false, 0},
      {"revoked", revoked, true, true, WINHTTP_CALLBACK_STATUS_FLAG_CERT_REVOKED},
      {"good", tls_test_identity(), true, true, 0},
      {"no list", tls_test_identity(), false, true, WINHTTP_CALLBACK_STATUS_FLAG_CERT_REV_FAILED},
  };
  for (const row& at : rows) {
    SCOPED_TRACE(at.what);
    scripted_peer peer([&](scripted_peer& on) { serve_tls(on, {.identity = at.identity}); });
    secure_client client(peer.port());
    if (at.has_list) {
      std::wstring name = list.wide();
      EXPECT_TRUE(WinHttpSetOption(client.session, SLUICE_OPTION_TLS_REVOCATION_FILE, name.data(),
                                   static_cast<DWORD>(name.size())))
          << GetLastError();
    }
    if (at.enabled) {
      DWORD feature = WINHTTP_ENABLE_SSL_REVOCATION;
      EXPECT_TRUE(WinHttpSetOption(client.request, WINHTTP_OPTION_ENABLE_FEATURE, &feature,
                                   sizeof(feature)));
    }
    EXPECT_EQ(client.exchange(), at.bits == 0 ? 0u : DWORD{ERROR_WINHTTP_SECURE_FAILURE});
    EXPECT_EQ(client.failures, at.bits == 0 ? std::vector<DWORD>{} : std::vector<DWORD>{at.bits});
    client.request.reset();
  }
}

TEST_F(tls_certificates, TLS_10_a_client_certificate_that_is_demanded) {
  for (const int version : {0x0303, 0x0304}) {
    SCOPED_TRACE(version);
    const tls_server_settings demanding{.identity = tls_test_identity(),
                                        .lowest_version = version,
                                        .highest_version = version,
                                        .demanded_client_authority = tls_test_authority().root()};
    {
      scripted_peer peer([&](scripted_peer& on) { serve_tls(on, demanding); });
      secure_client client(peer.port());
      EXPECT_EQ(client.exchange(), DWORD{ERROR_WINHTTP_CLIENT_AUTH_CERT_NEEDED});
      EXPECT_TRUE(client.failures.empty());
      client.request.reset();
    }
    const test_identity me = tls_test_authority().issue({.extended_usage = "clientAuth"});
    const temporary_file certificate(me.certificate);
    const temporary_file key(me.key);
    const std::wstring certificate_name = certificate.wide();
    const std::wstring key_name = key.wide();
    SLUICE_CLIENT_CERTIFICATE in_memory{};
    in_memory.CertificatePem = me.certificate.data();
    in_memory.CertificatePemLength = static_cast<DWORD>(me.certificate.size());
    in_memory.PrivateKeyPem = me.key.data();
    in_memory.PrivateKeyPemLength = static_cast<DWORD>(me.key.size());
    SLUICE_CLIENT_CERTIFICATE in_files{};
    in_files.CertificateFile = certificate_name.c_str();
    in_files.PrivateKeyFile = key_name.c_str();
    for (SLUICE_CLIENT_CERTIFICATE* const shown : {&in_memory, &in_files}) {
      scripted_peer peer([&](scripted_peer& on) { serve_tls(on, demanding); });
      secure_client client(peer.port());
      ASSERT_TRUE(WinHttpSetOption(client.session, SLUICE_OPTION_TLS_CLIENT_CERTIFICATE, shown,
                                   sizeof(*shown)))
          << GetLastError();
      EXPECT_EQ(client.exchange(), 0u);
      client.request.reset();
    }
  }
}

TEST_F(tls_certificates, settings_that_cannot_be_used_change_nothing) {
  scripted_peer peer([](scripted_peer& on) { serve_tls(on, {.identity = tls_test_identity()}); });
  secure_client client(peer.port());
  const auto refused = [&](DWORD option, const void* value, std::size_t size) {
    SetLastError(0);
    EXPECT_FALSE(WinHttpSetOption(client.session, option, const_cast<void*>(value),
                                  static_cast<DWORD>(size)));
    return GetLastError();
  };
  const std::wstring nowhere = L"/nonexistent/file.pem";
  for (const DWORD option : {SLUICE_OPTION_TLS_CA_FILE, SLUICE_OPTION_TLS_REVOCATION_FILE}) {
    EXPECT_EQ(refused(option, nowhere.data(), nowhere.size()), DWORD{ERROR_INVALID_PARAMETER});
  }
  const std::string text = "this is not PEM";
  EXPECT_EQ(refused(SLUICE_OPTION_TLS_CA_PEM, text.data(), text.size()),
            DWORD{ERROR_INVALID_PARAMETER});
  EXPECT_EQ(refused(SLUICE_OPTION_TLS_CA_PEM, nullptr, 4), DWORD{ERROR_INVALID_PARAMETER});
  const test_identity one = tls_test_authority().issue();
  const test_identity two = tls_test_authority().issue();
  SLUICE_CLIENT_CERTIFICATE mixed{};
  mixed.CertificatePem = one.certificate.data();
  mixed.CertificatePemLength = static_cast<DWORD>(one.certificate.size());
  EXPECT_EQ(refused(SLUICE_OPTION_TLS_CLIENT_CERTIFICATE, &mixed, sizeof(mixed)),
            DWORD{ERROR_WINHTTP_CLIENT_CERT_NO_PRIVATE_KEY});
  mixed.PrivateKeyPem = two.key.data();
  mixed.PrivateKeyPemLength = static_cast<DWORD>(two.key.size());
  EXPECT_EQ(refused(SLUICE_OPTION_TLS_CLIENT_CERTIFICATE, &mixed, sizeof(mixed)),
            DWORD{ERROR_INVALID_PARAMETER});
  EXPECT_EQ(refused(SLUICE_OPTION_TLS_CLIENT_CERTIFICATE, &mixed, 3),
            DWORD{ERROR_INSUFFICIENT_BUFFER});
  SetLastError(0);
  EXPECT_FALSE(WinHttpSetOption(client.request, SLUICE_OPTION_TLS_CA_PEM,
                                const_cast<char*>(text.data()), 4));
  EXPECT_EQ(GetLastError(), DWORD{ERROR_WINHTTP_INCORRECT_HANDLE_TYPE});
  EXPECT_EQ(client.exchange(), 0u); // with what was set before
  client.request.reset();
}

TEST_F(tls_certificates, without_an_authority_of_its_own_a_session_does_not_trust_the_tests) {
  scripted_peer peer([](scripted_peer& on) { serve_tls(on, {.identity = tls_test_identity()}); });
  secure_client client(peer.port());
  EXPECT_TRUE(WinHttpSetOption(client.session, SLUICE_OPTION_TLS_CA_PEM, nullptr, 0));
  EXPECT_EQ(client.send(), DWORD{ERROR_WINHTTP_SECURE_FAILURE});
  EXPECT_EQ(client.failures, std::vector<DWORD>{bad_ca});
}

TEST_F(tls_certificates, TLS_05_TLS_07_chains_that_are_too_deep_or_too_long) {
  const struct {
    std::size_t authorities;
    DWORD bits;
  } rows[] = {
      {90, 0},
      // More than 100 are not followed, so that no root is found.
      {150, WINHTTP_CALLBACK_STATUS_FLAG_INVALID_CERT | bad_ca},
      // More than 100 KiB are not read.
      {300, WINHTTP_CALLBACK_STATUS_FLAG_SECURITY_CHANNEL_ERROR},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.authorities);
    const test_identity identity = tls_test_authority().issue_below(row.authorities);
    scripted_peer peer([&](scripted_peer& on) { serve_tls(on, {.identity = identity}); });
    secure_client client(peer.port());
    EXPECT_EQ(client.exchange(), row.bits == 0 ? 0u : DWORD{ERROR_WINHTTP_SECURE_FAILURE});
    EXPECT_EQ(client.failures, row.bits == 0 ? std::vector<DWORD>{} : std::vector<DWORD>{row.bits});
    client.request.reset();
  }
}

} // namespace
} // namespace sluice::test
