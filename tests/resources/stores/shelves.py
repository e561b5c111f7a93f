"""The stores under test, each with the partner's own view of it, which owes nothing to the store's code.

A new store is one function here and one line in SHELVES; what every store must do is in test_conformance.py.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from resources.stores.base import Store
from resources.stores.ftp import FTP, FTPS
from resources.stores.local import Local
from resources.stores.sftp import Sftp
from spec.secrets import FromFile
from tests.servers.proftpd import FTPServer, own, running_proftpd
from tests.servers.pyftpd import running_pyftpd
from tests.servers.sshd import Sshd, running_sshd


class Shelf(Protocol):
    """A store in an empty place of its own, and the partner who looks at that place."""

    def store(self) -> Store:
        """A new store of the same declaration: what another worker has."""

    def names(self) -> list[str]:
        """What the partner's listing shows, below the place and sorted; names that begin with a dot are not shown."""

    def get(self, name: str) -> bytes:
        """What the partner reads."""

    def put(self, name: str, data: bytes) -> None:
        """The partner, or anybody, writes a file."""

    def take(self, name: str) -> None:
        """The partner takes a file away."""

    def hidden(self) -> list[str]:
        """What is staged or hidden there by now, as far as the server can tell; in any form."""


Shelves = Callable[[pytest.FixtureRequest, Path], AbstractContextManager[Shelf]]


class Folder:
    """A folder of this machine, also where the store reaches it by way of a server."""

    def __init__(self, path: Path, make: Callable[[Path], Store]) -> None:
        self.path, self.make = path, make

    def store(self) -> Store:
        """A store in this folder."""
        return self.make(self.path)

    def _files(self) -> list[str]:
        return sorted(path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if path.is_file())

    def names(self) -> list[str]:
        """Files without those whose name begins with a dot."""
        return [name for name in self._files() if not name.rpartition("/")[2].startswith(".")]

    def hidden(self) -> list[str]:
        """Files whose name begins with a dot."""
        return [name for name in self._files() if name.rpartition("/")[2].startswith(".")]

    def get(self, name: str) -> bytes:
        """The file's bytes."""
        return (self.path / name).read_bytes()

    def put(self, name: str, data: bytes) -> None:
        """Write it."""
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_bytes(data)

    def take(self, name: str) -> None:
        """Remove it."""
        (self.path / name).unlink()


@contextmanager
def local(_request: pytest.FixtureRequest, folder: Path) -> Iterator[Shelf]:
    """A folder of this machine."""
    yield Folder(folder / "out", lambda path: Local(path=str(path)))


class Served(Folder):
    """A folder that another account writes in by way of a server; what is put there by root is given to it."""

    def put(self, name: str, data: bytes) -> None:
        """Write it as the owner of the folder."""
        super().put(name, data)
        owner = self.path.stat()
        for path in [self.path / name, *(self.path / name).parents]:
            if path.is_relative_to(self.path):
                os.chown(path, owner.st_uid, owner.st_gid)

    def take(self, name: str) -> None:
        """Remove it, and the folders that it leaves empty: whoever comes next makes them anew."""
        super().take(name)
        for folder in (self.path / name).parents:
            if folder == self.path or any(folder.iterdir()):
                break
            folder.rmdir()


@contextmanager
def sftp(request: pytest.FixtureRequest, _folder: Path) -> Iterator[Shelf]:
    """A folder of an OpenSSH server, as seen by its own machine."""
    server: Sshd = request.getfixturevalue("sshd")
    yield Served(server.folder(), lambda path: Sftp.model_validate(server.declared(folder=path.name)))


class Remote(Folder):
    """A folder of an FTP server on this machine, seen from the server's side."""

    def __init__(self, server: FTPServer) -> None:
        super().__init__(server.folder / uuid.uuid4().hex, lambda _: self._login())
        self.server = server

    def _login(self) -> Store:
        """A store that logs in; over TLS where the server has a certificate."""
        server = self.server
        login: dict[str, Any] = {
            "host": server.host,
            "port": server.port,
            "user": server.user,
            "folder": self.path.name,
        }
        secret = FromFile(file=str(server.secret))
        if server.certificate:
            return FTPS(password=secret, tls_ca=str(server.certificate), **login)
        return FTP(password=secret, allow_plaintext=True, **login)

    def put(self, name: str, data: bytes) -> None:
        """The server's user owns it."""
        super().put(name, data)
        for path in (self.path / name, *(self.path / name).parents):
            if path.is_relative_to(self.path):
                own(path)


@contextmanager
def proftpd(request: pytest.FixtureRequest, _folder: Path) -> Iterator[Shelf]:
    """ProFTPD, over TLS."""
    yield Remote(request.getfixturevalue("proftpd_server"))


@contextmanager
def pyftpd(request: pytest.FixtureRequest, _folder: Path) -> Iterator[Shelf]:
    """pyftpdlib, in the clear."""
    yield Remote(request.getfixturevalue("pyftpd_server"))


SHELVES: dict[str, Shelves] = {
    "local": local,
    "sftp": sftp,
    "ftps": proftpd,
    "ftp": pyftpd,
}
"""Every store, by its name in the tests."""
SERVERS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "sshd": running_sshd,
    "proftpd_server": running_proftpd,
    "pyftpd_server": running_pyftpd,
}
"""How the servers that shelves ask for by fixture are started where there is no pytest."""
