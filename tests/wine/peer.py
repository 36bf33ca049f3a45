"""The peer of probe.c: what it does is in the path, and for /sync and /async in the messages it
gets. `serve()` runs in a thread; what a client put on the wire is in `seen`, one line per frame."""

import base64
import hashlib
import socket
import struct
import threading

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3


def frame(opcode, payload=b"", fin=True, first_bits=0):
    head = bytes([(0x80 if fin else 0) | first_bits | opcode])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    return head + b"\x7e" + struct.pack(">H", len(payload)) + payload


# What goes out right behind the head.
ON_OPEN = {
    "/rsv": frame(2, b"x", first_bits=0x40),
    "/opcode": frame(0xB, b"x"),
    "/masked": b"\x82\x81\x00\x00\x00\x00x",
    "/utf8": frame(1, b"\xff\xfe"),
    "/long_ping": frame(9, b"p" * 126),
    "/empty_close": frame(8),
}

# What a message asks for.
ON_MESSAGE = {
    b"binary 256": frame(2, bytes(range(97, 97 + 16)) * 16),
    b"fragments": frame(1, b"first", fin=False) + frame(0, b"second", fin=False) + frame(0),
    b"empty": frame(1),
    b"ping": frame(9, b"payload of the ping") + frame(1, b"behind"),
    b"close": frame(8, struct.pack(">H", 1001) + b"going away"),
}


class Peer:
    def __init__(self):
        self.seen = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.settimeout(30)
            with client:
                try:
                    self.talk(client)
                except OSError:
                    pass

    def close(self):
        self.listener.close()

    def talk(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        lines = head.decode("latin-1").split("\r\n")
        path = lines[0].split()[1]
        fields = {k.strip().lower(): v.strip() for k, _, v in (l.partition(":") for l in lines[1:])}
        if path == "/404":
            client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return
        key = fields.get("sec-websocket-key", "")
        if path == "/wrong_accept":
            key = "somebody else's"
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        client.sendall(
            (
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            ).encode()
            + ON_OPEN.get(path, b"")
        )
        if path == "/fin":
            client.shutdown(socket.SHUT_WR)
        self.frames(client, path)

    def frames(self, client, path):
        def exactly(count):
            got = b""
            while len(got) < count:
                more = client.recv(count - len(got))
                if not more:
                    raise OSError
                got += more
            return got

        closed = False
        count = 0
        while True:
            first, second = exactly(2)
            size = second & 0x7F
            if size == 126:
                size = struct.unpack(">H", exactly(2))[0]
            key = exactly(4) if second & 0x80 else bytes(4)
            payload = bytes(b ^ key[i % 4] for i, b in enumerate(exactly(size)))
            masked = "masked" if second & 0x80 else "plain"
            self.seen.append(f"wire{path}.{count}: {first:#04x} {masked} {payload!r}")
            count += 1
            if first & 0x0F == 8:
                if not closed:
                    client.sendall(frame(8, payload))
                return
            answer = ON_MESSAGE.get(payload, b"") if first & 0x0F in (1, 2) else b""
            closed = closed or payload == b"close"
            client.sendall(answer)
