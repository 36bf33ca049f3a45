// core/write/<masked|unmasked>_<kernel>/<payload bytes>: one frame through frame_writer, with a key
// from a batch when masked. The generator behind the keys is a counter, so that its own cost, which
// belongs to another layer, is left out.
// core/copy/<memcpy|copy_bytes_kernel>/<bytes>: from 10 bytes behind the start of a page, where the
// payload of a long frame begins, to 16 bytes behind it, where malloc() puts a large block. Shows
// what core/copy_bytes.hpp avoids.
// core/http_head/<at_once|bytewise>/<bytes>: the head of an upgrade response.

#include "core/copy_bytes.hpp"
#include "core/frame_writer.hpp"
#include "core/http_head.hpp"
#include "support/frames.hpp"

#include <benchmark/benchmark.h>

#include <cstring>
#include <string>
#include <string_view>

namespace sluice {
namespace {

bool counting_random(std::span<std::byte> to) noexcept {
  static std::uint32_t next = 1;
  for (std::size_t at = 0; at + sizeof next <= to.size(); at += sizeof next) {
    next += 0x9E3779B9u;
    std::memcpy(to.data() + at, &next, sizeof next);
  }
  return true;
}

void write_frame(benchmark::State& state, bool masked, const simd::kernel_table& kernels,
                 std::size_t size) {
  const test::bytes payload = test::pattern(size);
  test::bytes room(size + max_frame_header_bytes);
  masking_keys keys(&counting_random);
  frame_writer writer(kernels);
  for (auto _ : state) {
    if (masked) {
      std::uint32_t key = 0;
      if (!keys.next(key)) {
        state.SkipWithError("no key");
        return;
      }
      writer.start_masked(opcode::binary, true, payload, key);
    } else {
      writer.start(opcode::binary, true, payload);
    }
    benchmark::DoNotOptimize(writer.fill(room));
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) *
                          static_cast<std::int64_t>(size));
}

template <typename Copy> void copy_behind(benchmark::State& state, std::size_t size, Copy copy) {
  constexpr std::size_t page_bytes = 4096;
  const test::bytes source = test::pattern(size + 2 * page_bytes);
  test::bytes target(size + 2 * page_bytes);
  const auto page_in = [](const std::byte* memory) {
    return (page_bytes - reinterpret_cast<std::uintptr_t>(memory) % page_bytes) % page_bytes;
  };
  const std::byte* const from = source.data() + page_in(source.data()) + 10;
  std::byte* const to = target.data() + page_in(target.data()) + 16;
  for (auto _ : state) {
    copy(to, from, size);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) *
                          static_cast<std::int64_t>(size));
}

constexpr std::string_view response = "HTTP/1.1 101 Switching Protocols\r\n"
                                      "Server: example\r\n"
                                      "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                                      "Upgrade: websocket\r\n"
                                      "Connection: Upgrade\r\n"
                                      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                      "\r\n";

void parse_head(benchmark::State& state, bool bytewise) {
  const std::string input(response);
  const auto whole = std::as_bytes(std::span(input));
  http_response_head head{limits{}};
  for (auto _ : state) {
    head.reset();
    bool complete = false;
    if (bytewise) {
      for (std::size_t i = 0; i < whole.size(); ++i) {
        complete = head.feed(whole.subspan(i, 1)).complete;
      }
    } else {
      complete = head.feed(whole).complete;
    }
    if (!complete) {
      state.SkipWithError("head refused");
      return;
    }
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) *
                          static_cast<std::int64_t>(input.size()));
}

const bool registered = [] {
  for (const simd::kernel_table* kernels : simd::supported_kernels()) {
    for (const bool masked : {true, false}) {
      for (const std::size_t size : {0u, 16u, 125u, 1024u, 65536u}) {
        benchmark::RegisterBenchmark(
            ("core/write/" + std::string(masked ? "masked_" : "unmasked_") + kernels->name + "/" +
             std::to_string(size))
                .c_str(),
            [=](benchmark::State& state) { write_frame(state, masked, *kernels, size); });
      }
    }
  }
  for (const std::size_t size : {125u, 1024u, 4096u, 65536u}) {
    const std::string suffix = std::string("/").append(std::to_string(size));
    benchmark::RegisterBenchmark(
        std::string("core/copy/memcpy").append(suffix).c_str(), [size](benchmark::State& state) {
          copy_behind(state, size, [](std::byte* to, const std::byte* from, std::size_t n) {
            std::memcpy(to, from, n);
          });
        });
    for (const simd::kernel_table* kernels : simd::supported_kernels()) {
      benchmark::RegisterBenchmark(
          std::string("core/copy/copy_bytes_").append(kernels->name).append(suffix).c_str(),
          [=](benchmark::State& state) {
            copy_behind(state, size, [=](std::byte* to, const std::byte* from, std::size_t n) {
              copy_bytes(*kernels, to, from, n);
            });
          });
    }
  }
  for (const bool bytewise : {false, true}) {
    const std::string name = std::string("core/http_head/") +
                             (bytewise ? "bytewise/" : "at_once/") +
                             std::to_string(response.size());
    benchmark::RegisterBenchmark(name.c_str(), parse_head, bytewise);
  }
  return true;
}();

} // namespace
} // namespace sluice
