// A receiver over websocketpp for `sluice-bench run --peer`: peer_websocketpp PORT sink|echo
#include <websocketpp/config/asio_no_tls.hpp>
#include <websocketpp/server.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

namespace {

using server = websocketpp::server<websocketpp::config::asio>;
using websocketpp::connection_hdl;

struct counts {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
};

} // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: peer_websocketpp PORT sink|echo\n");
    return 2;
  }
  const bool echo = std::strcmp(argv[2], "echo") == 0;
  std::map<connection_hdl, counts, std::owner_less<connection_hdl>> seen;
  server serving;
  serving.clear_access_channels(websocketpp::log::alevel::all);
  serving.clear_error_channels(websocketpp::log::elevel::all);
  serving.init_asio();
  serving.set_reuse_addr(true);
  serving.set_max_message_size(std::size_t{1} << 30);
  serving.set_tcp_post_init_handler([&serving](connection_hdl one) {
    serving.get_con_from_hdl(one)->get_raw_socket().set_option(
        websocketpp::lib::asio::ip::tcp::no_delay(true));
  });
  serving.set_close_handler([&seen](connection_hdl one) { seen.erase(one); });
  serving.set_message_handler([&](connection_hdl from, server::message_ptr message) {
    if (echo) {
      serving.send(from, message->get_payload(), message->get_opcode());
      return;
    }
    counts& its = seen[from];
    if (message->get_opcode() == websocketpp::frame::opcode::text &&
        message->get_payload() == "REPORT") {
      serving.send(from, std::to_string(its.messages) + " " + std::to_string(its.bytes),
                   websocketpp::frame::opcode::text);
      return;
    }
    ++its.messages;
    its.bytes += message->get_payload().size();
  });
  serving.listen(websocketpp::lib::asio::ip::address_v4::loopback(),
                 static_cast<std::uint16_t>(std::atoi(argv[1])));
  serving.start_accept();
  serving.run();
}
