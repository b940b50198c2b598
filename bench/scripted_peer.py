"""A server that speaks the wire protocol, holds no tree, and is never the bottleneck.

It runs in a process of its own. A benchmark drives it through a second,
line-delimited JSON port: ``{"do": name, …}`` is answered with one line.

``data`` (path, json): what a listen at the path is sent
``prepare`` (pushes): encode messages (action, path, data), to be pushed at once
``push``: send what was prepared and then the next integer on ``/sentinel``
``hold`` / ``release``: keep echoes and answers of writes, or send them
``stats``: how many writes were answered
"""

import base64
import contextlib
import hashlib
import json
import socket
import struct
import sys
import threading
import time

from bench.workloads import compact

FRAME = 16384
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(text: str) -> bytes:
    """Return the WebSocket frames of one message, split as the protocol splits."""
    if len(text) > FRAME:
        parts = [text[i : i + FRAME] for i in range(0, len(text), FRAME)]
        return b"".join(single(part) for part in [str(len(parts)), *parts])
    return single(text)


def single(text: str) -> bytes:
    """Return one unmasked text frame."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x81, size)
    elif size < 65536:
        head = struct.pack("!BBH", 0x81, 126, size)
    else:
        head = struct.pack("!BBQ", 0x81, 127, size)
    return head + payload


def push(action: str, path: str, data: str, tag: int | None = None) -> str:
    """Return the text of a data push; ``data`` is JSON already."""
    tagged = "" if tag is None else f',"t":{tag}'
    return f'{{"t":"d","d":{{"a":"{action}","b":{{"p":{compact(path)},"d":{data}{tagged}}}}}}}'


def answer(number: int, payload: str = '""') -> str:
    """Return the text of an ``ok``."""
    return f'{{"t":"d","d":{{"r":{number},"b":{{"s":"ok","d":{payload}}}}}}}'


class Reader:
    """Takes masked client frames apart."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.buffer = bytearray()

    def take(self, size: int) -> bytes:
        while len(self.buffer) < size:
            data = self.connection.recv(1 << 18)
            if not data:
                raise ConnectionError
            self.buffer += data
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        return taken

    def message(self) -> str:
        """Return the next text message; joins nothing: clients here send short ones."""
        while True:
            first, second = self.take(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", self.take(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", self.take(8))
            mask = self.take(4)
            data = self.take(size)
            key = int.from_bytes(mask * (size // 4 + 1), "little")
            plain = int.from_bytes(data, "little") ^ (key & ((1 << (8 * size)) - 1))
            if first & 0x0F == 8:
                raise ConnectionError
            if first & 0x0F == 1:
                return plain.to_bytes(size, "little").decode()


class Peer:
    """One client at a time, and the benchmark's commands."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.data: dict[str, str] = {}
        self.client: socket.socket | None = None
        self.prepared = b""
        self.sentinel = 0
        self.held: list[bytes] | None = None
        self.answered = 0
        self.listening: set[str] = set()

    def serve(self, connection: socket.socket) -> None:
        """Shake hands and answer one client until it goes."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = Reader(connection)
        request = b""
        while b"\r\n\r\n" not in request:
            request += reader.take(1)
        headers = dict(
            line.split(": ", 1) for line in request.decode().split("\r\n")[1:] if ": " in line
        )
        key = next(value for name, value in headers.items() if name.lower() == "sec-websocket-key")
        accept = base64.b64encode(hashlib.sha1(key.encode() + MAGIC).digest()).decode()
        host = next(value for name, value in headers.items() if name.lower() == "host")
        hello = {"ts": int(time.time() * 1000), "v": "5", "h": host, "s": "sess"}
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
            + single(compact({"t": "c", "d": {"t": "h", "d": hello}}))
        )
        self.listening.clear()
        self.client = connection
        with contextlib.suppress(ConnectionError, OSError):
            while True:
                self.receive(connection, reader.message())
        self.client = None

    def receive(self, connection: socket.socket, text: str) -> None:
        """Answer one request."""
        if text == "0":
            return
        message = json.loads(text)["d"]
        if "a" not in message:
            with self.lock:
                connection.sendall(single('{"t":"c","d":{"t":"o","d":null}}'))
            return
        number, action, body = message["r"], message["a"], message["b"]
        path = body.get("p", "").strip("/")
        out = ""
        reply = answer(number, "{}" if action == "q" else '""')
        if action == "q":
            self.listening.add(path)
            data = self.data.get(path, str(self.sentinel) if path == "sentinel" else "null")
            out = push("d", path, data, body.get("t"))
        elif action in "pm":
            covered = any(path == p or path.startswith(p + "/") for p in self.listening)
            out = push("m" if action == "m" else "d", path, compact(body["d"])) if covered else ""
        sent = (frame(out) if out else b"") + single(reply)
        with self.lock:
            if action in "pm":
                self.answered += 1
                if self.held is not None:
                    self.held.append(sent)
                    return
            connection.sendall(sent)

    def command(self, line: str) -> object:
        """Do what the benchmark asks for."""
        order = json.loads(line)
        match order.pop("do"):
            case "data":
                self.data[order["path"]] = order["json"]
            case "prepare":
                self.prepared = b"".join(
                    frame(push(action, path, compact(data)))
                    for action, path, data in order["pushes"]
                )
            case "push":
                self.sentinel += 1
                with self.lock:
                    assert self.client is not None
                    self.client.sendall(
                        self.prepared + single(push("d", "sentinel", str(self.sentinel)))
                    )
            case "hold":
                self.held = []
            case "release":
                with self.lock:
                    held, self.held = self.held or [], None
                    if self.client is not None:
                        self.client.sendall(b"".join(held))
            case "stats":
                return {"answered": self.answered}
            case unknown:
                raise ValueError(f"unknown command {unknown!r}")
        return {}


def listen() -> socket.socket:
    """Return a socket on a free port of this machine."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(8)
    return server


def main() -> None:
    """Print both ports, then serve until the control connection closes."""
    peer = Peer()
    clients, control = listen(), listen()
    print(clients.getsockname()[1], control.getsockname()[1], flush=True)

    def accept() -> None:
        while True:
            connection, _ = clients.accept()
            threading.Thread(target=peer.serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    connection, _ = control.accept()
    with connection, connection.makefile("rw") as lines:
        for line in lines:
            lines.write(compact(peer.command(line)) + "\n")
            lines.flush()
    sys.stdout.flush()


if __name__ == "__main__":
    main()
