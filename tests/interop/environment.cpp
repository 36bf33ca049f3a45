#include "tests/interop/environment.hpp"

#include "tests/support/test_ca.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace interop {

std::unique_ptr<peer_process> peer;
std::unique_ptr<peer_process> proxy;

namespace {

class peer_environment : public testing::Environment {
public:
  void SetUp() override {
    const char* backend = std::getenv("SLUICE_BACKEND");
    if (backend != nullptr && std::string(backend) == "uring" && !io_uring_allowed()) {
      std::printf("skipped, this system does not allow io_uring\n");
      std::exit(77);
    }
    if (std::getenv("SLUICE_TEST_TLS") != nullptr) {
      make_certificates();
    }
    const char* command = std::getenv("SLUICE_TEST_PEER");
    ASSERT_NE(command, nullptr) << "set SLUICE_TEST_PEER; ctest does";
    peer = std::make_unique<peer_process>(command);
    if (const char* const through = std::getenv("SLUICE_TEST_PROXY"); through != nullptr) {
      proxy = std::make_unique<peer_process>(through);
      setenv("SLUICE_TEST_PROXY_PORT", std::to_string(proxy->port()).c_str(), 1);
    }
  }
  void TearDown() override {
    proxy.reset();
    peer.reset();
    for (const std::string& name : files_) {
      std::remove(name.c_str());
    }
  }

private:
  // The peer reads the names of its certificate and key from the environment, the client that of
  // the authority.
  void make_certificates() {
    const sluice::test::test_ca authority;
    const sluice::test::test_identity identity = authority.issue();
    write_file("SLUICE_TEST_CA_FILE", authority.root());
    write_file("SLUICE_TEST_CERTIFICATE_FILE", identity.certificate);
    write_file("SLUICE_TEST_KEY_FILE", identity.key);
    if (!setting("SLUICE_TEST_DEMANDED").empty()) {
      const sluice::test::test_identity client = authority.issue({.extended_usage = "clientAuth"});
      write_file("SLUICE_TEST_CLIENT_CERTIFICATE_FILE", client.certificate);
      write_file("SLUICE_TEST_CLIENT_KEY_FILE", client.key);
    }
  }

  void write_file(const char* variable, const std::string& content) {
    std::string name = testing::TempDir() + "sluice_XXXXXX";
    const int file = mkstemp(name.data());
    ASSERT_GE(file, 0);
    ASSERT_EQ(write(file, content.data(), content.size()), static_cast<ssize_t>(content.size()));
    close(file);
    setenv(variable, name.c_str(), 1);
    files_.push_back(name);
  }

  std::vector<std::string> files_;
};

[[maybe_unused]] testing::Environment* const environment =
    testing::AddGlobalTestEnvironment(new peer_environment);

} // namespace

std::string setting(const char* variable) {
  const char* const value = std::getenv(variable);
  return value != nullptr ? value : "";
}

// Valid UTF-8 of exactly that many bytes, with characters of 1, 2, 3 and 4 bytes.
std::string text_of(std::size_t bytes) {
  const std::string characters = "a\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x8C\x8A";
  std::string text;
  text.reserve(bytes);
  while (text.size() + characters.size() <= bytes) {
    text += characters;
  }
  return text.append(bytes - text.size(), 'x');
}

std::string binary_of(std::size_t bytes) {
  std::string data(bytes, '\0');
  std::uint32_t state = static_cast<std::uint32_t>(bytes);
  for (char& byte : data) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<char>(state >> 24);
  }
  return data;
}

} // namespace interop
