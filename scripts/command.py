"""How a script of this folder ends: 0 or 1 as its main() says; 2 and one sentence for what its user
can put right; 128 + N for a signal. Whatever it has started ends first."""

import argparse
import contextlib
import errno
import os
import signal
import subprocess
import sys

USERS_TO_MEND = (PermissionError, FileNotFoundError, NotADirectoryError, IsADirectoryError,
                 FileExistsError)
ERRNOS_TO_MEND = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Refusal(Exception):
    """One sentence that says what to do; exit code 2."""


class Arguments(argparse.ArgumentParser):
    """The script's own `doc` is its help; what it does not know it refuses by a sentence, without a
    page of usage before that."""

    def __init__(self, doc):
        super().__init__(usage=doc.split("\n\n")[1].removeprefix("Usage: "),
                         description=doc.splitlines()[0])

    def error(self, message):
        raise Refusal(f"{message}; --help shows what there is")


started = []  # every child; those that still run end with the script


class Signals:
    """Those that end a script: while `held`, they wait until the child just made is known."""

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    held = False
    waiting = None

    @classmethod
    def watch(cls):
        for one in cls.numbers:
            if signal.getsignal(one) is not signal.SIG_IGN:  # nohup
                signal.signal(one, cls.came)

    @classmethod
    def ignore(cls):
        for one in cls.numbers:
            signal.signal(one, signal.SIG_IGN)

    @classmethod
    def came(cls, number, _):
        cls.waiting = number
        if not cls.held:
            cls.ignore()  # a terminal's signal comes again with its end
            sys.exit(128 + number)


def start(words, **options):
    """subprocess.Popen() of a child that does not outlive the script."""
    Signals.held = True
    try:
        started.append(subprocess.Popen(words, text=True, **options))
    finally:
        Signals.held = False
    if Signals.waiting is not None:
        Signals.came(Signals.waiting, None)
    return started[-1]


def run_to_end(words, **options):
    """subprocess.run() of such a child."""
    process = start(words, **options)
    output, errors = process.communicate()
    return subprocess.CompletedProcess(words, process.returncode, output, errors)


def end(process):
    """Asks by SIGTERM, so that it can end its own children; waits ten seconds and makes sure. A
    child with a session of its own, such as a build, is asked together with its children."""

    def ask(number):
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)

    ask(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        ask(signal.SIGKILL)
        process.wait()


def run_script(name, main):
    Signals.watch()
    try:
        code = main()
        sys.stdout.flush()
    except Refusal as sentence:
        code = refuse(name, str(sentence))
    except BrokenPipeError:  # whoever read the output has had enough
        code = 128 + signal.SIGPIPE
    except OSError as failed:
        if not isinstance(failed, USERS_TO_MEND) and failed.errno not in ERRNOS_TO_MEND:
            raise
        code = refuse(name, f"{failed.filename or 'output'}: {failed.strerror}")
    finally:
        Signals.ignore()
        for process in started:
            if process.poll() is None:
                end(process)
    if code != 0:  # so that leaving does not try once more to write what could not be written
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def refuse(name, sentence):
    with contextlib.suppress(OSError):
        print(f"{name}: {sentence}", file=sys.stderr, flush=True)
    return 2
