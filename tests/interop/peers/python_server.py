#!/usr/bin/python3
"""Peer of the interop tests; every frame is made and read by the websockets library.

Paths: /echo, /digest, /feed, /ping, /close, /wait, /abort, /forbidden; subprotocol chat.v2.
Prints "port <number>", then one line "closed <code> <reason>" per client that said goodbye.
"""

import asyncio
import hashlib
import http
import os
import signal
import ssl
import sys
import urllib.parse

try:
    import websockets
except ImportError:
    print("missing: python3-websockets", flush=True)
    sys.exit(77)

CHARACTERS = "a\u00e9\u4e2d\U0001f30a"  # 1, 2, 3 and 4 bytes
SIZES = [1, 2, 125, 126, 127, 4095, 65535, 65536, 1 << 20, 16 << 20]


def text_of(count):
    """Valid UTF-8 of exactly `count` bytes, mostly multi-byte."""
    whole = count // 10
    return CHARACTERS * whole + "x" * (count - 10 * whole)


def binary_of(count):
    return hashlib.shake_128(str(count).encode()).digest(count)


def describe(message):
    kind = "text" if isinstance(message, str) else "binary"
    data = message.encode() if isinstance(message, str) else message
    return f"{kind} {len(data)} {hashlib.sha256(data).hexdigest()}"


async def feed(websocket):
    """Every message is followed by its description; then the same sizes in fragments."""
    for size in SIZES:
        for message in (text_of(size), binary_of(size)):
            await websocket.send(message)
            await websocket.send(describe(message))
    for size in SIZES:
        for message in (text_of(size), binary_of(size)):
            cut = max(len(message) // 3, 1)
            parts = [message[:cut], message[cut:cut], message[cut:2 * cut], message[2 * cut:]]
            await websocket.send(parts)
            await websocket.send(describe(message))
    await websocket.close(1000, "end of feed")


async def ping(websocket):
    """Pings before, inside and after a fragmented message; each must come back as it went."""
    async def parts():
        yield CHARACTERS
        await (await websocket.ping(b""))
        yield CHARACTERS
        await (await websocket.ping(bytes(range(125))))
        yield "end"
    await (await websocket.ping(b"before"))
    await websocket.send(parts())
    await (await websocket.ping(b"after"))
    await websocket.send("all pongs came back")
    await websocket.close(1000, "")


async def serve_client(websocket, path):
    url = urllib.parse.urlsplit(path)
    query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
    try:
        if url.path == "/echo":
            async for message in websocket:
                await websocket.send(message)
        elif url.path == "/digest":
            async for message in websocket:
                await websocket.send(describe(message))
        elif url.path == "/feed":
            await feed(websocket)
        elif url.path == "/ping":
            await ping(websocket)
        elif url.path == "/close":
            await websocket.send("goodbye")
            await websocket.close(int(query["code"][0]), query["reason"][0])
        elif url.path == "/wait":
            await websocket.wait_closed()
        elif url.path == "/abort":
            await websocket.send("abort follows")
            await websocket.recv()
            websocket.transport.abort()
            return
    except websockets.ConnectionClosed:
        pass
    await websocket.wait_closed()
    said = websocket.close_rcvd
    if said is not None:
        print("closed", said.code, said.reason, flush=True)


async def admit(path, _headers):
    if path == "/forbidden":
        return http.HTTPStatus.FORBIDDEN, [("X-Why", "because")], b"not here\n"
    return None


def tls_from_environment():
    """None without SLUICE_TEST_CERTIFICATE_FILE."""
    certificate = os.environ.get("SLUICE_TEST_CERTIFICATE_FILE")
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, os.environ["SLUICE_TEST_KEY_FILE"])
    return context


async def main():
    stop = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGTERM, lambda: stop.done() or stop.set_result(None))
    async with websockets.serve(serve_client, "127.0.0.1", 0, max_size=None, process_request=admit,
                                subprotocols=["chat.v2"],
                                ssl=tls_from_environment()) as server:
        print("port", server.sockets[0].getsockname()[1], flush=True)
        await stop


asyncio.run(main())
