"""The command line of sluice-bench, and its load generator against a server that looks at every
byte."""

import json
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import peer
from harness import WATCHDOG, ProgramTest, Serving, have_uring, main, program, run


KINDS = ["binary", "ascii", "latin", "cjk", "emoji", "mixed"]


class UseTest(ProgramTest):
    def test_bad_use_is_code_2_and_one_sentence(self):
        for arguments in (
            [],
            ["nothing"],
            ["sink"],
            ["sink", "--port", "70000"],
            ["sink", "--port", "0", "--take", "all"],
            ["sink", "--port", "0", "--backend", "kqueue"],
            ["sink", "--port", "0", "--threads", "0"],
            ["sink", "--port", "0", "--host", "not-numeric"],
            ["echo", "--port", "0", "--busy-poll", "-1"],
            ["echo", "--port", "0", "--cpu", "99999"],
            ["floor", "--port", "0", "--kind", "poll"],
            ["floor", "--port", "0", "--kind", "ring", "--buffer-count", "3"],
            ["load"],
            ["load", "--port", "0"],
            ["load", "--port", "1", "--size", "12q"],
            ["load", "--port", "1", "--size", "2G"],
            ["load", "--port", "1", "--kind", "klingon"],
            ["load", "--port", "1", "--rate", "0"],
            ["load", "--port", "1", "--rate", "10", "--ping-pong"],
            ["load", "--port", "1", "--pid", "999999999"],
            ["load", "--url", "wss://127.0.0.1:1", "--listen"],
            ["load", "--url", "wss://127.0.0.1:1", "--ca", "/nowhere"],
            ["load", "--url", "wss://127.0.0.1:1", "--ca", __file__, "--insecure"],
            ["load", "--url", "wss://127.0.0.1:1", "--ca", __file__],
            ["load", "--url", "ws://127.0.0.1:1", "--tls"],
            ["load", "--url", "ws://127.0.0.1:1", "--insecure"],
            ["load", "--port", "1", "--tls12"],
            ["sink", "--port", "0", "--certificate", __file__],
            ["sink", "--port", "0", "--certificate", __file__, "--key", __file__],
            ["load", "--url", "http://127.0.0.1:1"],
            ["load", "--url", "ws://127.0.0.1:port"],
            ["load", "--url", "ws://[::1:80"],
            ["run", "--receivers", "nobody"],
            ["run", "--receivers", "uring-view@soon"],
            ["run", "--workloads", "bin-"],
            ["run", "--workloads", "bin-125-x9"],
            ["run", "--workloads", "pp-64-paced"],
            ["run", "--peer", "no command"],
            ["run", "--target", "127.0.0.1:1"],
            ["run", "--pid", "1"],
            ["run", "--rounds", "0"],
        ):
            with self.subTest(" ".join(arguments)):
                done = run(*arguments)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertEqual(done.stdout, "")
                self.assert_one_sentence(done.stderr)

    def test_help_and_version(self):
        for command in ([], ["sink"], ["echo"], ["floor"], ["load"], ["run"], ["compare"]):
            with self.subTest(command):
                done = run(*command, "--help")
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn("--help", done.stdout)
        self.assertRegex(run("--version").stdout, r"^sluice-bench \d+\.\d+\.\d+\n$")

    def test_a_busy_port_is_code_2(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            for command in (
                ["sink", "--backend", "epoll"],
                ["echo", "--backend", "epoll"],
                ["floor", "--kind", "recv"],
                ["floor", "--kind", "epoll"],
                ["load", "--listen"],
            ):
                with self.subTest(" ".join(command)):
                    done = run(*command, "--port", port)
                    self.assertEqual(done.returncode, 2, done.stderr)
                    self.assertIn("in use", done.stderr)
                    self.assert_one_sentence(done.stderr)


class LoadTest(ProgramTest):
    """The generator, against a server that looks at every byte."""

    def test_every_payload_kind_in_every_shape(self):
        sizes = [0, 1, 125, 126, 1000, 65535, 65536, 70000]
        for kind in KINDS:
            with self.subTest(kind), peer.Server() as server:
                result = self.load(
                    server.port, "--kind", kind, "--size", ",".join(map(str, sizes)),
                    "--messages", 50, "--connections", 3, "--fragment", 999, "--ping-every", 3,
                )  # fmt: skip
                self.assertEqual(result["messages"], 50)
                self.assertEqual(server.messages, 50)
                self.assertEqual(server.payload_bytes, result["payload_bytes"])
                self.assertEqual(sorted(c.messages for c in server.connections), [16, 17, 17])
                self.assertTrue(result["confirmed"])
            self.assertEqual(server.problems, [])
            for seen in server.connections:
                self.assertEqual(seen.kinds, {peer.BINARY if kind == "binary" else peer.TEXT})
                self.assertEqual(seen.sizes, set(sizes))
                self.assertEqual(seen.longest_frame, 999)
                self.assertGreater(seen.pings, 0)
                self.assertEqual(seen.close_status, 1000)

    def test_by_time_with_a_warm_up_ends_on_a_message(self):
        with peer.Server() as server:
            result = self.load(server.port, "--size", "20K", "--seconds", 0.2, "--warmup", 0.1)
            self.assertGreater(result["messages"], 0)
            self.assertEqual(result["payload_bytes"], result["messages"] * 20480)
            # The warm-up was counted by the server and not by the result.
            self.assertGreater(server.messages, result["messages"])
        self.assertEqual(server.problems, [])

    def test_paced_sends_what_was_asked_for(self):
        with peer.Server() as server:
            result = self.load(
                server.port, "--rate", 2000, "--messages", 101, "--connections", 4
            )
            self.assertEqual((result["messages"], server.messages), (101, 101))
            # 101 messages at 2,000 a second span 100 intervals: never faster than that.
            self.assertGreaterEqual(result["wall_s"], 0.05)
        self.assertEqual(server.problems, [])

    def test_ping_pong_times_every_message(self):
        for more in ([], ["--sleep"], ["--connections", 3]):
            with self.subTest(more), peer.Server("echo") as server:
                result = self.load(server.port, "--ping-pong", "--messages", 64, *more)
                self.assertEqual((result["messages"], server.messages), (64, 64))
                times = result["round_trip_us"]
                self.assertEqual(times["count"], 64)
                self.assertLessEqual(times["p50"], times["p99"])
                self.assertLessEqual(times["p99"], times["p99_9"])
                self.assertLessEqual(times["p99_9"], times["max"])

    def test_echoes_are_counted_and_paced_ones_timed(self):
        with peer.Server("echo") as server:
            result = self.load(server.port, "--expect", "echo", "--messages", 300, "--size", "1,5K")
            self.assertEqual((result["messages"], server.messages), (300, 300))
            self.assertNotIn("round_trip_us", result)
            result = self.load(
                server.port, "--expect", "echo", "--messages", 50, "--rate", 1000
            )
            self.assertEqual(result["round_trip_us"]["count"], 50)

    def test_pings_are_answered(self):
        with peer.Server("ping") as server:
            self.load(server.port, "--messages", 20)
        self.assertEqual(server.problems, [])
        self.assertEqual(server.connections[0].close_status, 1000)

    def test_measures_the_process_it_is_given(self):
        with Serving("floor", "--kind", "epoll") as floor:
            result = self.load(floor.port, "--messages", 20000, "--pid", floor.pid)
            self.assertGreater(result["receiver_cpu_s"], 0)
            self.assertGreater(result["receiver_cpu_s_per_gb"], 0)
            self.assertGreater(result["receiver_cpu_s_per_million"], 0)
            self.assertIn(result["saturated"], ("receiver", "generator", "both", "neither"))

    def test_wrong_counts_are_found(self):
        with peer.Server("lie") as server:
            said = self.load(server.port, "--messages", 10, code=1)
        self.assertIn("counts differ", said)

    def test_a_receiver_that_refuses_is_quoted(self):
        with peer.Server("refuse") as server:
            said = self.load(server.port, "--messages", 10, "--size", "1M", code=1)
        self.assertIn("status 1009", said)
        self.assert_one_sentence(said)

    def test_a_receiver_that_never_answers_is_given_up(self):
        with peer.Server("silent") as server:
            said = self.load(server.port, "--messages", 10, "--stall", 0.2, code=1)
        self.assertIn("does not answer", said)

    def test_nobody_there(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        self.assertIn("start the server first", self.load(port, code=1))

    def test_unmasked_is_unmasked(self):
        with peer.Server() as server:
            run("load", "--port", server.port, "--unmasked", "--messages", 1, "--quiet")
        self.assertEqual(server.problems, ["ProtocolError('a client must mask')"])

    def test_as_a_server_it_sends_unmasked_and_takes_the_report(self):
        process = subprocess.Popen(
            [program(), "load", "--listen", "--port", "0", "--messages", "30", "--size", "300",
             "--kind", "cjk", "--json"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        port = int(process.stdout.readline().rsplit(":", 1)[1])
        stream = peer.connect(port)
        messages = size = 0
        while True:
            first, masked, payload = stream.read_frame()
            self.assertFalse(masked)
            if first & 0x0F == peer.CLOSE:
                break
            if payload == b"REPORT":
                stream.write_frame(peer.TEXT, f"{messages} {size}".encode(), masked=True)
                continue
            self.assertEqual(first, 0x81)
            payload.decode("utf-8")
            messages += 1
            size += len(payload)
        stream.sock.close()
        output, _ = process.communicate(timeout=WATCHDOG)
        self.assertEqual(process.returncode, 0)
        self.assertEqual((messages, size), (30, 9000))
        self.assertEqual(json.loads(output)["messages"], 30)

    def test_a_signal_ends_it_while_it_waits_for_the_handshake(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            process = subprocess.Popen(
                [program(), "load", "--port", str(listener.getsockname()[1])],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            sock, _ = listener.accept()
            with sock:
                self.assertIn(b"Sec-WebSocket-Key", sock.recv(4096))
                process.send_signal(signal.SIGTERM)
                _, errors = process.communicate(timeout=WATCHDOG)
        self.assertEqual(process.returncode, 130, errors)
        self.assert_one_sentence(errors)

    def test_a_signal_ends_it_with_what_was_sent(self):
        with peer.Server() as server:
            process = subprocess.Popen(
                [program(), "load", "--port", str(server.port), "--seconds", "600", "--json"],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            while server.messages < 10:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=WATCHDOG)
            self.assertEqual(process.returncode, 130, errors)
            if output:  # a slow receiver's report may not come in the time that is left for it
                self.assertEqual(json.loads(output)["messages"], server.messages)


@unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
class TlsTest(ProgramTest):
    """Both ends over TLS, with a certificate made here."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.certificate = f"{cls.folder.name}/certificate.pem"
        cls.identity = ["--certificate", cls.certificate, "--key", f"{cls.folder.name}/key.pem"]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", cls.identity[3],
             "-out", cls.certificate],
            capture_output=True, check=True,
        )  # fmt: skip

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def backends(self):
        return ["epoll"] + (["uring"] if have_uring() else [])

    def test_a_sink_counts_everything_that_was_sent(self):
        for backend in self.backends():
            for more in ([], ["--tls12"]):
                with self.subTest((backend, more)):
                    with Serving("sink", "--backend", backend, *self.identity) as sink:
                        result = self.load(
                            sink.port, "--tls", "--ca", self.certificate, *more, "--kind", "mixed",
                            "--size", "0,6,125,126,5000,70000,1M", "--messages", 301,
                            "--connections", 5, "--fragment", 9000, "--ping-every", 11,
                        )  # fmt: skip
                    self.assertTrue(result["confirmed"] and result["tls"])
                    self.assertEqual((sink.code, sink.errors), (0, ""))
                    self.assertEqual(sink.totals, [5, 301, result["payload_bytes"]])

    def test_echoes_come_back(self):
        for backend in self.backends():
            with self.subTest(backend):
                with Serving("echo", "--backend", backend, *self.identity) as echo:
                    self.load(
                        echo.port, "--tls", "--insecure", "--expect", "echo", "--messages", 200,
                        "--size", "1,5K,70000", "--connections", 3,
                    )  # fmt: skip
                    result = self.load(
                        echo.port, "--tls", "--insecure", "--ping-pong", "--messages", 64
                    )
                self.assertEqual(result["round_trip_us"]["count"], 64)
                self.assertEqual(echo.totals[:2], [4, 264])

    def test_verification_is_on_unless_it_is_turned_off(self):
        with Serving("sink", *self.identity) as sink:
            url = f"wss://127.0.0.1:{sink.port}"
            few = ["--messages", "3", "--quiet"]
            trusting = ["--ca", self.certificate]
            for arguments, said in (
                ([], "--ca"),
                ([*trusting, "--tls-name", "elsewhere.example"], "elsewhere.example"),
            ):
                done = run("load", "--url", url, *few, *arguments)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn("certificate", done.stderr)
                self.assertIn(said, done.stderr)
                self.assert_one_sentence(done.stderr)
            for arguments in (trusting, [*trusting, "--tls-name", "localhost"], ["--insecure"]):
                done = run("load", "--url", url, *few, *arguments)
                self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sink.totals[0], 3)

    def test_run_sets_tls_beside_plain(self):
        names = [f"{b}-view{tls}" for b in self.backends() for tls in ("", "+tls")]
        done = run(
            "run", "--json", "--quiet", "--rounds", 2, "--warmup", 0, "--messages", 500,
            "--workloads", "bin-1k,mixed-125-c5,pp-64", "--receivers", ",".join(names),
            *self.identity,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        results = json.loads(done.stdout)["results"]
        self.assertEqual(len(results), 3 * len(names))
        for result in results:
            self.assertNotIn("error", result)
        for wrong in (["epoll-view+tls"], ["bare-epoll+tls", *self.identity]):
            done = run("run", "--receivers", *wrong)
            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
            self.assert_one_sentence(done.stderr)

    def test_one_end_without_tls_is_told(self):
        with Serving("sink", *self.identity) as sink:
            said = self.load(sink.port, "--messages", 3, code=1)
        self.assert_one_sentence(said)
        with Serving("sink") as plain:
            said = self.load(plain.port, "--tls", "--insecure", "--messages", 3, code=1)
        self.assertIn("TLS handshake", said)
        self.assert_one_sentence(said)


if __name__ == "__main__":
    main()
