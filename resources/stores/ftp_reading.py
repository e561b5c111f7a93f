"""A file of an FTP server as a stream that knows whether it was whole. Connections are ftp_session.py's."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from typing import BinaryIO

from resources.stores.ftp_errors import translated
from resources.stores.ftp_session import SLICE, Session


class Incoming(io.RawIOBase):
    """A file as it comes. At its end the server's word and the size are checked, and the session is given back."""

    def __init__(self, session: Session, path: str, wanted: int, where: str, done: Callable[[bool], None]) -> None:
        """`wanted`: its bytes. `done`: told once, whether the session can be used again."""
        super().__init__()
        self._session, self._wanted, self._where, self._done = session, wanted, where, done
        self._conn: socket.socket | None = session.transfercmd(f"RETR {path}")
        self._count = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Some bytes; 0 at the end. Raises ConnectorError when the file ended early."""
        if self._conn is None:
            return 0
        with translated(self._where, "reading"):
            count = self._conn.recv_into(buffer)
            self._count += count
            if not count:
                self._ended(self._conn)
        return count

    def _ended(self, conn: socket.socket) -> None:
        conn.close()
        self._session.voidresp()
        if self._count != self._wanted:
            raise ConnectionError(f"{self._count} of {self._wanted} bytes came")
        self._conn = None
        self._done(True)

    def close(self) -> None:
        """One that is left early costs the session: what the server would still send cannot be told apart."""
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()
            self._done(False)
        super().close()


def incoming(session: Session, path: str, wanted: int, where: str, done: Callable[[bool], None]) -> BinaryIO:
    """The file as a buffered stream."""
    return io.BufferedReader(Incoming(session, path, wanted, where, done), SLICE)
