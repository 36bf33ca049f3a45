#include "core/http_head.hpp"

#include "support/allocations.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

namespace sluice {
namespace {

using namespace std::string_literals;
using test::counted_memory;

const std::string full = "HTTP/1.1 101 Switching Protocols\r\n"
                         "Upgrade: websocket\r\n"
                         "connection:\t keep-alive, Upgrade \t\r\n"
                         "Empty:\r\n"
                         "Blank: \t \r\n"
                         "X-Twice: one\r\n"
                         "x-twice: two, and \x80\xFF more\r\n"
                         "\r\n";

http_response_head::feed_result feed(http_response_head& head, std::string_view input) {
  const std::unique_ptr<std::byte[]> exact(new std::byte[input.size()]);
  std::copy(input.begin(), input.end(), reinterpret_cast<char*>(exact.get()));
  return head.feed({exact.get(), input.size()}); // exact is gone when the views are used
}

void expect_full(const http_response_head& head) {
  EXPECT_EQ(head.minor_version(), 1u);
  EXPECT_EQ(head.status(), 101u);
  EXPECT_EQ(head.reason_phrase(), "Switching Protocols");
  ASSERT_EQ(head.field_count(), 6u);
  EXPECT_EQ(head.at(0).name, "Upgrade");
  EXPECT_EQ(head.at(0).value, "websocket");
  EXPECT_EQ(head.at(1).name, "connection");
  EXPECT_EQ(head.at(1).value, "keep-alive, Upgrade");
  EXPECT_EQ(head.at(2).name, "Empty");
  EXPECT_EQ(head.at(2).value, "");
  EXPECT_EQ(head.at(3).value, "");
  EXPECT_EQ(head.find("CONNECTION"), "keep-alive, Upgrade");
  EXPECT_EQ(head.find("x-TWICE"), "one");
  EXPECT_EQ(head.find("x-twice", 1), "two, and \x80\xFF more");
  EXPECT_EQ(head.find("x-twice", 2).data(), nullptr);
  EXPECT_EQ(head.find("nothing").data(), nullptr);
  EXPECT_NE(head.find("empty").data(), nullptr);
  EXPECT_EQ(head.count("X-Twice"), 2u);
  EXPECT_EQ(head.count("X-Twic"), 0u);
  EXPECT_EQ(head.raw(), full);
}

TEST(http_head, HSK_20_a_response_in_one_piece) {
  http_response_head head{limits{}};
  const auto result = feed(head, full);
  EXPECT_EQ(result.reason, error::none);
  EXPECT_TRUE(result.complete);
  EXPECT_EQ(result.consumed_bytes, full.size());
  expect_full(head);
}

TEST(http_head, HSK_30_every_split_and_the_bytes_behind_are_left_alone) {
  const std::string greeting = "\x81\x05hello";
  const std::string input = full + greeting;
  for (std::size_t cut = 0; cut <= input.size(); ++cut) {
    http_response_head head{limits{}};
    const auto first = feed(head, std::string_view(input).substr(0, cut));
    ASSERT_EQ(first.reason, error::none);
    ASSERT_EQ(first.complete, cut >= full.size()) << cut;
    ASSERT_EQ(first.consumed_bytes, std::min(cut, full.size()));
    if (!first.complete) {
      const auto second = feed(head, std::string_view(input).substr(cut));
      ASSERT_TRUE(second.complete);
      ASSERT_EQ(cut + second.consumed_bytes, full.size());
    }
    expect_full(head);
    const auto again = feed(head, greeting);
    EXPECT_TRUE(again.complete);
    EXPECT_EQ(again.consumed_bytes, 0u);
  }
}

// tungstenite's CVE-2023-43669: reading the head from its start again with each byte.
TEST(http_head, byte_by_byte_costs_no_more_than_at_once) {
  limits bounds;
  bounds.max_head_bytes = std::size_t{1} << 20;
  std::string input = "HTTP/1.1 200 OK\r\n";
  while (input.size() < 200000) {
    input += "Field-" + std::to_string(input.size() % 10) + ": " + std::string(3000, 'v') + "\r\n";
  }
  input += "\r\n";
  const counted_memory memory;
  http_response_head head(bounds);
  for (std::size_t i = 0; i < input.size(); ++i) {
    const auto result = feed(head, std::string_view(input).substr(i, 1));
    ASSERT_EQ(result.reason, error::none);
    ASSERT_EQ(result.complete, i + 1 == input.size());
    ASSERT_EQ(head.examined_bytes(), i + 1);
  }
  EXPECT_EQ(head.raw(), input);
  EXPECT_LE(memory.bytes(),
            5 * input.size()); // what is copied by growth is a constant per byte too
}

TEST(http_head, reset_keeps_the_memory_for_the_next_response) {
  const counted_memory memory;
  http_response_head head{limits{}};
  ASSERT_TRUE(feed(head, full).complete);
  const std::size_t first = memory.allocations();
  for (int i = 0; i < 5; ++i) {
    head.reset();
    EXPECT_EQ(head.field_count(), 0u);
    EXPECT_EQ(head.raw(), "");
    ASSERT_TRUE(feed(head, full).complete);
    expect_full(head);
  }
  head.reset();
  EXPECT_EQ(feed(head, "X").reason, error::response_malformed);
  head.reset();
  ASSERT_TRUE(feed(head, full).complete); // from an error too
  EXPECT_EQ(memory.allocations(), first);
}

TEST(http_head, status_line_forms_that_pass) {
  struct passing {
    std::string line;
    unsigned status;
    unsigned minor;
    std::string reason;
  };
  const passing cases[] = {
      {"HTTP/1.1 200 OK", 200, 1, "OK"},
      {"HTTP/1.0 404 Not Found", 404, 0, "Not Found"},
      {"HTTP/1.9 999 ", 999, 9, ""},
      {"HTTP/1.1 100  two blanks", 100, 1, " two blanks"},
      {"HTTP/1.1 500 tab\there \xE9", 500, 1, "tab\there \xE9"},
  };
  for (const passing& one : cases) {
    http_response_head head{limits{}};
    const auto result = feed(head, one.line + "\r\n\r\n");
    EXPECT_TRUE(result.complete) << one.line;
    EXPECT_EQ(head.status(), one.status);
    EXPECT_EQ(head.minor_version(), one.minor);
    EXPECT_EQ(head.reason_phrase(), one.reason);
    EXPECT_EQ(head.field_count(), 0u);
  }
}

// Every malformed head is refused at its first wrong byte, wherever the input is cut before it.
TEST(http_head, malformed_heads_are_refused_at_the_first_wrong_byte) {
  struct malformed {
    std::string good; // still fine
    std::string bad;  // its first byte is not
  };
  const std::string line = "HTTP/1.1 101 S\r\n";
  const malformed cases[] = {
      {"", "\r\nHTTP/1.1 101 S\r\n"},
      {"", " HTTP/1.1"},
      {"", "ICY 200 OK"},
      {"", "http/1.1 101"},
      {"HTTP", " 1.1"},
      {"HTTP/", "2 101"},
      {"HTTP/1", " 101"},
      {"HTTP/1.", "x"},
      {"HTTP/1.1", "1 101"},
      {"HTTP/1.1", "\t101"},
      {"HTTP/1.1 ", " 101"},
      {"HTTP/1.1 ", "-101"},
      {"HTTP/1.1 ", "012 S"},
      {"HTTP/1.1 1", "0\0"s.substr(1) + "1"},
      {"HTTP/1.1 10", "x"},
      {"HTTP/1.1 10", " S"},
      {"HTTP/1.1 101", "1 S"},
      {"HTTP/1.1 101", "\r\n"}, // the blank belongs there, reason or not (RFC 9112 section 4)
      {"HTTP/1.1 101", "\n"},
      {"HTTP/1.1 101 S", "\n"},
      {"HTTP/1.1 101 S\r", "X"},
      {"HTTP/1.1 101 S\r", "\r\n"},
      {"HTTP/1.1 101 S", "\0"s},
      {"HTTP/1.1 101 S", "\x7F"},
      {line, "\n"},
      {line, " folded: start"},
      {line, "\tfolded: start"},
      {line, ": no name"},
      {line, "\0Name: x"s},
      {line + "Na", " me: x"},
      {line + "Name", " : blank before the colon"},
      {line + "Name", "\t: x"},
      {line + "Name", "\r\n"},
      {line + "Na", "(me: x"},
      {line + "Na", "\x80me: x"},
      {line + "Name: val", "\nue"},
      {line + "Name: val", "\0ue"s},
      {line + "Name: val", "\x01ue"},
      {line + "Name: val", "\x7Fue"},
      {line + "Name:", "\0"s},
      {line + "Name: val\r", "ue"},
      {line + "Name: val\r", "\0\n"s},
      {line + "Name: value\r\n", " obsolete folding"},
      {line + "Name: value\r\n", "\tobsolete folding"},
      {line + "Name: value\r\n", "\n"},
      {line + "Name: value\r\n\r", "X"},
      {line + "Name: value\r\n\r", "\r\n"},
  };
  for (const malformed& one : cases) {
    const std::string input = one.good + one.bad;
    for (std::size_t cut = 0; cut <= one.good.size(); ++cut) {
      http_response_head head{limits{}};
      const auto first = feed(head, std::string_view(input).substr(0, cut));
      ASSERT_EQ(first.reason, error::none) << testing::PrintToString(input) << " at " << cut;
      ASSERT_FALSE(first.complete);
      const auto second = feed(head, std::string_view(input).substr(cut));
      ASSERT_EQ(second.reason, error::response_malformed) << testing::PrintToString(input);
      ASSERT_FALSE(second.complete);
      ASSERT_EQ(head.examined_bytes(), one.good.size() + 1) << testing::PrintToString(input);
      const auto third = feed(head, "HTTP/1.1 200 OK\r\n\r\n");
      ASSERT_EQ(third.reason, error::response_malformed); // final
      ASSERT_EQ(third.consumed_bytes, 0u);
    }
  }
}

// All bytes, in the places where text may stand.
TEST(http_head, every_byte_value_in_a_name_and_in_a_value) {
  const std::string token = "!#$%&'*+-.^_`|~0123456789"
                            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (unsigned value = 0; value < 256; ++value) {
    const char byte = static_cast<char>(value);
    http_response_head in_name{limits{}};
    const bool name_ok =
        feed(in_name, "HTTP/1.1 200 OK\r\nN"s + byte + "e: v\r\n\r\n").reason == error::none;
    EXPECT_EQ(name_ok, byte == ':' || token.find(byte) != std::string::npos) << value;
    http_response_head in_value{limits{}};
    const bool value_ok =
        feed(in_value, "HTTP/1.1 200 OK\r\nN: v"s + byte + "e\r\n\r\n").reason == error::none;
    EXPECT_EQ(value_ok, value == '\t' || (value >= 0x20 && value != 0x7F)) << value;
  }
}

TEST(http_head, HSK_28_head_bytes_up_to_the_limit_and_one_more) {
  for (const std::size_t limit : {full.size(), full.size() - 1}) {
    for (const bool bytewise : {false, true}) {
      limits bounds;
      bounds.max_head_bytes = limit;
      http_response_head head(bounds);
      http_response_head::feed_result result;
      if (bytewise) {
        for (std::size_t i = 0; i < full.size() && result.reason == error::none; ++i) {
          result = feed(head, std::string_view(full).substr(i, 1));
        }
      } else {
        result = feed(head, full);
      }
      EXPECT_EQ(result.complete, limit == full.size());
      EXPECT_EQ(result.reason, limit == full.size() ? error::none : error::header_too_big);
    }
  }
}

TEST(http_head, HSK_28_an_endless_line_ends_at_the_limit_with_bounded_memory) {
  limits bounds;
  bounds.max_head_bytes = 1000;
  for (const std::string& start :
       {"HTTP/1.1 200 "s, "HTTP/1.1 200 OK\r\nName: "s, "HTTP/1.1 200 OK\r\n"s}) {
    const counted_memory memory;
    http_response_head head(bounds);
    ASSERT_EQ(feed(head, start).reason, error::none);
    std::size_t fed = start.size();
    for (;;) {
      const auto result = feed(head, std::string(100, 'x'));
      if (result.reason != error::none) {
        EXPECT_EQ(result.reason, error::header_too_big);
        break;
      }
      fed += 100;
      ASSERT_LE(fed, 1000u);
    }
    EXPECT_LE(memory.peak_bytes(), 4096u);
  }
}

TEST(http_head, header_fields_up_to_the_limit_and_one_more) {
  for (const std::size_t limit : {0u, 1u, 5u, 100u}) {
    limits bounds;
    bounds.max_headers = limit;
    std::string input = "HTTP/1.1 200 OK\r\n";
    for (std::size_t i = 0; i < limit; ++i) {
      input += "A: b\r\n";
    }
    http_response_head exact(bounds);
    EXPECT_TRUE(feed(exact, input + "\r\n").complete);
    EXPECT_EQ(exact.field_count(), limit);
    http_response_head over(bounds);
    EXPECT_EQ(feed(over, input).reason, error::none);
    EXPECT_EQ(feed(over, "C").reason, error::too_many_headers); // its first byte is enough
    EXPECT_EQ(over.examined_bytes(), input.size() + 1);
  }
}

TEST(http_head, out_of_memory_is_an_error_at_every_allocation) {
  std::string input = full.substr(0, full.size() - 2);
  for (int i = 0; i < 60; ++i) {
    input += "More-" + std::to_string(i) + ": value\r\n";
  }
  input += "\r\n";
  for (std::size_t allowed = 0;; ++allowed) {
    counted_memory memory;
    memory.allow(allowed);
    http_response_head::feed_result result;
    {
      http_response_head head{limits{}};
      for (std::size_t i = 0; i < input.size() && result.reason == error::none; ++i) {
        result = feed(head, std::string_view(input).substr(i, 1));
      }
      memory.allow_all();
      if (result.reason != error::none) {
        EXPECT_EQ(result.reason, error::no_memory);
        EXPECT_EQ(feed(head, "x").reason, error::no_memory); // final
        head.reset();
        EXPECT_TRUE(feed(head, full).complete);
      }
    }
    EXPECT_EQ(memory.live(), 0u);
    if (result.complete) {
      EXPECT_GT(allowed, 3u);
      break;
    }
    ASSERT_LE(allowed, 1000u);
  }
}

} // namespace
} // namespace sluice
