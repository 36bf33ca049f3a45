#include "core/server_handshake.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace sluice {
namespace {

const std::string good_fields = "Host: example.org\r\n"
                                "Upgrade: websocket\r\n"
                                "Connection: keep-alive, Upgrade\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                "Sec-WebSocket-Version: 13\r\n";

struct parsed {
  explicit parsed(std::string_view text, const limits& bounds = {}) : head(bounds) {
    fed = head.feed({reinterpret_cast<const std::byte*>(text.data()), text.size()});
  }
  http_request_head head;
  http_head::feed_result fed;
};

upgrade_check check(const std::string& text) {
  parsed request(text);
  EXPECT_TRUE(request.fed.complete) << text;
  handshake_key key{};
  return check_upgrade_request(request.head, key);
}

std::string with(const std::string& fields) {
  return "GET / HTTP/1.1\r\n" + fields + "\r\n";
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos);
  return text.replace(at, from.size(), to);
}

TEST(http_request_head, is_read_however_it_is_cut) {
  const std::string text = "GET /chat?room=1 HTTP/1.1\r\n" + good_fields + "\r\n";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    http_request_head head{limits{}};
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    const auto first = head.feed({bytes, cut});
    EXPECT_EQ(first.reason, error::none);
    const auto second = head.feed({bytes + cut, text.size() - cut});
    EXPECT_TRUE(first.complete || second.complete);
    EXPECT_EQ(head.method(), "GET");
    EXPECT_EQ(head.target(), "/chat?room=1");
    EXPECT_EQ(head.minor_version(), 1u);
    EXPECT_EQ(head.find("host"), "example.org");
    EXPECT_EQ(head.field_count(), 5u);
  }
}

TEST(http_request_head, leaves_what_follows_the_head) {
  const std::string text = with(good_fields) + "behind";
  parsed request(text);
  EXPECT_TRUE(request.fed.complete);
  EXPECT_EQ(request.fed.consumed_bytes, text.size() - 6);
}

TEST(http_request_head, refuses_at_the_first_wrong_byte) {
  for (const std::string_view bad :
       {" / HTTP/1.1\r\n", "G\x01T / HTTP/1.1\r\n", "GET  / HTTP/1.1\r\n", "GET /a b HTTP/1.1\r\n",
        "GET / HTTP/2.0\r\n", "GET / http/1.1\r\n", "GET / HTTP/1.1\n", "GET /\x7F HTTP/1.1\r\n",
        "GET / HTTP/1.1 \r\n", "GET / HTTP/1.1\r\n folded: 1\r\n", "GET / HTTP/1.1\r\nA : b\r\n",
        "GET /\xC3\xA9 HTTP/1.1\r\n", "\r\nGET / HTTP/1.1\r\n"}) {
    EXPECT_EQ(parsed(bad).fed.reason, error::request_malformed) << bad;
  }
}

TEST(http_request_head, is_bounded) {
  limits bounds;
  bounds.max_head_bytes = 64;
  EXPECT_EQ(parsed("GET /" + std::string(100, 'a'), bounds).fed.reason, error::header_too_big);
  bounds = {};
  bounds.max_headers = 2;
  EXPECT_EQ(parsed("GET / HTTP/1.1\r\nA:1\r\nB:2\r\nC:3\r\n", bounds).fed.reason,
            error::too_many_headers);
}

TEST(server_handshake, accepts_what_section_4_2_1_asks_for) {
  EXPECT_EQ(check(with(good_fields)).reason, error::none);
  EXPECT_EQ(check(with(replaced(good_fields, "websocket", "h2c, WebSocket"))).reason, error::none);
  EXPECT_EQ(check("GET http://example.org/ HTTP/1.1\r\n" + good_fields + "\r\n").reason,
            error::none);
}

TEST(server_handshake, copies_the_key_for_the_answer) {
  parsed request(with(good_fields));
  handshake_key key{};
  EXPECT_EQ(check_upgrade_request(request.head, key).reason, error::none);
  EXPECT_EQ(std::string_view(key.key.data(), key.key.size()), "dGhlIHNhbXBsZSBub25jZQ==");
}

TEST(server_handshake, says_which_status_answers_a_bad_request) {
  const struct {
    std::string request;
    unsigned status;
  } cases[] = {
      {"POST / HTTP/1.1\r\n" + good_fields + "\r\n", 405},
      {"GET / HTTP/1.0\r\n" + good_fields + "\r\n", 505},
      {"GET * HTTP/1.1\r\n" + good_fields + "\r\n", 400},
      {"GET /#part HTTP/1.1\r\n" + good_fields + "\r\n", 400},
      {with(replaced(good_fields, "Host: example.org\r\n", "")), 400},
      {with(good_fields + "Host: other.org\r\n"), 400},
      {with(replaced(good_fields, "Upgrade: websocket\r\n", "")), 426},
      {with(replaced(good_fields, "Upgrade: websocket", "Upgrade: h2c")), 426},
      {with(replaced(good_fields, "keep-alive, Upgrade", "keep-alive")), 400},
      {with(replaced(good_fields, "Version: 13", "Version: 8")), 426},
      {with(good_fields + "Sec-WebSocket-Version: 13\r\n"), 426},
      {with(replaced(good_fields, "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ")), 400},
      {with(replaced(good_fields, "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZ===")), 400},
      {with(replaced(good_fields, "dGhlIHNhbXBsZSBub25jZQ==", "")), 400},
      {with(good_fields + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 400},
      {with(good_fields + "Content-Length: 5\r\n"), 400},
      {with(good_fields + "Transfer-Encoding: chunked\r\n"), 400},
  };
  for (const auto& one : cases) {
    const upgrade_check checked = check(one.request);
    EXPECT_NE(checked.reason, error::none) << one.request;
    EXPECT_EQ(checked.http_status, one.status) << one.request;
  }
}

TEST(server_handshake, finds_subprotocols_over_several_fields) {
  parsed request(with(good_fields + "Sec-WebSocket-Protocol: chat,, superchat\r\n"
                                    "Sec-WebSocket-Protocol: v2\r\n"));
  EXPECT_EQ(offered_subprotocol(request.head, 0), "chat");
  EXPECT_EQ(offered_subprotocol(request.head, 1), "superchat");
  EXPECT_EQ(offered_subprotocol(request.head, 2), "v2");
  EXPECT_TRUE(offered_subprotocol(request.head, 3).empty());
  EXPECT_TRUE(offers_subprotocol(request.head, "v2"));
  EXPECT_FALSE(offers_subprotocol(request.head, "V2"));
  EXPECT_FALSE(offers_subprotocol(request.head, "v3"));
}

TEST(server_handshake, header_lines_of_the_program_cannot_split_the_answer) {
  EXPECT_TRUE(are_header_lines(""));
  EXPECT_TRUE(are_header_lines("A: b\r\nSet-Cookie: x=1\r\n"));
  EXPECT_FALSE(are_header_lines("A: b"));
  EXPECT_FALSE(are_header_lines("A: b\r\n\r\n"));
  EXPECT_FALSE(are_header_lines("A b\r\n"));
  EXPECT_FALSE(are_header_lines("A: b\rc\r\n"));
  EXPECT_FALSE(are_header_lines("A : b\r\n"));
}

TEST(server_handshake, writes_whole_answers) {
  memory::growable<char> answer;
  handshake_key key{};
  key.accept.fill('x');
  append_upgrade_response(answer, key, "chat", "A: b\r\n");
  EXPECT_EQ(answer.view(), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                           "Connection: Upgrade\r\n"
                           "Sec-WebSocket-Accept: xxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n"
                           "Sec-WebSocket-Protocol: chat\r\nA: b\r\n\r\n");
  answer.clear();
  append_refusal(answer, 426, {});
  EXPECT_EQ(answer.view(), "HTTP/1.1 426 Upgrade Required\r\nConnection: close\r\n"
                           "Content-Length: 0\r\nUpgrade: websocket\r\n"
                           "Sec-WebSocket-Version: 13\r\n\r\n");
}

} // namespace
} // namespace sluice
