"""The refusals of FTP servers and of the line as ConnectorError: whether trying again can help, and what to do.

By reply code; where one code says several things, the words decide first.
"""

from __future__ import annotations

import ftplib
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from resources.secrets import scrub
from resources.stores.ftp_session import Blocked, Unprotected
from spec.errors import ConnectorError

Advice = tuple[bool, str]
DATA = "the data channel could not be opened: let the server's passive ports through the firewalls, or see `passive`"
TLS_REUSE = (
    "the server wants data channels to take up the TLS session of the control connection: see `tls_session_reuse`"
)
FULL = "there is no room left for this user: ask the partner to make room or to raise the quota"
LOGIN = "check `user` and what `password` refers to"
RIGHTS = "ask the partner to let this user write, rename, list and delete in that folder"
BUSY = "the server has no connection left for this user, or is going down; it is tried again"
TLS_WANTED = "the server wants TLS: say `type: ftps`"

CODES: Mapping[str, Advice] = {
    "421": (True, BUSY),
    "425": (True, DATA),
    "426": (True, "the server lost the data channel"),
    "430": (False, LOGIN),
    "431": (False, "see `tls`"),
    "450": (True, "somebody else has the file open"),
    "451": (True, "the server had an error of its own"),
    "452": (True, FULL),
    "500": (False, "the server does not know this command"),
    "501": (False, "the server does not take this name: see `encoding`, or give the delivery another path"),
    "502": (False, "the server does not know this command, or has it switched off"),
    "521": (False, TLS_WANTED),
    "522": (False, "the server asks for another protection of data channels: see `tls_session_reuse`"),
    "530": (False, LOGIN),
    "532": (False, RIGHTS),
    "533": (False, TLS_WANTED),
    "534": (False, TLS_WANTED),
    "550": (False, RIGHTS),
    "552": (False, FULL),
    "553": (False, "the server does not take this name, or has such a file and may not replace it; " + RIGHTS),
}
"""By reply code."""

WORDS: tuple[tuple[str, Advice], ...] = (
    (r"^(425|522) .*(reus|resum|Operation not permitted)", (False, TLS_REUSE)),
    (r"^(421|530) .*(too many|maximum|limit|connections)", (True, BUSY)),
    (r"^(530|550|421) .*(TLS|SSL|secure|encrypt)", (False, TLS_WANTED)),
    (r"^55[0-3] .*(space|quota|disk full)", (False, FULL)),
    (r"^55[0-3] .*(too long)", (False, "the name is too long for the server: give the delivery a shorter path")),
    (r"^550 .*(in use|being used|busy)", (True, "somebody else has the file open")),
)
"""By the words of a reply; the first that fits decides."""

CERTIFICATES: tuple[tuple[str, str], ...] = (
    (r"expired", "the partner has to renew it"),
    (r"not yet valid", "check the clocks"),
    (r"[Hh]ostname|IP address mismatch", "it is another host's: check `host`, which has to be as the certificate says"),
    (r"self.signed|unable to get|unknown ca", "say in `tls_ca` which file has the authority that signed it"),
)

LOST = (EOFError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
LINES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (ConnectionRefusedError, "nothing listens there: check `host` and `port`, and that the server is up"),
    (TimeoutError, "no answer in time: check `host` and firewalls, `passive`, and the timeouts"),
    (LOST, "the connection was lost"),
)
"""What a line that broke says, all of it worth another try."""


@contextmanager
def translated(where: str, doing: str) -> Iterator[None]:
    """Let every failure leave as a ConnectorError that names `where` and what was being done, and no secret."""
    try:
        yield
    except (ftplib.Error, Unprotected, Blocked, OSError, EOFError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        retriable, text = _explained(error)
        raise ConnectorError(scrub(f"{where}: {doing}: {text}"), retriable=retriable) from None


def _explained(error: Exception) -> tuple[bool, str]:
    if isinstance(error, ftplib.Error):
        return _reply(str(error))
    if isinstance(error, Unprotected):
        return False, f"{error}; the password was not sent; ask the partner for FTP over TLS (explicit, RFC 4217)"
    if isinstance(error, UnicodeError):
        return False, "the name cannot be written in the server's `encoding`"
    if isinstance(error, ssl.SSLCertVerificationError):
        return False, _certificate(error)
    if isinstance(error, ValueError):
        return False, f"what is sent, or the server's answer, cannot be right: {error}"
    return _line(error)


def _reply(said: str) -> tuple[bool, str]:
    told = " ".join(said.split())
    for words, (retriable, advice) in WORDS:
        if re.search(words, told, re.IGNORECASE):
            return retriable, f"the server said {told!r}; {advice}"
    retriable, advice = CODES.get(told[:3], (told[:1] == "4", "see the server's own words"))
    return retriable, f"the server said {told!r}; {advice}"


def _certificate(error: ssl.SSLCertVerificationError) -> str:
    advice = next((advice for words, advice in CERTIFICATES if re.search(words, error.verify_message)), "see `tls_ca`")
    return f"the server's certificate was not accepted ({error.verify_message}); {advice}"


def _line(error: Exception) -> tuple[bool, str]:
    if isinstance(error, Blocked):
        return True, f"{DATA} ({error})"
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN, "the host's name does not resolve: check `host`"
    if isinstance(error, ssl.SSLError) and not isinstance(error, LOST):
        return False, f"TLS was not agreed on ({error.reason or error}): check `port`, `tls` and `tls_minimum`"
    found = next((words for kind, words in LINES if isinstance(error, kind)), "")
    return True, found or f"{getattr(error, 'strerror', None) or error}"


def usable_after(error: BaseException) -> bool:
    """Whether a connection is in step after an error: the server answered, and did not say goodbye."""
    if isinstance(error, ftplib.error_perm | ftplib.error_temp):
        return not str(error).startswith("421")
    return isinstance(error, FileNotFoundError | ConnectorError)
