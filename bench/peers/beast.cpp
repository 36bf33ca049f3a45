// A receiver over Boost.Beast for `sluice-bench run --peer`: peer_beast PORT sink|echo
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/websocket.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using tcp = asio::ip::tcp;

class session : public std::enable_shared_from_this<session> {
public:
  session(tcp::socket socket, bool echo) : socket_(std::move(socket)), echo_(echo) {
    beast::get_lowest_layer(socket_).socket().set_option(tcp::no_delay(true));
    socket_.read_message_max(std::size_t{1} << 30);
  }

  void start() {
    socket_.async_accept([self = shared_from_this()](beast::error_code failed) {
      if (!failed) {
        self->read();
      }
    });
  }

private:
  void read() {
    socket_.async_read(buffer_, [self = shared_from_this()](beast::error_code failed, std::size_t) {
      if (!failed) {
        self->take();
      }
    });
  }

  void take() {
    const bool text = socket_.got_text();
    const std::size_t count = buffer_.size();
    const char* const bytes = static_cast<const char*>(buffer_.data().data());
    if (echo_) {
      socket_.text(text);
      write(buffer_.data());
      return;
    }
    if (text && count == 6 && std::memcmp(bytes, "REPORT", 6) == 0) {
      report_ = std::to_string(messages_) + " " + std::to_string(bytes_);
      socket_.text(true);
      write(asio::buffer(report_));
      return;
    }
    ++messages_;
    bytes_ += count;
    buffer_.clear();
    read();
  }

  template <typename Buffer> void write(const Buffer& what) {
    socket_.async_write(what, [self = shared_from_this()](beast::error_code failed, std::size_t) {
      if (!failed) {
        self->buffer_.clear();
        self->read();
      }
    });
  }

  beast::websocket::stream<beast::tcp_stream> socket_;
  bool echo_;
  beast::flat_buffer buffer_;
  std::string report_;
  std::uint64_t messages_ = 0;
  std::uint64_t bytes_ = 0;
};

class listener {
public:
  listener(asio::io_context& loop, std::uint16_t port, bool echo)
      : acceptor_(loop, tcp::endpoint(asio::ip::address_v4::loopback(), port)), echo_(echo) {}

  void next() {
    acceptor_.async_accept([this](beast::error_code failed, tcp::socket socket) {
      if (!failed) {
        std::make_shared<session>(std::move(socket), echo_)->start();
      }
      next();
    });
  }

private:
  tcp::acceptor acceptor_;
  bool echo_;
};

} // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: peer_beast PORT sink|echo\n");
    return 2;
  }
  asio::io_context loop(1);
  listener serving(loop, static_cast<std::uint16_t>(std::atoi(argv[1])),
                   std::strcmp(argv[2], "echo") == 0);
  serving.next();
  loop.run();
}
