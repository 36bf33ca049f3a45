#pragma once

#include "support/scripted_peer.hpp"

#include <cstdint>
#include <string>
#include <utility>

namespace sluice::test {

/// A peer that answers one request with the bytes given, in one piece or one at a time, ends the
/// stream behind them if told so, and expects nothing more from the client.
class one_answer {
public:
  explicit one_answer(std::string bytes, bool ends = false, bool bytewise = false)
      : peer_([this, bytes = std::move(bytes), ends, bytewise](scripted_peer& on) {
          peer_connection to = on.accept();
          head_ = to.read_request();
          bytewise ? to.send_bytewise(bytes) : to.send(bytes);
          if (ends) {
            to.close_fin();
          }
          to.expect_eof();
        }) {}
  [[nodiscard]] std::uint16_t port() const { return peer_.port(); }
  [[nodiscard]] const std::string& head() {
    peer_.join();
    return head_;
  }

private:
  std::string head_;
  scripted_peer peer_;
};

} // namespace sluice::test
