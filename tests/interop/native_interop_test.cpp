// The server of the native API against clients of another make. ctest runs one test at a time, on
// each backend; SLUICE_BACKEND names it, SLUICE_TEST_TLS asks for TLS, with an authority and a
// certificate made by this program. A client that is not installed: exit code 77, which ctest
// shows as skipped, with the package; for the browser, the test fails.

#include "tests/interop/client_process.hpp"
#include "tests/interop/common.hpp"
#include "tests/interop/native_server.hpp"
#include "tests/support/temporary_file.hpp"
#include "tests/support/test_ca.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace interop {

namespace {

using lines = std::vector<std::string>;

constexpr std::chrono::seconds patience{60}; // a client takes a few; only a hang takes that long
constexpr int skipped = 77;
constexpr std::size_t burst = 500;

class native_interop : public testing::Test {
protected:
  void SetUp() override {
    const char* const backend = std::getenv("SLUICE_BACKEND");
    if (backend != nullptr && std::string(backend) == "uring" && !io_uring_allowed()) {
      skip("this system does not allow io_uring");
    }
    sluice::tls_config tls;
    if (std::getenv("SLUICE_TEST_TLS") != nullptr) {
      identity_ = authority_.issue();
      authority_file_ = std::make_unique<sluice::test::temporary_file>(authority_.root());
      sluice::tls_settings settings;
      settings.certificate_pem = sluice::test::bytes_of(identity_.certificate);
      settings.private_key_pem = sluice::test::bytes_of(identity_.key);
      ASSERT_EQ(sluice::tls_config::make_server(settings, tls), sluice::error::none);
    }
    server_ = std::make_unique<native_server>(tls);
  }

  [[nodiscard]] bool secure() const { return authority_file_ != nullptr; }

  /// What a browser calls the key of our certificate: the SHA-256 of its SubjectPublicKeyInfo.
  [[nodiscard]] std::string key_name() const {
    BIO* const in = BIO_new_mem_buf(identity_.certificate.data(),
                                    static_cast<int>(identity_.certificate.size()));
    X509* const certificate = PEM_read_bio_X509(in, nullptr, nullptr, nullptr);
    unsigned char* der = nullptr;
    const int der_bytes = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    std::array<unsigned char, 32> digest;
    EVP_Digest(der, static_cast<std::size_t>(der_bytes), digest.data(), nullptr, EVP_sha256(),
               nullptr);
    std::array<unsigned char, 48> text;
    EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(digest.size()));
    OPENSSL_free(der);
    X509_free(certificate);
    BIO_free(in);
    return reinterpret_cast<const char*>(text.data());
  }

  // GTEST_SKIP would let ctest say "passed".
  [[noreturn]] static void skip(const std::string& why) {
    std::printf("skipped, %s\n", why.c_str());
    std::fflush(stdout);
    std::_Exit(skipped);
  }

  [[nodiscard]] std::string port() const { return std::to_string(server_->port()); }

  static lines those_with(const lines& in, const std::string& prefix) {
    lines found;
    for (const std::string& line : in) {
      if (line.rfind(prefix, 0) == 0) {
        found.push_back(line.substr(prefix.size()));
      }
    }
    return found;
  }

  static std::uint64_t bytes_in(const lines& descriptions) {
    std::uint64_t total = 0;
    for (const std::string& each : descriptions) {
      total += std::stoull(each.substr(each.find(' ') + 1));
    }
    return total;
  }

  /// What a client of native_client.* or native_page.html must have told, and the server noted.
  void check(const lines& told, std::size_t sizes) {
    ASSERT_FALSE(told.empty());
    ASSERT_EQ(told.back(), "done");
    const lines sent = those_with(told, "sent ");
    EXPECT_GE(sent.size(), 3 * (2 * sizes + burst));
    EXPECT_TRUE(those_with(told, "echo ") == sent); // order, kinds, lengths and hashes
    lines got;
    for (const char* path : {"/echo", "/slices", "/buffers"}) {
      const lines log = server_->log_of(path);
      const lines messages = those_with(log, "got ");
      got.insert(got.end(), messages.begin(), messages.end());
      EXPECT_EQ(those_with(log, "pong "), lines{"are you there"}) << path;
      EXPECT_EQ(those_with(log, "closed "), lines{"4321 clean done \xE2\x9C\x93"}) << path;
      EXPECT_EQ(those_with(log, "cannot "), lines{}) << path;
    }
    EXPECT_TRUE(got == sent);
    EXPECT_EQ(those_with(told, "protocol "), (lines{"chat.v2", "chat.v2", "chat.v2"}));
    EXPECT_EQ(those_with(told, "heard "), lines{"goodbye"});
    const std::string status = "4321 clean "; // comes back, the reason does not
    EXPECT_EQ(those_with(told, "closed "),
              (lines{status, status, status, "4001 clean enough \xC3\xBC"}));
    EXPECT_EQ(those_with(server_->log_of("/goodbye"), "closed ").size(), 1u);
    EXPECT_EQ(std::count(told.begin(), told.end(), "refused"), 1);

    const lines reports = those_with(server_->log_of("/report"), "said ");
    std::uint64_t report_bytes = 0;
    for (const std::string& line : reports) {
      report_bytes += line.size();
    }
    const sluice::loop_stats counted = server_->finish();
    EXPECT_EQ(counted.messages_received, sent.size() + reports.size());
    EXPECT_EQ(counted.payload_received_bytes, bytes_in(sent) + report_bytes);
    EXPECT_EQ(counted.handshakes_failed, 1u); // /refused
  }

  void run_script(const std::string& command, std::size_t sizes) {
    std::string interpreter = command.substr(0, command.find(' '));
    const std::string script = command.substr(command.find(' ') + 1);
    lines environment = {"NODE_PATH=/usr/share/nodejs"};
    if (secure()) {
      environment.push_back("SLUICE_TEST_CA_FILE=" + authority_file_->name());
    }
    client_process client({interpreter, script, port()}, environment, false);
    ASSERT_TRUE(client.read_to_end(patience)) << client.output();
    if (const int code = client.exit_code(); code == skipped) {
      skip(client.output());
    } else {
      ASSERT_EQ(code, 0) << client.output();
    }
    check(client.lines(), sizes);
  }

  sluice::test::test_ca authority_;
  sluice::test::test_identity identity_;
  std::unique_ptr<sluice::test::temporary_file> authority_file_; // none: plain
  std::unique_ptr<native_server> server_;
};

TEST_F(native_interop, python_websockets) {
  run_script(SLUICE_CLIENT_PYTHON, 14);
}

TEST_F(native_interop, node_ws) {
  run_script(SLUICE_CLIENT_NODE, 14);
}

// As an HTTP client every curl can ask for the upgrade; frames only where it was built for them.
TEST_F(native_interop, curl) {
  const std::string curl = find_program({"curl"});
  if (curl.empty()) {
    skip("missing: curl");
  }
  const std::string authority = secure() ? authority_file_->name() : "/dev/null";
  const lines upgrade = {curl,
                         "--cacert",
                         authority,
                         "--silent",
                         "--include",
                         "--no-buffer",
                         "--max-time",
                         "20",
                         "--noproxy",
                         "*",
                         "--http1.1",
                         "--header",
                         "Upgrade: websocket",
                         "--header",
                         "Connection: Upgrade",
                         "--header",
                         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="};
  const auto ask = [&](const lines& more, const std::string& path) {
    lines words = upgrade;
    words.insert(words.end(), more.begin(), more.end());
    words.push_back((secure() ? "https://127.0.0.1:" : "http://127.0.0.1:") + port() + path);
    client_process client(words, {}, false);
    EXPECT_TRUE(client.read_to_end(patience));
    return client.output();
  };
  const lines version = {"--header", "Sec-WebSocket-Version: 13"};
  const std::string refused = ask(version, "/refused");
  EXPECT_EQ(refused.rfind("HTTP/1.1 403 Forbidden\r\n", 0), 0u) << refused;
  // RFC 6455 section 4.4: the answer names the version that there is.
  const std::string old = ask({"--header", "Sec-WebSocket-Version: 8"}, "/echo");
  EXPECT_EQ(old.rfind("HTTP/1.1 426 ", 0), 0u) << old;
  EXPECT_NE(old.find("\r\nSec-WebSocket-Version: 13\r\n"), std::string::npos) << old;
  // What follows the head of /goodbye is a ping, a text frame and a close frame; then curl waits
  // for more until the server drops it.
  lines options = version;
  options.insert(options.end(), {"--max-time", "2"});
  const std::string accepted = ask(options, "/goodbye");
  EXPECT_EQ(accepted.rfind("HTTP/1.1 101 Switching Protocols\r\n", 0), 0u) << accepted;
  EXPECT_NE(accepted.find("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
            std::string::npos) // RFC 6455 section 1.3
      << accepted;

  client_process about({curl, "--version"}, {}, false);
  ASSERT_TRUE(about.read_to_end(patience));
  const std::size_t protocols = about.output().find("\nProtocols:");
  const std::string list = protocols == std::string::npos ? "" : about.output().substr(protocols);
  if (list.substr(0, list.find('\n', 1)).find(" ws") == std::string::npos) {
    std::printf("this curl has no WebSocket: the upgrade alone was tested\n");
    return;
  }
  client_process frames({curl, "--cacert", authority, "--silent", "--no-buffer", "--max-time", "20",
                         "--noproxy", "*",
                         (secure() ? "wss://127.0.0.1:" : "ws://127.0.0.1:") + port() + "/goodbye"},
                        {}, false);
  EXPECT_TRUE(frames.read_to_end(patience));
  EXPECT_EQ(frames.output().rfind("goodbye", 0), 0u) << frames.output();
}

// OpenSSL's own client: bytes in, bytes out, and what it says about the handshake.
TEST_F(native_interop, openssl_s_client) {
  ASSERT_TRUE(secure()) << "only with SLUICE_TEST_TLS";
  const std::string openssl = find_program({"openssl"});
  if (openssl.empty()) {
    skip("missing: openssl");
  }
  // The request, and behind it a masked text frame and a masked close frame.
  const sluice::test::temporary_file said(
      std::string("GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                  "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                  "Sec-WebSocket-Version: 13\r\n\r\n") +
      std::string("\x81\x85\0\0\0\0hello\x88\x82\0\0\0\0\x03\xE8", 19));
  const auto run = [&](const std::string& more, const std::string& authority) {
    client_process client(
        {"/bin/sh", "-c",
         openssl + " s_client -connect 127.0.0.1:" + port() + " -servername localhost -CAfile " +
             authority + " -verify_return_error -verify_ip 127.0.0.1 -alpn http/1.1 -ign_eof " +
             more + " <" + said.name() + " 2>&1"},
        {}, false);
    EXPECT_TRUE(client.read_to_end(patience));
    return client.output();
  };
  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    const std::string got = run(version, authority_file_->name());
    EXPECT_NE(got.find("Verify return code: 0 (ok)"), std::string::npos) << got;
    EXPECT_NE(got.find("ALPN protocol: http/1.1"), std::string::npos) << got;
    EXPECT_NE(got.find("HTTP/1.1 101 "), std::string::npos) << got;
    EXPECT_NE(got.find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), std::string::npos) << got;
    EXPECT_NE(got.find("\x81\x05hello"), std::string::npos) << got;
    EXPECT_NE(got.find(std::string("\x88\x02\x03\xE8", 4)), std::string::npos) << got;
  }
  EXPECT_EQ(run("-tls1_1", authority_file_->name()).find("HTTP/1.1 101 "), std::string::npos);
  EXPECT_EQ(run("-alpn h2", authority_file_->name()).find("HTTP/1.1 101 "), std::string::npos);
  const sluice::test::test_ca stranger;
  const sluice::test::temporary_file other(stranger.root());
  EXPECT_EQ(run("", other.name()).find("HTTP/1.1 101 "), std::string::npos);
  // One connection, and five that take up its session.
  const std::string again = run("-tls1_2 -reconnect", authority_file_->name());
  std::size_t reused = 0;
  for (std::size_t at = again.find("\nReused, "); at != std::string::npos;
       at = again.find("\nReused, ", at + 1)) {
    ++reused;
  }
  EXPECT_EQ(reused, 5u) << again;
}

TEST_F(native_interop, chromium) {
  const std::string browser = find_program({"chromium", "chromium-browser", "google-chrome"});
  ASSERT_FALSE(browser.empty()) << "no browser: install Debian's package chromium";
  std::string profile = testing::TempDir() + "sluice-browser-XXXXXX";
  ASSERT_NE(mkdtemp(profile.data()), nullptr) << profile;
  {
    lines words = {browser,
                   "--headless",
                   "--disable-gpu",
                   "--disable-dev-shm-usage",
                   "--disable-background-networking",
                   "--disable-component-update",
                   "--disable-breakpad",
                   "--disable-extensions",
                   "--no-first-run",
                   "--no-proxy-server",
                   "--user-data-dir=" + profile};
    if (geteuid() == 0) {
      words.emplace_back("--no-sandbox"); // Chromium refuses to run as root otherwise
    }
    if (secure()) {
      words.push_back("--ignore-certificate-errors-spki-list=" + key_name());
    }
    words.push_back("file://" SLUICE_CLIENT_PAGE "#" + std::string(secure() ? "wss" : "ws") +
                    "://127.0.0.1:" + port());
    client_process client(words, {"HOME=" + profile}, true);
    const auto deadline = std::chrono::steady_clock::now() + patience;
    const auto done = [this] {
      const lines log = server_->log_of("/report");
      return std::find(log.begin(), log.end(), "said done") != log.end();
    };
    while (!done() && !client.has_ended() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20)); // nothing depends on its length
    }
  } // the browser does not end by itself
  std::filesystem::remove_all(profile);
  check(those_with(server_->log_of("/report"), "said "), 15);
}

} // namespace

} // namespace interop
