"""Oracle's refusals as ConnectorError: whether trying again can help, and what to do, by code.

ORA- codes are the server's, DPY- codes the driver's.
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
TABLE = (
    "check the table's name (Oracle keeps a name that was written without quotes in capitals: EVENTS) and the"
    " connector's `schema`, and GRANT SELECT on it"
)
SERVICE = "check `service_name`, and that the database is open"
UNDO = "the server's undo did not last for so long a reading: raise UNDO_RETENTION, or make the chunk smaller"
CODES: dict[str, tuple[bool, str]] = {
    "ORA-00028": (True, "the session was killed"),
    "ORA-00054": (True, "somebody else has it locked"),
    "ORA-00060": (True, "the server chose this session to end a deadlock"),
    "ORA-00604": (False, ""),
    "ORA-00904": (False, "check the column's name (Oracle keeps a name that was written without quotes in capitals)"),
    "ORA-00942": (False, TABLE),
    "ORA-01005": (False, LOGIN),
    "ORA-01012": (True, GONE),
    "ORA-01013": (True, "the statement was cancelled"),
    "ORA-01017": (False, LOGIN),
    "ORA-01031": (False, "a privilege is missing"),
    "ORA-01033": (True, "the database is starting or stopping"),
    "ORA-01034": (True, "the database is not open"),
    "ORA-01035": (False, "the database is open for administrators only"),
    "ORA-01045": (False, "GRANT CREATE SESSION to the connector's user"),
    "ORA-01089": (True, "the database is stopping"),
    "ORA-01090": (True, "the database is stopping"),
    "ORA-01109": (True, "the database is not open"),
    "ORA-01435": (False, "check the connector's `schema`"),
    "ORA-01555": (True, UNDO),
    "ORA-01652": (True, "the server's temporary space is full"),
    "ORA-02391": (True, "the user has as many sessions as its profile allows"),
    "ORA-02396": (True, GONE),
    "ORA-03113": (True, GONE),
    "ORA-03114": (True, GONE),
    "ORA-03135": (True, GONE),
    "ORA-04031": (True, "the server is short of memory"),
    "ORA-12154": (False, "check `host` and `service_name`"),
    "ORA-12170": (True, "no answer in time: check `host`, a firewall, and `connect_timeout`"),
    "ORA-12505": (False, SERVICE),
    "ORA-12514": (True, SERVICE),
    "ORA-12516": (True, "the listener has no more processes"),
    "ORA-12520": (True, "the listener has no more processes"),
    "ORA-12528": (True, "the database is starting"),
    "ORA-12537": (True, GONE),
    "ORA-12541": (True, "nothing listens there: check `host` and `port`, and that the listener is up"),
    "ORA-12545": (True, "the host's name does not resolve: check `host`"),
    "ORA-12547": (True, GONE),
    "ORA-12570": (True, GONE),
    "ORA-22924": (True, UNDO),
    "ORA-24756": (True, GONE),
    "ORA-28000": (False, "the account is locked"),
    "ORA-28001": (False, "the password has expired"),
    "ORA-28759": (False, "check `wallet_location`"),
    "ORA-28860": (False, "TLS was not accepted: check `protocol` and `port`"),
    "DPY-3001": (False, "this server wants what the driver cannot do, such as native network encryption: use tcps"),
    "DPY-3010": (False, "the server is too old: 19c or newer is needed"),
    "DPY-3015": (False, "the password is kept in an old form: set it anew on the server"),
    "DPY-4000": (False, "check `service_name`"),
    "DPY-4011": (True, GONE),
    "DPY-4024": (True, "the answer took too long: see the connector's `statement_timeout`"),
    "DPY-6000": (True, "the listener refused: check `protocol` and `port`"),
    "DPY-6001": (True, SERVICE),
    "DPY-6003": (False, SERVICE),
}

WORDS: tuple[tuple[str, bool, str], ...] = (
    (r"refused", True, "nothing listens there: check `host` and `port`, and that the listener is up"),
    (r"timed out|timeout", True, "no answer in time: check `host`, a firewall, and `connect_timeout`"),
    (r"certificate|SSL|wallet|\bDN\b|name match", False,
     "TLS was not accepted: check `wallet_location`, the certificate's name, `protocol` and `port`"),
    (r"Name or service not known|getaddrinfo|name resolution|No address", True,
     "the host's name does not resolve: check `host`"),
)  # fmt: skip
"""For a connection that was never made: the driver has one code for all of them."""

HELP = re.compile(r"\s*Help: https?://\S+|\s*\(CONNECTION_ID=[^)]*\)")


MISSING = "the driver of Oracle is not installed: pip install '.[oracle]' where Outgate is"


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Let every error of the driver leave as a ConnectorError that names `where` and no secret."""
    try:
        import oracledb
    except ImportError:
        raise ConnectorError(MISSING) from None
    try:
        yield
    except oracledb.Error as error:
        told: Any = error.args[0] if error.args else ""
        recoverable = bool(getattr(told, "isrecoverable", False) or getattr(told, "is_session_dead", False))
        raise failure(str(error), where, recoverable=recoverable) from None


@contextmanager
def connecting(where: str) -> Iterator[None]:
    """As `translated`, and for what the driver lets through of the sockets below it."""
    try:
        with translated(where):
            yield
    except OSError as error:
        raise failure(str(error), where, recoverable=True) from None


def failure(text: str, where: str, *, recoverable: bool) -> ConnectorError:
    """The error for a text that begins with its code; unknown ones are as `recoverable` as the driver says."""
    said = scrub(" ".join(HELP.sub("", text).split()))
    code = said.partition(":")[0]
    if code in CODES:
        retriable, advice = CODES[code]
    else:
        unmade = () if code.startswith("ORA-") else WORDS
        found = ((again, advice) for pattern, again, advice in unmade if re.search(pattern, said))
        retriable, advice = next(found, (recoverable, ""))
    return ConnectorError(f"Oracle {where} said {said!r}" + (f": {advice}" if advice else ""), retriable=retriable)
