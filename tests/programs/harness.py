"""What the tests of the programs share. Each is run as: TEST PROGRAM [unittest arguments]."""

import json
import os
import re
import signal
import subprocess
import sys
import unittest

WATCHDOG = 120  # seconds; only a hang takes that long
SKIPPED = 77


def program():
    return main.program


def main():
    main.program = os.path.abspath(sys.argv.pop(1))
    outcome = unittest.main("__main__", exit=False, verbosity=1).result
    for reason in sorted({reason for _, reason in outcome.skipped}):
        print(f"skipped: {reason}", file=sys.stderr)
    if not outcome.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIPPED if outcome.testsRun == len(outcome.skipped) else 0)


def run(*arguments, timeout=WATCHDOG):
    return subprocess.run(
        [program(), *map(str, arguments)], capture_output=True, text=True, timeout=timeout
    )


class Serving:
    """A server of the program, on a free port or the one given, stopped by a signal at the end of
    the block."""

    def __init__(self, *arguments, stop_with=signal.SIGINT, port=0):
        self.stop_with = stop_with
        self.process = subprocess.Popen(
            [program(), *map(str, arguments), "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        match = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", line)
        if not match:
            _, errors = self.process.communicate(timeout=WATCHDOG)
            raise RuntimeError(f"code {self.process.returncode}: {line}{errors}")
        self.port = int(match[1])
        self.pid = self.process.pid
        self.totals = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(self.stop_with)
        try:
            output, self.errors = self.process.communicate(timeout=WATCHDOG)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        self.code = self.process.returncode
        self.totals = [int(n) for n in re.findall(r"\d+", "".join(output.splitlines()[-1:]))]


def have_uring():
    """A kernel or container without io_uring is no failure of the program, and says so by 2."""
    try:
        with Serving("floor", "--kind", "ring"):
            return True
    except RuntimeError:
        return False


class ProgramTest(unittest.TestCase):
    def load(self, port, *arguments, code=0):
        """Runs a load to its end; its result."""
        done = run("load", "--port", port, "--json", "--quiet", *arguments)
        self.assertEqual(done.returncode, code, done.stderr)
        return json.loads(done.stdout) if code == 0 else done.stderr

    def assert_one_sentence(self, text):
        self.assertTrue(text.startswith(os.path.basename(program()) + ": "), text)
        self.assertEqual(text.count("\n"), 1, text)
