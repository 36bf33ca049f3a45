"""What a script that takes long says meanwhile, on standard error: one line rewritten in place on a
terminal, a line now and then in a log."""

import shutil
import sys
import time


class Progress:
    def __init__(self, quiet=False):
        self.quiet = quiet
        self.terminal = sys.stderr.isatty()
        self.pause = 0.2 if self.terminal else 10
        self.last = time.monotonic() - (self.pause if self.terminal else 0)
        self.shown = False

    def update(self, text):
        """Passing state; most calls of a log print nothing."""
        now = time.monotonic()
        if self.quiet or now - self.last < self.pause:
            return
        self.last = now
        if self.terminal:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write("\r\033[K" + text[:width])
            self.shown = True
        else:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def line(self, text):
        """A line that stays, on a terminal too."""
        self.clear()
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def clear(self):
        if self.shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
            self.shown = False
