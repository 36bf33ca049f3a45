// Calls that wait: their time-outs (section 19 of the contract), CloseHandle from another thread or
// from a callback (HND-16, HND-20), and a second call beside them.

#include "backend_fixture.hpp"
#include "support/loopback.hpp"
#include "support/winhttp_client.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

namespace sluice::test {
namespace {

class request_waits : public backend_test {};

constexpr DWORD no_count = static_cast<DWORD>(-1);

// Time-outs

TEST_F(request_waits, TMO_02_connect_timeout_is_12002) {
  const silent_port nobody;
  client c(nobody.port());
  ASSERT_TRUE(WinHttpSetTimeouts(c.request, 0, 60, 0, 0));
  EXPECT_FALSE(c.send());
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_TIMEOUT));
}

// A request to a peer that never answers, with time-outs set by `prepare`.
DWORD code_without_answer(const std::function<void(const client&)>& prepare) {
  event over;
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    to.read_request();
    to.send("HTTP/1.1 200 OK\r\nX: unfinished");
    over.wait();
  });
  client c(peer.port());
  prepare(c);
  EXPECT_TRUE(c.send()) << GetLastError();
  EXPECT_FALSE(c.receive());
  const DWORD code = GetLastError();
  over.set();
  return code;
}

TEST_F(request_waits, TMO_03_response_and_receive_timeouts_are_12002) {
  EXPECT_EQ(code_without_answer([](const client& c) {
              DWORD limit_ms = 40;
              EXPECT_TRUE(WinHttpSetOption(c.request, WINHTTP_OPTION_RECEIVE_RESPONSE_TIMEOUT,
                                           &limit_ms, sizeof(limit_ms)));
            }),
            static_cast<DWORD>(ERROR_WINHTTP_TIMEOUT));
  EXPECT_EQ(code_without_answer(
                [](const client& c) { EXPECT_TRUE(WinHttpSetTimeouts(c.request, 0, 0, 0, 40)); }),
            static_cast<DWORD>(ERROR_WINHTTP_TIMEOUT));
}

TEST_F(request_waits, TMO_08_GET_12_zero_and_minus_one_are_no_limits) {
  for (const int none : {0, -1}) {
    scripted_peer peer([](scripted_peer& on) {
      peer_connection to = on.accept();
      to.read_request();
      // Only so that a limit of nothing, or of a moment, would show.
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      to.send_response("HTTP/1.1 200 OK", "", "late");
      to.expect_eof();
    });
    client c(peer.port());
    ASSERT_TRUE(WinHttpSetTimeouts(c.request, none, none, none, none));
    auto response = static_cast<DWORD>(none);
    ASSERT_TRUE(WinHttpSetOption(c.request, WINHTTP_OPTION_RECEIVE_RESPONSE_TIMEOUT, &response,
                                 sizeof(response)));
    EXPECT_TRUE(c.send()) << GetLastError();
    EXPECT_TRUE(c.receive()) << none << ": " << GetLastError();
    EXPECT_EQ(read_body(c.request), "late");
  }
}

TEST_F(request_waits, TMO_03_the_response_limit_holds_while_bytes_trickle_in) {
  event over;
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    to.read_request();
    to.send("HTTP/1.1 200 OK\r\n");
    while (!over.is_set() && !to.has_input()) {
      to.send("X: y\r\n");
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  client c(peer.port());
  DWORD limit_ms = 40;
  EXPECT_TRUE(WinHttpSetOption(c.request, WINHTTP_OPTION_RECEIVE_RESPONSE_TIMEOUT, &limit_ms,
                               sizeof(limit_ms)));
  ASSERT_TRUE(c.send()) << GetLastError();
  EXPECT_FALSE(c.receive());
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_TIMEOUT));
  over.set();
}

TEST_F(request_waits, a_body_that_stops_is_12002) {
  event over;
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    to.read_request();
    to.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nabc");
    over.wait();
  });
  client c(peer.port());
  ASSERT_TRUE(WinHttpSetTimeouts(c.request, 0, 0, 0, 40));
  ASSERT_TRUE(c.send()) << GetLastError();
  ASSERT_TRUE(c.receive()) << GetLastError();
  EXPECT_EQ(read_body(c.request), std::nullopt);
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_TIMEOUT));
  over.set();
}

TEST_F(request_waits, TMO_05_a_server_that_takes_nothing_is_12002) {
  event over;
  scripted_peer::settings small;
  small.receive_buffer_bytes = 4096;
  scripted_peer peer(
      [&](scripted_peer& on) {
        peer_connection to = on.accept();
        over.wait();
      },
      small);
  client c(peer.port());
  c.request = WinHttpOpenRequest(c.connection, L"POST", L"/", nullptr, nullptr, nullptr, 0);
  ASSERT_TRUE(WinHttpSetTimeouts(c.request, 0, 0, 60, 0));
  std::string body(std::size_t{64} << 20, 'b');
  EXPECT_FALSE(WinHttpSendRequest(c.request, nullptr, 0, body.data(),
                                  static_cast<DWORD>(body.size()), static_cast<DWORD>(body.size()),
                                  0));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_TIMEOUT));
  over.set();
}

// Races

// Runs `blocking` on another thread and closes the request once that call has raised `status`: it
// is inside then. The call must end with 12017.
void close_during(DWORD status, const std::function<bool(HINTERNET)>& blocking) {
  event inside;
  event over;
  scripted_peer peer([&](scripted_peer& on) {
    const peer_connection to = on.accept();
    over.wait();
  });
  client c(peer.port());
  const auto callback = [](HINTERNET, DWORD_PTR context, DWORD, LPVOID, DWORD) {
    reinterpret_cast<event*>(context)->set();
  };
  EXPECT_EQ(WinHttpSetStatusCallback(c.request, callback, status, 0), nullptr);
  auto* context = &inside;
  EXPECT_TRUE(WinHttpSetOption(c.request, WINHTTP_OPTION_CONTEXT_VALUE, &context, sizeof(context)));
  DWORD code = 1;
  std::thread caller([&, request = c.request.get()] {
    EXPECT_FALSE(blocking(request));
    code = GetLastError();
  });
  inside.wait();
  EXPECT_TRUE(c.request.reset());
  caller.join();
  EXPECT_EQ(code, static_cast<DWORD>(ERROR_WINHTTP_OPERATION_CANCELLED));
  over.set();
}

bool send_plain(HINTERNET request) {
  return WinHttpSendRequest(request, nullptr, 0, nullptr, 0, 0, 0) != FALSE;
}

TEST_F(request_waits, HND_16_closing_the_handle_ends_a_wait_for_the_response_with_12017) {
  close_during(WINHTTP_CALLBACK_STATUS_RECEIVING_RESPONSE, [](HINTERNET request) {
    EXPECT_TRUE(send_plain(request)) << GetLastError();
    return WinHttpReceiveResponse(request, nullptr) != FALSE;
  });
}

TEST_F(request_waits, HND_16_closing_the_handle_ends_the_wait_of_an_upgrade_with_12017) {
  close_during(WINHTTP_CALLBACK_STATUS_RECEIVING_RESPONSE, [](HINTERNET request) {
    EXPECT_TRUE(WinHttpSetOption(request, WINHTTP_OPTION_UPGRADE_TO_WEB_SOCKET, nullptr, 0));
    EXPECT_TRUE(send_plain(request)) << GetLastError();
    return WinHttpWebSocketCompleteUpgrade(request, 0) != nullptr;
  });
}

TEST_F(request_waits, HND_16_closing_the_handle_ends_a_send_that_nobody_reads_with_12017) {
  close_during(WINHTTP_CALLBACK_STATUS_SENDING_REQUEST, [](HINTERNET request) {
    std::string body(std::size_t{64} << 20, 'b');
    return WinHttpSendRequest(request, nullptr, 0, body.data(), static_cast<DWORD>(body.size()),
                              static_cast<DWORD>(body.size()), 0) != FALSE;
  });
}

TEST_F(request_waits, HND_16_closing_the_handle_ends_a_connect_with_12017) {
  const silent_port nobody;
  client c(nobody.port());
  event inside;
  const auto callback = [](HINTERNET, DWORD_PTR context, DWORD, LPVOID, DWORD) {
    reinterpret_cast<event*>(context)->set();
  };
  EXPECT_EQ(WinHttpSetStatusCallback(c.request, callback,
                                     WINHTTP_CALLBACK_STATUS_CONNECTING_TO_SERVER, 0),
            nullptr);
  DWORD code = 1;
  std::thread caller([&, request = c.request.get()] {
    EXPECT_FALSE(WinHttpSendRequest(request, nullptr, 0, nullptr, 0, 0,
                                    reinterpret_cast<DWORD_PTR>(&inside)));
    code = GetLastError();
  });
  inside.wait();
  EXPECT_TRUE(c.request.reset());
  caller.join();
  EXPECT_EQ(code, static_cast<DWORD>(ERROR_WINHTTP_OPERATION_CANCELLED));
}

TEST_F(request_waits, HND_16_closing_the_handle_ends_reading_a_body) {
  event over;
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    to.read_request();
    to.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nabc");
    over.wait();
  });
  client c(peer.port());
  ASSERT_TRUE(c.send()) << GetLastError();
  ASSERT_TRUE(c.receive()) << GetLastError();
  std::atomic<bool> started{false};
  DWORD code = 1;
  std::thread caller([&, request = c.request.get()] {
    started = true;
    EXPECT_EQ(read_body(request), std::nullopt);
    code = GetLastError();
  });
  while (!started) {
    std::this_thread::yield();
  }
  EXPECT_TRUE(c.request.reset());
  caller.join();
  // Reading raises nothing that tells when it is inside: the close may also come first.
  EXPECT_TRUE(code == ERROR_WINHTTP_OPERATION_CANCELLED || code == ERROR_INVALID_HANDLE) << code;
  over.set();
}

TEST_F(request_waits, HND_10_closing_the_parents_does_not_disturb_a_waiting_child) {
  event inside;
  event answer;
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    to.read_request();
    answer.wait();
    to.send_101();
    to.expect_eof();
  });
  client c(peer.port());
  const auto callback = [](HINTERNET, DWORD_PTR context, DWORD, LPVOID, DWORD) {
    reinterpret_cast<event*>(context)->set();
  };
  EXPECT_EQ(
      WinHttpSetStatusCallback(c.request, callback, WINHTTP_CALLBACK_STATUS_RECEIVING_RESPONSE, 0),
      nullptr);
  ASSERT_TRUE(c.upgrade());
  ASSERT_TRUE(WinHttpSendRequest(c.request, nullptr, 0, nullptr, 0, 0,
                                 reinterpret_cast<DWORD_PTR>(&inside)));
  bool received = false;
  std::thread caller([&] { received = c.receive(); });
  inside.wait();
  EXPECT_TRUE(c.session.reset());
  EXPECT_TRUE(c.connection.reset());
  answer.set();
  caller.join();
  EXPECT_TRUE(received);
  EXPECT_EQ(query_status(c.request), 101u);
}

TEST_F(request_waits, a_second_call_on_the_exchange_is_4317_and_disturbs_nothing) {
  event inside;
  event answer;
  scripted_peer peer([&](scripted_peer& on) {
    peer_connection to = on.accept();
    to.read_request();
    answer.wait();
    to.send_response("HTTP/1.1 200 OK", "", "fine");
    to.expect_eof();
  });
  client c(peer.port());
  const auto callback = [](HINTERNET, DWORD_PTR context, DWORD, LPVOID, DWORD) {
    reinterpret_cast<event*>(context)->set();
  };
  EXPECT_EQ(
      WinHttpSetStatusCallback(c.request, callback, WINHTTP_CALLBACK_STATUS_RECEIVING_RESPONSE, 0),
      nullptr);
  ASSERT_TRUE(WinHttpSendRequest(c.request, nullptr, 0, nullptr, 0, 0,
                                 reinterpret_cast<DWORD_PTR>(&inside)));
  bool received = false;
  std::thread caller([&] { received = c.receive(); });
  inside.wait();
  const DWORD busy = ERROR_INVALID_OPERATION;
  EXPECT_FALSE(c.send());
  EXPECT_EQ(GetLastError(), busy);
  EXPECT_FALSE(c.receive());
  EXPECT_EQ(GetLastError(), busy);
  EXPECT_FALSE(WinHttpQueryDataAvailable(c.request, nullptr));
  EXPECT_EQ(GetLastError(), busy);
  EXPECT_EQ(read_body(c.request), std::nullopt);
  EXPECT_EQ(GetLastError(), busy);
  EXPECT_EQ(WinHttpWebSocketCompleteUpgrade(c.request, 0), nullptr);
  EXPECT_EQ(GetLastError(), busy);
  // What needs no exchange works meanwhile.
  EXPECT_TRUE(WinHttpAddRequestHeaders(c.request, L"X: y", no_count, WINHTTP_ADDREQ_FLAG_ADD));
  EXPECT_EQ(query_status(c.request), 0u);
  answer.set();
  caller.join();
  EXPECT_TRUE(received);
  EXPECT_EQ(read_body(c.request), "fine");
}

TEST_F(request_waits, HND_20_the_handle_may_be_closed_inside_its_own_callback) {
  scripted_peer peer([](scripted_peer& on) {
    peer_connection to = on.accept();
    to.expect_eof();
  });
  client c(peer.port());
  const auto callback = [](HINTERNET handle, DWORD_PTR, DWORD, LPVOID, DWORD) {
    EXPECT_TRUE(WinHttpCloseHandle(handle));
  };
  EXPECT_EQ(
      WinHttpSetStatusCallback(c.request, callback, WINHTTP_CALLBACK_STATUS_SENDING_REQUEST, 0),
      nullptr);
  EXPECT_FALSE(c.send());
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_WINHTTP_OPERATION_CANCELLED));
  EXPECT_FALSE(WinHttpCloseHandle(c.request.release()));
  EXPECT_EQ(GetLastError(), static_cast<DWORD>(ERROR_INVALID_HANDLE));
}

} // namespace
} // namespace sluice::test
