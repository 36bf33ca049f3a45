#include "native_server.hpp"

#include "common.hpp"

#include <array>
#include <cstdio>

namespace sluice_bench {
namespace {

constexpr std::string_view report_request = "REPORT";

/// Counts what one connection brings, and answers REPORT. Nothing else happens per piece: the cost
/// to be measured is the library's.
class sink final : public sluice::connection_handler {
public:
  sink(server_totals& totals, std::unique_ptr<std::byte[]> buffer,
       std::size_t buffer_bytes) noexcept
      : totals_(totals), buffer_(std::move(buffer)), buffer_bytes_(buffer_bytes) {}

  void on_slice(sluice::connection& from, const sluice::view& slice) noexcept override {
    take(from, slice.bytes(), slice.is_text(), slice.message_end());
  }

  void on_message(sluice::connection& from, const sluice::view& message) noexcept override {
    if (message.is_text() && message.text() == report_request) {
      report(from);
      return;
    }
    ++messages_;
    payload_bytes_ += message.size();
  }

  void on_received(sluice::connection& from, const sluice::received& got) noexcept override {
    take(from, got.bytes, got.type == sluice::message_type::text, got.message_end);
    receive(from);
  }

  void on_close(sluice::connection&, const sluice::close_event&) noexcept override {
    totals_.messages += messages_;
    totals_.payload_bytes += payload_bytes_;
    delete this;
  }

  void receive(sluice::connection& from) noexcept {
    (void)from.receive_into(
        {buffer_.get(), buffer_bytes_}); // refused once it is closing: no matter
  }

private:
  /// A piece of a message. Text is remembered as long as it may still be the request for a report,
  /// which may come in pieces like anything else.
  void take(sluice::connection& from, std::span<const std::byte> bytes, bool text,
            bool message_end) noexcept {
    if (message_end && piece_bytes_ == 0 && (!text || bytes.size() != start_.size())) {
      ++messages_; // nearly always
      payload_bytes_ += bytes.size();
      return;
    }
    if (text && bytes.size() <= start_.size() && piece_bytes_ <= start_.size() - bytes.size() &&
        !bytes.empty()) {
      std::memcpy(start_.data() + piece_bytes_, bytes.data(), bytes.size());
    }
    piece_bytes_ += bytes.size();
    if (!message_end) {
      return;
    }
    if (text && piece_bytes_ == start_.size() &&
        std::string_view(start_.data(), start_.size()) == report_request) {
      report(from);
    } else {
      ++messages_;
      payload_bytes_ += piece_bytes_;
    }
    piece_bytes_ = 0;
  }

  void report(sluice::connection& to) noexcept {
    char text[64];
    const int n =
        std::snprintf(text, sizeof text, "%llu %llu", static_cast<unsigned long long>(messages_),
                      static_cast<unsigned long long>(payload_bytes_));
    if (to.send_text({text, static_cast<std::size_t>(n)}) != sluice::error::none) {
      to.abort(); // a client that asks and never reads the answers
    }
  }

  std::uint64_t messages_ = 0;
  std::uint64_t payload_bytes_ = 0;
  std::uint64_t piece_bytes_ = 0; // of the message under way
  std::array<char, report_request.size()> start_{};
  server_totals& totals_;
  std::unique_ptr<std::byte[]> buffer_;
  std::size_t buffer_bytes_;
};

} // namespace

sluice::connection_handler* make_sink(sluice::connection& opened, const server_settings& settings,
                                      server_totals& totals) noexcept {
  std::unique_ptr<std::byte[]> buffer;
  if (settings.take == take_kind::copy &&
      (buffer = make_buffer(settings.copy_buffer_bytes)) == nullptr) {
    return nullptr;
  }
  sink* const made = new (std::nothrow) sink(totals, std::move(buffer), settings.copy_buffer_bytes);
  if (made != nullptr && settings.take == take_kind::copy) {
    made->receive(opened);
  }
  return made;
}

} // namespace sluice_bench
