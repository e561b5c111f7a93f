"""The refusals of MySQL and MariaDB as ConnectorError: whether trying again can help, and what to do, by error number.

The driver gives one number to everything that keeps a connection from being made: only there the words decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from resources.secrets import scrub
from spec.errors import ConnectorError

NEVER_MADE = 2003
DENIED = 1227
NO_METHOD, UNSAFE_METHOD = 2059, 2061
UNKNOWN_METHOD = "the account logs in by a method that this client does not know"
ADVICE: Mapping[int, tuple[bool, str]] = {
    1040: (True, "the server has no connection left: see its `max_connections`"),
    1041: (True, ""),
    1053: (True, "the server is being shut down"),
    1077: (True, "the server is being shut down"),
    1129: (False, "the server has blocked this host: FLUSH HOSTS there, and look for what made the errors"),
    1152: (True, ""),
    1158: (True, ""),
    1159: (True, "the network was silent for too long"),
    1160: (True, ""),
    1161: (True, "the network was silent for too long: see the server's `net_write_timeout`"),
    1203: (True, "the account has no connection left: see `max_user_connections`"),
    1205: (True, "somebody else has the table locked"),
    1213: (True, "the server chose this session to end a deadlock"),
    1226: (True, "the account has used up one of its limits"),
    1317: (True, "the statement was ended by an administrator or by a time-out"),
    1412: (True, "the table was altered while its rows were read"),
    1637: (True, ""),
    1927: (True, "the connection was ended by an administrator"),
    1969: (True, "the server ended the statement: see the connector's `statement_timeout`"),
    3024: (True, "the server ended the statement: see the connector's `statement_timeout`"),
    2005: (True, "the host's name does not resolve: check `host`"),
    2006: (True, "the connection was lost: a run of the UI tries again by itself"),
    2013: (True, "see `read_timeout`, the server's log, and the network in between"),
    NO_METHOD: (False, UNKNOWN_METHOD),
    UNSAFE_METHOD: (False, "say `ssl_mode: required` or above: the account's method sends the password as it is"),
    2026: (False, "TLS was not accepted: check `ssl_mode` and `ssl_ca`"),
    1044: (False, "check `database`, and GRANT SELECT on its tables to the connector's user"),
    1045: (False, "check `user` and what `password` refers to"),
    1049: (False, "check `database`"),
    1054: (False, "check the column's name against the table"),
    1060: (False, "give each column of the query a name of its own with AS"),
    1130: (False, "the account may not come from this host: see the host in the account's name"),
    1142: (False, "a privilege is missing: GRANT SELECT on the table to the connector's user"),
    1143: (False, "a privilege is missing: GRANT SELECT on the column to the connector's user"),
    1146: (False, "check the table's name and the connector's `database`"),
    1227: (False, "a privilege is missing"),
    1251: (False, UNKNOWN_METHOD),
    1370: (False, "a privilege is missing: GRANT EXECUTE on the function to the connector's user"),
    1524: (False, "the account logs in by a method that the server has not loaded"),
    1698: (False, "the account logs in without a password, from the server's own host only: make one with a password"),
    1820: (False, "the account's password has expired"),
    1862: (False, "the account's password has expired"),
    3118: (False, "the account is locked"),
    3159: (False, "the server wants TLS: see `ssl_mode`"),
    4151: (False, "the account is locked"),
}
"""By number: the server's own below 2000 and from 3000 on, those of the driver between."""

WORDS: tuple[tuple[str, bool, str], ...] = (
    (r"certificate|SSL|TLS", *ADVICE[2026]),
    (r"Name or service not known|name resolution|nodename|No address", *ADVICE[2005]),
    (r"refused", True, "nothing listens there: check `host` and `port`, and that the server is up"),
    (r"timed out", True, "no answer in time: check `host`, a firewall, and `connect_timeout`"),
)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Let every error of the driver leave as a ConnectorError that names `where` and no secret."""
    from pymysql import err

    try:
        yield
    except err.MySQLError as error:
        number, text = [*error.args, 0, ""][:2]
        known = isinstance(number, int)
        raise failure(number if known else 0, str(text if known else number), where) from None


def failure(number: int, text: str, where: str) -> ConnectorError:
    """The error for a number (0 where the driver has none) and its text."""
    said = scrub(" ".join(text.split())).rstrip(" .") or "nothing: the connection is closed"
    if number in (0, NEVER_MADE):
        found = ((again, advice) for pattern, again, advice in WORDS if re.search(pattern, said, re.IGNORECASE))
        retriable, advice = next(found, (True, ""))
    else:
        retriable, advice = ADVICE.get(number, (False, ""))
    return ConnectorError(f"{where} said {said!r}" + (f": {advice}" if advice else ""), retriable=retriable)
