#include "native_server.hpp"

#include <deque>

namespace sluice_bench {
namespace {

/// Sends back what one connection brings, in the pieces it comes in. When the send queue is full
/// it stops reading until there is room, so a client that does not read cannot make it grow.
class echo final : public sluice::connection_handler {
public:
  echo(server_totals& totals, std::unique_ptr<std::byte[]> buffer,
       std::size_t buffer_bytes) noexcept
      : totals_(totals), buffer_(std::move(buffer)), buffer_bytes_(buffer_bytes) {}

  void on_slice(sluice::connection& from, const sluice::view& slice) noexcept override {
    send_or_keep(from, slice);
  }
  void on_message(sluice::connection& from, const sluice::view& message) noexcept override {
    send_or_keep(from, message);
  }

  void on_received(sluice::connection& from, const sluice::received& got) noexcept override {
    count(got.bytes.size(), got.message_end);
    if (!send(from, got.type, got.bytes, got.message_end)) {
      unsent_ = got; // the buffer stays as it is until it has been sent
      has_unsent_ = true;
      return;
    }
    receive(from);
  }

  void on_writable(sluice::connection& to) noexcept override {
    if (has_unsent_) {
      if (send(to, unsent_.type, unsent_.bytes, unsent_.message_end)) {
        has_unsent_ = false;
        receive(to);
      }
      return;
    }
    while (!kept_.empty()) {
      const sluice::held_view& first = kept_.front();
      if (!send(to, first.type(), first.bytes(), first.message_end())) {
        return;
      }
      kept_.pop_front();
    }
    to.resume_reading();
  }

  void on_close(sluice::connection&, const sluice::close_event&) noexcept override { delete this; }

  void receive(sluice::connection& from) noexcept {
    (void)from.receive_into(
        {buffer_.get(), buffer_bytes_}); // refused once it is closing: no matter
  }

private:
  void count(std::size_t bytes, bool message_end) noexcept {
    totals_.payload_bytes += bytes;
    totals_.messages += message_end ? 1 : 0;
  }

  /// False when there is no room now. A connection that cannot go on is dropped, which counts as
  /// sent: nothing more will be.
  bool send(sluice::connection& to, sluice::message_type type, std::span<const std::byte> bytes,
            bool message_end) noexcept {
    const sluice::error e = to.send_fragment(type, bytes, message_end);
    if (e == sluice::error::would_block) {
      return false;
    }
    if (e != sluice::error::none && e != sluice::error::invalid_state) {
      to.abort();
    }
    return true;
  }

  void send_or_keep(sluice::connection& from, const sluice::view& piece) noexcept {
    count(piece.size(), piece.message_end());
    if (kept_.empty() && send(from, piece.type(), piece.bytes(), piece.message_end())) {
      return;
    }
    sluice::held_view held = piece.hold();
    if (!held) {
      from.abort();
      return;
    }
    try {
      kept_.push_back(std::move(held));
    } catch (const std::bad_alloc&) {
      from.abort();
      return;
    }
    from.pause_reading();
  }

  server_totals& totals_;
  std::deque<sluice::held_view> kept_;
  sluice::received unsent_;
  bool has_unsent_ = false;
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t buffer_bytes_;
};

} // namespace

sluice::connection_handler* make_echo(sluice::connection& opened, const server_settings& settings,
                                      server_totals& totals) noexcept {
  std::unique_ptr<std::byte[]> buffer;
  if (settings.take == take_kind::copy &&
      (buffer = make_buffer(settings.copy_buffer_bytes)) == nullptr) {
    return nullptr;
  }
  echo* made = nullptr;
  try {
    made = new echo(totals, std::move(buffer), settings.copy_buffer_bytes);
  } catch (const std::bad_alloc&) { // also from the deque's first block
    return nullptr;
  }
  if (settings.take == take_kind::copy) {
    made->receive(opened);
  }
  return made;
}

} // namespace sluice_bench
