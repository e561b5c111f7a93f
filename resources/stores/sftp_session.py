"""A session with an SFTP server: the line, the server's key, the login, the channel. Nothing is sent that a server
could keep before its key is found to be a pinned one.

The messages on the channel are in sftp_wire.py, the words for what fails in sftp_errors.py.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from threading import Event, Timer
from typing import Any

from resources.secrets import reveal, reveal_line
from resources.stores.sftp_errors import Failed, translated
from resources.stores.sftp_keys import Pins, fingerprint, kind_of, pins, private_key
from resources.stores.sftp_wire import Wire
from spec.errors import ConnectorError
from spec.secrets import Secret

CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
"""No CBC, no 3DES, no SHA-1, no MD5; in the order in which they are fast."""

LOG = "outgate.sftp"
MISSING = "SFTP's library is not installed: pip install '.[sftp]' where Outgate is"
WINDOW = 4 << 20
REKEY = 1 << 36
"""Bytes by one key: RFC 4344's limit for AES. New keys that this side asks for can meet data that is on the way, which
the library takes for an error; those that the server asks for cannot."""
TRUST = 10.0
"""Seconds after which a line that was not used is tried before it is used again."""


@dataclass(frozen=True)
class Limits:
    """Seconds: until there is a line, of silence on it, between two signs of life (0 is none)."""

    connect: int
    idle: int
    keepalive: int


@dataclass(frozen=True)
class Peer:
    """A server, who one is there, and the keys it may have."""

    host: str
    port: int
    user: str
    password: Secret | None
    private_key: Secret | None
    passphrase: Secret | None
    host_keys: tuple[str, ...]
    known_hosts: str | None

    @property
    def where(self) -> str:
        """The place as messages name it."""
        return f"SFTP {self.host}:{self.port} as {self.user!r}"


class Line:
    """A socket whose sends do not wait for ever: the library tries again while nobody closes the line."""

    def __init__(self, inner: Any, idle: float) -> None:
        self._inner, self._idle, self._moved = inner, idle, time.monotonic()
        self.recv, self.settimeout = inner.recv, inner.settimeout
        self._closed = False

    def close(self) -> None:
        """Close it; the library looks at `_closed`."""
        self._closed = True
        self._inner.close()

    def send(self, data: bytes) -> int:
        """Send some. Raises OSError when none could be sent for as long as a line may be silent."""
        try:
            sent: int = self._inner.send(data)
        except TimeoutError:
            if time.monotonic() - self._moved > self._idle:
                message = "nothing could be sent for too long"
                raise ConnectionAbortedError(message) from None
            raise
        self._moved = time.monotonic()
        return sent


class Session:
    """A channel and what it hangs on. `alive` is cheap while it is in use."""

    def __init__(self, wire: Wire, transports: list[Any], where: str) -> None:
        self.wire, self.where, self._transports, self._used = wire, where, transports, time.monotonic()

    def alive(self) -> bool:
        """Whether it can be used for the next call; asked of the server after a pause."""
        from resources.stores.sftp_wire import REALPATH, Broken, Refused, text

        rested, self._used = time.monotonic() - self._used > TRUST, time.monotonic()
        if not all(each.is_active() for each in self._transports):
            return False
        try:
            if rested:
                self.wire.call(REALPATH, text("."))
        except Refused:
            return True
        except Broken:
            return False
        return True

    def close(self) -> None:
        """Hang up, the last line first."""
        for each in reversed(self._transports):
            _hang_up(each)


def _hang_up(transport: Any) -> None:
    """The line too: the library leaves it open where the other side went first."""
    with suppress(Exception):  # what is gone already is closed
        transport.close()
    with suppress(Exception):
        transport.sock.close()


@contextmanager
def _bounded(transport: Any, seconds: float) -> Iterator[None]:
    """End the line after so long: the library waits for some answers for ever."""
    over = Event()

    def end() -> None:
        over.set()
        _hang_up(transport)

    timer = Timer(seconds, end)
    timer.start()
    try:
        yield
    except Exception:
        if over.is_set():
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()


def opened(peer: Peer, jump: Peer | None, limits: Limits) -> Session:
    """Connect, by way of `jump` where there is one, and log in. Raises ConnectorError."""
    if find_spec("paramiko") is None:
        raise ConnectorError(MISSING)
    transports: list[Any] = []
    try:
        through = _direct(peer, limits)
        if jump is not None:
            transports.append(_dialled(jump, _direct(jump, limits), limits))
            through = _tunnel(transports[0], jump, peer, limits)
        transports.append(_dialled(peer, through, limits))
        with translated(f"{peer.where}: opening SFTP"):
            channel = transports[-1].open_session(window_size=WINDOW, timeout=limits.connect)
            channel.settimeout(limits.idle)
            with _bounded(transports[-1], limits.idle):
                channel.invoke_subsystem("sftp")
            return Session(Wire(channel), transports, peer.where)
    except BaseException:
        for each in reversed(transports):
            _hang_up(each)
        raise


def _direct(peer: Peer, limits: Limits) -> Callable[[], Any]:
    def connect() -> Any:
        with translated(f"{peer.where}: connecting"):
            made = socket.create_connection((peer.host, peer.port), timeout=limits.connect)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return made

    return connect


def _tunnel(transport: Any, jump: Peer, peer: Peer, limits: Limits) -> Callable[[], Any]:
    def connect() -> Any:
        with translated(f"{jump.where}: going on to {peer.host}:{peer.port}"):
            return transport.open_channel(
                "direct-tcpip", (peer.host, peer.port), ("127.0.0.1", 0), timeout=limits.connect
            )

    return connect


def _dialled(peer: Peer, connect: Callable[[], Any], limits: Limits) -> Any:
    """A line that is logged in. Where only fingerprints are pinned, each of the server's keys is looked at."""
    known = pins(peer.host_keys, peer.known_hosts, peer.host, peer.port)
    shown: dict[str, str] = {}
    while True:
        transport = _started(peer, connect, limits, known, frozenset(shown))
        if transport is None:
            raise ConnectorError(_stranger(peer, known, shown))
        try:
            key = transport.get_remote_server_key()
            if known.accept(key.get_name(), key.asbytes()):
                _login(transport, peer)
                transport.set_keepalive(limits.keepalive)
                return transport
            shown[key.get_name()] = fingerprint(key.asbytes())
        except BaseException:
            _hang_up(transport)
            raise
        _hang_up(transport)
        if not known.prints:
            raise ConnectorError(_stranger(peer, known, shown))


def _started(peer: Peer, connect: Callable[[], Any], limits: Limits, known: Pins, but: frozenset[str]) -> Any:
    """A line with keys exchanged and nothing else; None where the server has no key that was not shown before."""
    import paramiko

    _quiet()
    transport = paramiko.Transport(Line(connect(), limits.idle))
    transport.set_log_channel(LOG)
    transport.banner_timeout = transport.handshake_timeout = limits.connect
    transport.auth_timeout = limits.idle
    transport.packetizer.REKEY_BYTES = REKEY
    options = transport.get_security_options()
    options.ciphers, options.digests = CIPHERS, MACS
    options.key_types = known.algorithms([each for each in options.key_types if kind_of(each) not in but])
    try:
        with translated(f"{peer.where}: agreeing on keys"):
            transport.start_client(timeout=3 * limits.connect)
            _agreed(transport)
    except BaseException as error:
        _hang_up(transport)
        if but and isinstance(error, ConnectorError) and not error.retriable:
            return None
        raise
    return transport


def _agreed(transport: Any) -> None:
    """The library comes back without a word when there was not time enough."""
    if not transport.initial_kex_done:
        raise TimeoutError


def _stranger(peer: Peer, known: Pins, shown: dict[str, str]) -> str:
    """What to do about a key that is not pinned."""
    offered = ", ".join(f"{kind} {found}" for kind, found in shown.items())
    problem = "which is not the pinned one: somebody may be in between" if known else "and none is pinned"
    return (
        f"{peer.where}: the server shows the host key {offered}, {problem}. Nothing was sent to it. Ask the partner "
        f"for the fingerprint of {peer.host}, not the network; when it is this one, write it as `host_key`"
    )


def _login(transport: Any, peer: Peer) -> None:
    """The key first, then the password; both where the server wants both. Raises ConnectorError."""
    import paramiko

    ways = _ways(transport, peer)
    said: list[str] = []
    wanted: list[str] | None = None
    ended = _last_words(transport)
    while ways:
        way = next((each for each in ways if wanted is None or _fits(each, wanted)), None)
        if way is None:
            break
        try:
            with translated(f"{peer.where}: logging in", ended):
                wanted = ways[way]()
                del ways[way]
        except Failed as failed:
            refused = isinstance(failed.cause, paramiko.AuthenticationException) and "timeout" not in str(failed.cause)
            if not refused or not transport.is_active():
                raise ConnectorError(str(failed), retriable=failed.retriable) from None
            allowed = getattr(failed.cause, "allowed_types", None)
            wanted = allowed or wanted
            if not allowed or _fits(way, allowed):  # else its turn may come after another
                said.append(way)
                del ways[way]
        if transport.is_authenticated():
            return
    raise ConnectorError(_not_let_in(peer, said, wanted))


def _fits(way: str, wanted: list[str]) -> bool:
    return way in wanted or (way == "password" and "keyboard-interactive" in wanted)


def _ways(transport: Any, peer: Peer) -> dict[str, Callable[[], list[str]]]:
    ways: dict[str, Callable[[], list[str]]] = {}
    if peer.private_key is not None:
        opens = reveal(peer.passphrase) if peer.passphrase else None
        key = private_key(reveal(peer.private_key), opens, f"{peer.where}: {peer.private_key}")
        ways["publickey"] = lambda: transport.auth_publickey(peer.user, key)
    if peer.password is not None:
        password = reveal_line(peer.password)
        ways["password"] = lambda: transport.auth_password(peer.user, password)
    return ways


def _not_let_in(peer: Peer, refused: list[str], wanted: list[str] | None) -> str:
    tried = {"publickey": "the key", "password": "the password"}
    said = f"{' and '.join(tried[each] for each in refused)} refused" if refused else "what it was given is not enough"
    wants = f"; the server wants {' or '.join(wanted)}" if wanted else ""
    return (
        f"{peer.where}: {said}{wants}: check `user`, `password` and `private_key`, and that the partner has put this "
        "key's public half where that user's keys are"
    )


def _last_words(transport: Any) -> list[str]:
    """What the server says when it hangs up; the library only logs it."""
    said: list[str] = []
    transport._parse_disconnect = lambda message: said.append(f"{message.get_int()} {message.get_text()}")  # noqa: SLF001
    return said


def _quiet() -> None:
    """What fails is said by our errors; the library's log would be a traceback on the screen."""
    log = logging.getLogger(LOG)
    log.propagate = False
    if not log.handlers:
        log.addHandler(logging.NullHandler())
