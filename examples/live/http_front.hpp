#pragma once

#include "streams.hpp"

#include <sluice/sluice.hpp>

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <string_view>

namespace live {

/// A port that serves a few files to browsers and hands everything else over to the loop.
///
/// The library answers WebSocket upgrades and nothing more. So this accepts, reads until the target
/// is known, and gives sockets that ask for a WebSocket path to loop::adopt together with what
/// has been read. The rest is as small as HTTP can be: GET and HEAD of names in a table, one
/// request a connection. A head has 8 KiB, a connection five seconds; when 64 are under way, the
/// oldest makes room for the next.
class http_front {
public:
  http_front(sluice::loop& loop, streams& sockets, const meter& seen) noexcept
      : loop_(loop), sockets_(sockets), seen_(seen) {}
  http_front(const http_front&) = delete;
  http_front& operator=(const http_front&) = delete;
  ~http_front();

  /// Reads the files of the page. The name of the first that cannot be read; empty: all there.
  [[nodiscard]] std::string load_files(const std::string& folder);
  /// Listens. 0 or an errno value.
  [[nodiscard]] int listen(const char* host, std::uint16_t port);
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

  /// Polls readable when run_ready() has something to do.
  [[nodiscard]] int descriptor() const noexcept { return epoll_; }
  void run_ready();
  /// Drops connections whose time is up. Milliseconds to the next such moment, -1: none.
  int expire();

private:
  struct visitor {
    int fd = -1;
    std::uint64_t deadline_ns = 0;
    std::string text; // the request; then what is left of the answer
    std::size_t sent_bytes = 0;
    enum class stage : std::uint8_t { reading, writing, ending } now = stage::reading;
  };
  using place = std::list<visitor>::iterator;

  void accept_all();
  void drop(place who);
  void read_request(place who);
  void answer(place who, std::string_view method, std::string_view target);
  void refuse(place who, const char* status);
  void write_answer(place who);
  void drain(place who);

  static constexpr std::size_t max_visitors = 64;
  static constexpr std::size_t max_head_bytes = 8192;
  static constexpr std::uint64_t max_sockets = 600; // of the loop, cutters' clients included

  sluice::loop& loop_;
  streams& sockets_;
  const meter& seen_;
  struct file {
    const char* type;
    std::string bytes;
  };
  std::map<std::string, file, std::less<>> files_;
  int epoll_ = -1;
  int listening_ = -1;
  std::uint16_t port_ = 0;
  std::list<visitor> visitors_; // oldest first
};

} // namespace live
