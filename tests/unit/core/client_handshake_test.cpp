#include "core/client_handshake.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace sluice {
namespace {

using namespace std::string_literals;

// The example of RFC 6455 section 1.3.
handshake_key example_key() {
  handshake_key key;
  std::copy_n("dGhlIHNhbXBsZSBub25jZQ==", 24, key.key.begin());
  std::copy_n("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28, key.accept.begin());
  return key;
}

const std::string upgrade = "Upgrade: websocket\r\n";
const std::string connection = "Connection: Upgrade\r\n";
const std::string accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

error check_with_status(std::string_view status_line, std::string_view fields,
                        std::string_view offered = {}) {
  http_response_head head{limits{}};
  const std::string input = std::string(status_line) + "\r\n" + std::string(fields) + "\r\n";
  const auto result = head.feed(std::as_bytes(std::span(input)));
  EXPECT_TRUE(result.complete) << input;
  return check_upgrade_response(head, example_key(), offered);
}

error check(std::string_view fields, std::string_view offered = {}) {
  return check_with_status("HTTP/1.1 101 Switching Protocols", fields, offered);
}

TEST(client_handshake, HSK_01_request_fields) {
  memory::growable<char> request;
  append_upgrade_fields(request, example_key());
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request.view(), "Connection: Upgrade\r\n"
                            "Upgrade: websocket\r\n"
                            "Sec-WebSocket-Version: 13\r\n"
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
}

TEST(client_handshake, HSK_20_a_right_response) {
  EXPECT_EQ(check(upgrade + connection + accept), error::none);
  EXPECT_EQ(check("Server: x\r\n" + accept + "Date: now\r\n" + connection + upgrade), error::none);
}

TEST(client_handshake, HSK_21_names_and_tokens_in_any_case_with_blanks) {
  EXPECT_EQ(check("UPGRADE: WebSocket\r\ncOnNeCtIoN: \t uPGRADE \r\n"
                  "sec-websocket-accept:\ts3pPLMBiTxaQ9kYGzzhZRbK+xOo= \r\n"),
            error::none);
}

TEST(client_handshake, HSK_21_connection_is_a_token_list) {
  for (const char* const value : {"keep-alive, Upgrade", "Upgrade,keep-alive", "a ,\tupgrade\t, b",
                                  ",,upgrade", "upgrade,"}) {
    EXPECT_EQ(check(upgrade + "Connection: " + value + "\r\n" + accept), error::none) << value;
  }
  EXPECT_EQ(check(upgrade + "Connection: keep-alive\r\n" + connection + accept), error::none);
  for (const char* const value :
       {"", "keep-alive", "upgraded", "upgrad", "up grade", "\"upgrade\""}) {
    EXPECT_EQ(check(upgrade + "Connection: " + value + "\r\n" + accept), error::connection_missing)
        << value;
  }
}

TEST(client_handshake, HSK_22_upgrade_missing_wrong_or_repeated) {
  EXPECT_EQ(check(connection + accept), error::upgrade_missing);
  EXPECT_EQ(check(upgrade + upgrade + connection + accept), error::upgrade_missing);
  for (const char* const value :
       {"", "h2c", "websocket, h2c", "h2c, websocket", "websockets", "web socket", "websocket,"}) {
    EXPECT_EQ(check("Upgrade: "s + value + "\r\n" + connection + accept), error::upgrade_missing)
        << value;
  }
}

TEST(client_handshake, HSK_22_connection_missing) {
  EXPECT_EQ(check(upgrade + accept), error::connection_missing);
}

TEST(client_handshake, HSK_22_accept_missing_wrong_or_repeated) {
  EXPECT_EQ(check(upgrade + connection), error::accept_mismatch);
  EXPECT_EQ(check(upgrade + connection + accept + accept), error::accept_mismatch);
  for (const char* const value : {"", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo",
                                  "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=x", "S3PPLMBITXAQ9KYGZZHZRBK+XOO=",
                                  "dGhlIHNhbXBsZSBub25jZQ==", "\"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\"",
                                  "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=, s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}) {
    EXPECT_EQ(check(upgrade + connection + "Sec-WebSocket-Accept: " + value + "\r\n"),
              error::accept_mismatch)
        << value;
  }
  // Every single wrong character counts.
  for (std::size_t i = 0; i < 28; ++i) {
    std::string wrong = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    wrong[i] = wrong[i] == 'A' ? 'B' : 'A';
    EXPECT_EQ(check(upgrade + connection + "Sec-WebSocket-Accept: " + wrong + "\r\n"),
              error::accept_mismatch);
  }
}

TEST(client_handshake, HSK_23_no_extension_is_ever_agreed) {
  for (const char* const value : {"permessage-deflate", "x-unknown; a=b", ""}) {
    EXPECT_EQ(check(upgrade + connection + accept + "Sec-WebSocket-Extensions: " + value + "\r\n"),
              error::extension_invalid)
        << value;
  }
}

TEST(client_handshake, HSK_23_subprotocols) {
  const auto with = [](std::string_view fields, std::string_view offered) {
    return check(upgrade + connection + accept + std::string(fields), offered);
  };
  EXPECT_EQ(with("Sec-WebSocket-Protocol: chat\r\n", "chat"), error::none);
  EXPECT_EQ(with("Sec-WebSocket-Protocol: chat\r\n", "soap, chat"), error::none);
  EXPECT_EQ(with("Sec-WebSocket-Protocol:  chat \r\n", "soap,chat ,mqtt"), error::none);
  for (const char* const value : {"", "mqtt", "Chat", "cha", "chat, soap", "chat,", "chat;x"}) {
    EXPECT_EQ(with("Sec-WebSocket-Protocol: "s + value + "\r\n", "soap,, chat"),
              error::subprotocol_invalid)
        << value;
  }
  EXPECT_EQ(with("Sec-WebSocket-Protocol: chat\r\n", ""), error::subprotocol_invalid);
  EXPECT_EQ(with("Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n", "chat"),
            error::subprotocol_invalid);
}

TEST(client_handshake, HSK_24_no_subprotocol_although_offered) {
  EXPECT_EQ(check(upgrade + connection + accept, "chat, soap"), error::none);
}

TEST(client_handshake, only_101_over_http_1_1_upgrades) {
  const std::string fields = upgrade + connection + accept;
  EXPECT_EQ(check_with_status("HTTP/1.1 101 ", fields), error::none);
  EXPECT_EQ(check_with_status("HTTP/1.2 101 ", fields), error::none); // 1.1 or higher
  EXPECT_EQ(check_with_status("HTTP/1.0 101 X", fields), error::response_malformed);
  for (const char* const line :
       {"HTTP/1.1 100 C", "HTTP/1.1 102 P", "HTTP/1.1 200 OK", "HTTP/1.1 401 U"}) {
    EXPECT_EQ(check_with_status(line, fields), error::response_malformed);
  }
}

TEST(client_handshake, list_has_token) {
  EXPECT_TRUE(list_has_token("a", "A"));
  EXPECT_TRUE(list_has_token(" , a\t,b", "b"));
  EXPECT_FALSE(list_has_token("", "a"));
  EXPECT_FALSE(list_has_token("", ""));
  EXPECT_FALSE(list_has_token(",", ""));
  EXPECT_FALSE(list_has_token("ab", "a"));
  EXPECT_FALSE(list_has_token("a b", "a"));
}

TEST(client_handshake, field_names_and_values_that_an_application_may_add) {
  EXPECT_TRUE(is_field_name("X-Any_thing.1"));
  for (const std::string& name :
       {""s, "a b"s, "a:"s, "a\r"s, "a\n"s, "a\0"s, "\xE9"s, "a("s, " a"s}) {
    EXPECT_FALSE(is_field_name(name)) << testing::PrintToString(name);
  }
  for (const std::string& value : {""s, "plain"s, " a\tb "s, "\xE9\xFF"s}) {
    EXPECT_TRUE(is_field_value(value)) << testing::PrintToString(value);
  }
  for (const std::string& value : {"a\r\nEvil: x"s, "\n"s, "\r"s, "a\0b"s, "\x1F"s, "\x7F"s}) {
    EXPECT_FALSE(is_field_value(value)) << testing::PrintToString(value);
  }
}

} // namespace
} // namespace sluice
