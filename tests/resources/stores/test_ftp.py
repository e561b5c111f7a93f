"""What only FTP has: refusals in words, TLS, workers that exclude one another without a rename that replaces nothing."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from resources import failpoint
from resources.stores.base import Store
from resources.stores.ftp import FTP, FTPS
from spec.errors import ConnectorError, LeaseLost
from spec.secrets import FromFile
from tests.resources.stores.shelf_served import Remote
from tests.servers.proftpd import FTPServer, running_proftpd
from tests.servers.pyftpd import running_pyftpd
from tests.servers.scripted_ftp import scripted_ftp

CANARY = "ftp-p@ss/word"


MADE: list[Store] = []
"""Stores to close after a test."""


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """No connection outlives its test."""
    yield
    while MADE:
        MADE.pop().close()


class Died(BaseException):
    """A worker that is killed."""


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """A sealed part."""
    path = tmp_path / "part"
    path.write_bytes(b"rows")
    return path


@pytest.fixture
def secret(tmp_path: Path) -> FromFile:
    """A password in a file."""
    path = tmp_path / "password"
    path.write_text(CANARY)
    return FromFile(file=str(path))


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


def test_data_channels_take_up_the_session(proftpd_server: FTPServer, part: Path) -> None:
    """The control: this server refuses one that does not; both versions of TLS do."""
    without = secure(proftpd_server, tls_session_reuse=False)
    said = refusal(lambda: without.stage(part, "x.csv", "g1-f1"))
    without.close()
    assert "see `tls_session_reuse`" in str(said)
    assert not said.retriable
    for minimum in ("1.2", "1.3"):
        store = secure(proftpd_server, tls_minimum=minimum)
        assert store.check() == []


def test_wrong_password(proftpd_server: FTPServer, tmp_path: Path) -> None:
    """It says where, and what to look at."""
    (tmp_path / "wrong").write_text("not-the-password")
    store = secure(proftpd_server, password=FromFile(file=str(tmp_path / "wrong")))
    said = refusal(lambda: store.stat("x.csv"))
    assert "Login incorrect" in str(said)
    assert f"localhost:{proftpd_server.port}" in str(said)
    assert "check `user`" in str(said)
    assert not said.retriable
    assert "not-the-password" not in str(said)


def test_certificates_are_verified(proftpd_server: FTPServer) -> None:
    """An unknown authority, and another host's name; the control is every other test."""
    said = refusal(lambda: secure(proftpd_server, tls_ca=None).stat("x.csv"))
    assert "say in `tls_ca`" in str(said)
    with running_proftpd(names="DNS:elsewhere.example") as other:
        said = refusal(lambda: secure(other).stat("x.csv"))
    assert "it is another host's" in str(said)
    assert not said.retriable


def test_an_expired_certificate_is_refused() -> None:
    """And the message says whose business that is."""
    with running_proftpd(alter=expire) as other:
        said = refusal(lambda: secure(other).stat("x.csv"))
    assert "the partner has to renew it" in str(said)


def expire(stem: Path) -> None:
    """The same certificate, out of date."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    key: Any = serialization.load_pem_private_key(Path(f"{stem}.key").read_bytes(), None)
    old = x509.load_pem_x509_certificate(Path(f"{stem}.crt").read_bytes())
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(old.issuer, old.subject, old.public_key(), 7, now - timedelta(9), now - timedelta(2))
    for extension in old.extensions:
        made = made.add_extension(extension.value, extension.critical)
    Path(f"{stem}.crt").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


@pytest.mark.parametrize(("replies", "words"), [
    ({}, "refused AUTH TLS"),
    ({"AUTH": "421 no"}, "refused AUTH TLS"),
])  # fmt: skip
def test_no_password_without_tls(secret: FromFile, replies: dict[str, str], words: str) -> None:
    """Where somebody in between strips AUTH TLS, the password is never sent; the control: plain FTP sends it."""
    with scripted_ftp(replies) as server:
        MADE.append(store := FTPS(host="127.0.0.1", port=server.port, user="outgate", password=secret))
        assert words in str(refusal(lambda: store.stat("x.csv")))
        assert "PASS" not in server.commands
        plain(secret, server.port).stat("x.csv")
        assert f"PASS {CANARY}" in server.heard


REPLIES = {
    "421 Too many connections (2)": (True, "no connection left"),
    "425 Unable to build data connection: Operation not permitted": (False, "see `tls_session_reuse`"),
    "425 Can't open data connection": (True, "passive ports"),
    "426 Connection closed; transfer aborted": (True, "lost the data channel"),
    "450 File busy": (True, "has the file open"),
    "451 Local error": (True, "an error of its own"),
    "452 Insufficient storage": (True, "no room left"),
    "522 SSL connection failed: session reuse required": (False, "see `tls_session_reuse`"),
    "530 Sorry, the maximum number of clients (3) for this user": (True, "no connection left"),
    "550 Permission denied": (False, "write, rename, list and delete"),
    "550 No space left on device": (False, "no room left"),
    "552 Quota exceeded": (False, "no room left"),
    "553 File name not allowed": (False, "does not take this name"),
    "599 Whatever": (False, "the server's own words"),
}


@pytest.mark.parametrize("reply", REPLIES)
def test_refusals_in_words(secret: FromFile, part: Path, reply: str) -> None:
    """As servers put them: what they said, what to do, and whether trying again can help."""
    retriable, words = REPLIES[reply]
    with scripted_ftp({"STOR": reply}) as server:
        store = plain(secret, server.port)
        said = refusal(lambda: store.stage(part, "x.csv", "g1-f1"))
        store.close()
    assert said.retriable == retriable
    assert words in str(said)
    assert reply in str(said)
    assert "writing 'x.csv'" in str(said)


def test_a_busy_server_is_tried_again(secret: FromFile) -> None:
    """It says 421 instead of hello."""
    with scripted_ftp({}, welcome="421 Too many connections") as server:
        said = refusal(lambda: plain(secret, server.port).stat("x.csv"))
    assert said.retriable


def test_a_short_file_is_no_success(secret: FromFile, part: Path) -> None:
    """The server says 226 for a data channel that was cut; the control: with all bytes there it is staged."""
    with scripted_ftp({"SIZE": "213 3"}) as server:
        store = plain(secret, server.port)
        said = refusal(lambda: store.stage(part, "x.csv", "g1-f1"))
        assert "3 of 4 bytes are there" in str(said)
        assert said.retriable
    with scripted_ftp({}) as server:
        store = plain(secret, server.port)
        assert store.stage(part, "x.csv", "g1-f1") == ".x.csv.g1-f1.part"
        store.close()


def test_a_blocked_data_channel(secret: FromFile, part: Path) -> None:
    """Nothing listens at the port that the server names; the host that it names is never asked."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with scripted_ftp({"PASV": f"227 (192,0,2,1,{port // 256},{port % 256})"}) as server:
        said = refusal(lambda: plain(secret, server.port).stage(part, "x.csv", "g1-f1"))
    assert "passive ports" in str(said)
    assert said.retriable


def test_nobody_there(secret: FromFile) -> None:
    """A name that does not resolve, a port where nothing listens, a server that never answers."""
    unknown = refusal(lambda: plain(secret, 21, host="no-such-host.invalid").stat("x"))
    assert "check `host`" in str(unknown)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        said = refusal(lambda: plain(secret, port, connect_timeout=1).stat("x"))
        assert "no answer in time" in str(said)
    closed = refusal(lambda: plain(secret, port).stat("x"))
    assert "nothing listens there" in str(closed)
    assert (said.retriable, closed.retriable) == (True, True)


@pytest.mark.parametrize("name", ["x\r\nDELE y", "x\ny", "a\0", " x", "x ", "a /b"])
def test_names_that_would_be_commands(secret: FromFile, part: Path, name: str) -> None:
    """They are refused before anything is sent."""
    with scripted_ftp({}) as server:
        store = plain(secret, server.port)
        for step in (lambda: store.stage(part, name, "g1-f1"), lambda: store.stat(name), lambda: store.staged(name)):
            assert "cannot be a name there" in str(refusal(step))
        assert server.heard == []


def test_plain_ftp_is_off(secret: FromFile) -> None:
    """Until somebody says so; then it warns."""
    with pytest.raises(ValidationError, match="allow_plaintext: true"):
        FTP(host="x", user="y", password=secret)
    assert "in the clear" in plain(secret, 21).warnings()[0]


# Workers that exclude one another, on both servers.


@pytest.fixture(params=["proftpd_server", "pyftpd_server"])
def shelf(request: pytest.FixtureRequest) -> Remote:
    """A place on each server."""
    return Remote(request.getfixturevalue(request.param))


def steps(shelf: Remote, act: Callable[[], object], die_at: int | None = None) -> list[str]:
    """The failpoints that an act passes; killed at the n-th."""
    seen: list[str] = []

    def hook(name: str) -> None:
        seen.append(name)
        if len(seen) - 1 == die_at:
            raise Died

    failpoint.install(hook)
    try:
        act()
    except Died:
        pass
    finally:
        failpoint.install(None)
    return seen


def delivered(shelf: Remote, part: Path, name: str, fence: str, replaces: str | None = None) -> None:
    """A worker as assets/load.py drives it: stage, sweep, look, publish."""
    worker = made(shelf)
    try:
        token = worker.stage(part, name, fence)
        worker.sweep(name, frozenset({token}), fence)
        there = worker.stat(name)
        if there and worker.digest(name) == sha(part.read_bytes()):
            worker.sweep(name, frozenset(), fence)
            return
        worker.publish(token, name, replaces if there else None, part)
    finally:
        worker.close()


@pytest.mark.parametrize("replaces", [None, sha(b"old")])
def test_killed_at_every_step(shelf: Remote, part: Path, replaces: str | None) -> None:
    """The successor brings it to its end; nothing is lost, doubled or left behind."""
    for number in range(40):
        name = f"{number}.csv"
        if replaces:
            shelf.put(name, b"old")
        passed = steps(shelf, lambda name=name: delivered(shelf, part, name, "g1-f1", replaces), number)  # type: ignore[misc]
        assert shelf.get(name) in {b"old", b"rows"} if name in shelf.names() else not replaces
        delivered(shelf, part, name, "g1-f2", replaces)
        assert (shelf.get(name), shelf.hidden()) == (b"rows", [])
        if len(passed) <= number:
            break
    assert number >= 8


def test_a_late_worker_undoes_nothing(shelf: Remote, part: Path) -> None:
    """It looked, slept, and wakes up when its successor has published; at every step of its own publication."""
    new = part.with_name("new")
    new.write_bytes(b"new")
    points: list[str] = []
    for point in ("publish.begun", "publish.alone", "publish.looked"):
        late, name = made(shelf), f"{point}.csv"
        token = late.stage(part, name, "g1-f1")

        def overtake(reached: str, name: str = name, point: str = point) -> None:
            if reached.endswith(point):
                failpoint.install(None)
                heir = made(shelf)
                heir.publish(heir.stage(new, name, "g1-f2"), name, None, new)
                heir.close()
                points.append(reached)

        failpoint.install(overtake)
        with pytest.raises((FileNotFoundError, ConnectorError)):
            late.publish(token, name, None, part)
        late.close()
        assert (shelf.get(name), shelf.hidden()) == (b"new", [])
    assert len(points) == 3


def test_control_a_late_worker_that_nobody_excluded(shelf: Remote, part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The harm without it: a look and a rename alone write over the successor's file."""
    from resources.stores import ftp

    new = part.with_name("new")
    new.write_bytes(b"new")
    monkeypatch.setattr(ftp.Server, "_exclude", lambda *_: False)
    late = made(shelf)
    token = late.stage(part, "x.csv", "g1-f1")

    def overtake(reached: str) -> None:
        if reached.endswith("publish.looked"):
            failpoint.install(None)
            heir = made(shelf)
            heir.publish(heir.stage(new, "x.csv", "g1-f2"), "x.csv", None, new)
            heir.close()

    failpoint.install(overtake)
    late.publish(token, "x.csv", None, part)
    late.close()
    assert shelf.get("x.csv") == b"rows"


def test_what_a_dead_worker_hid_is_there_again(shelf: Remote, part: Path) -> None:
    """Before a successor publishes: it is told to look again, and not that the place is taken."""
    delivered(shelf, part, "x.csv", "g1-f1")
    store = made(shelf)
    steps(shelf, lambda: store.remove("x.csv", sha(b"rows"), "g2-f1", lambda: None), 1)
    assert shelf.names() == []
    heir = made(shelf)
    token = heir.stage(part, "x.csv", "g3-f1")
    said = refusal(lambda: heir.publish(token, "x.csv", None, part))
    assert said.retriable
    heir.publish(token, "x.csv", sha(b"rows"), part)
    assert (shelf.names(), shelf.hidden()) == (["x.csv"], [])
    for each in (store, heir):
        each.close()


def test_a_connection_that_is_gone(shelf: Remote, part: Path) -> None:
    """It is opened again for the next call; one that breaks in the middle is a reason to try again."""
    store = made(shelf)
    token = store.stage(part, "x.csv", "g1-f1")
    session = store._kept
    session._used = 0.0
    session.sock.shutdown(socket.SHUT_RDWR)
    assert store.staged(token)
    store._kept.sock.shutdown(socket.SHUT_RDWR)
    said = refusal(lambda: store.stat("x.csv"))
    assert said.retriable
    assert store.stat("x.csv") is None
    store.close()


def test_a_reader_that_is_left(shelf: Remote, part: Path) -> None:
    """The next call is not confused by what is still on its way."""
    part.write_bytes(os.urandom(9 << 20))
    delivered(shelf, part, "x.bin", "g1-f1")
    store = made(shelf)
    with store.open("x.bin") as file:
        assert file.read(10) == part.read_bytes()[:10]
        assert store.stat("y.bin") is None
    assert store.digest("x.bin") == sha(part.read_bytes())
    store.close()


# Servers of other habits.


@pytest.fixture
def old_server() -> Iterator[FTPServer]:
    """No MLSD, no MLST, and rename replaces nothing."""
    with running_pyftpd(("MLSD", "MLST"), abstracted_fs=unwilling()) as server:
        yield server


def unwilling() -> type:
    """A file system whose rename refuses a name that is taken."""
    from pyftpdlib.filesystems import AbstractedFS, FilesystemError

    class Unwilling(AbstractedFS):  # type: ignore[misc]
        def rename(self, src: str, dst: str) -> None:
            if Path(dst).exists():
                raise FilesystemError("File exists")
            super().rename(src, dst)

    return Unwilling


def test_a_server_that_renames_over_nothing(old_server: FTPServer, part: Path) -> None:
    """The old file is hidden for a moment; killed at any step, the successor mends it."""
    shelf = Remote(old_server)
    shelf.put("0.csv", b"old")
    passed = steps(shelf, lambda: delivered(shelf, part, "0.csv", "g2-f1", sha(b"old")))
    assert "ftp.publish.hidden" in passed
    assert (shelf.get("0.csv"), shelf.hidden()) == (b"rows", [])
    for number in range(1, len(passed)):
        name = f"{number}.csv"
        shelf.put(name, b"old")
        steps(shelf, lambda name=name: delivered(shelf, part, name, "g2-f1", sha(b"old")), number)  # type: ignore[misc]
        delivered(shelf, part, name, "g2-f2", sha(b"old"))
        assert (shelf.get(name), shelf.hidden()) == (b"rows", [])


def test_no_right_to_write(part: Path) -> None:
    """The server's own words, and what to ask the partner for."""
    with running_pyftpd(rights="elr") as server:
        shelf = Remote(server)
        shelf.put("y.csv", b"here")
        said = refusal(lambda: made(shelf).stage(part, "x.csv", "g1-f1"))
    assert "let this user write" in str(said)
    assert not said.retriable


def test_folders_are_made_only_if_wanted(pyftpd_server: FTPServer, secret: FromFile, part: Path) -> None:
    """The control is every other test."""
    shelf = Remote(pyftpd_server)
    store = made(shelf).model_copy(update={"create_folders": False})
    assert "there is no folder" in str(refusal(lambda: store.stage(part, "x.csv", "g1-f1")))
    store.close()


def test_dot_names_that_are_not_listed(part: Path) -> None:
    """Then workers cannot see each other: the server's owner has to switch it on."""
    from pyftpdlib.filesystems import AbstractedFS

    class Hiding(AbstractedFS):  # type: ignore[misc]
        def listdir(self, path: str) -> list[str]:
            return [name for name in super().listdir(path) if not name.startswith(".")]

    with running_pyftpd(abstracted_fs=Hiding) as server:
        shelf = Remote(server)
        store = made(shelf)
        token = store.stage(part, "x.csv", "g1-f1")
        assert "does not list" in str(refusal(lambda: store.publish(token, "x.csv", None, part)))
        store.close()
        assert shelf.names() == []


def test_the_servers_hash(proftpd_server: FTPServer, part: Path) -> None:
    """It is asked for only where it is believed. The control: this server tells an old hash for half a minute."""
    shelf = Remote(proftpd_server)
    believing = secure(proftpd_server, folder=shelf.path.name, server_hash=True)
    shelf.put("x.csv", b"old!")
    kept = (shelf.path / "x.csv").stat()
    told = believing.stat("x.csv")
    assert told is not None
    assert told.sha256 == sha(b"old!")
    shelf.put("x.csv", b"new!")
    os.utime(shelf.path / "x.csv", ns=(kept.st_atime_ns, kept.st_mtime_ns))
    stale = believing.stat("x.csv")
    assert stale is not None
    assert stale.sha256 == sha(b"old!")
    assert made(shelf).stat("x.csv") != stale
    assert made(shelf).digest("x.csv") == sha(b"new!")
    believing.close()


def test_overtaken_while_removing(shelf: Remote, part: Path) -> None:
    """The file is visible again when the worker finds out."""
    delivered(shelf, part, "x.csv", "g1-f1")
    store = made(shelf)

    def overtaken() -> None:
        if shelf.names() == []:
            raise LeaseLost("somebody else has the window")

    with pytest.raises(LeaseLost):
        store.remove("x.csv", sha(b"rows"), "g2-f1", overtaken)
    assert (shelf.names(), shelf.hidden()) == (["x.csv"], [])
    store.close()
