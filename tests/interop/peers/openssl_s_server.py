#!/usr/bin/python3
"""Peer of the interop tests: openssl s_server speaks TLS to the client, python_server.py WebSocket.

s_server serves one connection at a time, so each connection gets one of its own, on a Unix socket:
ciphertext goes from the client's TCP connection through that, plain bytes through s_server's
standard input and output.

SLUICE_TEST_CERTIFICATE_FILE (the leaf and its chain) and SLUICE_TEST_KEY_FILE name what it shows.
Arguments: further options of s_server; --demand asks for a certificate of the authority in
SLUICE_TEST_CA_FILE. Prints "port <number>", then what python_server.py prints.
"""

import array
import fcntl
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time

import in_front

END = "-----END CERTIFICATE-----\n"


def pump(read, write, finish):
    """Carries bytes until one side has none any more or takes none any more."""
    try:
        while piece := read():
            write(piece)
    except OSError:
        pass
    finish()


def quietly(call, *arguments):
    try:
        call(*arguments)
    except OSError:
        pass


def unread(pipe):
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def connected(path, process):
    """The connection to s_server, once it listens."""
    while process.poll() is None:
        end = socket.socket(socket.AF_UNIX)
        try:
            end.connect(path)
            return end
        except (FileNotFoundError, ConnectionRefusedError):
            end.close()
            time.sleep(0.002)
    raise OSError("s_server has ended")


def serve(client, behind, command, path, running):
    """One connection."""
    with subprocess.Popen(command + ["-unix", path], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, bufsize=0) as process:
        running.add(process)
        cipher = connected(path, process)
        plain = socket.create_connection(("127.0.0.1", behind))
        into = process.stdin

        def no_more_for_the_client():
            # What s_server has been given it seals before it looks at the socket again.
            while process.poll() is None and unread(into.fileno()) != 0:
                time.sleep(0.001)
            quietly(cipher.shutdown, socket.SHUT_WR)

        threads = [threading.Thread(target=pump, args=words, daemon=True) for words in (
            (lambda: client.recv(65536), cipher.sendall,
             lambda: quietly(cipher.shutdown, socket.SHUT_WR)),
            (lambda: cipher.recv(65536), client.sendall,
             lambda: quietly(client.shutdown, socket.SHUT_RDWR)),
            (lambda: process.stdout.read(65536), plain.sendall,
             lambda: quietly(plain.shutdown, socket.SHUT_RDWR)),
            (lambda: plain.recv(65536), into.write, no_more_for_the_client))]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        process.terminate()
        for end in (client, cipher, plain):
            end.close()
    running.discard(process)


def main():
    openssl = shutil.which("openssl")
    if openssl is None:
        print("missing: openssl", flush=True)
        sys.exit(77)
    plain = dict(os.environ)
    shown = pathlib.Path(plain.pop("SLUICE_TEST_CERTIFICATE_FILE")).read_text()
    key = plain.pop("SLUICE_TEST_KEY_FILE")
    options = sys.argv[1:]
    if "--demand" in options:
        options.remove("--demand")
        options += ["-Verify", "3", "-verify_return_error", "-CAfile",
                    os.environ["SLUICE_TEST_CA_FILE"]]
    server, behind = in_front.start_python_server(plain)
    with tempfile.TemporaryDirectory() as folder, socket.socket() as listener:
        leaf, chain = shown.split(END, 1)
        pathlib.Path(folder, "leaf.pem").write_text(leaf + END)
        pathlib.Path(folder, "chain.pem").write_text(chain)
        command = [openssl, "s_server", "-quiet", "-naccept", "1", "-alpn", "http/1.1",
                   "-cert", f"{folder}/leaf.pem", "-cert_chain", f"{folder}/chain.pem",
                   "-key", key, *options]
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)

        running = set()

        def accept():
            for number in range(sys.maxsize):
                client, _ = listener.accept()
                threading.Thread(target=serve, daemon=True, args=(
                    client, behind, command, f"{folder}/{number}", running)).start()

        threading.Thread(target=accept, daemon=True).start()
        in_front.serve(listener.getsockname()[1], server.stdout, server.terminate)
        server.wait()
        for process in list(running):
            process.terminate()


main()
