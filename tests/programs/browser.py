"""Chromium without a window, driven over its DevTools protocol: JSON on a pair of pipes, so neither
a driver nor a library is needed. The same input events as from a hand, no scripted shortcuts."""

import base64
import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find():
    return next((path for path in map(shutil.which, NAMES) if path), None)


def descendants(root):
    """(process id, command line) of the processes below one."""
    parents, commands = {}, {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                parents[int(entry)] = int(stat.read().rpartition(")")[2].split()[1])
            with open(f"/proc/{entry}/cmdline", "rb") as words:
                commands[int(entry)] = words.read()
    for pid, words in commands.items():
        above = parents[pid]
        while above in parents and above != root:
            above = parents[above]
        if above == root:
            yield pid, words


class Browser:
    def __init__(self, program):
        self.profile = tempfile.mkdtemp(prefix="sluice-browser-")
        to_browser, self.write_fd = os.pipe()
        self.read_fd, from_browser = os.pipe()
        words = [program, "--headless=new", "--remote-debugging-pipe", "--disable-gpu",
                 "--disable-dev-shm-usage", "--disable-background-networking",
                 "--disable-component-update", "--disable-breakpad", "--disable-extensions",
                 "--no-first-run", "--no-proxy-server", "--force-color-profile=srgb",
                 "--user-data-dir=" + self.profile]
        if os.geteuid() == 0:
            words.append("--no-sandbox")  # Chromium refuses to run as root otherwise
        # The protocol wants descriptors 3 (in) and 4 (out); ours must not stand there already.
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (to_browser, from_browser)]

        def place():
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self.process = subprocess.Popen(
            words, preexec_fn=place, pass_fds=(3, 4), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={**os.environ, "HOME": self.profile})
        for fd in (to_browser, from_browser, *ends):
            os.close(fd)
        self.pending = b""
        self.last_id = 0
        self.noted = []  # what pages left in their consoles: exceptions, refusals by their policy

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.write_fd)
        os.close(self.read_fd)
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, session=None, **parameters):
        self.last_id += 1
        message = {"id": self.last_id, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self.write_fd, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.noted.append(json.dumps(answer["params"]))
            if answer.get("id") == self.last_id:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def read(self):
        """The next answer or event."""
        while b"\0" not in self.pending:
            got = os.read(self.read_fd, 1 << 16)
            if not got:
                raise RuntimeError("the browser has ended")
            self.pending += got
        line, _, self.pending = self.pending.partition(b"\0")
        return json.loads(line)

    def open(self, url):
        return Page(self, url)

    @contextlib.contextmanager
    def stopped(self):
        """The processes that run pages stand still, all of this browser's; the others go on, and
        so does the one that has the sockets. Nothing may be asked of a page meanwhile."""
        renderers = [pid for pid, words in descendants(self.process.pid)
                     if b"--type=renderer" in words]
        if not renderers:
            raise RuntimeError("no process of the browser says that it runs pages")
        try:
            for pid in renderers:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in renderers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)


class Page:
    def __init__(self, browser, url):
        self.browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call(
            "Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.go(url)
        self.pretend_in_front(True)

    def go(self, url):
        self.call("Page.navigate", url=url)
        while True:
            event = self.browser.read()
            if (event.get("method"), event.get("sessionId")) == (
                "Page.loadEventFired", self.session,
            ):
                break

    def pretend_in_front(self, pretend):
        """A tab that is not in front gets input and timers as if it were: from the start."""
        self.call("Emulation.setFocusEmulationEnabled", enabled=pretend)

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def value_of(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait_until(self, expression):
        """Waits, in the page, until it is true. The test's time-out ends what never becomes so."""
        self.value_of(f"""new Promise((done) => {{
            const look = () => ({expression}) ? done(true) : setTimeout(look, 20);
            look();
        }})""")

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)

    def click(self, selector):
        """Clicks with the mouse, again when the page moved the element away meanwhile."""
        hit = False
        while not hit:
            x, y = self.value_of(f"""(() => {{
                const one = document.querySelector({json.dumps(selector)});
                window.clicked = false;
                one.addEventListener('click', () => {{ window.clicked = true; }}, {{once: true}});
                one.scrollIntoView({{block: 'nearest'}});
                const box = one.getBoundingClientRect();
                return [box.x + box.width / 2, box.y + box.height / 2];
            }})()""")
            for kind in ("mousePressed", "mouseReleased"):
                self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left",
                          clickCount=1)
            hit = self.value_of("window.clicked")

    def press(self, key, code):
        for kind in ("rawKeyDown", "char", "keyUp") if len(key) == 1 or key == "Enter" else (
                "rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      text="\r" if key == "Enter" else key, windowsVirtualKeyCode=code)

    def type_into(self, selector, text):
        """Clicks into a field and replaces what it holds."""
        self.click(selector)
        self.value_of(f"document.querySelector({json.dumps(selector)}).select()")
        if text:
            self.call("Input.insertText", text=text)
        else:
            for kind in ("keyDown", "keyUp"):
                self.call("Input.dispatchKeyEvent", type=kind, key="Delete", code="Delete",
                          windowsVirtualKeyCode=46)

    def choose(self, selector, value):
        """Lists open outside of the page; their event is what a choice leaves behind."""
        self.value_of(f"""(() => {{
            const one = document.querySelector({json.dumps(selector)});
            one.value = {json.dumps(value)};
            one.dispatchEvent(new Event('change', {{bubbles: true}}));
        }})()""")

    def screenshot(self, path):
        image = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as out:
            out.write(base64.b64decode(image))
