"""A server of python3-websockets that counts (and answers REPORT) or echoes.

Usage: websockets_peer.py PORT sink|echo"""

import asyncio
import sys

import websockets


async def sink(connection, *_):
    messages = payload_bytes = 0
    async for message in connection:
        if message == "REPORT":
            await connection.send(f"{messages} {payload_bytes}")
        else:
            messages += 1
            payload_bytes += len(message if isinstance(message, bytes) else message.encode())


async def echo(connection, *_):
    async for message in connection:
        await connection.send(message)


async def main():
    handler = echo if sys.argv[2] == "echo" else sink
    async with websockets.serve(
        handler, "127.0.0.1", int(sys.argv[1]), max_size=None, compression=None
    ):
        await asyncio.Future()


asyncio.run(main())
