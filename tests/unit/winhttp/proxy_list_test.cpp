// The lists of proxies and of hosts that need none, and what the environment says (section 20 of
// the contract).

#include "winhttp/proxy.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>

namespace sluice::test {
namespace {

using winhttp::proxy_server;
using winhttp::proxy_settings;

constexpr DWORD wrong = ERROR_INVALID_PARAMETER;

DWORD name(proxy_settings& to, const wchar_t* servers, const wchar_t* bypass = nullptr) {
  return to.set(WINHTTP_ACCESS_TYPE_NAMED_PROXY, servers, bypass);
}

// "host:port", with an 's' behind it for one that is spoken to over TLS; "direct" for none.
std::string chosen(const proxy_settings& from, bool secure, const char* host = "example.org",
                   std::uint16_t port = 80) {
  proxy_server found;
  if (const DWORD code = from.choose(secure, host, port, found); code != 0) {
    return "error " + std::to_string(code);
  }
  return found.host.empty() ? "direct"
                            : std::string(found.host) + ":" + std::to_string(found.port) +
                                  (found.secure ? "s" : "");
}

TEST(proxy_list, PRX_02_servers_by_scheme_and_for_all) {
  const struct {
    const wchar_t* servers;
    const char* plain;
    const char* secure;
  } rows[] = {
      {L"proxy:3128", "proxy:3128", "proxy:3128"},
      {L"proxy", "proxy:80", "proxy:80"},
      {L"10.0.0.1:8080", "10.0.0.1:8080", "10.0.0.1:8080"},
      {L"[::1]:8080", "::1:8080", "::1:8080"},
      {L"http=a:1;https=b:2", "a:1", "b:2"},
      {L"https=b:2 http=a:1", "a:1", "b:2"},
      {L"HTTP=a:1", "a:1", "direct"},
      {L"https=b:2", "direct", "b:2"},
      {L"all:9;https=b:2", "all:9", "b:2"},
      {L"first:1;second:2", "first:1", "first:1"},
      {L"http=http://a:1", "a:1", "direct"},
      {L"http://a:1/", "a:1", "a:1"},
      {L"https://a", "a:443s", "a:443s"},
      {L"http=https://a:8443;https=b:2", "a:8443s", "b:2"},
      {L"ftp=f:21;socks=s:1080;http=a:1", "a:1", "direct"},
      {L" ; proxy:1 ;; ", "proxy:1", "proxy:1"},
      {L"proxy:65535", "proxy:65535", "proxy:65535"},
  };
  for (const auto& row : rows) {
    proxy_settings settings;
    ASSERT_EQ(name(settings, row.servers), 0u) << row.plain;
    EXPECT_EQ(chosen(settings, false), row.plain);
    EXPECT_EQ(chosen(settings, true), row.secure);
  }
}

TEST(proxy_list, PRX_02_what_is_no_list_of_servers) {
  for (const wchar_t* const servers :
       {L"", L" ; ", L"proxy:", L"proxy:0", L"proxy:65536", L"proxy:80x", L"a b:c", L"http=",
        L"socks5://proxy:1080", L"user:secret@proxy:1", L"proxy:1/path", L"[::1", L"[::1]8080",
        L"a\x01", L"\xD800", L"good:1;proxy:99999999999"}) {
    proxy_settings settings;
    ASSERT_EQ(name(settings, L"before:1"), 0u);
    EXPECT_EQ(name(settings, servers), wrong);
    EXPECT_EQ(chosen(settings, false), "before:1") << "nothing is changed on failure";
  }
}

TEST(proxy_list, PRX_02_bypass_with_wildcards_and_local) {
  const struct {
    const wchar_t* bypass;
    const char* host;
    bool direct;
  } rows[] = {
      {L"example.org", "example.org", true},
      {L"EXAMPLE.org", "Example.ORG", true},
      {L"example.org", "www.example.org", false},
      {L"*.example.org", "www.example.org", true},
      {L"*.example.org", "example.org", false},
      {L"*.example.org", "example.org.evil", false},
      {L"*", "anything", true},
      {L"10.*", "10.1.2.3", true},
      {L"10.*", "110.1.2.3", false},
      {L"*a*b*c*", "xxaxxbxxcxx", true},
      {L"*a*b*c*", "xxaxxcxxb", false},
      {L"a*b", "ab", true},
      {L"a*b", "aab", true},
      {L"a*b", "abc", false},
      {L"**", "", true},
      {L"<local>", "intranet", true},
      {L"<LOCAL>", "intranet", true},
      {L"<local>", "intra.net", false},
      {L"<local>", "::1", false},
      {L"one;two three", "two", true},
      {L"one;two three", "three", true},
      {L"one;two three", "four", false},
      {L"[::1]", "::1", true},
      {L"::1", "::1", true},
      {L"fe80::1", "fe80::1%eth0", true},
      {L"host:80", "host", true},
      {L"host:81", "host", false},
      {L"http://host", "host", true},
      {L"https://host", "host", false},
      {L"", "host", false},
      {L"host:99999", "host", false},
  };
  for (const auto& row : rows) {
    proxy_settings settings;
    ASSERT_EQ(name(settings, L"proxy:1", row.bypass), 0u);
    EXPECT_EQ(chosen(settings, false, row.host), row.direct ? "direct" : "proxy:1")
        << row.host << " and " << std::string(row.bypass, row.bypass + std::wcslen(row.bypass));
  }
}

TEST(proxy_list, PRX_02_a_pattern_full_of_stars_takes_no_time) {
  std::wstring bypass;
  for (int i = 0; i < 20000; ++i) {
    bypass += L"*a";
  }
  proxy_settings settings;
  ASSERT_EQ(name(settings, L"proxy:1", (bypass + L"b").c_str()), 0u);
  EXPECT_EQ(chosen(settings, false, std::string(255, 'a').c_str()), "proxy:1");
}

// Sets variables and puts back what was there.
class environment {
public:
  explicit environment(const std::map<std::string, const char*>& wanted) {
    for (const char* const variable : {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
                                       "no_proxy", "NO_PROXY", "REQUEST_METHOD"}) {
      if (const char* const value = std::getenv(variable); value != nullptr) {
        before_[variable] = value;
      }
      unsetenv(variable);
    }
    for (const auto& [variable, value] : wanted) {
      before_.try_emplace(variable, "");
      setenv(variable.c_str(), value, 1);
    }
  }
  ~environment() {
    for (const auto& [variable, value] : before_) {
      value.empty() ? unsetenv(variable.c_str()) : setenv(variable.c_str(), value.c_str(), 1);
    }
  }
  environment(const environment&) = delete;
  environment& operator=(const environment&) = delete;

private:
  std::map<std::string, std::string> before_;
};

TEST(proxy_list, PRX_03_X_47_the_environment_lower_case_first) {
  const struct {
    std::map<std::string, const char*> variables;
    const char* plain;
    const char* secure;
  } rows[] = {
      {{}, "direct", "direct"},
      {{{"http_proxy", ""}}, "direct", "direct"},
      {{{"http_proxy", "http://a:1"}}, "a:1", "direct"},
      {{{"http_proxy", "http://a:1/"}, {"HTTP_PROXY", "http://b:2"}}, "a:1", "direct"},
      {{{"HTTP_PROXY", "b:2"}}, "b:2", "direct"},
      {{{"HTTP_PROXY", "b:2"}, {"REQUEST_METHOD", "GET"}}, "direct", "direct"},
      {{{"HTTPS_PROXY", "b:2"}, {"REQUEST_METHOD", "GET"}}, "direct", "b:2"},
      {{{"http_proxy", "a"}, {"https_proxy", "b"}}, "a:80", "b:80"},
      {{{"http_proxy", "https://a"}}, "a:443s", "direct"},
      {{{"http_proxy", "http://u:p@[::1]:3128"}}, "::1:3128", "direct"},
      {{{"http_proxy", "a:1"}, {"no_proxy", "*"}}, "direct", "direct"},
      {{{"http_proxy", "a:1"}, {"NO_PROXY", "other, example.org"}}, "direct", "direct"},
      {{{"http_proxy", "a:1"}, {"no_proxy", "org"}}, "direct", "direct"},
      {{{"http_proxy", "a:1"}, {"no_proxy", ".example.org"}}, "direct", "direct"},
      {{{"http_proxy", "a:1"}, {"no_proxy", "ample.org"}}, "a:1", "direct"},
      {{{"http_proxy", "a:1"}, {"no_proxy", "example.org:81"}}, "a:1", "direct"},
      {{{"http_proxy", "a:1"}, {"no_proxy", "x"}, {"NO_PROXY", "*"}}, "a:1", "direct"},
      {{{"http_proxy", "socks5://a:1"}}, "error 12005", "direct"},
      {{{"http_proxy", "a:1 b:2"}, {"https_proxy", "c:3"}}, "error 12005", "c:3"},
      {{{"http_proxy", "socks5://a:1"}, {"no_proxy", "example.org"}}, "direct", "direct"},
  };
  for (const auto& row : rows) {
    const environment now(row.variables);
    for (const unsigned type : {unsigned{WINHTTP_ACCESS_TYPE_DEFAULT_PROXY},
                                unsigned{WINHTTP_ACCESS_TYPE_AUTOMATIC_PROXY}}) {
      proxy_settings settings;
      ASSERT_EQ(settings.set(type, nullptr, nullptr), 0u);
      EXPECT_EQ(chosen(settings, false), row.plain);
      EXPECT_EQ(chosen(settings, true), row.secure);
    }
    proxy_settings settings;
    ASSERT_EQ(settings.set(WINHTTP_ACCESS_TYPE_NO_PROXY, nullptr, nullptr), 0u);
    EXPECT_EQ(chosen(settings, false), "direct");
  }
}

TEST(proxy_list, PRX_03_the_environment_may_name_a_user) {
  const environment now({{"http_proxy", "http://me%40home:a%3Ab%zz@a:1"}, {"https_proxy", "b:2"}});
  proxy_settings settings;
  ASSERT_EQ(settings.set(WINHTTP_ACCESS_TYPE_DEFAULT_PROXY, nullptr, nullptr), 0u);
  proxy_settings copy;
  ASSERT_EQ(copy.copy_from(settings), 0u);
  EXPECT_TRUE(copy.user_of(false).given);
  EXPECT_EQ(copy.user_of(false).user.view(), "me@home");
  EXPECT_EQ(copy.user_of(false).password.view(), "a:b%zz");
  EXPECT_FALSE(copy.user_of(true).given);
  // It is not shown to those who ask for the list.
  WINHTTP_PROXY_INFO info{};
  DWORD length = sizeof(info);
  ASSERT_EQ(copy.query_option(&info, &length), 0u);
  EXPECT_EQ(info.dwAccessType, static_cast<DWORD>(WINHTTP_ACCESS_TYPE_NAMED_PROXY));
  EXPECT_EQ(std::wstring(info.lpszProxy), L"http=http://a:1;https=b:2");
  EXPECT_EQ(info.lpszProxyBypass, nullptr);
  GlobalFree(info.lpszProxy);
}

TEST(proxy_list, PRX_06_query_gives_strings_for_GlobalFree) {
  proxy_settings settings;
  ASSERT_EQ(name(settings, L"http=a:1;b:2", L"<local>;*.x"), 0u);
  WINHTTP_PROXY_INFO info{};
  DWORD length = sizeof(info) - 1;
  EXPECT_EQ(settings.query_option(&info, &length), static_cast<DWORD>(ERROR_INSUFFICIENT_BUFFER));
  EXPECT_EQ(length, sizeof(info));
  EXPECT_EQ(info.lpszProxy, nullptr);
  ASSERT_EQ(settings.query_option(&info, &length), 0u);
  EXPECT_EQ(std::wstring(info.lpszProxy), L"http=a:1;b:2");
  EXPECT_EQ(std::wstring(info.lpszProxyBypass), L"<local>;*.x");
  EXPECT_EQ(GlobalFree(info.lpszProxy), nullptr);
  EXPECT_EQ(GlobalFree(info.lpszProxyBypass), nullptr);
}

} // namespace
} // namespace sluice::test
