// What challenges offer, and what Basic makes of a name and a password.

#include "winhttp/credentials.hpp"

#include <gtest/gtest.h>

#include <string>

namespace sluice::test {
namespace {

using winhttp::credential_store;
using winhttp::credentials;
using winhttp::offered_schemes;

constexpr DWORD basic = WINHTTP_AUTH_SCHEME_BASIC;
constexpr DWORD digest = WINHTTP_AUTH_SCHEME_DIGEST;
constexpr DWORD ntlm = WINHTTP_AUTH_SCHEME_NTLM;
constexpr DWORD negotiate = WINHTTP_AUTH_SCHEME_NEGOTIATE;

TEST(challenges, GET_28_schemes_of_a_challenge_list) {
  const struct {
    const char* field;
    DWORD all;
    DWORD first;
  } rows[] = {
      {"Basic realm=\"x\"", basic, basic},
      {"basic", basic, basic},
      {"Basic", basic, basic},
      {"Negotiate, NTLM, Basic realm=\"x\"", basic | ntlm | negotiate, negotiate},
      {"Digest realm=\"a, Basic b\", nonce=\"n\", qop=\"auth,auth-int\", Basic realm=\"y\"",
       digest | basic, digest},
      {"Digest realm=\"a\\\", NTLM, \", Basic", digest | basic, digest},
      {"Digest realm=\"never closed, Basic", digest, digest},
      {"Bearer realm=\"x\", Basic realm=\"y\"", basic, basic},
      {"Bearer", 0, 0},
      {"Negotiate YWJjZA==", negotiate, negotiate},
      {"Passport1.4 x", WINHTTP_AUTH_SCHEME_PASSPORT, WINHTTP_AUTH_SCHEME_PASSPORT},
      {"realm = \"x\", Basic =, Basic", basic, basic},
      {",,Basic ,", basic, basic},
      {"", 0, 0},
      {"\"Basic\"", 0, 0},
      {"Basically", 0, 0},
      {"Basic\\", 0, 0},
  };
  for (const auto& row : rows) {
    offered_schemes found;
    found.add(row.field);
    EXPECT_EQ(found.all, row.all) << row.field;
    EXPECT_EQ(found.first, row.first) << row.field;
  }
  offered_schemes both;
  both.add("Bearer");
  both.add("NTLM");
  both.add("Basic");
  EXPECT_EQ(both.all, ntlm | basic);
  EXPECT_EQ(both.first, ntlm);
}

TEST(challenges, GET_28_a_name_and_a_password_in_base64) {
  const struct {
    const wchar_t* user;
    const wchar_t* password;
    const char* line;
  } rows[] = {
      {L"Aladdin", L"open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, // RFC 7617 section 2
      {L"test", L"123\u00A3", "Basic dGVzdDoxMjPCow=="},                  // and 2.1
      {L"", L"", "Basic Og=="},
      {L"u", L"", "Basic dTo="},
      {L"u", L"a:b", "Basic dTphOmI="},
  };
  for (const auto& row : rows) {
    credential_store store;
    ASSERT_EQ(store.choose(WINHTTP_AUTH_TARGET_PROXY, basic, row.user, row.password), 0u);
    EXPECT_FALSE(store.chosen(WINHTTP_AUTH_TARGET_SERVER).given);
    const credentials& made = store.chosen(WINHTTP_AUTH_TARGET_PROXY);
    memory::growable<char> line;
    EXPECT_TRUE(made.append_basic(line));
    EXPECT_EQ(line.view(), row.line);
    EXPECT_EQ(made.basic_bytes(), line.size());
  }
  // Longer than the pieces that it is encoded in.
  credential_store store;
  const std::wstring password(200, L'p');
  ASSERT_EQ(store.choose(WINHTTP_AUTH_TARGET_SERVER, basic, L"user", password.c_str()), 0u);
  memory::growable<char> line;
  EXPECT_TRUE(store.chosen(WINHTTP_AUTH_TARGET_SERVER).append_basic(line));
  EXPECT_EQ(line.size(), store.chosen(WINHTTP_AUTH_TARGET_SERVER).basic_bytes());
  EXPECT_EQ(line.view().substr(0, 16), "Basic dXNlcjpwcH");
  EXPECT_EQ(line.view().find('='), line.size() - 2);
}

TEST(challenges, GET_28_what_credentials_may_be) {
  const DWORD wrong = ERROR_INVALID_PARAMETER;
  const DWORD absent = ERROR_NOT_SUPPORTED;
  const struct {
    DWORD target;
    DWORD scheme;
    const wchar_t* user;
    const wchar_t* password;
    DWORD code;
  } rows[] = {
      {WINHTTP_AUTH_TARGET_SERVER, basic, L"u", L"p", 0},
      {WINHTTP_AUTH_TARGET_SERVER, basic, L"u", nullptr, wrong},
      {WINHTTP_AUTH_TARGET_SERVER, basic, nullptr, L"p", wrong},
      {WINHTTP_AUTH_TARGET_SERVER, basic, nullptr, nullptr, wrong},
      {WINHTTP_AUTH_TARGET_SERVER, digest, nullptr, nullptr, wrong},
      {WINHTTP_AUTH_TARGET_SERVER, digest, L"u", L"p", absent},
      {WINHTTP_AUTH_TARGET_SERVER, ntlm, nullptr, nullptr, absent},
      {WINHTTP_AUTH_TARGET_SERVER, negotiate, L"u", L"p", absent},
      {WINHTTP_AUTH_TARGET_SERVER, WINHTTP_AUTH_SCHEME_PASSPORT, nullptr, nullptr, absent},
      {WINHTTP_AUTH_TARGET_SERVER, 0, L"u", L"p", wrong},
      {WINHTTP_AUTH_TARGET_SERVER, basic | ntlm, L"u", L"p", wrong},
      {WINHTTP_AUTH_TARGET_SERVER, 0x20, L"u", L"p", wrong},
      {2, basic, L"u", L"p", wrong},
      {WINHTTP_AUTH_TARGET_SERVER, basic, L"a:b", L"p", wrong},
      {WINHTTP_AUTH_TARGET_SERVER, basic, L"u\r\n", L"p", wrong},
      {WINHTTP_AUTH_TARGET_SERVER, basic, L"u", L"p\x7F", wrong},
      {WINHTTP_AUTH_TARGET_SERVER, basic, L"\xD800", L"p", wrong},
  };
  for (const auto& row : rows) {
    credential_store store;
    EXPECT_EQ(store.choose(WINHTTP_AUTH_TARGET_SERVER, basic, L"before", L"x"), 0u);
    EXPECT_EQ(store.choose(row.target, row.scheme, row.user, row.password), row.code);
    EXPECT_EQ(store.chosen(WINHTTP_AUTH_TARGET_SERVER).user.view(), row.code == 0 ? "u" : "before");
  }
}

} // namespace
} // namespace sluice::test
