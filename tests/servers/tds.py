"""The first steps of a TDS connection: PRELOGIN and TLS, and whether a client went on to send its login.

No SQL Server: it answers no login and no statement. It shows to whom a client would have sent its password.
"""

from __future__ import annotations

import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

Greeting: TypeAlias = Callable[[socket.socket, ssl.SSLContext], list[int]]
PRELOGIN, LOGIN7, REPLY = 0x12, 0x10, 0x04
HEADER = struct.Struct(">BBHHBB")
VERSION, ENCRYPTION, END = 0, 1, 0xFF
NOT_SUPPORTED, REQUIRED = 2, 3
ALPN = "tds/8.0"


@dataclass
class Doorstep:
    """Where it listens, and the first byte of what came after PRELOGIN and TLS."""

    port: int
    packets: list[int] = field(default_factory=list)


def certificate(folder: Path, name: str) -> Path:
    """A self-made certificate of a host name, with its key in the same file."""
    path = folder / f"{name}.pem"
    made = folder / f"{name}.crt"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    command += ["-addext", f"subjectAltName=DNS:{name}", "-keyout", str(path), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + made.read_text())
    return path


@contextmanager
def doorstep(pem: Path, *, strict: bool = False, encrypts: bool = True) -> Iterator[Doorstep]:
    """Wait for clients with that certificate: TLS at once (`strict`), after PRELOGIN, or none at all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.set_alpn_protocols([ALPN])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = Doorstep(listener.getsockname()[1])
        stop = threading.Event()
        listener.settimeout(0.1)
        greet = _strict if strict else _mandatory if encrypts else _open
        thread = threading.Thread(target=_serve, args=(listener, context, found, stop, greet))
        thread.start()
        try:
            yield found
        finally:
            stop.set()
            thread.join()


def _serve(
    listener: socket.socket, context: ssl.SSLContext, found: Doorstep, stop: threading.Event, greet: Greeting
) -> None:
    while not stop.is_set():
        try:
            client, _ = listener.accept()
        except TimeoutError:
            continue
        client.settimeout(5)
        with client:
            try:
                found.packets += greet(client, context)
            except OSError:
                continue


def _strict(client: socket.socket, context: ssl.SSLContext) -> list[int]:
    with context.wrap_socket(client, server_side=True) as secure:
        first = secure.recv(HEADER.size)
        return [HEADER.unpack(first)[0]] if len(first) == HEADER.size else []


def _mandatory(client: socket.socket, context: ssl.SSLContext) -> list[int]:
    """TLS packed in PRELOGIN packets until both sides have shaken hands; from then on, the login comes bare."""
    _welcome(client, REQUIRED)
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    secure = context.wrap_bio(inward, outward, server_side=True)
    while True:
        try:
            secure.do_handshake()
            break
        except ssl.SSLWantReadError:
            _flush(client, outward)
            inward.write(_packet(client))
    _flush(client, outward)
    while True:
        try:
            return [secure.read(HEADER.size)[0]]
        except ssl.SSLWantReadError:
            received = client.recv(4096)
            if not received:
                return []
            inward.write(received)


def _open(client: socket.socket, context: ssl.SSLContext) -> list[int]:
    _welcome(client, NOT_SUPPORTED)
    return [HEADER.unpack(_exactly(client, HEADER.size))[0]]


def _welcome(client: socket.socket, encryption: int) -> None:
    _packet(client)
    options = struct.pack(">BHHBHHB", VERSION, 11, 6, ENCRYPTION, 17, 1, END) + bytes([16, 0, 0, 0, 0, 0, encryption])
    _send(client, REPLY, options)


def _flush(client: socket.socket, outward: ssl.MemoryBIO) -> None:
    if outward.pending:
        _send(client, PRELOGIN, outward.read())


def _send(client: socket.socket, kind: int, payload: bytes) -> None:
    client.sendall(HEADER.pack(kind, 1, HEADER.size + len(payload), 0, 0, 0) + payload)


def _packet(client: socket.socket) -> bytes:
    length = HEADER.unpack(_exactly(client, HEADER.size))[2]
    return _exactly(client, length - HEADER.size)


def _exactly(client: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = client.recv(size - len(found))
        if not part:
            raise ConnectionError("the client went away")
        found += part
    return found
