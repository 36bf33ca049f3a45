#include "native_fixture.hpp"

#include <future>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

// One TLS configuration among the connections of several loops, each on a thread of its own: the
// sessions and the peers' certificates that it keeps are everybody's. For ThreadSanitizer, too.

namespace sluice {
namespace {

using test::native_mode;
using test::tls_test_authority;

constexpr int handshakes_of_a_loop = 150;

class loop_thread {
public:
  virtual ~loop_thread() { join(); }
  void start(io_backend with) {
    thread_ = std::thread([this, with] {
      loop on; // closed on this thread, too
      on_ = &on;
      loop_settings settings;
      settings.backend = with;
      const error failed = on.open(settings);
      if (failed == error::none) {
        begin();
      }
      said_.set_value(failed);
      if (failed == error::none) {
        EXPECT_EQ(on.run(), error::none);
      }
      may_close_.get_future().wait();
    });
    opened_ = said_.get_future().get();
  }
  [[nodiscard]] error opened() const { return opened_; }
  /// The loop ends by itself, or has been stopped.
  void join() {
    if (thread_.joinable()) {
      may_close_.set_value();
      thread_.join();
    }
  }
  [[nodiscard]] loop& on() { return *on_; }

protected:
  virtual void begin() = 0;

private:
  error opened_ = error::none;
  loop* on_ = nullptr;
  std::promise<error> said_;
  std::promise<void> may_close_;
  std::thread thread_;
};

// Echoes; its certificate is renewed after every few connections.
class server_thread final : public loop_thread, connection_handler {
public:
  explicit server_thread(const std::vector<tls_config>& identities) : identities_(identities) {}
  std::uint16_t port = 0;

private:
  void begin() override {
    listen_settings settings;
    settings.connection.take = delivery::messages;
    settings.connection.tls = identities_[0];
    EXPECT_EQ(on().listen(settings, *this, listener_), error::none);
    port = listener_ != nullptr ? listener_->port() : std::uint16_t{0};
  }
  void on_open(connection&, std::string_view) noexcept override {
    constexpr std::size_t often = 12;
    if (++opened_ % often == 0) {
      const tls_config& next = identities_[opened_ / often % identities_.size()];
      EXPECT_EQ(listener_->replace_tls(next), error::none);
    }
  }
  void on_message(connection& from, const view& message) noexcept override {
    static_cast<void>(from.send(message.type(), message.bytes()));
  }

  const std::vector<tls_config>& identities_;
  listener* listener_ = nullptr;
  std::size_t opened_ = 0;
};

// Keeps some connections in each state, and begins a new one whenever one has ended.
class client_thread final : public loop_thread, connection_handler {
public:
  client_thread(const tls_config& shared, const std::vector<std::uint16_t>& ports)
      : shared_(shared), ports_(ports) {}
  int resumed = 0;
  int finished = 0; // after their echo

private:
  void begin() override {
    for (int i = 0; i < 8; ++i) {
      connect();
    }
  }
  void connect() {
    connect_settings to;
    to.host = "127.0.0.1";
    to.port = ports_[static_cast<std::size_t>(begun_) % ports_.size()];
    to.connection.take = delivery::messages;
    to.connection.tls = shared_;
    connection* made = nullptr;
    ++begun_;
    EXPECT_EQ(on().connect(to, *this, made), error::none);
    if (begun_ % 5 == 0 && made != nullptr) { // in the middle of its handshake, or before
      EXPECT_EQ(
          on().post([](void* self) noexcept { static_cast<client_thread*>(self)->cut(); }, this),
          error::none);
      cut_next_ = made;
    }
  }
  void cut() {
    if (connection* const one = std::exchange(cut_next_, nullptr); one != nullptr) {
      one->abort();
    }
  }
  void on_open(connection& to, std::string_view) noexcept override {
    tls_info info;
    EXPECT_TRUE(to.tls(info));
    EXPECT_EQ(info.certificate_faults, 0u);
    EXPECT_GT(to.peer_certificate({}), 100u);
    resumed += info.resumed ? 1 : 0;
    EXPECT_EQ(to.send_text("hello"), error::none);
  }
  void on_message(connection& from, const view&) noexcept override {
    ++finished;
    finished % 4 == 0 ? from.abort() : static_cast<void>(from.close());
  }
  void on_close(connection& of, const close_event& how) noexcept override {
    EXPECT_NE(how.cause, error::tls_certificate);
    EXPECT_NE(how.cause, error::tls_record);
    EXPECT_NE(how.cause, error::tls_handshake);
    if (&of == cut_next_) {
      cut_next_ = nullptr;
    }
    if (begun_ < handshakes_of_a_loop) {
      connect();
    } else if (++ended_ == 8) {
      on().stop();
    }
  }

  const tls_config shared_;
  const std::vector<std::uint16_t>& ports_;
  int begun_ = 0;
  int ended_ = 0;
  connection* cut_next_ = nullptr;
};

class native_tls_threads : public ::testing::TestWithParam<native_mode> {};

TEST_P(native_tls_threads, loops_share_a_configuration_while_certificates_are_renewed) {
  std::vector<tls_config> identities;
  std::vector<test::test_identity> issued;
  for (int i = 0; i < 10; ++i) { // more than a client remembers certificates
    issued.push_back(tls_test_authority().issue());
    tls_settings settings;
    settings.certificate_pem = test::bytes_of(issued.back().certificate);
    settings.private_key_pem = test::bytes_of(issued.back().key);
    ASSERT_EQ(tls_config::make_server(settings, identities.emplace_back()), error::none);
  }
  std::vector<std::unique_ptr<server_thread>> servers;
  std::vector<std::uint16_t> ports;
  for (int i = 0; i < 2; ++i) {
    servers.push_back(std::make_unique<server_thread>(identities));
    servers.back()->start(GetParam().backend);
    if (servers.back()->opened() == error::backend_unavailable) {
      servers.back()->join();
      GTEST_SKIP() << "not available here, or SLUICE_BACKEND forces another";
    }
    ASSERT_EQ(servers.back()->opened(), error::none);
    ports.push_back(servers.back()->port);
  }
  tls_config shared = test::client_tls();
  std::vector<std::unique_ptr<client_thread>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<client_thread>(shared, ports));
    clients.back()->start(GetParam().backend);
    EXPECT_EQ(clients.back()->opened(), error::none);
  }
  int resumed = 0;
  int finished = 0;
  shared = {}; // the connections have references of their own
  for (const auto& one : clients) {
    one->join();
    EXPECT_GT(one->finished, handshakes_of_a_loop / 2);
    resumed += one->resumed;
    finished += one->finished;
  }
  EXPECT_GT(resumed, 0);
  EXPECT_LT(resumed, finished) << "certificates were renewed";
  for (const auto& one : servers) {
    one->on().stop();
    one->join();
  }
}

INSTANTIATE_TEST_SUITE_P(backends, native_tls_threads,
                         ::testing::Values(native_mode{io_backend::epoll, false},
                                           native_mode{io_backend::uring, false}),
                         test::mode_name);

} // namespace
} // namespace sluice
