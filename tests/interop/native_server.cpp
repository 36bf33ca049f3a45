#include "tests/interop/native_server.hpp"

#include "tests/interop/common.hpp"

#include <array>
#include <deque>
#include <future>
#include <memory>
#include <stdexcept>
#include <utility>

namespace interop {

namespace {

std::string string_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

} // namespace

/// One connection; gone with it.
class native_server::session final : public sluice::connection_handler {
public:
  session(native_server& in, std::string path) : in_(in), path_(std::move(path)) {}

  void on_open(sluice::connection& opened, std::string_view) noexcept override {
    static constexpr std::string_view question = "are you there";
    check(opened.ping(std::as_bytes(std::span(question))));
    if (path_ == "/goodbye") {
      check(opened.send_text("goodbye"));
      check(opened.close(4001, "enough \xC3\xBC"));
    } else if (path_ == "/slices") {
      opened.set_delivery(sluice::delivery::slices);
    } else if (path_ == "/buffers") {
      opened.set_delivery(sluice::delivery::buffers);
      receive(opened);
    }
  }

  void on_message(sluice::connection& from, const sluice::view& message) noexcept override {
    if (path_ == "/report") {
      in_.note(path_, "said " + std::string(message.text()));
      return;
    }
    take(from, message.is_text(), message.bytes(), true);
  }
  void on_slice(sluice::connection& from, const sluice::view& slice) noexcept override {
    take(from, slice.is_text(), slice.bytes(), slice.message_end());
  }
  void on_received(sluice::connection& from, const sluice::received& got) noexcept override {
    take(from, got.type == sluice::message_type::text, got.bytes, got.message_end);
    receive(from);
  }

  void on_pong(sluice::connection&, std::span<const std::byte> payload) noexcept override {
    in_.note(path_, "pong " + string_of(payload));
  }

  void on_writable(sluice::connection& to) noexcept override {
    while (!unsent_.empty()) {
      const piece& first = unsent_.front();
      if (!send(to, first)) {
        return;
      }
      unsent_.pop_front();
    }
    to.resume_reading();
  }

  void on_close(sluice::connection&, const sluice::close_event& how) noexcept override {
    in_.note(path_, "closed " + std::to_string(how.status) + (how.clean ? " clean " : " dirty ") +
                        std::string(how.reason));
    delete this;
  }

private:
  struct piece {
    bool text;
    bool message_end;
    std::string bytes;
  };

  void check(sluice::error e) {
    if (e != sluice::error::none) {
      in_.note(path_, std::string("cannot send: ") + sluice::to_string(e));
    }
  }

  void receive(sluice::connection& from) { static_cast<void>(from.receive_into(buffer_)); }

  void take(sluice::connection& from, bool text, std::span<const std::byte> bytes,
            bool message_end) {
    whole_ += string_of(bytes);
    piece back{text, message_end, string_of(bytes)};
    if (!unsent_.empty() || !send(from, back)) {
      unsent_.push_back(std::move(back));
      from.pause_reading(); // until the client has read
    }
    if (message_end) {
      in_.note(path_, "got " + describe(text, whole_));
      whole_.clear();
    }
  }

  bool send(sluice::connection& to, const piece& back) {
    const sluice::error e =
        to.send_fragment(back.text ? sluice::message_type::text : sluice::message_type::binary,
                         std::as_bytes(std::span(back.bytes)), back.message_end);
    if (e == sluice::error::would_block) {
      return false;
    }
    check(e);
    return true;
  }

  native_server& in_;
  std::string path_;
  std::string whole_;
  std::deque<piece> unsent_;
  std::array<std::byte, 10'000> buffer_;
};

class native_server::acceptor final : public sluice::connection_handler {
public:
  explicit acceptor(native_server& in) : in_(in) {}

  sluice::upgrade_decision on_upgrade(sluice::connection& asking,
                                      const sluice::upgrade_request& request) noexcept override {
    const std::string_view path = request.target();
    bool known = false;
    for (const char* each : {"/echo", "/slices", "/buffers", "/goodbye", "/report"}) {
      known = known || path == each;
    }
    if (!known) {
      return sluice::upgrade_decision::refuse(403);
    }
    asking.set_handler(*new session(in_, std::string(path)));
    return sluice::upgrade_decision::accept(request.offers("chat.v2") ? "chat.v2" : "");
  }

private:
  native_server& in_;
};

native_server::native_server(const sluice::tls_config& tls) {
  std::promise<void> started;
  thread_ = std::thread([this, &started, &tls] {
    acceptor handler(*this);
    sluice::listen_settings settings;
    settings.connection.tls = tls;
    settings.connection.take = sluice::delivery::messages;
    sluice::listener* made = nullptr;
    sluice::loop on;
    sluice::error failed = on.open(); // SLUICE_BACKEND chooses
    if (failed == sluice::error::none) {
      failed = on.listen(settings, handler, made);
    }
    if (failed == sluice::error::none) {
      port_ = made->port();
      loop_ = &on;
    }
    failed_ = failed;
    started.set_value();
    if (failed == sluice::error::none) {
      static_cast<void>(on.run());
      on.stats(stats_);
      stopped_.get_future().wait(); // the loop must be there until stop() has returned
    }
  });
  started.get_future().wait();
  if (failed_ != sluice::error::none) {
    thread_.join();
    throw std::runtime_error(std::string("the server cannot start: ") + sluice::to_string(failed_));
  }
}

native_server::~native_server() {
  if (thread_.joinable()) {
    static_cast<void>(finish());
  }
}

sluice::loop_stats native_server::finish() {
  loop_->stop();
  stopped_.set_value();
  thread_.join();
  return stats_;
}

void native_server::note(const std::string& path, const std::string& line) {
  const std::lock_guard lock(mutex_);
  log_.emplace_back(path, line);
}

std::vector<std::string> native_server::log_of(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> lines;
  for (const auto& [of, line] : log_) {
    if (of == path) {
      lines.push_back(line);
    }
  }
  return lines;
}

} // namespace interop
