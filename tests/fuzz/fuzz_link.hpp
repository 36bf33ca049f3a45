#pragma once

#include "core/frame.hpp"
#include "sluice/sluice.hpp"
#include "support/tls_peer.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::fuzz {

struct link_settings {
  role self = role::client; // the library's end
  bool older = false;       // TLS 1.2
  bool echo = false;        // messages are sent back
  bool uring = false;       // if this system has it
  delivery take = delivery::slices;
  std::size_t room_bytes = 64; // delivery::buffers
  std::uint64_t max_message_bytes = std::uint64_t{1} << 20;
  std::uint32_t max_fragments = 4096;
};

/// What a connection has delivered and how it ended.
struct outcome {
  bool opened = false;
  bool clean = false;
  unsigned status = 0;
  error cause = error::none;
  std::string reason;
  std::vector<std::pair<message_type, std::string>> messages;
  std::string partial; // of a message that has not ended
  /// What the library's end has sent behind the head: first byte and payload of each frame.
  std::vector<std::pair<unsigned, std::string>> answers;
  std::size_t peak_bytes = 0; // of the library's heap, less what it had before
};

/// A connection of the library on a loop of its own, and the peer's socket. The opening handshakes
/// are done when it is made; whatever of that fails, and what hangs, ends the program.
class link_end {
public:
  link_end(const link_settings& how, bool over_tls);
  ~link_end();
  link_end(const link_end&) = delete;
  link_end& operator=(const link_end&) = delete;

  /// The peer's TLS.
  [[nodiscard]] test::tls_peer_end& peer() { return *tls_; }

  /// Bytes of the peer as they are on the wire; then the loop has its turns.
  void send_raw(std::string_view wire);

  /// From here on the library may answer with an alert.
  void allow_alert() { may_break_ = true; }

  /// The peer ends the stream; what came of it.
  [[nodiscard]] outcome finish();

private:
  class recorder;

  void connect(const link_settings& how, bool over_tls);
  void open();
  void turn();
  void wait() const;
  bool listen_to_us();

  const role self_;
  const std::size_t bytes_before_;
  std::unique_ptr<recorder> handler_;
  std::unique_ptr<loop> loop_;
  std::unique_ptr<test::tls_peer_end> tls_;
  std::string heard_;  // plain bytes of the library's end
  std::string unsent_; // ciphertext of the peer, or its plain bytes
  bool shaken_ = false;
  bool may_break_ = false;
  bool deaf_ = false;
  int fd_ = -1;
};

} // namespace sluice::fuzz
