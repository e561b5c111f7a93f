"""PostgreSQL's refusals as ConnectorError: whether trying again can help, and what to do, by SQLSTATE or by words.

libpq hands out no SQLSTATE for a connection that was never made: only there the words of the message decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from resources.secrets import scrub
from spec.errors import ConnectorError

RETRIABLE = ("08", "40", "53", "55P03", "57", "58", "72", "25P03", "25P04")
"""SQLSTATE classes that pass: lost connections, serialization, resources, locks, shutdowns, time-outs."""

GONE = "the connection was lost: a run of the UI tries again by itself"
STATES = {
    "08": GONE,
    "22021": "mend that text in the source, or leave its rows out with a filter",
    "40P01": "the server chose this session to end a deadlock",
    "42501": "a privilege is missing: GRANT SELECT on the table and USAGE on its schema to the connector's user",
    "42P01": "check the table's name and the connector's `schema`",
    "3F000": "check the connector's `schema`",
    "42703": "check the column's name against the table",
    "55P03": "somebody else has the table locked",
    "57014": "the server ended the statement: see the connector's `statement_timeout`",
    "57P01": "the connection was ended by an administrator or a shutdown: a run of the UI tries again by itself",
    "57P02": "the server ended all connections after a crash: a run of the UI tries again by itself",
    "57P03": "the server is starting up or shutting down: a run of the UI tries again by itself",
    "28": "check `user` and what `password` refers to",
    "3D000": "check `database`",
}

WORDS: tuple[tuple[str, bool, str], ...] = (
    (r"could not translate host|failed to resolve host", True, "the host's name does not resolve: check `host`"),
    (r"connection refused", True, "nothing listens there: check `host` and `port`, and that the server is up"),
    (r"timeout expired|timed out", True, "no answer in time: check `host`, a firewall, and `connect_timeout`"),
    (r"unexpected eof|closed unexpectedly|closed the connection|connection reset|SSL SYSCALL", True, GONE),
    (r"certificate|does not support SSL", False, "TLS was not accepted: check `sslmode` and `sslrootcert`"),
    (r"authentication failed|no password supplied", False, STATES["28"]),
    (
        r"no pg_hba\.conf entry",
        False,
        "the server allows no such connection: add a line to its pg_hba.conf, or check `sslmode`",
    ),
    (r'database ".*" does not exist', False, STATES["3D000"]),
    (r'role ".*" does not exist|not permitted to log in', False, STATES["28"]),
    (r"permission denied", False, STATES["42501"]),
)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Let every error of the two drivers leave as a ConnectorError that names `where` and no secret."""
    import adbc_driver_manager
    import psycopg

    try:
        yield
    except (psycopg.Error, adbc_driver_manager.Error) as error:
        raise failure(str(error), getattr(error, "sqlstate", None) or "", where) from None


def failure(text: str, state: str, where: str) -> ConnectorError:
    """The error for a driver's text and SQLSTATE ("" when it has none)."""
    said = scrub(_short(text))
    if state:
        advice = next((advice for prefix, advice in STATES.items() if state.startswith(prefix)), "")
        retriable = state.startswith(RETRIABLE)
    else:
        found = ((again, advice) for pattern, again, advice in WORDS if re.search(pattern, said, re.IGNORECASE))
        retriable, advice = next(found, (True, ""))
    return ConnectorError(f"PostgreSQL {where} said {said!r}" + (f": {advice}" if advice else ""), retriable=retriable)


def _short(text: str) -> str:
    """One line, without the statement that the drivers repeat."""
    plain = re.sub(r"\nLINE \d+:.*|Query was:.*|SQLSTATE: \w+$", "", text, flags=re.DOTALL)
    return " ".join(re.sub(r"^[A-Z_]+: (\[libpq\] )?", "", plain).split()).rstrip(" .")
