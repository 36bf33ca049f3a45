// core/parse/<what>_<masked|unmasked>_<kernel>/<payload bytes>: message_rx::receive() on frames
// that are already in the inbox, 64 KiB of them in one slice, into a 64 KiB buffer. No system call.
// core/floor/<memcpy|unmask_copy|...>/<payload bytes>: what has to be done to the same bytes at the
// same places in any case, without parsing: run both in one run and look at the ratio.
// time_per_message is the figure; the iteration time is that of the whole slice.

#include "core/message_rx.hpp"
#include "support/frames.hpp"
#include "support/slices.hpp"

#include <benchmark/benchmark.h>

#include <cstring>
#include <string>
#include <utility>

namespace sluice {
namespace {

using test::bytes;
using test::frame_maker;

constexpr std::size_t slice_bytes = std::size_t{64} << 10;

enum class content { binary, ascii_text, mixed_text };

bytes payload_of(content what, std::size_t size) {
  if (what == content::binary) {
    return test::pattern(size);
  }
  if (what == content::ascii_text) {
    return test::letters(size);
  }
  // Half ASCII, half two- to four-byte sequences; filled up with ASCII.
  static const bytes unit = test::to_bytes("data \xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 ");
  bytes made;
  while (made.size() + unit.size() <= size) {
    test::append(made, unit);
  }
  made.resize(size, std::byte{'.'});
  return made;
}

const char* name_of(content what) {
  return what == content::binary ? "binary" : (what == content::ascii_text ? "text" : "mixed");
}

struct traffic {
  bytes wire;
  std::size_t messages = 0;
  std::size_t payload_bytes = 0; // of one message
  std::size_t header_bytes = 0;
};

// Whole messages of one frame each, as many as a slice takes, one at least.
traffic whole_messages(role self, content what, std::size_t payload_bytes) {
  const frame_maker make{self};
  const bytes frame = make.frame(what == content::binary ? opcode::binary : opcode::text, true,
                                 payload_of(what, payload_bytes));
  traffic made;
  made.payload_bytes = payload_bytes;
  made.header_bytes = frame.size() - payload_bytes;
  do {
    test::append(made.wire, frame);
    ++made.messages;
  } while (made.wire.size() + frame.size() <= slice_bytes);
  return made;
}

// One message of ASCII text of about a slice, in frames of `fragment_bytes`.
traffic fragmented_message(role self, std::size_t fragment_bytes) {
  const frame_maker make{self};
  traffic made;
  made.messages = 1;
  for (;;) {
    const bool first = made.wire.empty();
    const bytes frame = make.frame(first ? opcode::text : opcode::continuation, false,
                                   test::letters(fragment_bytes));
    if (made.wire.size() + 2 * frame.size() > slice_bytes) {
      break;
    }
    test::append(made.wire, frame);
    made.payload_bytes += fragment_bytes;
  }
  test::append(made.wire, make.frame(opcode::continuation, true, test::letters(fragment_bytes)));
  made.payload_bytes += fragment_bytes;
  return made;
}

void count(benchmark::State& state, const traffic& sent, std::size_t frames) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) *
                          static_cast<std::int64_t>(sent.messages * sent.payload_bytes));
  state.counters["time_per_message"] = benchmark::Counter(
      static_cast<double>(frames),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void parse(benchmark::State& state, role self, const simd::kernel_table& kernels, traffic sent,
           std::size_t pieces) {
  limits bounds;
  bounds.max_fragments = unlimited;
  message_rx rx(self, bounds, kernels);
  test::lent_buffer_owner owner(sent.wire);
  bytes to(slice_bytes + 16);
  for (auto _ : state) {
    if (!rx.inbox().push(owner.lend())) {
      state.SkipWithError("no memory");
      return;
    }
    std::size_t received = 0;
    while (rx.receive(to).status == rx_status::piece) {
      ++received;
    }
    if (received != pieces) {
      state.SkipWithError("not all was received");
      return;
    }
    benchmark::ClobberMemory();
  }
  count(state, sent, pieces);
}

// Calls `work(to, payload, size)` for each payload.
template <typename Work> void floor(benchmark::State& state, traffic sent, Work work) {
  bytes to(slice_bytes + 16);
  for (auto _ : state) {
    const std::byte* at = sent.wire.data();
    for (std::size_t i = 0; i < sent.messages; ++i) {
      at += sent.header_bytes;
      work(to.data(), at, sent.payload_bytes);
      at += sent.payload_bytes;
      benchmark::ClobberMemory();
    }
  }
  count(state, sent, sent.messages);
}

constexpr std::uint32_t floor_key = 0x8021FA4Au;

void register_floors(const simd::kernel_table& kernels, std::size_t size) {
  const std::string suffix =
      std::string("_").append(kernels.name).append("/").append(std::to_string(size));
  benchmark::RegisterBenchmark(("core/floor/unmask_copy" + suffix).c_str(),
                               [&kernels, size](benchmark::State& state) {
                                 floor(state, whole_messages(role::server, content::binary, size),
                                       [&](std::byte* to, const std::byte* from, std::size_t n) {
                                         kernels.unmask_copy(to, from, n, floor_key);
                                       });
                               });
  for (const content what : {content::ascii_text, content::mixed_text}) {
    benchmark::RegisterBenchmark(
        ("core/floor/validate_copy_" + std::string(name_of(what)) + suffix).c_str(),
        [&kernels, size, what](benchmark::State& state) {
          floor(state, whole_messages(role::client, what, size),
                [&](std::byte* to, const std::byte* from, std::size_t n) {
                  simd::utf8_state utf8;
                  benchmark::DoNotOptimize(kernels.validate_copy(to, from, n, utf8));
                });
        });
    benchmark::RegisterBenchmark(
        ("core/floor/unmask_validate_copy_" + std::string(name_of(what)) + suffix).c_str(),
        [&kernels, size, what](benchmark::State& state) {
          traffic sent = whole_messages(role::server, what, size);
          std::uint32_t key = 0; // all frames of one size have one key
          std::memcpy(&key, sent.wire.data() + sent.header_bytes - sizeof key, sizeof key);
          floor(state, std::move(sent), [&](std::byte* to, const std::byte* from, std::size_t n) {
            simd::utf8_state utf8;
            benchmark::DoNotOptimize(kernels.unmask_validate_copy(to, from, n, key, utf8));
          });
        });
  }
}

const bool registered = [] {
  constexpr std::size_t sizes[] = {0, 1, 16, 64, 125, 126, 1024, 16384, 65536};
  for (const std::size_t size : sizes) {
    benchmark::RegisterBenchmark(("core/floor/memcpy/" + std::to_string(size)).c_str(),
                                 [size](benchmark::State& state) {
                                   floor(state, whole_messages(role::client, content::binary, size),
                                         [](std::byte* to, const std::byte* from, std::size_t n) {
                                           std::memcpy(to, from, n);
                                         });
                                 });
  }
  for (const simd::kernel_table* kernels : simd::supported_kernels()) {
    for (const std::size_t size : sizes) {
      register_floors(*kernels, size);
    }
    for (const role self : {role::client, role::server}) {
      const std::string variant =
          std::string(self == role::server ? "_masked_" : "_unmasked_").append(kernels->name);
      for (const content what : {content::binary, content::ascii_text, content::mixed_text}) {
        for (const std::size_t size : sizes) {
          benchmark::RegisterBenchmark(
              ("core/parse/" + std::string(name_of(what)) + variant + "/" + std::to_string(size))
                  .c_str(),
              [=](benchmark::State& state) {
                traffic sent = whole_messages(self, what, size);
                const std::size_t messages = sent.messages;
                parse(state, self, *kernels, std::move(sent), messages);
              });
        }
      }
      for (const std::size_t fragment : {1u, 16u, 125u, 1024u}) { // time_per_message: per fragment
        benchmark::RegisterBenchmark(
            ("core/parse/text_frag" + std::to_string(fragment) + variant + "/65536").c_str(),
            [=](benchmark::State& state) {
              traffic sent = fragmented_message(self, fragment);
              const std::size_t fragments = sent.payload_bytes / fragment;
              parse(state, self, *kernels, std::move(sent), fragments);
            });
      }
    }
  }
  return true;
}();

} // namespace
} // namespace sluice
