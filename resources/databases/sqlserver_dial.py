"""How a connection to SQL Server is made: TLS, time-outs and the session's settings, by way of FreeTDS.

FreeTDS takes what concerns TLS from a file only, so that one is written for the moment of connecting; no secret is in
it. What is said over the connection is not decided here.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from spec.errors import DeclarationError

LEVELS = {"strict": "strict", "mandatory": "require", "optional": "request"}
BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
SESSION = [
    "SET ANSI_NULLS, ANSI_PADDING, ANSI_WARNINGS, ARITHABORT, CONCAT_NULL_YIELDS_NULL, QUOTED_IDENTIFIER ON;",
    "SET XACT_ABORT OFF; SET NOCOUNT ON; SET LANGUAGE us_english; SET DATEFORMAT ymd; SET DATEFIRST 7;",
    "SET TEXTSIZE 2147483647; SET LOCK_TIMEOUT 60000; SET IMPLICIT_TRANSACTIONS OFF;",
]
FILE_VARIABLE = "FREETDSCONF"

_connecting = Lock()


@dataclass(frozen=True)
class Dial:
    """What to connect to. `ca_file` "" is this machine's certificates, None is no verification; seconds, 0 is none."""

    host: str
    port: int
    database: str
    user: str
    application: str
    encrypt: str
    connect_seconds: int
    statement_seconds: int
    ca_file: str | None
    certificate_name: str | None = None

    @property
    def server(self) -> str:
        """Host and port as FreeTDS reads them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def file(self) -> str:
        """The text of freetds.conf. Raises DeclarationError where there are no certificates to verify by."""
        lines = {
            "tds version": "7.4",
            "client charset": "UTF-8",
            "encryption": LEVELS[self.encrypt],
            "connect timeout": str(self.connect_seconds),
            "timeout": str(self.statement_seconds),
        }
        if self.ca_file is not None:
            lines |= {"ca file": _certificates(self.ca_file), "check certificate hostname": "yes"}
        if self.ca_file is not None and self.certificate_name:
            lines["certificate hostname"] = self.certificate_name
        return "[global]\n" + "".join(f"    {name} = {_one_line(name, value)}\n" for name, value in lines.items())


@contextmanager
def dialled(dial: Dial, password: str) -> Iterator[Any]:
    """An open connection, which is closed afterwards. Raises pymssql's own errors."""
    import pymssql

    with tempfile.NamedTemporaryFile("w", suffix=".conf", encoding="utf-8") as file:
        file.write(dial.file)
        file.flush()
        with _connecting, _variable(FILE_VARIABLE, file.name):  # the driver keeps both for the whole process
            connection = pymssql.connect(
                server=dial.server, user=dial.user, password=password, database=dial.database, charset="UTF-8",
                login_timeout=dial.connect_seconds, appname=dial.application, autocommit=True, conn_properties=SESSION,
            )  # fmt: skip
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _certificates(declared: str) -> str:
    """The file to verify by: the declared one, or this machine's."""
    if declared:
        if not Path(declared).is_file():
            raise DeclarationError(f"`ca_file` {declared!r} is not a file; name one of certificates, or leave it out")
        return declared
    known = ssl.get_default_verify_paths()
    found = (path for path in (known.cafile, known.openssl_cafile, *BUNDLES) if path and Path(path).is_file())
    if path := next(found, None):
        return path
    raise DeclarationError("this machine has no certificates to verify the server by: name a file of them in `ca_file`")


def _one_line(name: str, value: str) -> str:
    if any(character in value for character in "\r\n"):
        raise DeclarationError(f"{name} {value!r} has more than one line")
    return value
