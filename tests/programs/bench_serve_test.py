"""The servers of sluice-bench: sink, echo and the floors."""

import os
import re
import signal
import socket

import peer
from harness import ProgramTest, Serving, have_uring, main


class FloorTest(ProgramTest):
    def kinds(self):
        return [["recv"], ["epoll"]] + ([["ring"], ["ring", "--one-shot"]] if have_uring() else [])

    def test_counts_wire_bytes(self):
        for kind in self.kinds():
            connections = 1 if kind == ["recv"] else 5
            with self.subTest(kind):
                with Serving("floor", "--kind", *kind) as floor:
                    result = self.load(
                        floor.port, "--messages", 3000, "--size", "0,7,1000",
                        "--connections", connections, "--warmup", 0.05,
                    )  # fmt: skip
                    again = self.load(floor.port, "--messages", 7, "--size", "100K")
                self.assertEqual((floor.code, floor.errors), (0, ""))
                self.assertEqual(result["messages"], 3000)
                self.assertEqual(floor.totals[0], connections + 1)
                self.assertGreaterEqual(floor.totals[1], result["wire_bytes"] + again["wire_bytes"])

    def test_a_starved_ring_loses_nothing(self):
        if not have_uring():
            self.skipTest("no io_uring here")
        with Serving(
            "floor", "--kind", "ring", "--buffer-count", 1, "--buffer-bytes", 512
        ) as floor:
            result = self.load(floor.port, "--messages", 2000, "--size", 777, "--connections", 20)
            self.assertEqual(result["messages"], 2000)

    def test_answers_ping_pong(self):
        for kind in self.kinds():
            with self.subTest(kind):
                with Serving(
                    "floor", "--kind", *kind, "--echo-wire-bytes", 70, "--echo-payload-bytes", 64
                ) as floor:
                    result = self.load(floor.port, "--ping-pong", "--messages", 100, "--size", 64)
                    self.assertEqual(result["round_trip_us"]["count"], 100)

    def test_ends_by_a_signal_with_a_connection_open(self):
        for kind in self.kinds():
            for stop_with in (signal.SIGINT, signal.SIGTERM):
                with self.subTest((kind, stop_with)):
                    with Serving("floor", "--kind", *kind, stop_with=stop_with) as floor:
                        open_stream = peer.connect(floor.port)
                    self.assertEqual((floor.code, floor.totals), (0, [1, 0]))
                    open_stream.sock.close()

    def test_refuses_what_is_no_upgrade(self):
        for kind in self.kinds():
            with self.subTest(kind), Serving("floor", "--kind", *kind) as floor:
                with socket.create_connection(("127.0.0.1", floor.port), timeout=30) as sock:
                    sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    self.assertEqual(sock.recv(100), b"")


class ServerTest(ProgramTest):
    """sink and echo, by backend and by how the data is taken."""

    def choices(self):
        for backend in ["epoll"] + (["uring"] if have_uring() else []):
            for take in ("view", "copy", "message"):
                yield ["--backend", backend, "--take", take]

    def test_sink_counts_everything(self):
        for choice in self.choices():
            for kind in ("binary", "mixed"):
                with self.subTest((choice, kind)):
                    with Serving("sink", *choice) as sink:
                        result = self.load(
                            sink.port, "--kind", kind, "--size", "0,6,125,126,5000,70000",
                            "--messages", 1201, "--connections", 7, "--fragment", 900,
                            "--ping-every", 11,
                        )  # fmt: skip
                    self.assertTrue(result["confirmed"])
                    self.assertEqual((sink.code, sink.errors), (0, ""))
                    self.assertEqual(sink.totals, [7, 1201, result["payload_bytes"]])

    def test_report_may_come_in_pieces_and_is_not_counted(self):
        for choice in self.choices():
            with self.subTest(choice), Serving("sink", *choice) as sink:
                stream = peer.connect(sink.port)
                for fin, opcode, part in (
                    (True, peer.TEXT, b"REPORX"),
                    (True, peer.BINARY, b"REPORT"),
                    (False, peer.TEXT, b"REP"),
                    (False, peer.CONTINUATION, b""),
                    (True, peer.CONTINUATION, b"ORT"),
                ):
                    stream.write_frame(opcode, part, masked=True, fin=fin)
                self.assertEqual(stream.read_frame(), (0x81, False, b"2 12"))
                stream.write_frame(peer.TEXT, b"REPORT", masked=True)
                self.assertEqual(stream.read_frame(), (0x81, False, b"2 12"))
                stream.sock.close()

    def test_echo_sends_everything_back(self):
        for choice in self.choices():
            for kind in ("binary", "mixed"):
                with self.subTest((choice, kind)):
                    with Serving("echo", *choice) as echo:
                        result = self.load(
                            echo.port, "--expect", "echo", "--kind", kind, "--messages", 600,
                            "--size", "0,1,125,126,5000,70000", "--connections", 4,
                        )  # fmt: skip
                    self.assertEqual((echo.code, echo.errors), (0, ""))
                    self.assertEqual(echo.totals, [4, 600, result["payload_bytes"]])

    def test_echo_returns_the_same_bytes(self):
        for choice in self.choices():
            with self.subTest(choice), Serving("echo", *choice) as echo:
                stream = peer.connect(echo.port)
                text = ("a\u00e9\u4e2d\U0001f600" * 30000).encode()
                stream.write_frame(peer.TEXT, text[:99999], masked=True, fin=False)
                stream.write_frame(peer.CONTINUATION, text[99999:], masked=True)
                back, opcode = b"", None
                while True:
                    first, masked, payload = stream.read_frame()
                    self.assertFalse(masked)
                    opcode = first & 0x0F if opcode is None else opcode
                    back += payload
                    if first & 0x80:
                        break
                self.assertEqual(opcode, peer.TEXT)
                self.assertEqual(back, text)
                stream.sock.close()

    def test_echo_stops_reading_from_a_client_that_does_not_read(self):
        for choice in self.choices():
            with self.subTest(choice), Serving("echo", *choice) as echo:
                stream = peer.connect(echo.port)
                frame = peer.frame(peer.BINARY, bytes(100_000), masked=True)
                sent = 0
                stream.sock.settimeout(1)
                try:
                    while sent < 2000:  # 200 MB: far over what sockets and queues take
                        stream.sock.sendall(frame)
                        sent += 1
                except TimeoutError:
                    pass
                self.assertLess(sent, 2000)
                with open(f"/proc/{echo.pid}/status", encoding="ascii") as status:
                    resident = int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])
                if "asan" not in os.environ.get("SLUICE_TEST_BUILD", ""):
                    self.assertLess(resident, 100_000)  # KiB
                stream.sock.close()

    def test_ping_pong(self):
        for choice in self.choices():
            with self.subTest(choice), Serving("echo", *choice, "--busy-poll", 20) as echo:
                result = self.load(echo.port, "--ping-pong", "--messages", 200, "--size", 64)
                self.assertEqual(result["round_trip_us"]["count"], 200)

    def test_several_threads_share_the_port(self):
        with Serving("sink", "--backend", "epoll", "--threads", 3) as sink:
            result = self.load(sink.port, "--messages", 1000, "--connections", 30)
        self.assertEqual(sink.totals, [30, 1000, result["payload_bytes"]])

    def test_unmasked_frames_are_refused(self):
        with Serving("sink", "--backend", "epoll") as sink:
            said = self.load(sink.port, "--unmasked", "--messages", 1000, code=1)
        self.assertIn("status 1002", said)

    def test_ends_by_a_signal_with_connections_open(self):
        for choice in self.choices():
            for stop_with in (signal.SIGINT, signal.SIGTERM):
                with self.subTest((choice, stop_with)):
                    with Serving("sink", *choice, stop_with=stop_with) as sink:
                        streams = [peer.connect(sink.port) for _ in range(3)]
                        streams[0].write_frame(peer.TEXT, b"one", masked=True)
                        streams[0].write_frame(peer.TEXT, b"REPORT", masked=True)
                        self.assertEqual(streams[0].read_frame()[2], b"1 3")
                    self.assertEqual((sink.code, sink.totals), (0, [3, 1, 3]))
                    for stream in streams:
                        stream.sock.close()


if __name__ == "__main__":
    main()
