"""What the tests of FTP share: stores of each kind, closed when a test is over, and a password to look out for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from resources.stores.base import Store
from resources.stores.ftp import FTP, FTPS
from spec.errors import ConnectorError
from spec.secrets import FromFile
from tests.resources.stores.shelf_served import Remote
from tests.servers.proftpd import FTPServer

CANARY = "ftp-p@ss/word"
MADE: list[Store] = []
"""Stores to close after a test."""


def close_all() -> None:
    """No connection outlives its test."""
    while MADE:
        MADE.pop().close()


def sha(data: bytes) -> str:
    """A hash as the ledger keeps it."""
    return hashlib.sha256(data).hexdigest()


def plain(secret: FromFile, port: int, **settings: Any) -> FTP:
    """A store in the clear."""
    usual: dict[str, Any] = {"host": "127.0.0.1", "user": "outgate", "allow_plaintext": True}
    MADE.append(store := FTP(password=secret, port=port, **usual | settings))
    return store


def secure(server: FTPServer, **settings: Any) -> FTPS:
    """A store of a real server, over TLS."""
    usual: dict[str, Any] = {"host": server.host, "port": server.port, "user": server.user}
    usual |= {"tls_ca": str(server.certificate), "password": FromFile(file=str(server.secret))}
    MADE.append(store := FTPS(**usual | settings))
    return store


def made(shelf: Remote) -> Any:
    """A store of that place."""
    MADE.append(store := shelf.store())
    return store


def refusal(step: Callable[[], object]) -> ConnectorError:
    """The refusal of a step; the password is not in it."""
    with pytest.raises(ConnectorError) as refused:
        step()
    assert CANARY not in str(refused.value)
    return refused.value
