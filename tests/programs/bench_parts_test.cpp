#include "endpoint.hpp"
#include "histogram.hpp"
#include "json.hpp"
#include "traffic.hpp"
#include "wire.hpp"
#include "workload.hpp"

#include "simd/kernels.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

namespace sluice_bench {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(histogram, is_exact_for_small_values) {
  histogram h;
  for (std::uint64_t v = 0; v < 64; ++v) {
    h.record(v);
  }
  EXPECT_EQ(h.count(), 64u);
  EXPECT_EQ(h.percentile(0.5), 31u);
  EXPECT_EQ(h.percentile(0), 0u);
  EXPECT_EQ(h.percentile(1), 63u);
  EXPECT_EQ(h.largest(), 63u);
  EXPECT_DOUBLE_EQ(h.mean(), 31.5);
}

TEST(histogram, keeps_its_precision_at_every_magnitude) {
  for (unsigned shift = 0; shift < 40; ++shift) {
    for (const std::uint64_t offset : {0u, 1u, 3u, 7u}) {
      const std::uint64_t value = (std::uint64_t{1} << shift) + offset * (1ull << shift) / 8;
      histogram h;
      h.record(value);
      h.record((std::uint64_t{1} << 41)); // keeps the largest value from capping the answer
      const double got = static_cast<double>(h.percentile(0.5));
      EXPECT_NEAR(got, static_cast<double>(value), static_cast<double>(value) / 64) << value;
    }
  }
}

TEST(histogram, percentiles_agree_with_a_sorted_list) {
  histogram h;
  std::vector<std::uint64_t> all;
  std::uint64_t x = 12345;
  for (int i = 0; i < 10'000; ++i) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    all.push_back(x >> (30 + i % 20));
    h.record(all.back());
  }
  std::sort(all.begin(), all.end());
  for (const double share : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto index = static_cast<std::size_t>(std::ceil(share * 10'000)) - 1;
    const double wanted = static_cast<double>(all[index]);
    EXPECT_NEAR(static_cast<double>(h.percentile(share)), wanted, wanted / 64 + 1) << share;
  }
}

TEST(histogram, adds_up_and_survives_anything) {
  histogram a;
  histogram b;
  EXPECT_EQ(a.percentile(0.5), 0u);
  EXPECT_EQ(a.mean(), 0);
  a.record(10);
  b.record(~std::uint64_t{0});
  b.record(20);
  a.add(b);
  EXPECT_EQ(a.count(), 3u);
  EXPECT_EQ(a.percentile(0.5), 20u);
  EXPECT_EQ(a.largest(), ~std::uint64_t{0});
  EXPECT_GE(a.percentile(1), (std::uint64_t{1} << 40) - (std::uint64_t{1} << 34));
}

TEST(traffic, payloads_are_what_their_kind_says) {
  for (const payload_kind kind : {payload_kind::ascii, payload_kind::latin, payload_kind::cjk,
                                  payload_kind::emoji, payload_kind::mixed}) {
    for (std::size_t size = 0; size < 300; ++size) {
      std::uint64_t seed = size;
      const std::vector<std::byte> payload = make_payload(kind, size, seed);
      ASSERT_EQ(payload.size(), size);
      sluice::simd::utf8_state state;
      const auto result =
          sluice::simd::active_kernels().validate(payload.data(), payload.size(), state);
      ASSERT_TRUE(result.ok && state.due == 0) << to_string(kind) << " " << size;
      const auto high = std::count_if(payload.begin(), payload.end(), [](std::byte b) {
        return (b & std::byte{0x80}) != std::byte{};
      });
      if (kind == payload_kind::ascii) {
        ASSERT_EQ(high, 0);
      } else if (kind == payload_kind::cjk || kind == payload_kind::emoji) {
        ASSERT_GT(static_cast<std::size_t>(high) + 4, size);
      } else if (size > 100) {
        ASSERT_GT(high, 0);
      }
    }
  }
}

TEST(traffic, names_go_both_ways) {
  for (const char* name : {"binary", "ascii", "latin", "cjk", "emoji", "mixed"}) {
    ASSERT_TRUE(payload_kind_named(name).has_value());
    EXPECT_STREQ(to_string(*payload_kind_named(name)), name);
  }
  EXPECT_FALSE(payload_kind_named("").has_value());
}

traffic_settings shapes() {
  traffic_settings settings;
  settings.message_bytes = {0, 3, 126, 5000};
  settings.fragment_bytes = 100;
  settings.ping_every = 3;
  return settings;
}

TEST(traffic, positions_and_messages_agree_over_several_blocks) {
  const traffic stream(shapes());
  std::uint64_t last_end = 0;
  for (std::uint64_t m = 1; m < 1000; ++m) {
    const std::uint64_t end = stream.end_of(m);
    ASSERT_GT(end, last_end);
    ASSERT_EQ(stream.messages_before(end), m);
    ASSERT_EQ(stream.messages_before(end - 1), m - 1);
    ASSERT_EQ(stream.message_end_at_or_after(end), end);
    ASSERT_EQ(stream.message_end_at_or_after(end - 1), end);
    ASSERT_EQ(stream.message_end_at_or_after(last_end + 1), end);
    ASSERT_EQ(stream.payload_of(m), m / 4 * 5129 + (m % 4 > 1 ? 3u : 0u) + (m % 4 > 2 ? 126u : 0u));
    last_end = end;
  }
  EXPECT_GT(last_end, stream.block().size());
  EXPECT_EQ(stream.end_of(0), 0u);
  EXPECT_EQ(stream.messages_before(0), 0u);
  EXPECT_EQ(stream.message_end_at_or_after(0), 0u);
}

TEST(traffic, the_stream_is_the_block_over_and_over) {
  const traffic stream(shapes());
  const std::span<const std::byte> block = stream.block();
  const std::uint64_t at = 3 * block.size() + 17;
  EXPECT_EQ(stream.from(at, 5).data(), block.data() + 17);
  EXPECT_EQ(stream.from(at, 5).size(), 5u);
  EXPECT_EQ(stream.from(at, block.size()).size(), block.size() - 17);
}

TEST(traffic, a_reader_finds_every_message_whatever_the_slices) {
  for (const bool masked : {false, true}) {
    for (const payload_kind kind : {payload_kind::binary, payload_kind::mixed}) {
      traffic_settings settings = shapes();
      settings.masked = masked;
      settings.kind = kind;
      const traffic stream(settings);
      const std::uint64_t messages = stream.messages_before(stream.block().size());
      for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{4096}}) {
        reply_reader reader;
        std::span<const std::byte> left = stream.block();
        while (!left.empty()) {
          const std::size_t take = std::min(step, left.size());
          ASSERT_TRUE(reader.feed(left.first(take)));
          left = left.subspan(take);
        }
        EXPECT_EQ(reader.messages(), messages);
        EXPECT_EQ(reader.payload_bytes(), stream.payload_of(messages));
        EXPECT_EQ(reader.pings().size(), (messages + 2) / 3);
        EXPECT_EQ(reader.pings().front().size(), 8u);
      }
    }
  }
}

TEST(wire, headers_have_the_shortest_length) {
  for (const bool masked : {false, true}) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{125}, std::size_t{126},
                                   std::size_t{65535}, std::size_t{65536}}) {
      std::vector<std::byte> wire;
      append_frame(wire, opcode::binary, true, masked, 0x01020304u, std::vector<std::byte>(size));
      const std::size_t length = size < 126 ? 0 : size < 65536 ? 2 : 8;
      EXPECT_EQ(wire.size(), 2 + length + (masked ? 4u : 0u) + size);
      EXPECT_EQ(wire.size(), frame_bytes(size, masked));
      EXPECT_EQ(std::to_integer<unsigned>(wire[0]), 0x82u);
      EXPECT_EQ(std::to_integer<unsigned>(wire[1]) >> 7, masked ? 1u : 0u);
    }
  }
}

TEST(wire, accept_of_the_RFC_example) {
  EXPECT_EQ(accept_for("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_EQ(fresh_key().size(), 24u);
  EXPECT_NE(fresh_key(), fresh_key());
}

TEST(wire, header_values_are_found_by_name_in_any_case) {
  const std::string_view head =
      "GET / HTTP/1.1\r\nHost: a\r\nsec-websocket-KEY: \t x y \r\nEmpty:\r\n";
  EXPECT_EQ(header_value(head, "Sec-WebSocket-Key"), "x y");
  EXPECT_EQ(header_value(head, "host"), "a");
  EXPECT_EQ(header_value(head, "Empty"), "");
  EXPECT_EQ(header_value(head, "Hos"), "");
  EXPECT_EQ(header_value("", "Host"), "");
}

TEST(wire, an_upgrade_is_answered_and_nothing_else) {
  EXPECT_NE(upgrade_answer("GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
                .find("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
            std::string::npos);
  EXPECT_EQ(upgrade_answer("GET / HTTP/1.1\r\nHost: a\r\n"), "");
  EXPECT_EQ(upgrade_answer("POST / HTTP/1.1\r\nSec-WebSocket-Key: a\r\n"), "");
}

TEST(reply_reader, keeps_the_last_short_text) {
  reply_reader reader;
  EXPECT_TRUE(reader.feed(text_frame("12 34", true, 0xa1b2c3d4u)));
  ASSERT_TRUE(reader.has_text());
  EXPECT_EQ(reader.take_text(), "12 34");
  EXPECT_FALSE(reader.has_text());
  EXPECT_TRUE(reader.feed(text_frame(std::string(65, 'x'), false, 0)));
  EXPECT_FALSE(reader.has_text());
  EXPECT_TRUE(reader.feed(text_frame(std::string(64, 'x'), false, 0)));
  EXPECT_TRUE(reader.has_text());
  EXPECT_EQ(reader.messages(), 3u);
}

TEST(reply_reader, tells_a_close_and_its_status) {
  reply_reader reader;
  EXPECT_TRUE(reader.feed(close_frame(true)));
  EXPECT_TRUE(reader.closed());
  EXPECT_EQ(reader.close_status(), 1000);
  reply_reader empty;
  EXPECT_TRUE(empty.feed(bytes_of(std::string_view("\x88\0", 2))));
  EXPECT_TRUE(empty.closed());
  EXPECT_EQ(empty.close_status(), 1005);
}

TEST(reply_reader, refuses_what_is_no_frame) {
  for (const std::string_view bad : {std::string_view("\x83\0", 2), std::string_view("\xc1\0", 2),
                                     std::string_view("\x89\x7e\0\x7e", 4)}) {
    reply_reader reader;
    EXPECT_FALSE(reader.feed(bytes_of(bad)));
    EXPECT_FALSE(reader.feed(text_frame("ok", false, 0)));
  }
}

TEST(endpoint, urls) {
  const endpoint plain = parse_url("ws://example.org");
  EXPECT_EQ(plain.authority(), "example.org:80");
  EXPECT_EQ(plain.path, "/");
  EXPECT_FALSE(plain.secure);
  const endpoint secure = parse_url("wss://example.org/a");
  EXPECT_TRUE(secure.secure);
  EXPECT_EQ(secure.port, 443);
  const endpoint full = parse_url("ws://[::1]:9000/a/b?c=d");
  EXPECT_EQ(full.host, "::1");
  EXPECT_EQ(full.authority(), "[::1]:9000");
  EXPECT_EQ(full.path, "/a/b?c=d");
  for (const char* bad : {"", "ws:", "wss://", "ws://", "ws://:80", "ws://a:0", "ws://a:65536",
                          "ws://a:", "ws://a:1x", "ws://[::1", "ws://[::1]x"}) {
    EXPECT_THROW((void)parse_url(bad), failure) << bad;
  }
  EXPECT_EQ(parse_host_port("127.0.0.1:7").port, 7);
  EXPECT_THROW((void)parse_host_port("127.0.0.1"), failure);
}

TEST(workload, names_say_everything) {
  const workload all = workload_named("mixed-64k-c10-f5k-r20k");
  EXPECT_EQ(all.load.traffic.kind, payload_kind::mixed);
  EXPECT_EQ(all.load.traffic.message_bytes, std::vector<std::size_t>{65536});
  EXPECT_EQ(all.load.connection_count, 10u);
  EXPECT_EQ(all.load.traffic.fragment_bytes, 5120u);
  EXPECT_EQ(all.load.rate, 20'000);
  const workload ping = workload_named("pp-1k");
  EXPECT_TRUE(ping.load.ping_pong);
  EXPECT_EQ(ping.load.expect, expectation::echo);
  EXPECT_EQ(workload_named("paced").load.traffic.message_bytes, std::vector<std::size_t>{125});
  for (const std::string& name : standard_workloads()) {
    EXPECT_EQ(workload_named(name).name, name);
  }
  for (const std::string& name : quick_workloads()) {
    EXPECT_EQ(workload_named(name).name, name);
  }
  for (const char* bad : {"", "-", "bin-", "x1", "c", "c0", "1g", "c1x", "pp-paced"}) {
    EXPECT_THROW((void)workload_named(bad), failure) << bad;
  }
}

TEST(json, nests_and_escapes) {
  json_writer out;
  out.begin_object();
  out.member("a", "q\"\\\n");
  out.member("b", std::uint64_t{18446744073709551615u});
  out.member("c", 0.5);
  out.member("d", std::nan(""));
  out.member("e", true);
  out.begin_array("f");
  out.element(1);
  out.element(2);
  out.end_array();
  out.begin_object("g");
  out.end_object();
  out.end_object();
  EXPECT_EQ(out.text(), R"({"a":"q\"\\\u000a","b":18446744073709551615,"c":0.5,"d":null,)"
                        R"("e":true,"f":[1,2],"g":{}})");
}

} // namespace
} // namespace sluice_bench
