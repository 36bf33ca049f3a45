"""WebSocket ends of the plainest kind, for the tests of the programs: standard library only,
written from RFC 6455 and slow. They look at every byte that the programs under test send."""

import base64
import hashlib
import os
import socket
import struct
import threading

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class ProtocolError(Exception):
    pass


def mask(payload, key):
    size = len(payload)
    stretched = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stretched, "big")).to_bytes(size, "big")


def frame(opcode, payload, masked=False, fin=True):
    size = len(payload)
    head = bytes([(0x80 if fin else 0) | opcode])
    mask_bit = 0x80 if masked else 0
    if size < 126:
        head += bytes([mask_bit | size])
    elif size < 65536:
        head += bytes([mask_bit | 126]) + struct.pack(">H", size)
    else:
        head += bytes([mask_bit | 127]) + struct.pack(">Q", size)
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + mask(payload, key)


class Stream:
    """A socket that is read in exact amounts."""

    def __init__(self, sock):
        self.sock = sock
        self.pending = b""

    def read(self, count):
        while len(self.pending) < count:
            got = self.sock.recv(1 << 16)
            if not got:
                raise EOFError
            self.pending += got
        taken, self.pending = self.pending[:count], self.pending[count:]
        return taken

    def read_head(self):
        while b"\r\n\r\n" not in self.pending:
            got = self.sock.recv(4096)
            if not got:
                raise EOFError
            self.pending += got
        head, _, self.pending = self.pending.partition(b"\r\n\r\n")
        return head.decode("ascii")

    def read_frame(self):
        """(first byte, masked, payload)"""
        first, second = self.read(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", self.read(2))
            if size < 126:
                raise ProtocolError("length not minimal")
        elif size == 127:
            (size,) = struct.unpack(">Q", self.read(8))
            if size < 65536:
                raise ProtocolError("length not minimal")
        masked = bool(second & 0x80)
        key = self.read(4) if masked else b"\0\0\0\0"
        payload = self.read(size)
        if masked:
            payload = mask(payload, key)
        return first, masked, payload

    def write_frame(self, opcode, payload, masked=False, fin=True):
        self.sock.sendall(frame(opcode, payload, masked, fin))


class Received:
    """What one connection has brought."""

    def __init__(self):
        self.messages = 0
        self.payload_bytes = 0
        self.frames = 0
        self.pings = 0
        self.kinds = set()
        self.sizes = set()
        self.longest_frame = 0
        self.keys_differ = False
        self.close_status = None


def serve_connection(sock, seen, behaviour, problems):
    """Reads to the end. Behaviours: sink, echo, lie (reports one message too few), silent (never
    answers), refuse (closes with 1009 at the first message), ping (pings first, wants a pong)."""
    try:
        stream = Stream(sock)
        head = stream.read_head()
        lines = dict(
            (name.strip().lower(), value.strip())
            for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
        )
        if lines.get("upgrade") != "websocket" or lines.get("sec-websocket-version") != "13":
            raise ProtocolError("not an upgrade request: " + head)
        accept = base64.b64encode(
            hashlib.sha1(
                (lines["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()
            ).digest()
        ).decode()
        answer = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
        ).encode()
        if behaviour == "ping":
            answer += b"\x89\x03abc"  # glued behind the answer
        sock.sendall(answer)
        message, kind = None, None
        pongs = []
        while True:
            first, masked, payload = stream.read_frame()
            if not masked:
                raise ProtocolError("a client must mask")
            if first & 0x70:
                raise ProtocolError("reserved bits")
            opcode = first & 0x0F
            seen.frames += 1
            if opcode == PING:
                seen.pings += 1
                stream.write_frame(PONG, payload)
            elif opcode == PONG:
                pongs.append(payload)
            elif opcode == CLOSE:
                seen.close_status = struct.unpack(">H", payload[:2])[0]
                stream.write_frame(CLOSE, payload)
                if behaviour == "ping" and pongs != [b"abc"]:
                    raise ProtocolError(f"wrong pongs: {pongs}")
                return
            else:
                if (opcode == CONTINUATION) == (message is None):
                    raise ProtocolError("fragments out of order")
                if opcode != CONTINUATION:
                    message, kind = b"", opcode
                message += payload
                seen.longest_frame = max(seen.longest_frame, len(payload))
                if not first & 0x80:
                    continue
                if kind == TEXT:
                    message.decode("utf-8")
                if behaviour == "refuse":
                    stream.write_frame(CLOSE, struct.pack(">H", 1009))
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(1 << 16):
                        pass
                    return
                if behaviour == "echo":
                    stream.write_frame(kind, message)
                if kind == TEXT and message == b"REPORT":
                    count = seen.messages - (1 if behaviour == "lie" else 0)
                    if behaviour != "silent":
                        stream.write_frame(TEXT, f"{count} {seen.payload_bytes}".encode())
                else:
                    seen.messages += 1
                    seen.payload_bytes += len(message)
                    seen.kinds.add(kind)
                    seen.sizes.add(len(message))
                message = None
    except (EOFError, ConnectionError):
        pass
    except Exception as problem:  # shown by the test that owns the server
        problems.append(repr(problem))
    finally:
        sock.close()


class Server:
    """Serves on a free port until the with block ends."""

    def __init__(self, behaviour="sink"):
        self.behaviour = behaviour
        self.connections = []
        self.problems = []
        self.threads = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            seen = Received()
            self.connections.append(seen)
            thread = threading.Thread(
                target=serve_connection,
                args=(sock, seen, self.behaviour, self.problems),
                daemon=True,
            )
            self.threads.append(thread)
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.acceptor.join(10)
        for thread in self.threads:
            thread.join(10)

    @property
    def messages(self):
        return sum(c.messages for c in self.connections)

    @property
    def payload_bytes(self):
        return sum(c.payload_bytes for c in self.connections)


def connect(port, target="/", more_lines="", behind=b""):
    """A client connection after its handshake; `behind` is sent together with the request."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    sock.sendall(
        (
            f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Sec-WebSocket-Version: 13\r\n{more_lines}\r\n"
        ).encode()
        + behind
    )
    stream = Stream(sock)
    head = stream.read_head()
    if " 101 " not in head.partition("\r\n")[0]:
        sock.close()
    if "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" not in head:  # RFC 6455 section 1.3
        raise ProtocolError("wrong answer: " + head)
    return stream
