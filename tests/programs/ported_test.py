"""The programs of examples/ in the shape of those for Windows, against a server that is not ours.

usage: ported_test.py SAMPLE ASYNC_CLIENT MESSAGES [unittest arguments]
"""

import os
import pathlib
import re
import socket
import subprocess
import sys
import unittest

from harness import SKIPPED, WATCHDOG

SERVER = pathlib.Path(__file__).resolve().parent.parent / "interop/peers/python_server.py"
INTERPRETER = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
SAMPLE = ASYNC_CLIENT = MESSAGES = ""


def start_server():
    """The server and its port; None where python3-websockets is missing."""
    server = subprocess.Popen([INTERPRETER, SERVER], stdout=subprocess.PIPE, text=True)
    line = server.stdout.readline()
    match = re.fullmatch(r"port (\d+)\n", line)
    if match:
        return server, match[1]
    server.communicate(timeout=WATCHDOG)
    if server.returncode != SKIPPED:
        raise RuntimeError(line)
    return None, line


def closed_port():
    """A port that refuses: bound, but nobody listens. Keep the socket."""
    refusing = socket.socket()
    refusing.bind(("127.0.0.1", 0))
    return refusing, str(refusing.getsockname()[1])


class PortedTest(unittest.TestCase):
    def setUp(self):
        self.server, self.port = start_server()
        if self.server is None:
            self.skipTest(self.port)

    def tearDown(self):
        if self.server is not None:
            self.server.terminate()
            self.server.communicate(timeout=WATCHDOG)

    def run_program(self, *command, code=0):
        environment = {name: value for name, value in os.environ.items()
                       if not name.lower().endswith("_proxy")}
        done = subprocess.run(command, capture_output=True, text=True, timeout=WATCHDOG,
                              check=False, env=environment | {"LC_ALL": "C.UTF-8"})
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout if code == 0 else done.stderr

    def url(self, path):
        return f"ws://localhost:{self.port}{path}"


class SampleTest(PortedTest):
    def test_fragments_come_back_as_one_message(self):
        self.assertEqual(self.run_program(SAMPLE, "localhost", self.port, "/echo"),
                         "The server answered with 11 bytes: Hello world\n"
                         "The server closed with status 1000 and a reason of 0 bytes\n")
        self.assertEqual(self.server.stdout.readline().rstrip(), "closed 1000")

    def test_a_refused_upgrade_is_named(self):
        self.assertEqual(self.run_program(SAMPLE, "localhost", self.port, "/forbidden", code=1),
                         "WinHttpWebSocketCompleteUpgrade failed with error 4317\n")

    def test_a_server_that_is_not_there_is_named(self):
        refusing, port = closed_port()
        with refusing:
            self.assertEqual(self.run_program(SAMPLE, "127.0.0.1", port, code=1),
                             "WinHttpSendRequest failed with error 12029\n")


class PortTest(PortedTest):
    def test_a_port_that_is_none_is_refused(self):
        for client in (SAMPLE, ASYNC_CLIENT):
            for port in ("notaport", "0", "65536", "80x", "-1", ""):
                with self.subTest(client=client, port=port):
                    self.assertEqual(
                        self.run_program(client, "localhost", port, code=2),
                        f"'{port}' is no port; give a number from 1 to 65535\n")


class AsyncTest(PortedTest):
    def test_the_buffer_grows_with_the_message(self):
        self.assertEqual(self.run_program(ASYNC_CLIENT, "localhost", self.port, "/echo"),
                         'received "hello"\n'
                         'received "a message that is longer than the first buffer"\n'
                         'received "bye"\n'
                         "closed\n")
        self.assertEqual(self.server.stdout.readline().rstrip(), "closed 1000")

    def test_what_fails_ends_it(self):
        for path, error in (("/forbidden", 4317), ("/abort", 12030)):
            with self.subTest(path):
                self.assertEqual(
                    self.run_program(ASYNC_CLIENT, "localhost", self.port, path, code=1),
                    f"failed with error {error}\n")
        refusing, port = closed_port()
        with refusing:
            self.assertEqual(self.run_program(ASYNC_CLIENT, "127.0.0.1", port, code=1),
                             "failed with error 12029\n")


class MessagesTest(PortedTest):
    def test_what_was_sent_comes_back(self):
        self.assertEqual(self.run_program(MESSAGES, self.url("/echo"), "one", "gr\u00fcn", ""),
                         "text 3: one\ntext 5: gr\u00fcn\ntext 0: \nclosed 1000 \n")

    def test_a_feed_of_fragments_arrives_in_whole_messages(self):
        lines = self.run_program(MESSAGES, self.url("/feed")).splitlines()
        self.assertEqual(lines.pop(), "closed 1000 end of feed")
        self.assertEqual(len(lines), 80)  # each message with its description
        for message, description in zip(lines[::2], lines[1::2]):
            kind, size = re.match(r"(text|binary) (\d+)", message).groups()
            self.assertRegex(description, rf"^text \d+: {kind} {size} ")
        self.assertEqual(lines[-2], f"binary {16 << 20}")

    def test_what_fails_is_named(self):
        self.assertIn("usage: ", self.run_program(MESSAGES, code=2))
        for url in ("ws:/no", "http://localhost/", "gopher://localhost/"):
            with self.subTest(url):
                self.assertEqual(self.run_program(MESSAGES, url, code=2),
                                 f"'{url}' is not a ws:// or wss:// URL\n")
        for url, said in (
            ("ws://localhost:70000/", "the URL failed with error 12005\n"),
            (self.url("/forbidden"),
             "the server answered with status 403\nbecoming a WebSocket failed with error 4317\n"),
        ):
            with self.subTest(url):
                self.assertEqual(self.run_program(MESSAGES, url, code=1), said)


if __name__ == "__main__":
    SAMPLE, ASYNC_CLIENT, MESSAGES = (os.path.abspath(path) for path in sys.argv[1:4])
    del sys.argv[1:4]
    outcome = unittest.main(exit=False).result
    if not outcome.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIPPED if outcome.testsRun == len(outcome.skipped) else 0)
