"""SFTP version 3 on a channel: messages, and many of them under way at once. Names are bytes on the wire, UTF-8 here.

The library's own client drops what is needed here: the server's extensions, the number of a refusal, and the answer to
a close. How the channel is made is in sftp_session.py, what is done with files in sftp.py.
"""

from __future__ import annotations

import io
import struct
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

INIT, VERSION, OPEN, CLOSE, READ, WRITE = 1, 2, 3, 4, 5, 6
FSETSTAT, OPENDIR, READDIR, REMOVE, MKDIR, REALPATH, STAT, RENAME = 10, 11, 12, 13, 14, 16, 17, 18
LSTAT, STATUS, EXTENDED = 7, 101, 200
OK, EOF, NO_SUCH_FILE, DENIED, FAILURE = 0, 1, 2, 3, 4
FULL = (FAILURE, 14, 15)
"""A full disk or quota: in version 3 a failure like others, and some servers send the numbers of later versions."""
PASSING = (*FULL, 6, 7)
"""What may pass by itself; 6 and 7 are of connections behind the server."""

READING, NEW = 0x01, 0x02 | 0x08 | 0x20
"""How a file is opened: to read; to write, only where nothing has the name."""

HAS_SIZE, HAS_OWNER, HAS_MODE = 1, 2, 4
FOLDER, KIND = 0o040000, 0o170000

FSYNC, REPLACE, LIMITS, ROOM = (
    "fsync@openssh.com",
    "posix-rename@openssh.com",
    "limits@openssh.com",
    "statvfs@openssh.com",
)
CAREFUL, LARGEST = 32 << 10, 255 << 10
"""Bytes of a block: what every server must take, and what OpenSSH takes (256 KiB make it drop the line)."""

FLIGHT = 4 << 20
"""Bytes that are under way before the first answer is waited for."""

CHUNK = 32_704
"""Bytes of one SSH packet: 32 KiB without its header."""

GARBAGE = 1 << 20


class Refused(Exception):
    """The server's answer to one request: its number, and its words."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(code, said)
        self.code, self.said = code, said


class Broken(Exception):
    """The line is gone, or was silent for too long; nothing is known of what was under way."""


@dataclass(frozen=True)
class Attributes:
    """Bytes (None where the server does not tell) and the mode bits (0 likewise)."""

    size: int | None
    mode: int

    @property
    def folder(self) -> bool:
        """Whether it is one."""
        return self.mode & KIND == FOLDER


class Wire:
    """Requests and answers. Answers that come out of turn are kept until they are asked for."""

    def __init__(self, channel: Any) -> None:
        """Say hello on a channel with the sftp subsystem. Raises Broken."""
        self._channel = channel
        self._number = 0
        self._answers: dict[int, tuple[int, Fields]] = {}
        self._dropped: set[int] = set()
        self._send(struct.pack(">IBI", 5, INIT, 3))
        kind, hello = self._packet()
        if kind != VERSION or hello.number() < 3:  # noqa: PLR2004  (the version)
            raise Broken("the server does not speak SFTP version 3")
        self.extensions = dict(hello.pairs())
        self.block = self._blocks() if LIMITS in self.extensions else CAREFUL

    def _blocks(self) -> int:
        """What the server takes at once; 0 says that it does not tell."""
        _, limits = self.call(EXTENDED, text(LIMITS))
        _, read, write = (limits.long() for _ in range(3))
        return min(read or CAREFUL, write or CAREFUL, LARGEST)

    def call(self, kind: int, *fields: bytes) -> tuple[int, Fields]:
        """Ask and wait. Raises Refused and Broken."""
        return self.answer(self.ask(kind, *fields))

    def ask(self, kind: int, *fields: bytes) -> int:
        """Send a request; `answer` waits for what comes back."""
        self._number = (self._number + 1) & 0xFFFFFFFF
        body = b"".join(fields)
        self._send(struct.pack(">IBI", len(body) + 5, kind, self._number) + body)
        return self._number

    def answer(self, number: int) -> tuple[int, Fields]:
        """The answer to a request. Raises Refused for every status but OK."""
        while number not in self._answers:
            kind, fields = self._packet()
            found = fields.number()
            if found in self._dropped:
                self._dropped.discard(found)
            else:
                self._answers[found] = kind, fields
        kind, fields = self._answers.pop(number)
        if kind == STATUS and (code := fields.number()) != OK:
            raise Refused(code, fields.text_or("") or f"status {code}")
        return kind, fields

    def drop(self, number: int) -> None:
        """Nobody waits for this answer any more."""
        if self._answers.pop(number, None) is None:
            self._dropped.add(number)

    def attributes(self, name: str, *, follow: bool = True) -> Attributes | None:
        """What has the name, None when nothing has."""
        try:
            return self.call(STAT if follow else LSTAT, text(name))[1].attributes()
        except Refused as error:
            if error.code == NO_SUCH_FILE:
                return None
            raise

    def listing(self, folder: str) -> Iterator[str]:
        """The names in a folder; several requests are under way at once."""
        handle = text(self.call(OPENDIR, text(folder))[1].data())
        asked = deque([self.ask(READDIR, handle)])
        try:
            while True:
                found = self.answer(asked.popleft())[1].names()
                asked.extend(self.ask(READDIR, handle) for _ in range(4 - len(asked)))
                yield from found
        except Refused as error:
            if error.code != EOF:
                raise
        finally:
            for number in asked:
                self.drop(number)
            self.drop(self.ask(CLOSE, handle))

    def write(self, handle: bytes, source: BinaryIO, block: int) -> int:
        """Send all bytes, and return how many when the server has taken each of them."""
        waiting: deque[int] = deque()
        offset = 0
        while data := source.read(block):
            if len(waiting) * block >= FLIGHT:
                self.answer(waiting.popleft())
            waiting.append(self.ask(WRITE, handle, struct.pack(">QI", offset, len(data)), data))
            offset += len(data)
        for number in waiting:
            self.answer(number)
        return offset

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        with _line():
            for start in range(0, len(view), CHUNK):
                self._channel.sendall(bytes(view[start : start + CHUNK]))

    def _packet(self) -> tuple[int, Fields]:
        length, kind = struct.unpack(">IB", self._receive(5))
        if not 0 < length <= GARBAGE:
            raise Broken("what the server sends is not SFTP; does its login print something?")
        return kind, Fields(self._receive(length - 1))

    def _receive(self, size: int) -> bytes:
        data = bytearray()
        with _line():
            while len(data) < size:
                more = self._channel.recv(size - len(data))
                if not more:
                    raise Broken("the server closed the line")
                data += more
        return bytes(data)


class _line:  # noqa: N801  (used like a function)
    """Let what the library raises for a line that is gone leave as Broken."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        from paramiko.ssh_exception import SSHException

        if isinstance(error, TimeoutError):
            raise Broken("the server was silent for too long") from None
        if isinstance(error, OSError | EOFError | SSHException):
            raise Broken(f"the line broke: {error}" if str(error) else "the line broke") from None


class Fields:
    """The fields of a message, read one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise Broken("an answer of the server ends too early")
        self._at += size
        return taken

    def number(self) -> int:
        """32 bits."""
        return int.from_bytes(self._take(4))

    def long(self) -> int:
        """64 bits."""
        return int.from_bytes(self._take(8))

    def data(self) -> bytes:
        """Bytes with their length before them."""
        return self._take(self.number())

    def text_or(self, usual: str) -> str:
        """Text, or what is usual where the message ends before it."""
        return self.data().decode(errors="replace") if self._at < len(self._data) else usual

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Texts in pairs, to the end."""
        while self._at < len(self._data):
            yield self.data().decode(errors="replace"), self.data().decode(errors="replace")

    def names(self) -> list[str]:
        """Names of a folder, without what else is said of them."""
        found = []
        for _ in range(self.number()):
            found.append(self.data().decode(errors="surrogateescape"))
            self.data()
            self.attributes()
        return found

    def attributes(self) -> Attributes:
        """Size and mode; what else is there is passed over."""
        flags = self.number()
        size = self.long() if flags & HAS_SIZE else None
        self._take(8 if flags & HAS_OWNER else 0)
        mode = self.number() if flags & HAS_MODE else 0
        self._take(8 if flags & 8 else 0)
        for _ in range(self.number() if flags & 0x80000000 else 0):
            self.data(), self.data()
        return Attributes(size, mode)


class Reader(io.RawIOBase):
    """A file as a stream: more blocks are under way while each comes whole; a shorter one begins anew behind it."""

    def __init__(self, wire: Wire, handle: bytes, guard: Callable[[Callable[[], bytes]], bytes]) -> None:
        """`guard` runs a reading step and lets its errors leave as they should."""
        self._wire, self._handle, self._guard = wire, handle, guard
        self._wanted, self._at, self._depth, self._rest = 0, 0, 1, memoryview(b"")
        self._asked: deque[int] = deque()

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill as much as the next block has."""
        if not self._rest:
            self._rest = memoryview(self._guard(self._next))
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def _next(self) -> bytes:
        block = self._wire.block
        while len(self._asked) < self._depth:
            self._asked.append(self._wire.ask(READ, self._handle, struct.pack(">QI", self._wanted, block)))
            self._wanted += block
        try:
            data = self._wire.answer(self._asked.popleft())[1].data()
        except Refused as error:
            if error.code == EOF:
                return b""
            raise
        self._at += len(data)
        self._depth = min(self._depth * 2, max(FLIGHT // block, 1))
        if len(data) < block:
            self._forget()
        return data

    def _forget(self) -> None:
        while self._asked:
            self._wire.drop(self._asked.popleft())
        self._wanted, self._depth = self._at, 1

    def close(self) -> None:
        """Let the server forget the file, where the line is still there."""
        if not self.closed:
            self._forget()
            with suppress(Broken):
                self._wire.drop(self._wire.ask(CLOSE, self._handle))
        super().close()


def text(value: str | bytes) -> bytes:
    """A text or bytes with their length before them."""
    data = value.encode(errors="surrogateescape") if isinstance(value, str) else value
    return struct.pack(">I", len(data)) + data


def mode_of(mode: int | None) -> bytes:
    """Attributes that say nothing but a mode, or nothing at all."""
    return struct.pack(">I", 0) if mode is None else struct.pack(">II", HAS_MODE, mode)
