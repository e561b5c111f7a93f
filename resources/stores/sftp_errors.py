"""What fails on the way to an SFTP server, as ConnectorError: whether trying again can help, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from resources.secrets import scrub
from resources.stores import sftp_wire as wire
from spec.errors import ConnectorError

Rule = tuple[str, bool, str]

BANNER = (
    "it took the line and hung up before a word: too many connections at once (`MaxStartups` there), a firewall that "
    "does not know this address, or no SSH server"
)
ALGORITHMS = "no algorithm in common that is safe (no SHA-1, CBC or 3DES is used): the server needs an update"
LINE: tuple[Rule, ...] = (
    (r"Name or service not known|name resolution|No address|nodename", True, "the name does not resolve: check `host`"),
    (r"refused", True, "nothing listens there: check `host` and `port`, and that the server is up"),
    (r"Too many authentication failures", False, "the server ends a login after so many tries: see its `MaxAuthTries`"),
    (r"timed out|timeout|silent", True, "no answer in time: check `host`, a firewall in between, and the timeouts"),
    (r"protocol banner", True, BANNER),
    (r"Incompatible|no acceptable|Unable to negotiate", False, ALGORITHMS),
    (r"Administratively prohibited", False, "the server does not allow it: a session too many, or no forwarding there"),
    (r"Resource shortage|Connect failed", True, "nothing answers there, or it is a session too many: ask the partner"),
    (r"not speak SFTP|is not SFTP", False, "check that the account may use SFTP and prints nothing when it logs in"),
    (r"Channel closed|Unable to open channel|request failed", False, "the account may not use SFTP: ask the partner"),
    (r"transport shut down|closed the line|EOF|broke|reset|pipe|dropped", True, "the server hung up; see its log"),
)
"""What the texts of the library and the system mean, the first that fits."""


class Failed(ConnectorError):
    """The error of the line, with what the library raised."""

    def __init__(self, message: str, cause: BaseException, *, retriable: bool) -> None:
        super().__init__(message, retriable=retriable)
        self.cause = cause


@contextmanager
def translated(doing: str, ended: Sequence[str] = ()) -> Iterator[None]:
    """Let what a library or the system raises leave as Failed; `ended` is what the server said as it hung up."""
    from paramiko.ssh_exception import SSHException

    try:
        yield
    except ConnectorError:
        raise
    except (OSError, EOFError, SSHException, wire.Broken) as error:
        raise failed(doing, error, ended) from None


def failed(doing: str, error: BaseException, ended: Sequence[str] = ()) -> Failed:
    """The sentence for an error of the line."""
    said = (
        "; ".join(ended)
        or getattr(error, "text", "")
        or str(error)
        or ("timed out" if isinstance(error, TimeoutError) else type(error).__name__)
    )
    said = scrub(" ".join(said.split())).rstrip(" .")
    found = ((again, advice) for pattern, again, advice in LINE if re.search(pattern, said, re.IGNORECASE))
    retriable, advice = next(found, (True, ""))
    return Failed(f"{doing} failed: {said}" + (f": {advice}" if advice else ""), error, retriable=retriable)


def refusal(doing: str, path: str, error: wire.Refused, advice: str = "") -> ConnectorError:
    """The sentence for a refusal of the server. A full disk has no number of its own: `advice` may know more."""
    usual = {
        wire.DENIED: "permission denied: the account needs the right to write, list and rename in that folder",
        wire.NO_SUCH_FILE: "it is not there: make it, or say `create_folders: true`",
    }
    said = scrub(error.said)
    then = advice or usual.get(error.code, "")
    message = f"{doing} {path!r} failed: {said!r}" + (f": {then}" if then else "")
    return ConnectorError(message, retriable=error.code in wire.PASSING)
