"""The feed of scripts/demo: native_feed_server against feed_client, and what it refuses."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

from harness import WATCHDOG

CLIENT = SERVER = ""


class FeedTest(unittest.TestCase):
    def setUp(self):
        self.server = subprocess.Popen([SERVER], stdout=subprocess.PIPE, text=True)
        self.port = int(re.fullmatch(r"port (\d+)\n", self.server.stdout.readline())[1])

    def tearDown(self):
        self.server.send_signal(signal.SIGTERM)
        self.server.communicate(timeout=WATCHDOG)
        self.assertEqual(self.server.returncode, 0)

    def feed(self, query):
        return subprocess.run(
            [CLIENT, f"ws://localhost:{self.port}{query}"],
            capture_output=True,
            text=True,
            timeout=WATCHDOG,
            check=False,
        )

    def test_a_feed_arrives_as_it_was_sent(self):
        # More than one turn of the mix: counts and SHA-256 are compared by the client.
        done = self.feed("/feed?messages=200")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    @unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
    def test_a_feed_over_tls_arrives_for_who_trusts_the_certificate(self):
        with tempfile.TemporaryDirectory() as folder:
            certificate, key = f"{folder}/certificate.pem", f"{folder}/key.pem"
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                 "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                 "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
                capture_output=True, check=True)
            secure = subprocess.Popen([SERVER, "--certificate", certificate, "--key", key],
                                      stdout=subprocess.PIPE, text=True)
            try:
                port = int(re.fullmatch(r"port (\d+)\n", secure.stdout.readline())[1])
                feed = [CLIENT, f"wss://localhost:{port}/feed?messages=200"]
                trusting = subprocess.run(feed + ["--ca", certificate], capture_output=True,
                                          text=True, timeout=WATCHDOG, check=False)
                self.assertEqual(trusting.returncode, 0, trusting.stdout + trusting.stderr)
                strange = subprocess.run(feed, capture_output=True, text=True, timeout=WATCHDOG,
                                         check=False)
                self.assertEqual(strange.returncode, 1, strange.stdout + strange.stderr)
            finally:
                secure.terminate()
                secure.communicate(timeout=WATCHDOG)

    def test_an_empty_feed_is_a_close_frame(self):
        done = self.feed("/feed?messages=0")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_port_that_is_none_is_refused(self):
        for port in ("x", "70000", "-1", "80x", "--port"):
            done = subprocess.run([SERVER, port], capture_output=True, text=True, timeout=WATCHDOG,
                                  check=False)
            self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
            self.assertIn(f"'{port}'", done.stderr)

    def test_a_certificate_without_its_key_is_refused(self):
        for words in (["--certificate", "/dev/null"], ["--key", "/dev/null"], ["--certificate"],
                      ["--key"]):
            done = subprocess.run([SERVER, *words], capture_output=True, text=True,
                                  timeout=WATCHDOG, check=False)
            self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
            self.assertIn(words[0], done.stderr)

    def test_what_is_no_websocket_url_is_refused(self):
        for url in (f"http://localhost:{self.port}/feed?messages=1", "localhost", "wss:/x"):
            done = subprocess.run([CLIENT, url], capture_output=True, text=True, timeout=WATCHDOG,
                                  check=False)
            self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
            self.assertIn(f"'{url}' is not a ws:// or wss:// URL", done.stderr)

    def test_another_path_is_refused(self):
        done = self.feed("/nothing")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)

    def test_a_request_that_is_no_upgrade_is_refused(self):
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/feed", timeout=WATCHDOG)
        self.assertEqual(refused.exception.code, 426)
        refused.exception.close()


if __name__ == "__main__":
    SERVER, CLIENT = (os.path.abspath(path) for path in sys.argv[1:3])
    del sys.argv[1:3]
    unittest.main()
