"""How a script of this folder ends: 0 or 1 as its main() says; 2 and one sentence for what its user
can put right; 128 + N for a signal. Whatever it has started ends first."""

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


def run_to_end(words, **options):
    """subprocess.run() that ends what it runs by SIGTERM, so that this can end its own in turn."""
    with subprocess.Popen(words, text=True, **options) as process:
        try:
            output, errors = process.communicate()
        except BaseException:
            end(process)
            raise
    return subprocess.CompletedProcess(words, process.returncode, output, errors)


def end(process):
    """Asks, waits ten seconds, and makes sure."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def stop(number, _):
    """Runs what ends the children, once: a terminal's signal comes again with its end."""
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    sys.exit(128 + number)


def run_script(name, main):
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(one) is not signal.SIG_IGN:  # nohup
            signal.signal(one, stop)
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
    except KeyboardInterrupt:
        code = 130
    if code == 128 + signal.SIGPIPE:  # so that leaving does not flush once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def refuse(name, sentence):
    with contextlib.suppress(OSError):
        print(f"{name}: {sentence}", file=sys.stderr, flush=True)
    return 2
