"""An FTP server that says what it is told to: for replies that no real server gives on request."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

USUAL = {
    "USER": "331 password?",
    "PASS": "230 in",
    "FEAT": "211-\r\n MLST type*;\r\n211 end",
    "OPTS": "200 ok",
    "TYPE": "200 ok",
    "PWD": '257 "/"',
    "CWD": "250 ok",
    "DELE": "250 gone",
    "SIZE": "213 4",
    "NOOP": "200 ok",
    "QUIT": "221 bye",
}
DATA = ("STOR", "MLSD", "RETR")


@dataclass
class Scripted:
    """A running server: where it listens, and every line that came."""

    port: int
    heard: list[str] = field(default_factory=list)
    lines: list[socket.socket] = field(default_factory=list)

    @property
    def commands(self) -> list[str]:
        """The first words of the lines."""
        return [line.partition(" ")[0] for line in self.heard]


@contextmanager
def scripted_ftp(replies: Mapping[str, str], welcome: str = "220 hello") -> Iterator[Scripted]:
    """Answer each command as `replies` or as usual, 502 else. What is sent over data channels is read and forgotten."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Scripted(listening.getsockname()[1])
        thread = threading.Thread(target=_accept, args=(listening, server, {**USUAL, **replies}, welcome))
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            for line in server.lines:
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
            thread.join()


def _accept(listening: socket.socket, server: Scripted, replies: Mapping[str, str], welcome: str) -> None:
    while True:
        try:
            line, _ = listening.accept()
        except OSError:
            return
        server.lines.append(line)
        with line, suppress(OSError):
            _talk(line, server, replies, welcome)


def _talk(line: socket.socket, server: Scripted, replies: Mapping[str, str], welcome: str) -> None:
    line.sendall(f"{welcome}\r\n".encode())
    data: socket.socket | None = None
    for heard in line.makefile("r", encoding="utf-8", newline="\r\n"):
        server.heard.append(heard.strip())
        command = heard.split()[0]
        reply = replies.get(command, "502 what?")
        if command == "PASV" and command not in replies:
            data = socket.create_server(("127.0.0.1", 0))
            port = data.getsockname()[1]
            reply = f"227 (127,0,0,1,{port // 256},{port % 256})"
        if command in DATA and command not in replies and data:
            _swallow(line, data)
            reply = "226 done"
        line.sendall(f"{reply}\r\n".encode())
        if command == "QUIT" or reply.startswith("421"):
            break
    if data:
        data.close()


def _swallow(line: socket.socket, data: socket.socket) -> None:
    line.sendall(b"150 go\r\n")
    channel, _ = data.accept()
    with channel:
        channel.settimeout(0.2)
        try:
            while channel.recv(65536):
                pass
        except TimeoutError:
            pass
    data.close()
