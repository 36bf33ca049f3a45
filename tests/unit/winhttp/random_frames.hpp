#pragma once

#include "websocket_fixture.hpp"

#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::test {

/// A number below 2^most_bits, as likely small as large.
[[nodiscard]] std::size_t any_size(std::mt19937& random, unsigned most_bits);

struct data_frame {
  bool text = false;
  bool fin = false;
  std::string payload;
};

/// `count` rows of messages of up to 4 frames, cut anywhere.
[[nodiscard]] std::vector<std::vector<data_frame>> random_streams(unsigned count,
                                                                  std::mt19937& random);

/// With control frames between them if `random` is given.
[[nodiscard]] std::string on_the_wire(const std::vector<data_frame>& frames,
                                      std::mt19937* random = nullptr);

/// Over TLS, record by record and cut anywhere else.
void send_somehow(peer_connection& to, std::string_view wire, std::mt19937& random);

/// Compares piece by piece: a piece is of one frame, and of the type that its frame says.
class frame_check {
public:
  explicit frame_check(const std::vector<data_frame>& expected) : expected_(expected) {}

  [[nodiscard]] bool is_done() const { return frame_ == expected_.size(); }
  /// False when something is wrong.
  [[nodiscard]] bool take(const received& piece);

private:
  const std::vector<data_frame>& expected_;
  std::size_t frame_ = 0;
  std::size_t at_ = 0;
};

} // namespace sluice::test
