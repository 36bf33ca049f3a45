#!/usr/bin/python3
"""Runs Debian's tinyproxy for the interop tests, on a port of its own of 127.0.0.1.

usage: tinyproxy.py [user password]   asks for them with Basic if they are given
Prints "port <number>", then one line "CONNECT <host>:<port>" per tunnel that was asked for.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

import in_front


def start(folder, port, user):
    """The process once it accepts connections, or None if the port was taken meanwhile."""
    configuration = os.path.join(folder, "tinyproxy.conf")
    with open(configuration, "w", encoding="ascii") as to:
        to.write(f"Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 100\nLogLevel Info\n")
        if user:
            to.write(f"BasicAuth {user[0]} {user[1]}\n")
    # What it logs comes line by line, and it ends with this script however that ends.
    process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", "stdbuf", "-oL", "tinyproxy",
                                "-d", "-c", configuration],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in process.stdout:
        if "Accepting connections" in line:
            return process
    process.wait()
    return None


def connection(line):
    found = re.search(r"CONNECT (\S+) HTTP", line)
    return f"CONNECT {found[1]}\n" if found else ""


def main():
    user = sys.argv[1:3]
    if not shutil.which("tinyproxy"):
        print("missing: tinyproxy-bin", flush=True)
        return 77
    with tempfile.TemporaryDirectory() as folder:
        process = None
        for _ in range(10):
            port = in_front.free_port()
            process = start(folder, port, user)
            if process:
                break
        if not process:
            print("tinyproxy does not start", flush=True)
            return 1
        in_front.serve(port, process.stdout, process.terminate, connection)
        return 0


sys.exit(main())
