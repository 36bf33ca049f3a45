// Any bytes, in any slices, with any room, through message_rx and the reference receiver: every
// answer must be the same, with every kernel. Input: role, feed and kernel; cuts; two rooms;
// limits; wire.

#include "fuzz_input.hpp"
#include "support/rx_driver.hpp"

namespace {

using namespace sluice;

constexpr std::size_t max_wire_bytes = 1024; // the model's work grows with the square

limits limits_from(unsigned setting) {
  limits bounds;
  if ((setting & 1u) != 0) {
    bounds.max_message_bytes = setting >> 1 & 0x1Fu;
  } else if ((setting & 2u) != 0) {
    bounds.max_message_bytes = unlimited;
  }
  if ((setting & 0x40u) != 0) {
    bounds.max_fragments = setting >> 2 & 7u;
  }
  return bounds;
}

// Closing connections drop data: the ends must be those that a receiver sees, apart from bad text.
void check_discard(role self, const limits& bounds, std::span<const std::byte> wire) {
  test::rx_under_test dropping(self, bounds);
  test::rx_under_test receiving(self, bounds);
  dropping.push(wire.data(), wire.size());
  receiving.push(wire.data(), wire.size());
  for (;;) {
    test::answer seen;
    do {
      seen = receiving.receive(max_wire_bytes);
    } while (seen.what == test::answer::kind::piece);
    const rx_result dropped = dropping.rx.discard();
    if (seen.what == test::answer::kind::failed && seen.reason == error::text_utf8) {
      return;
    }
    fuzz::check(dropped.reason == seen.reason, "discard() fails otherwise than receive()");
    switch (seen.what) {
    case test::answer::kind::ping:
      fuzz::check(dropped.status == rx_status::ping, "discard() misses a ping");
      break;
    case test::answer::kind::close:
      fuzz::check(dropped.status == rx_status::close, "discard() misses the close frame");
      return;
    case test::answer::kind::failed:
      fuzz::check(dropped.status == rx_status::failed, "discard() misses a violation");
      return;
    default:
      fuzz::check(dropped.status == rx_status::need_input, "discard() invents something");
      return;
    }
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::settings_reader settings(data, size);
  const unsigned mode = settings.next();
  const unsigned cut_setting = settings.next();
  const std::vector<std::size_t> rooms = {1 + settings.next() % 64, 1 + settings.next() * 5};
  const limits bounds = limits_from(settings.next());
  const std::span<const std::byte> wire = settings.rest(max_wire_bytes);
  const role self = (mode & 1u) != 0 ? role::server : role::client;

  const auto difference = test::any_differs_from_model(
      self, bounds, wire, fuzz::cuts_from(cut_setting, wire.size()), rooms, (mode & 2u) != 0);
  if (difference.has_value()) {
    fuzz::fail(difference->c_str());
  }
  check_discard(self, bounds, wire);
  return 0;
}
