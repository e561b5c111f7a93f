"""SQL Server's refusals as ConnectorError: whether trying again can help, and what to do, by number.

Numbers from 20000 to 20099 are the driver's own; one of them hides another where a connection was never made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from resources.secrets import scrub
from spec.errors import ConnectorError

LOGIN = "check `user` and what `password` refers to"
GONE = "the connection was lost: a run of the UI tries again by itself"
VERSIONS = "tempdb was too small for the row versions of so long a reading: enlarge it, or make the chunk smaller"
NUMBERS: dict[int, tuple[bool, str]] = {
    102: (False, "check the SQL"),
    207: (False, "check the column's name against the table"),
    208: (False, "check the table's name and the connector's `schema`"),
    229: (False, "a privilege is missing: GRANT SELECT on the table to the connector's user"),
    230: (False, "a privilege is missing: GRANT SELECT on the column to the connector's user"),
    297: (False, "a privilege is missing"),
    300: (False, "a privilege is missing: GRANT VIEW SERVER STATE to the connector's login"),
    596: (True, GONE),
    701: (True, "the server is short of memory"),
    911: (False, "check `database`"),
    916: (False, "the login is no user of that database: CREATE USER in it"),
    983: (True, "the replica is not ready to be read"),
    1205: (True, "the server chose this session as the victim of a deadlock"),
    1222: (True, "somebody else has the table locked"),
    3906: (False, "the database is read-only: read from one that is not"),
    3952: (False, "allow snapshots: ALTER DATABASE ... SET ALLOW_SNAPSHOT_ISOLATION ON"),
    3957: (True, "the snapshot met a change of the table's columns"),
    3958: (True, VERSIONS),
    3960: (True, "the snapshot met a change"),
    3961: (True, "the snapshot met a change of the table's columns"),
    3966: (True, VERSIONS),
    3967: (True, "tempdb is full"),
    4060: (False, "check `database`, and that the login is a user of it"),
    4064: (False, "check the login's default database"),
    6005: (True, "the server is shutting down"),
    8115: (False, "a value is too large for its type: leave its rows out in `source.sql`"),
    18452: (False, LOGIN),
    18456: (False, LOGIN),
    18470: (False, "the login is disabled"),
    18486: (True, "the login is locked out for a while"),
    18488: (False, "the password has to be changed first"),
    20003: (True, "no answer in time: see the connector's `statement_timeout`, and who holds a lock"),
    20004: (True, GONE),
    20006: (True, GONE),
    20017: (True, GONE),
    20018: (False, "the server refused, and the driver does not repeat why: check `user`, `password` and `database`"),
    20047: (True, GONE),
    40197: (True, "the service is moving the database"),
    40501: (True, "the service is busy"),
    40613: (True, "the database is not available at the moment"),
    41332: (False, "tables in memory cannot be read in a snapshot: export a copy on disk"),
    49918: (True, "the service is busy"),
}

WORDS: tuple[tuple[str, bool, str], ...] = (
    (r"Connection refused", True, "nothing listens there: check `host` and `port`, and that the server is up"),
    (r"timed out", True, "no answer in time: check `host`, a firewall, and `connect_timeout`"),
    (r"Unexpected EOF", True, GONE),
)
OF_THE_DRIVER = re.compile(r"DB-Lib error message (\d+), severity \d+:\s*")
UNKNOWN, UNREACHED, MARK = "Unknown error", 20009, "\0"
NOISE = re.compile(r"General SQL Server error: Check messages from the SQL Server\s*")
DRIVERS = range(20_000, 20_100)
UNMADE = {
    20002: (True, "TLS was not accepted, or the server hung up: check `encrypt`, `ca_file` and the certificate's name"),
    20009: (True, "the host's name does not resolve, or nothing answers: check `host`"),
}
"""The driver's numbers for any connection that was not made, with what it means if no word says more."""


MISSING = "the driver of SQL Server is not installed: pip install '.[sqlserver]' where Outgate is"


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Let every error of the driver leave as a ConnectorError that names `where` and no secret."""
    try:
        import pymssql
    except ImportError:
        raise ConnectorError(MISSING) from None
    try:
        yield
    except pymssql.Error as error:
        number, text = said(error)
        raise failure(number, text, where) from None


def said(error: BaseException) -> tuple[int, str]:
    """The number (0 for none) and the text of an error of the driver.

    For a connection that was not made, the driver keeps the number of an earlier one if that was the graver: what
    stands in the text is of now.
    """
    values: Any = error.args[0] if len(error.args) == 1 and isinstance(error.args[0], tuple) else error.args
    number = next((value for value in values if isinstance(value, int)), 0)
    texts = [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values]
    text = " ".join(text for text in texts if isinstance(text, str))
    own = OF_THE_DRIVER.match(text)
    return (UNREACHED if text == UNKNOWN else int(own[1]) if own else number), text


def failure(number: int, text: str, where: str) -> ConnectorError:
    """The error for a number and text. What nobody has met before is not tried again, unless it is the driver's."""
    shown = scrub(_short(text))
    if number in NUMBERS:
        retriable, advice = NUMBERS[number]
    else:
        words = WORDS if number in UNMADE else ()
        found = ((again, advice) for pattern, again, advice in words if re.search(pattern, text))
        retriable, advice = next(found, UNMADE.get(number, (number in DRIVERS, "")))
    told = f"SQL Server {where} said {shown!r}" + (f" ({number})" if number else "")
    return ConnectorError(told + (f": {advice}" if advice else ""), retriable=retriable)


def _short(text: str) -> str:
    """One line, each sentence once, and none of the driver's if the server had a word."""
    server, *driver = OF_THE_DRIVER.sub(MARK, NOISE.sub("", text)).split(MARK)
    parts = [server] if server.strip() else driver
    lines = [line.strip(" .") for part in parts for line in part.splitlines()]
    return "; ".join(dict.fromkeys(line for line in lines if line))
