"""Folders that are reached by way of a server of this machine, and seen from its own side: SFTP, FTPS, FTP."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from resources.stores.base import Store
from resources.stores.ftp import FTP, FTPS
from resources.stores.sftp import Sftp
from spec.secrets import FromFile
from tests.resources.stores.shelf import Folder, Shelf
from tests.servers.proftpd import FTPServer, own
from tests.servers.sshd import Sshd


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
