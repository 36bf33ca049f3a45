"""The servers of examples/ that use the native API, each as its first comment says, under the load
of sluice-bench; and what they refuse. Run as: native_examples_test.py SLUICE-BENCH FOLDER
[unittest arguments].
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

from harness import WATCHDOG, ProgramTest, main

FOLDER = pathlib.Path()


class Example:
    """One that runs, on a free port unless another is given, until the end of the block."""

    def __init__(self, name, *arguments, port="0"):
        self.process = subprocess.Popen(
            [FOLDER / name, *arguments, port], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        match = re.fullmatch(r"listening on port (\d+)\n", line)
        if match is None:
            _, errors = self.process.communicate(timeout=WATCHDOG)
            raise RuntimeError(f"{name}, code {self.process.returncode}: {line}{errors}")
        self.port = int(match[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate(timeout=WATCHDOG)


class NativeTest(ProgramTest):
    def setUp(self):
        self.servers = [name for name in ("native_echo", "native_embed_epoll", "native_embed_libuv")
                        if (FOLDER / name).exists()]

    def echoes(self, port, *arguments):
        """Whatever it is sent it sends back, in one piece."""
        for size in ("0", "125", "70000"):
            result = self.load(port, "--kind", "mixed", "--ping-pong", "--messages", 20, "--size",
                               size, *arguments)
            self.assertEqual(result["messages"], 20)

    def refused(self, name, *arguments):
        done = subprocess.run([FOLDER / name, *arguments], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=WATCHDOG, check=False)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done.returncode, done.stderr

    def test_they_echo(self):
        for name in self.servers:
            with self.subTest(name), Example(name) as server:
                self.echoes(server.port)

    def test_a_line_from_the_programs_own_loop_reaches_a_client(self):
        with Example("native_embed_epoll") as chat, \
                socket.create_connection(("127.0.0.1", chat.port), WATCHDOG) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                           b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                           b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
            read = client.makefile("rb")
            while read.readline() != b"\r\n":
                pass
            chat.process.stdin.write("hello\n")
            chat.process.stdin.flush()
            self.assertEqual(read.read(8), b"\x81\x06hello\n")

    @unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
    def test_a_certificate_is_replaced_under_a_running_server(self):
        with tempfile.TemporaryDirectory() as folder:
            key, certificate = f"{folder}/key.pem", f"{folder}/certificate.pem"

            def make():
                subprocess.run(
                    ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                     "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                     "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out",
                     certificate], capture_output=True, check=True)

            make()
            trusting = ("--tls", "--host", "localhost", "--ca", certificate)
            with Example("native_echo_tls", certificate, key) as server:
                self.echoes(server.port, *trusting)
                code, said = self.refused("native_echo_tls", certificate, key, str(server.port))
                self.assertEqual(code, 2)
                self.assertIn(f"native_echo_tls: port {server.port}: address in use", said)
                make()
                self.load(server.port, "--messages", 1, *trusting, code=1)  # it has the old one
                server.process.send_signal(signal.SIGHUP)
                self.assertEqual(server.process.stdout.readline(), "certificate replaced\n")
                self.echoes(server.port, *trusting)

    def test_bad_input(self):
        for port in ("notaport", "65536", "80x", "-1", ""):
            for name in self.servers:
                with self.subTest(name, port=port):
                    self.assertEqual(self.refused(name, port),
                                     (2, f"{name}: '{port}' is no port\n"))
            self.assertEqual(self.refused("native_echo_tls", "a", "b", port),
                             (2, f"native_echo_tls: '{port}' is no port\n"))
        with Example("native_echo") as other:
            for name in (*self.servers, "native_feed_server"):
                with self.subTest(name):
                    code, said = self.refused(name, str(other.port))
                    self.assertEqual(code, 2)
                    self.assertIn(f"{name}: port {other.port}: address in use", said)
        code, said = self.refused("native_echo_tls", "/nowhere.pem", "/nowhere.pem")
        self.assertEqual(code, 2)
        self.assertIn("/nowhere.pem", said)
        with open(__file__, encoding="ascii") as file:  # no terminal, no pipe: epoll knows no files
            done = subprocess.run([FOLDER / "native_embed_epoll"], stdin=file, capture_output=True,
                                  text=True, timeout=WATCHDOG, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("a terminal or a pipe", done.stderr)


if __name__ == "__main__":
    FOLDER = pathlib.Path(os.path.abspath(sys.argv.pop(2)))
    main()
