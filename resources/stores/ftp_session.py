"""One control connection to an FTP server: TLS, data channels, replies. On the standard library's ftplib.

What is sent when, and what it means for a file, is in ftp.py; what refusals mean for people, in ftp_errors.py.
"""

from __future__ import annotations

import ftplib
import re
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SLICE = 256 << 10
"""Bytes that are sent or read at once."""
KEPT_QUIET = 10.0
"""Seconds after which a kept connection is asked whether it is still there."""
ABSENT = ("550", "450")
UNKNOWN = ("500", "501", "502", "504")
LOGIN_FIRST = ("503", "530")
DIGEST = re.compile(r"\b[0-9a-fA-F]{64}\b")

Tls = Literal["explicit", "implicit"]


class Unprotected(Exception):
    """The server does not protect what must be: the text says which."""


class Blocked(Exception):
    """A data channel could not be opened at all: the text says how the attempt ended."""


@dataclass(frozen=True)
class Dial:
    """How to reach a server: seconds, a host, a TLS context or None for none."""

    host: str
    port: int
    tls: Tls
    context: ssl.SSLContext | None
    connect_seconds: float
    idle_seconds: float
    keepalive_seconds: int
    passive: bool
    reuse: bool
    encoding: str


class Session(ftplib.FTP_TLS):
    """A connection. Paths are absolute. Raises what ftplib, ssl and socket raise, and Unprotected."""

    def __init__(self, dial: Dial) -> None:
        super().__init__(timeout=dial.connect_seconds, encoding=dial.encoding, context=dial.context)
        self.dial = dial
        self.home = "/"
        self.features: dict[str, str] = {}
        self._private_data = False
        self._used = 0.0
        self.set_pasv(dial.passive)

    def start(self, user: str, password: Callable[[], str]) -> None:
        """Connect, protect, log in. The password is revealed when all is protected."""
        self._connect()
        if self.dial.context:
            self._protect()
        answer = self.sendcmd(f"USER {user}")
        if answer.startswith("3"):
            answer = self.sendcmd(f"PASS {password()}")
        if not answer.startswith("2"):
            raise ftplib.error_perm(f"530 more than a password is asked for: {answer}")  # noqa: S321  (an error)
        if self.dial.context and not self._private_data:
            self._protect_data()
        self._learn()

    def _connect(self) -> None:
        dial = self.dial
        self.host, self.port = dial.host, dial.port
        line = socket.create_connection((dial.host, dial.port), dial.connect_seconds)
        self.sock, self.af = line, line.family
        _keep_alive(line, dial.keepalive_seconds)
        if dial.context and dial.tls == "implicit":
            self.sock = dial.context.wrap_socket(line, server_hostname=dial.host)
        self._listen()
        self.welcome = self.getresp()
        self._line.settimeout(dial.idle_seconds)

    @property
    def _line(self) -> socket.socket:
        if self.sock is None:
            raise EOFError
        return self.sock

    def _listen(self) -> None:
        """Replies that are not in the encoding are shown, not raised."""
        self.file = self._line.makefile("r", encoding=self.dial.encoding, errors="backslashreplace")

    def _protect(self) -> None:
        """TLS on the control connection, and, where it can be asked before the login, on data channels."""
        if self.dial.tls == "explicit":
            try:
                self.auth()
            except ftplib.Error as error:
                raise Unprotected(f"the server refused AUTH TLS: {error}") from None
            self._listen()
        if not isinstance(self.sock, ssl.SSLSocket):
            raise Unprotected("the control connection is not protected")
        try:
            self._protect_data()
        except ftplib.error_perm as error:
            if not str(error).startswith(LOGIN_FIRST):
                raise Unprotected(f"the server refused to protect data channels: {error}") from None

    def _protect_data(self) -> None:
        self.prot_p()
        self._private_data = True

    def _learn(self) -> None:
        with suppress(ftplib.Error):
            lines = [line.strip() for line in self.sendcmd("FEAT").splitlines()[1:-1]]
            self.features = {line.partition(" ")[0].upper(): line.partition(" ")[2] for line in lines if line}
        if "UTF8" in self.features and self.dial.encoding == "utf-8":
            with suppress(ftplib.Error):
                self.sendcmd("OPTS UTF8 ON")
        if "MLST" in self.features:
            with suppress(ftplib.Error):
                self.sendcmd("OPTS MLST type;")
        self.voidcmd("TYPE I")
        self.home = ftplib.parse257(self.sendcmd("PWD")) or "/"  # noqa: S321  (a text)
        self._used = time.monotonic()

    def alive(self) -> bool:
        """Whether the connection can be used; after a pause the server is asked."""
        if time.monotonic() - self._used < KEPT_QUIET:
            return True
        self._line.settimeout(self.dial.connect_seconds)
        try:
            self.voidcmd("NOOP")
        except ftplib.all_errors:
            return False
        self._line.settimeout(self.dial.idle_seconds)
        return True

    def getline(self) -> str:
        """A line of a reply; every one says that the connection lives."""
        self._used = time.monotonic()
        return super().getline()

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        """A data channel, whose TLS session is the control connection's: many servers take no other."""
        self.timeout = self.dial.connect_seconds
        try:
            conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)  # noqa: S321  (TLS follows)
        except OSError as error:
            raise Blocked(error.strerror or str(error)) from None
        if self._private_data:
            conn = self._wrapped(conn)
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or the farewell waits 40 ms for an answer
        conn.settimeout(self.dial.idle_seconds)
        return conn, size

    def _wrapped(self, conn: socket.socket) -> socket.socket:
        conn.settimeout(self.dial.connect_seconds)
        line = self._line
        session = line.session if self.dial.reuse and isinstance(line, ssl.SSLSocket) else None
        try:
            return self.context.wrap_socket(conn, server_hostname=self.host, session=session)
        except OSError as broken:
            conn.close()
            raise self._reason(broken) from None

    def _reason(self, broken: OSError) -> Exception:
        """What the server says of a data channel that broke, else the break itself."""
        if isinstance(broken, ssl.SSLCertVerificationError):
            return broken
        self._line.settimeout(self.dial.connect_seconds)
        try:
            self.voidresp()
        except ftplib.Error as said:
            return said
        except (OSError, EOFError):
            return broken
        finally:
            self._line.settimeout(self.dial.idle_seconds)
        return broken

    def store(self, path: str, source: Path) -> None:
        """Send a file; returns when the server said that it has all of it."""
        with source.open("rb") as reader:
            conn = self.transfercmd(f"STOR {path}")
            buffer = memoryview(bytearray(SLICE))
            try:
                while count := reader.readinto(buffer):
                    conn.sendall(buffer[:count])
                _end(conn, self.dial.connect_seconds)
            except OSError as broken:
                conn.close()
                raise self._reason(broken) from None
            finally:
                conn.close()
        self.voidresp()

    def size(self, path: str) -> int | None:
        """Bytes of a file; None when there is none."""
        try:
            reply = self.sendcmd(f"SIZE {path}")
        except ftplib.error_perm as error:
            if str(error)[:3] not in ABSENT:
                raise
            return None
        return int(reply[3:].strip())

    def delete(self, filename: str) -> str:
        """Delete a file; nothing happens when there is none."""
        try:
            return self.sendcmd(f"DELE {filename}")
        except ftplib.error_perm as error:
            if self.size(filename) is not None:
                raise
            return str(error)

    def entered(self, folder: str) -> bool:
        """Whether there is such a folder."""
        try:
            self.cwd(folder)
        except ftplib.error_perm:
            return False
        return True

    def sha256(self, path: str) -> str | None:
        """The hash as the server computes it, None where it does not."""
        for feature, command in (("HASH", "HASH"), ("XSHA256", "XSHA256")):
            if feature not in self.features or (feature == "HASH" and "SHA-256" not in self.features["HASH"].upper()):
                continue
            try:
                if feature == "HASH" and "SHA-256*" not in self.features["HASH"].upper():
                    self.sendcmd("OPTS HASH SHA-256")
                    self.features["HASH"] = "SHA-256*"
                found = DIGEST.search(self.sendcmd(f"{command} {path}"))
            except ftplib.error_perm:
                continue
            if found:
                return found[0].lower()
        return None

    def names(self, folder: str) -> list[str]:
        """What is in a folder, names that begin with a dot too; nothing when there is no such folder."""
        try:
            self.cwd(folder)
        except ftplib.error_perm as error:
            if str(error)[:3] not in ABSENT:
                raise
            return []
        if "MLST" in self.features or "MLSD" in self.features:
            lines = [line.partition(" ")[2] for line in self._lines("MLSD")]
        else:
            lines = self._lines("NLST -a") or self._lines("NLST")  # some take -a for a name
        return [line.rstrip("/").rpartition("/")[2] for line in lines]

    def _lines(self, command: str) -> list[str]:
        try:
            conn = self.transfercmd(command)
        except ftplib.error_perm as error:
            if str(error)[:3] not in ABSENT:
                raise
            return []
        with conn:
            data = b"".join(iter(lambda: conn.recv(SLICE), b""))
        self.voidresp()
        return data.decode(self.dial.encoding, "surrogateescape").splitlines()

    def hang_up(self) -> None:
        """Leave politely, or at least leave."""
        with suppress(*ftplib.all_errors):
            self._line.settimeout(2)
            self.sendcmd("QUIT")
        with suppress(*ftplib.all_errors):
            self.close()


def _end(conn: socket.socket, seconds: float) -> None:
    """Say that this is all. Closing with TLS tickets unread would reset the line, and cut what is still on its way."""
    if not isinstance(conn, ssl.SSLSocket):
        return
    conn.settimeout(seconds)
    with suppress(OSError):  # servers that do not answer the farewell: the 226 and the size decide
        conn.unwrap()


def _keep_alive(line: socket.socket, seconds: int) -> None:
    """A firewall forgets a control connection that is silent while a long file goes over the data channel."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
        if hasattr(socket, option):
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)
