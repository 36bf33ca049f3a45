#!/usr/bin/python3
"""A WebSocket server that feeds messages; the framing is that of the websockets library.

  /usr/bin/python3 examples/peers/feed_server.py --port 8080

ws://localhost:8080/feed?seconds=3 or ?messages=1000: sends a mix of text (ASCII and multi-byte),
binary, empty and fragmented messages, then closes with the reason
"messages=<count> bytes=<count> sha256=<hex>" over everything it sent.
ws://localhost:8080/echo: sends every message back.

The same server on the library of this tree: examples/native_feed_server.cpp.
Prints "port <number>" once it listens. Needs Debian's python3-websockets.
"""

import argparse
import asyncio
import hashlib
import signal
import ssl
import sys
import time
import urllib.parse

try:
    import websockets
except ImportError:
    print("missing: python3-websockets (apt-get install python3-websockets)", flush=True)
    sys.exit(77)

GREETING = "Gr\u00fc\u00dfe, \u03ba\u03b1\u03bb\u03b7\u03bc\u03ad\u03c1\u03b1, " \
           "\u3053\u3093\u306b\u3061\u306f, \U0001f30a\U0001f9ea. "


def pattern(count):
    """Bytes that differ from place to place, so that a lost or doubled piece shows."""
    return bytes((i * 167 + (i >> 8) * 13 + 7) & 0xff for i in range(count))


def messages():
    """The mix: str is text, bytes is binary, a list is one message in fragments."""
    numbers = "".join(f"{i:06d} " for i in range(20000))
    block = pattern(65536)
    short = [f"tick {i} " + GREETING[:i] for i in range(16)] + [pattern(n) for n in (1, 125, 126)]
    yield from short
    yield ""
    yield GREETING * 40
    yield block
    yield from short
    yield [GREETING * 10, "", GREETING * 300, "the end \u2713"]
    yield block * 4
    yield numbers[:65535]
    yield [block[:1000], block[1000:30000], block[30000:]]
    yield GREETING * 2000
    yield block[:65535]
    yield block * 16
    yield [numbers, GREETING * 500]
    yield block


def prepared():
    """Each message with what the digest takes of it: payload, kind, length in 8 bytes."""
    for message in messages():
        parts = message if isinstance(message, list) else [message]
        payload = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
        kind = b"t" if isinstance(parts[0], str) else b"b"
        yield message, payload, kind + len(payload).to_bytes(8, "big")


MIX = list(prepared())


async def feed(websocket, query):
    seconds = float(query.get("seconds", ["0"])[0])
    limit = int(query.get("messages", ["0" if seconds else "1000"])[0])
    end = time.monotonic() + seconds if seconds else None
    digest = hashlib.sha256()
    count = size = 0
    while (not limit or count < limit) and (end is None or time.monotonic() < end):
        message, payload, tail = MIX[count % len(MIX)]
        await websocket.send(message)
        digest.update(payload)
        digest.update(tail)
        count += 1
        size += len(payload)
    await websocket.close(1000, f"messages={count} bytes={size} sha256={digest.hexdigest()}")


async def serve_client(websocket, path):
    url = urllib.parse.urlsplit(path)
    try:
        if url.path == "/feed":
            await feed(websocket, urllib.parse.parse_qs(url.query))
        elif url.path == "/echo":
            async for message in websocket:
                await websocket.send(message)
        else:
            await websocket.close(1008, "unknown path")
    except websockets.ConnectionClosed:
        pass  # the client went away


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--certificate", help="PEM file; with it and --key: wss://")
    parser.add_argument("--key", help="PEM file")
    options = parser.parse_args()
    tls = None
    if options.certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.certificate, options.key)
    stop = asyncio.get_running_loop().create_future()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(
            number, lambda: stop.done() or stop.set_result(None))
    async with websockets.serve(serve_client, "127.0.0.1", options.port, max_size=None,
                                ssl=tls) as server:
        print("port", server.sockets[0].getsockname()[1], flush=True)
        await stop


asyncio.run(main())
