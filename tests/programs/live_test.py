"""Tests of examples/live: its HTTP front with raw bytes, its streams with a plain WebSocket peer,
and its page in Chromium. Run as: live_test.py PROGRAM [unittest arguments].
SLUICE_LIVE_SCREENSHOT names where a picture of the page goes, SLUICE_LIVE_REPORTS after how many
reports it is taken (four a second). Without Chromium the tests in the browser are skipped."""

import hashlib
import json
import os
import re
import signal
import socket
import tempfile
import time
import unittest

import browser
import peer
from harness import ProgramTest, Serving, main, run

COUNT = re.compile(r"^(sluice_\w+)(\{[^}]*\})? ([-+.0-9e]+|\+Inf)$")


def ask(port, request):
    """Sends bytes, returns all that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(request)
        answer = b""
        while got := sock.recv(1 << 16):
            answer += got
    return answer


def get(port, target, method="GET"):
    answer = ask(port, f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.decode("ascii"), body


def metrics(port):
    """The samples of /metrics by name and labels; checks the form of every line."""
    head, body = get(port, "/metrics")
    assert head.startswith("HTTP/1.1 200 OK\r\n"), head
    assert "text/plain; version=0.0.4" in head, head
    samples, helped, typed = {}, set(), {}
    for line in body.decode("ascii").splitlines():
        if line.startswith("# HELP "):
            helped.add(line.split()[2])
        elif line.startswith("# TYPE "):
            typed[line.split()[2]] = line.split()[3]
        else:
            match = COUNT.match(line)
            assert match, line
            name = re.sub(r"_(bucket|sum|count)$", "", match[1])
            name = name if typed.get(name) == "histogram" else match[1]
            assert name in helped and name in typed, line
            if typed[name] == "counter":
                assert name.endswith("_total"), line
            samples[match[1] + (match[2] or "")] = float(match[3])
    return samples


class Watcher:
    """A page as seen from the wire."""

    def __init__(self, port):
        self.stream = peer.connect(port, "/page")
        self.id = self.next()["page"]

    def next(self):
        first, masked, payload = self.stream.read_frame()
        while first == 0x80 | peer.PING:
            self.stream.write_frame(peer.PONG, payload, True)
            first, masked, payload = self.stream.read_frame()
        assert first == 0x81 and not masked, first
        return json.loads(payload)

    def wait(self, messages):
        while True:
            report = self.next()
            if report["mine"]["messages"] == messages:
                return report

    def close(self):
        self.stream.sock.close()


class HttpTest(ProgramTest):
    def test_serves_its_files_and_nothing_else(self):
        with Serving() as server:
            for target in ("/", "/live.js", "/source.js", "/live.css", "/uPlot.iife.min.js",
                           "/uPlot.min.css", "/?a=b"):
                head, body = get(server.port, target)
                self.assertTrue(head.startswith("HTTP/1.1 200 OK\r\n"), head)
                self.assertIn(f"Content-Length: {len(body)}\r\n", head + "\r\n")
                head_alone, nothing = get(server.port, target, "HEAD")
                self.assertEqual((head_alone, nothing), (head, b""))
            for target in ("/main.cpp", "/../main.cpp", "/page/index.html", "//", "/%2e%2e/x", "x"):
                head, _ = get(server.port, target)
                self.assertTrue(head.startswith("HTTP/1.1 404 "), (target, head))
            head, _ = get(server.port, "/", "POST")
            self.assertTrue(head.startswith("HTTP/1.1 405 "), head)
        self.assertEqual(server.code, 0)

    def test_hostile_requests_get_an_answer_or_an_end(self):
        with Serving() as server:
            self.assertTrue(ask(server.port, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 "))
            self.assertTrue(ask(server.port, b"\r\n\r\n").startswith(b"HTTP/1.1 400 "))
            self.assertTrue(ask(server.port, b"GET /" + b"a" * 9000).startswith(b"HTTP/1.1 431 "))
            endless = b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 2000
            self.assertTrue(ask(server.port, endless).startswith(b"HTTP/1.1 431 "))
            ask(server.port, bytes(range(256)) * 32)
            # Not a WebSocket request on a WebSocket path: the library's answer.
            head, _ = get(server.port, "/page")
            self.assertRegex(head, r"^HTTP/1\.1 4\d\d ")
            with socket.create_connection(("127.0.0.1", server.port)) as sock:
                sock.sendall(b"GET / HT")  # and goes away
            self.assertTrue(get(server.port, "/")[0].startswith("HTTP/1.1 200 "))

    def test_visitors_that_never_ask_lock_nobody_out(self):
        with Serving() as server:
            idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
            self.assertTrue(get(server.port, "/")[0].startswith("HTTP/1.1 200 "))
            idle[0].settimeout(30)
            self.assertEqual(idle[0].recv(1), b"")  # the oldest had to make room
            for sock in idle:
                sock.close()

    def test_handshakes_that_never_end_are_bounded(self):
        with Serving() as server:
            half = []
            for _ in range(650):
                sock = socket.create_connection(("127.0.0.1", server.port), timeout=30)
                sock.sendall(b"GET /page HTTP/1.1\r\nHost: x\r\n")
                half.append(sock)
            self.assertIn(b" 503 ", half[-1].recv(100))
            self.assertTrue(get(server.port, "/")[0].startswith("HTTP/1.1 200 "))
            for sock in half:
                sock.close()
            while metrics(server.port)["sluice_connections_open"] != 0:
                pass
            Watcher(server.port).close()

    def test_a_request_may_come_byte_by_byte_and_with_frames_behind_it(self):
        with Serving() as server:
            watcher = Watcher(server.port)
            glued = peer.frame(peer.TEXT, b"one", True) + peer.frame(peer.BINARY, b"two", True)
            stream = peer.connect(server.port, f"/stream?page={watcher.id}", behind=glued)
            report = watcher.wait(2)
            self.assertEqual(report["mine"]["bytes"], 6)
            stream.sock.close()
            slow = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in (f"GET /stream?page={watcher.id} HTTP/1.1\r\nHost: x\r\n"
                         "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                         "Sec-WebSocket-Version: 13\r\n\r\n").encode():
                slow.sendall(bytes([byte]))
            self.assertIn(" 101 ", peer.Stream(slow).read_head())
            slow.close()
            watcher.close()


class StreamTest(ProgramTest):
    def stream_and_compare(self, cut):
        with Serving() as server:
            watcher = Watcher(server.port)
            stream = peer.connect(server.port, f"/stream?page={watcher.id}&chain=1{cut}")
            chain, total = bytes(32), 0
            sizes = (0, 1, 125, 126, 1000, 65536, 300_000)
            for number in range(70):
                text = number % 2 == 0
                size = sizes[number % len(sizes)]
                message = os.urandom(size)
                if text:
                    message = b"\xc3\xa9" * (size // 2) + b"x" * (size % 2)
                chain = hashlib.sha256(chain + (b"T" if text else b"B") + message).digest()
                total += size
                stream.write_frame(peer.TEXT if text else peer.BINARY, message, True)
            mine = watcher.wait(70)["mine"]
            self.assertEqual((mine["bytes"], mine["chain"]), (total, chain.hex()))
            # Round trips: answer pings until one was measured.
            while "sluice_live_round_trip_seconds_count" not in (seen := metrics(server.port)) or (
                seen["sluice_live_round_trip_seconds_count"] == 0
            ):
                first, _, payload = stream.read_frame()
                self.assertEqual(first, 0x80 | peer.PING)
                stream.write_frame(peer.PONG, b"unasked", True)
                stream.write_frame(peer.PONG, payload, True)
            stream.write_frame(peer.CLOSE, b"\x03\xe8", True)
            while (frame := stream.read_frame())[0] != 0x80 | peer.CLOSE:
                pass
            self.assertEqual(frame[2], b"\x03\xe8")
            seen = metrics(server.port)
            self.assertEqual(seen["sluice_live_messages_total"], 70)
            self.assertEqual(seen["sluice_live_slice_bytes_sum"], total)
            pieces = {kind: seen[f'sluice_live_pieces_total{{type="{kind}"}}'] for kind in
                      ("binary_message", "binary_fragment", "utf8_message", "utf8_fragment")}
            self.assertEqual(pieces["binary_message"], 35)
            self.assertEqual(pieces["utf8_message"], 35)
            self.assertEqual(sum(pieces.values()), seen["sluice_live_slice_bytes_count"])
            self.assertEqual(seen["sluice_live_pages_open"], 1)
            stream.sock.close()
            watcher.close()
        self.assertEqual(server.totals, [70, total])
        return seen, pieces

    def test_counts_types_sizes_and_hashes_of_whole_messages(self):
        seen, pieces = self.stream_and_compare("")
        self.assertGreater(pieces["binary_fragment"], 0)  # 300,000 bytes lie in several buffers
        self.assertEqual(seen["sluice_connections_made_total"], 0)

    def test_the_cutter_changes_frames_and_no_byte(self):
        seen, pieces = self.stream_and_compare("&cut=1,0,125,4096")
        self.assertEqual(seen["sluice_connections_made_total"], 1)
        # 1 + 0 + 125 + 4096 bytes are four frames: at least 71 turns for 300,000 bytes, ten times.
        self.assertGreater(pieces["binary_fragment"] + pieces["utf8_fragment"], 10 * 4 * 71)

    def test_one_byte_frames_end_at_their_limit(self):
        with Serving() as server:
            watcher = Watcher(server.port)
            stream = peer.connect(server.port, f"/stream?page={watcher.id}&chain=1&cut=1")
            message = os.urandom(2_000_000)
            stream.write_frame(peer.BINARY, message, True)
            mine = watcher.wait(1)["mine"]
            self.assertEqual(mine["chain"], hashlib.sha256(bytes(32) + b"B" + message).hexdigest())
            watcher.close()

    def test_a_page_that_does_not_read_harms_nobody(self):
        with Serving() as server:
            watcher = Watcher(server.port)
            deaf = socket.socket()
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the kernel's minimum
            deaf.connect(("127.0.0.1", server.port))
            deaf.sendall(b"GET /page HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: "
                         b"Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                         b"Sec-WebSocket-Version: 13\r\n\r\n")
            while metrics(server.port)["sluice_live_reports_dropped_total"] == 0:
                self.assertEqual(watcher.next()["kind"], "interval")
            full = metrics(server.port)
            stream = peer.connect(server.port, f"/stream?page={watcher.id}")
            stream.write_frame(peer.BINARY, b"still served", True)
            self.assertEqual(watcher.wait(1)["mine"]["bytes"], 12)
            # From here on nothing is kept for it that was not kept already.
            while (seen := metrics(server.port))["sluice_live_reports_dropped_total"] < 12:
                watcher.next()
            for kept in ("sluice_pool_bytes", "sluice_lent_bytes", "sluice_cached_bytes"):
                self.assertLessEqual(seen[kept], full[kept] + (64 << 10), kept)
            deaf.close()
            watcher.close()
        self.assertEqual(server.code, 0)


class RefusalTest(ProgramTest):
    def refused(self, port, target, more=""):
        with self.assertRaises(peer.ProtocolError) as caught:
            peer.connect(port, target, more)
        return re.search(r"HTTP/1\.1 (\d+)", str(caught.exception))[1]

    def test_strangers_are_refused(self):
        with Serving() as server:
            watcher = Watcher(server.port)
            mine = f"/stream?page={watcher.id}"
            self.assertEqual(self.refused(server.port, "/page", "Origin: http://evil\r\n"), "403")
            self.assertEqual(self.refused(server.port, mine, "Origin: http://evil\r\n"), "403")
            self.assertEqual(self.refused(server.port, "/stream?page=0"), "404")
            self.assertEqual(self.refused(server.port, "/stream"), "404")
            for cut in ("0", "0,0", "x", "1,", ",1", "-1", "99999999999999999999999", "1048577",
                        ",".join("1" * 17)):
                self.assertEqual(self.refused(server.port, f"{mine}&cut={cut}"), "400", cut)
            own = f"Origin: http://127.0.0.1:{server.port}\r\n"
            peer.connect(server.port, "/page", own).sock.close()
            watcher.close()

    def test_bad_use_is_one_sentence_and_code_2(self):
        with Serving() as server:
            done = run("--port", server.port)
            self.assertEqual(done.returncode, 2)
            self.assert_one_sentence(done.stderr)
            self.assertIn("--port", done.stderr)
        # The last address is for documentation (RFC 5737): no machine has it.
        for words in (("--files", "/nowhere"), ("--host", "nowhere"), ("--host", "203.0.113.1")):
            done = run("--port", "0", *words)
            self.assertEqual(done.returncode, 2)
            self.assert_one_sentence(done.stderr)
            for word in words:
                self.assertIn(word, done.stderr)
        for host in ("nowhere", "203.0.113.1"):
            self.assertIn("127.0.0.1", run("--port", "0", "--host", host).stderr)
        for words in (("--port", "x"), ("--backend", "x"), ("--port", "70000"), ("x",)):
            self.assertEqual(run(*words).returncode, 2, words)
        self.assertEqual(run("--help").returncode, 0)


@unittest.skipUnless(browser.find(), "no browser: install Debian's package chromium")
class BrowserTest(ProgramTest):
    def start(self, page, cut, kind, sizes, rate, limit):
        page.wait_until("document.getElementById('state')?.textContent === 'connected'")
        page.choose("#frames", "own" if cut else "")
        if cut:
            page.type_into("#pattern", cut)
        page.choose("#kind", kind)
        page.type_into("#size", sizes)
        page.type_into("#rate", str(rate))
        page.type_into("#limit", str(limit) if limit else "")
        page.click("#start")

    def finished(self, page, messages):
        page.wait_until("document.getElementById('verdict').dataset.complete === 'true'")
        sent = page.value_of("source.messages")
        self.assertEqual(sent, sent if messages is None else messages)
        self.assertEqual(page.value_of("latest.messages"), sent)
        self.assertEqual(page.value_of("latest.bytes"), page.value_of("source.bytes"))
        self.assertEqual(page.value_of("latest.chain"), page.value_of("Source.hex(source.chain)"))
        self.assertIn("hashes are the same",
                      page.value_of("document.getElementById('verdict').textContent"))
        self.assertEqual(page.value_of("document.getElementById('trouble').textContent"), "")

    def test_clicks_counts_and_hashes(self):
        with Serving() as server, browser.Browser(browser.find()) as chrome:
            url = f"http://127.0.0.1:{server.port}/"
            first, second = chrome.open(url), chrome.open(url)
            self.start(first, "", "both", "0, 1, 125, 70000, 1048576", 200, 120)
            self.start(second, "1, 0, 125, 126, 4096", "text", "1000, 20000", 500, 300)
            self.finished(first, 120)
            self.finished(second, 300)
            total = first.value_of("source.bytes") + second.value_of("source.bytes")
            seen = metrics(server.port)
            self.assertEqual(seen["sluice_live_messages_total"], 420)
            self.assertEqual(seen["sluice_live_slice_bytes_sum"], total)
            self.assertEqual(seen["sluice_live_pages_open"], 2)
            # What the plots show is what came.
            for page in (first, second):
                page.wait_until("past.reduce((sum, e) => sum + e.report.messages, 0) === 420")
                self.assertEqual(
                    page.value_of("document.querySelectorAll('.plot canvas').length"), 8)
                self.assertEqual(page.value_of(
                    "past.reduce((sum, e) => sum + e.report.bytes, 0)"), total)
            # A wrong number is said on the page and sends nothing.
            first.type_into("#rate", "0")
            first.click("#start")
            self.assertIn("Messages a second",
                          first.value_of("document.getElementById('trouble').textContent"))
            # The stop button, in the middle of a stream without a limit.
            self.start(first, "", "binary", "4096", 1000, None)
            first.wait_until("latest.stream === source.number && latest.messages > 50")
            first.click("#stop")
            first.wait_until("document.getElementById('verdict').dataset.complete === 'true'")
            self.finished(first, first.value_of("source.messages"))
            self.assertEqual(metrics(server.port)["sluice_live_streams_open"], 0)
        self.assertEqual(server.code, 0)

    def test_a_tab_that_stands_still_harms_nobody(self):
        # Two browsers, because the tabs of one share a process. How the server leaves out reports
        # is the business of the test with the deaf page: a browser takes megabytes for its tab.
        with Serving() as server, browser.Browser(browser.find()) as frozen, \
                browser.Browser(browser.find()) as moving:
            url = f"http://127.0.0.1:{server.port}/"
            posted = metrics(server.port)["sluice_buffers_posted"]
            still, other = frozen.open(url), moving.open(url)
            # Its frames are cut, because the cutter is what keeps whole messages of a stream.
            self.start(still, "1000", "both", "125, 300000", 200, None)
            still.wait_until("latest?.messages > 20")
            with frozen.stopped():
                before = metrics(server.port)
                self.assertEqual(before["sluice_live_pages_open"], 2)
                # What was on its way still arrives; then only messages of the other do.
                while True:
                    messages = metrics(server.port)["sluice_live_messages_total"]
                    sent = self.stream_to_the_end(other)
                    after = metrics(server.port)
                    if after["sluice_live_messages_total"] == messages + sent:
                        break
                # Half a message of its stream is kept for it at the most.
                for kept in ("sluice_pool_bytes", "sluice_lent_bytes", "sluice_cached_bytes"):
                    self.assertLessEqual(after[kept], before[kept] + (1 << 20), kept)
                # And no receive buffer: all of them are where they were before anybody came.
                self.has_soon(server.port, {"sluice_buffers_lent": 0,
                                            "sluice_buffers_posted": posted})
            # It goes on where it stood, unless that took longer than dead_after: then both its
            # connections ended, and it comes back as a new page.
            still.wait_until("pageId !== null && past.at(-1).at > performance.now() * 1e-3 - 1"
                             " && (source.ended || latest.stream === source.number)")
            if still.value_of("source.ended"):
                self.assertIn("ended", still.value_of(
                    "document.getElementById('trouble').textContent"))
                self.stream_to_the_end(still)
            else:
                sent = still.value_of("source.messages")
                still.wait_until(f"latest.messages > {sent + 50}")
                still.click("#stop")
                self.finished(still, None)
        self.assertEqual(server.code, 0)

    def has_soon(self, port, wanted):
        """Only a hang takes ten seconds."""
        give_up = time.monotonic() + 10
        while True:
            seen = metrics(port)
            if {name: seen[name] for name in wanted} == wanted:
                return
            self.assertLess(time.monotonic(), give_up, {name: seen[name] for name in wanted})
            time.sleep(0.05)

    def stream_to_the_end(self, page):
        """Some messages of every kind, all of them confirmed; how many."""
        self.start(page, "", "both", "0, 125, 70000", 500, 200)
        self.finished(page, 200)
        return 200

    def test_a_tab_behind_another_goes_on_and_draws_nothing(self):
        with Serving() as server, browser.Browser(browser.find()) as chrome:
            url = f"http://127.0.0.1:{server.port}/"
            behind = chrome.open(url)
            behind.wait_until("document.getElementById('state')?.textContent === 'connected'")
            # No other way leads to what a plot has drawn last.
            behind.value_of("(() => { const really = Plot.prototype.draw; Plot.prototype.drawn = 0;"
                            " Plot.prototype.draw = function (...all) {"
                            " ++Plot.prototype.drawn; really.apply(this, all); }; })()")
            self.start(behind, "", "both", "125, 70000", 500, None)
            behind.wait_until("Plot.prototype.drawn > 0 && latest.messages > 0")
            front = chrome.open(url)
            front.call("Page.bringToFront")
            behind.pretend_in_front(False)
            behind.wait_until("document.hidden")
            self.stream_to_the_end(front)
            drawn, reports, sent = behind.value_of(
                "[Plot.prototype.drawn, past.length, source.messages]")
            behind.wait_until(f"latest.messages > {sent} && past.length > {reports + 4}")
            self.assertEqual(behind.value_of("Plot.prototype.drawn"), drawn)
            behind.call("Page.bringToFront")
            behind.wait_until(f"Plot.prototype.drawn > {drawn}")
            behind.click("#stop")
            self.finished(behind, None)
        self.assertEqual(server.code, 0)

    def test_wrong_values_are_said_and_send_nothing(self):
        with Serving() as server, browser.Browser(browser.find()) as chrome:
            page = chrome.open(f"http://127.0.0.1:{server.port}/")
            page.wait_until("document.getElementById('state')?.textContent === 'connected'")
            for field, values in (
                ("#size", ("", "-1", "1.5", "1048577", "1,,2", "x", "9" * 40)),
                ("#rate", ("", "0", "-5", "1.5", "1000001", "x", "Infinity", "NaN")),
                ("#limit", ("0", "-1", "1.5", "x", "1000000001")),
                ("#pattern", ("", "0", "0,0", ",", "1,", "1,,2", "-1", "1.5", "1048577", "0x1",
                              ",".join("1" * 17), "x")),
            ):
                page.choose("#frames", "own" if field == "#pattern" else "")
                good = page.value_of(f"document.querySelector('{field}').value")
                for value in values:
                    page.type_into(field, value)
                    page.click("#start")
                    self.assertRegex(page.value_of(
                        "document.getElementById('trouble').textContent"), "whole number", value)
                page.type_into(field, good)
            self.assertIsNone(page.value_of("source"))
            self.assertEqual(metrics(server.port)["sluice_live_messages_total"], 0)
            self.assertEqual(chrome.noted, [])

    def test_keys_alone_are_enough(self):
        with Serving() as server, browser.Browser(browser.find()) as chrome:
            page = chrome.open(f"http://127.0.0.1:{server.port}/")
            page.wait_until("document.getElementById('state')?.textContent === 'connected'")
            focused = []
            while "stop" not in focused and len(focused) < 20:
                page.press("Tab", 9)
                focused.append(page.value_of("document.activeElement.id"))
                if focused[-1] == "limit":
                    page.call("Input.insertText", text="40")
                if focused[-1] == "start":
                    break
            self.assertEqual(focused,
                             ["kind", "size", "rate", "limit", "frames", "chain", "start"])
            page.press("Enter", 13)
            self.finished(page, 40)
            self.assertEqual(chrome.noted, [])

    def test_a_server_that_comes_back_is_found_again(self):
        with browser.Browser(browser.find()) as chrome:
            with Serving(stop_with=signal.SIGKILL) as server:
                port = server.port
                page = chrome.open(f"http://127.0.0.1:{port}/")
                self.start(page, "", "both", "125", 500, None)
                page.wait_until("latest?.messages > 20")
                os.kill(server.pid, signal.SIGKILL)
                page.wait_until("document.getElementById('state').textContent.startsWith('gone')")
                page.wait_until("document.getElementById('start').disabled === false")
                self.assertIn("1006", page.value_of(
                    "document.getElementById('trouble').textContent"))
                page.click("#start")
                self.assertIn("no connection", page.value_of(
                    "document.getElementById('trouble').textContent"))
            with Serving(port=port) as server:
                self.stream_to_the_end(page)
                self.assertEqual(metrics(port)["sluice_live_messages_total"], 200)
        noted = [note for note in chrome.noted if "ERR_CONNECTION_REFUSED" not in note]
        self.assertEqual(noted, [])

    def test_every_width_and_both_colours_can_be_read(self):
        with Serving() as server, browser.Browser(browser.find()) as chrome:
            for scheme in ("light", "dark"):
                page = chrome.open("about:blank")
                page.call("Emulation.setEmulatedMedia",
                          features=[{"name": "prefers-color-scheme", "value": scheme}])
                page.go(f"http://127.0.0.1:{server.port}/")
                page.wait_until("document.getElementById('state')?.textContent === 'connected'")
                for width in (320, 500, 821, 1100, 1400, 2500):
                    page.size(width, 900)
                    page.wait_until("document.querySelectorAll('.plot canvas').length === 8")
                    self.assertLessEqual(*page.value_of(
                        "[document.documentElement.scrollWidth,"
                        " document.documentElement.clientWidth]"))
                # WCAG 2.1 success criterion 1.4.3: 4.5 to 1 for text.
                poor = page.value_of("""(() => {
                    const bright = (colour) => colour.match(/[0-9.]+/g).slice(0, 3).map((part) => {
                      const c = part / 255;
                      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
                    }).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
                    const behind = (one) => {
                      const colour = getComputedStyle(one).backgroundColor;
                      return colour === 'rgba(0, 0, 0, 0)' ? behind(one.parentElement) : colour;
                    };
                    const poor = [];
                    for (const one of document.querySelectorAll('body *')) {
                      const own = [...one.childNodes].some((node) => node.nodeType === 3 &&
                                                                     node.data.trim() !== '');
                      if (own && one.offsetParent !== null && !one.disabled) {
                        const both = [getComputedStyle(one).color, behind(one)].map(bright);
                        const ratio = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
                        if (ratio < 4.5) {
                          poor.push(`${one.tagName} ${one.textContent.trim()} ${ratio}`);
                        }
                      }
                    }
                    return poor;
                })()""")
                self.assertEqual(poor, [], scheme)
            self.assertEqual(chrome.noted, [])

    def test_a_picture_of_the_page(self):
        path = os.environ.get("SLUICE_LIVE_SCREENSHOT") or os.path.join(
            tempfile.gettempdir(), "live-page.png")
        with Serving() as server, browser.Browser(browser.find()) as chrome:
            url = f"http://127.0.0.1:{server.port}/"
            # The second is in front: a hidden tab draws nothing.
            other, page = chrome.open(url), chrome.open(url)
            page.size(1400, 960)
            self.start(other, "1, 0, 125, 126, 4096", "text", "1000, 20000", 60, None)
            self.start(page, "", "both", "125, 4096, 65536", 500, None)
            page.wait_until(f"past.length >= {os.environ.get('SLUICE_LIVE_REPORTS', 12)}")
            page.screenshot(path)
            page.click("#stop")
            page.wait_until("document.getElementById('verdict').dataset.complete === 'true'")
        with open(path, "rb") as picture:
            head = picture.read(24)
        self.assertEqual(head[:8], b"\x89PNG\r\n\x1a\n")
        self.assertEqual((int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")),
                         (1400, 960))


if __name__ == "__main__":
    main()
