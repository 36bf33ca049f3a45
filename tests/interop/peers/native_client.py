#!/usr/bin/python3
"""Client of the native interop tests; every frame is made and read by the websockets library.

Argument: the server's port; SLUICE_TEST_CA_FILE asks for TLS and names the authority. Prints what
it sent and got, line by line; the last line is "done".
"""

import asyncio
import hashlib
import os
import ssl
import sys

try:
    import websockets
except ImportError:
    print("missing: python3-websockets", flush=True)
    sys.exit(77)

AUTHORITY = os.environ.get("SLUICE_TEST_CA_FILE")
SERVER = f"{'wss' if AUTHORITY else 'ws'}://127.0.0.1:{sys.argv[1]}"
SECURITY = {"ssl": ssl.create_default_context(cafile=AUTHORITY)} if AUTHORITY else {}
CHARACTERS = "a\u00e9\u4e2d\U0001f30a"  # 1, 2, 3 and 4 bytes
SIZES = [0, 1, 2, 125, 126, 127, 1000, 4096, 65535, 65536, 65537, 131072, 1 << 20, 4 << 20]
BURST = 500


def text_of(count):
    return CHARACTERS * (count // 10) + "x" * (count % 10)


def binary_of(count):
    return hashlib.shake_128(str(count).encode()).digest(count)


def describe(message):
    kind = "text" if isinstance(message, str) else "binary"
    data = message.encode() if isinstance(message, str) else message
    return f"{kind} {len(data)} {hashlib.sha256(data).hexdigest()}"


def tell(line):
    print(line, flush=True)


def tell_end(socket):
    clean = "dirty" if socket.close_code == 1006 else "clean"
    tell(f"closed {socket.close_code} {clean} {socket.close_reason}")


async def exchange(socket, message, sent=None):
    await socket.send(sent or message)
    tell(f"sent {describe(message)}")
    tell(f"echo {describe(await socket.recv())}")


async def echo(path):
    options = {"subprotocols": ["chat.v1", "chat.v2"], "max_size": None, **SECURITY}
    socket = await websockets.connect(SERVER + path, **options)
    tell(f"protocol {socket.subprotocol}")
    for size in SIZES:
        await exchange(socket, text_of(size))
        await exchange(socket, binary_of(size))
    # In fragments, cut inside characters for the server's eyes.
    for message in (text_of(100000), binary_of(300000)):
        cuts = [0, 0, 1, 70001, 70001, len(message)]
        parts = [message[a:b] for a, b in zip(cuts, cuts[1:])]
        await exchange(socket, message, sent=parts)
    await (await socket.ping(b"are you there"))
    burst = [text_of(i * 13) if i % 2 else binary_of(i * 13) for i in range(BURST)]

    async def send_all():
        for message in burst:
            await socket.send(message)

    sending = asyncio.ensure_future(send_all())
    for message in burst:
        tell(f"sent {describe(message)}")
        tell(f"echo {describe(await socket.recv())}")
    await sending
    await socket.close(4321, "done \u2713")
    tell_end(socket)


async def main():
    for path in ("/echo", "/slices", "/buffers"):
        await echo(path)
    socket = await websockets.connect(SERVER + "/goodbye", **SECURITY)
    tell(f"heard {await socket.recv()}")
    await socket.wait_closed()
    tell_end(socket)
    try:
        await websockets.connect(SERVER + "/refused", **SECURITY)
        tell("let in")
    except websockets.InvalidStatusCode as refused:
        tell("refused" if refused.status_code == 403 else f"status {refused.status_code}")
    tell("done")


sys.stdout.reconfigure(encoding="utf-8")
asyncio.run(main())
