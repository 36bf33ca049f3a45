"""What the peers share that stand in front of another server: they start it, pass on what it prints
and end it when they are told to end."""

import pathlib
import signal
import socket
import subprocess
import sys
import threading


def free_port():
    """One that was free a moment ago; whoever takes it may be too late, and tries another."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_python_server(environment):
    """The process and its port; exits as it does where it cannot serve."""
    server = subprocess.Popen(
        [sys.executable, str(pathlib.Path(__file__).with_name("python_server.py"))],
        env=environment, stdout=subprocess.PIPE, text=True)
    first = server.stdout.readline()
    if not first.startswith("port "):
        print(first, end="", flush=True)
        sys.exit(server.wait())
    return server, int(first.split()[1])


def serve(port, output, stop, shown=lambda line: line):
    """Prints the port and then the lines of `output` until it ends, each as `shown` has it, if it
    has. SIGTERM calls `stop`, which has to end it.

    Python runs a handler between two instructions of the main thread: a signal that comes right
    before a read that blocks would wait for as long as the read does. So another thread reads.
    """
    def pass_on():
        for line in output:
            line = shown(line)
            if line:
                print(line, end="", flush=True)

    signal.signal(signal.SIGTERM, lambda *_: stop())
    print("port", port, flush=True)
    reader = threading.Thread(target=pass_on, daemon=True)
    reader.start()
    while reader.is_alive():
        reader.join(0.05)
