// Host names outside ASCII: what they become, and that nothing else is looked up, asked for
// or found in a certificate.

#include "winhttp/host_name.hpp"

#include "proxy_fixture.hpp"
#include "support/fake_resolver.hpp"
#include "tls_fixture.hpp"
#include "winhttp/proxy.hpp"

#include <string>

namespace sluice::test {
namespace {

using winhttp::append_host;

constexpr wchar_t books[] = L"B\u00FCcher.example";
constexpr char books_utf8[] = "B\xC3\xBC"
                              "cher.example";
constexpr char books_ascii[] = "xn--bcher-kva.example";

// What it goes out as, or the code.
std::string ascii(std::string_view host) {
  memory::growable<char> made;
  const DWORD code = append_host(made, host);
  EXPECT_TRUE(code == 0 || made.empty());
  return code == 0 ? std::string(made.view()) : std::to_string(code);
}

bool has_idn() {
  return ascii(books_utf8) == books_ascii;
}

#ifdef SLUICE_TEST_IDN
TEST(host_names, X_56_they_are_taken_where_libidn2_is) {
  EXPECT_TRUE(has_idn());
}
#endif

class international_hosts : public backend_test {
protected:
  void SetUp() override {
    backend_test::SetUp();
    if (!IsSkipped() && !has_idn()) {
      GTEST_SKIP() << "built without libidn2";
    }
  }

  fake_resolver names_{{"127.0.0.1"}};
};

TEST(host_names, X_56_ascii_stays_as_it_is) {
  for (const char* const host : {"Example.ORG", "a_b", "xn--bcher-kva", "xn--", "-", "a..b", "::1",
                                 "fe80::1%eth0", "example."}) {
    EXPECT_EQ(ascii(host), host);
  }
}

TEST(host_names, X_56_what_is_no_host_is_refused_with_and_without_libidn2) {
  for (const std::string_view host : {
           std::string_view(""), std::string_view("a/b"), std::string_view("b\xC3\xBC/x"),
           std::string_view("b\xC3\xBC:80"), std::string_view("b\xC3\xBC\0x", 5),
           std::string_view("b\xC3\xBC x"),
           std::string_view("\xC3"),                // cut
           std::string_view("\xFF\xFE"),            // no UTF-8
           std::string_view("\xED\xA0\x80"),        // a surrogate
           std::string_view("fe80::1%eth\xC3\xBC"), // no name
           std::string_view("\xE2\x84\x80.org"),    // becomes a/c
           std::string_view("\xEF\xBC\x9A\xEF\xBC\x9A"
                            "1"), // fullwidth colons: an address
           std::string_view("a\xEF\xBC\xA0"
                            "b.org"), // fullwidth @
           std::string_view("a\xEF\xBC\x8F"
                            "b.org"),        // fullwidth /
           std::string_view("\xC2\xAD"),     // a soft hyphen: nothing is left
           std::string_view("\xCC\x88.org"), // begins with a combining mark
           std::string_view("\xF0\x9F\x92"
                            "\xA9\xE2\x80\x8F"), // an invisible mark
       }) {
    EXPECT_EQ(ascii(host), "12005") << host;
  }
  std::string many = "\xC3\xBC";
  for (int i = 0; i < 12; ++i) {
    many += many;
  }
  EXPECT_EQ(ascii(many), "12005");
  EXPECT_EQ(ascii(many.substr(0, 200)), "12005") << "a label of more than 63 characters";
}

TEST_F(international_hosts, X_56_names_become_their_a_labels) {
  const struct {
    const char* given;
    const char* expected;
  } rows[] = {
      {books_utf8, books_ascii},
      {"bu\xCC\x88"
       "cher.example",
       books_ascii}, // not composed
      {"stra\xC3\x9F"
       "e.example",
       "xn--strae-oqa.example"}, // IDNA 2003 says strasse
      {"\xE4\xBE\x8B\xE5\xAD\x90.\xE6\xB5\x8B\xE8\xAF\x95", "xn--fsqu00a.xn--0zwm56d"},
      {"a\xE3\x80\x82"
       "example",
       "a.example"}, // an ideographic full stop
      {"\xEF\xBC\x91\xEF\xBC\x92\xEF\xBC\x97.0.0.1", "127.0.0.1"},
      {"\xD0\xBF\xD1\x80\xD0\xB8\xD0\xBC\xD0\xB5\xD1\x80.", "xn--e1afmkfd."},
      {"a_b.\xC3\xBC", "a_b.xn--tda"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(ascii(row.given), row.expected) << row.given;
  }
}

TEST_F(international_hosts, X_56_GET_03_lookup_sni_certificate_and_host_field_have_the_a_labels) {
  const test_identity identity =
      tls_test_authority().issue({.alternative_names = std::string("DNS:") + books_ascii});
  std::string server_name;
  std::string head;
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    tls_server_settings how;
    how.identity = identity;
    to.start_tls(how);
    head = to.handshake();
    server_name = to.tls()->server_name();
    to.expect_eof();
  });
  {
    secure_client c(peer.port(), books);
    EXPECT_EQ(c.exchange(), 0u);
    EXPECT_EQ(query_status(c.request), 101u);
  }
  peer.join();
  EXPECT_EQ(names_.last_host(), books_ascii);
  EXPECT_EQ(server_name, books_ascii);
  EXPECT_EQ(header_of(head, "Host"), std::string(books_ascii) + ":" + std::to_string(peer.port()));
}

TEST_F(international_hosts, X_56_TLS_04_a_certificate_for_another_name_is_refused) {
  const test_identity identity =
      tls_test_authority().issue({.alternative_names = "DNS:bucher.example"});
  scripted_peer peer([&](scripted_peer& on) {
    tls_server_settings how;
    how.identity = identity;
    serve_tls(on, how);
  });
  secure_client c(peer.port(), books);
  EXPECT_EQ(c.exchange(), static_cast<DWORD>(ERROR_WINHTTP_SECURE_FAILURE));
  EXPECT_EQ(c.failures, std::vector<DWORD>{WINHTTP_CALLBACK_STATUS_FLAG_CERT_CN_INVALID});
}

TEST_F(international_hosts, X_56_HSK_40_a_redirect_may_name_one) {
  std::string second;
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    to.read_request();
    to.send_response("HTTP/1.1 302 Found", "Location: http://" + std::string(books_utf8) + ":" +
                                               std::to_string(on.port()) + "/new\r\n");
    to.expect_eof();
    peer_connection next = on.accept();
    second = next.handshake();
    next.expect_eof();
  });
  {
    client c(peer.port());
    ASSERT_TRUE(c.upgrade() && c.send() && c.receive()) << GetLastError();
    WCHAR url[128];
    DWORD length = sizeof(url);
    ASSERT_TRUE(WinHttpQueryOption(c.request, WINHTTP_OPTION_URL, url, &length));
    EXPECT_EQ(std::wstring(url),
              L"http://xn--bcher-kva.example:" + std::to_wstring(peer.port()) + L"/new");
  }
  peer.join();
  EXPECT_EQ(names_.last_host(), books_ascii);
  EXPECT_EQ(header_of(second, "Host"),
            std::string(books_ascii) + ":" + std::to_string(peer.port()));
}

TEST_F(international_hosts, X_56_HSK_43_a_redirect_to_what_is_no_name_is_refused) {
  for (const char* const host : {"\xE2\x84\x80.org", "\xFF.org"}) {
    scripted_peer peer([&](scripted_peer& on) {
      peer_connection to = on.accept();
      to.read_request();
      to.send_response("HTTP/1.1 302 Found", "Location: http://" + std::string(host) + "/new\r\n");
      to.expect_eof();
    });
    client c(peer.port());
    ASSERT_TRUE(c.upgrade() && c.send());
    EXPECT_FALSE(c.receive());
    EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_INVALID_URL));
  }
}

TEST_F(international_hosts, X_56_PRX_01_a_proxy_and_its_target_may_be_ones) {
  std::string connect;
  scripted_peer proxy([&](scripted_peer& on) {
    peer_connection to = on.accept_plain();
    connect = accept_tunnel(to);
    to.handshake();
    to.expect_eof();
  });
  {
    proxied_client c(proxy.port(), books, 81);
    name_proxy(c.request, L"http://M\u00FCller.example:" + std::to_wstring(proxy.port()) + L"/");
    EXPECT_EQ(query_proxy(c.request),
              L"http://xn--mller-kva.example:" + std::to_wstring(proxy.port()) + L"/");
    ASSERT_TRUE(c.upgrade() && c.send() && c.receive()) << GetLastError();
  }
  proxy.join();
  EXPECT_EQ(names_.last_host(), "xn--mller-kva.example");
  EXPECT_EQ(line_of(connect), "CONNECT xn--bcher-kva.example:81 HTTP/1.1");
  EXPECT_EQ(header_of(connect, "Host"), "xn--bcher-kva.example:81");
}

TEST_F(international_hosts, X_56_PRX_02_lists_of_proxies_and_of_hosts_without) {
  winhttp::proxy_settings settings;
  ASSERT_EQ(settings.set(WINHTTP_ACCESS_TYPE_NAMED_PROXY,
                         L"http=http://m\u00FCller:1;https=https://b\u00FCcher",
                         L"<local>;*.B\u00FCcher.example;http://m\u00FCller.example:80"),
            0u);
  const struct {
    const char* host;
    bool secure;
    const char* expected;
  } rows[] = {
      {"a.org", false, "xn--mller-kva"},        {"a.org", true, "xn--bcher-kva"},
      {"www.xn--bcher-kva.example", false, ""}, {"xn--bcher-kva.example", false, "xn--mller-kva"},
      {"xn--mller-kva.example", false, ""},     {"xn--mller-kva.example", true, "xn--bcher-kva"},
  };
  for (const auto& row : rows) {
    winhttp::proxy_server found;
    ASSERT_EQ(settings.choose(row.secure, row.host, 80, found), 0u);
    EXPECT_EQ(found.host, row.expected) << row.host;
  }
  EXPECT_EQ(settings.set(WINHTTP_ACCESS_TYPE_NAMED_PROXY, L"\u2100.org:1", nullptr),
            static_cast<DWORD>(ERROR_INVALID_PARAMETER));
  EXPECT_EQ(settings.set(WINHTTP_ACCESS_TYPE_NAMED_PROXY, L"a:1", L"\u2100;*.\u2100.org"), 0u)
      << "no target has such a name";
}

} // namespace
} // namespace sluice::test
