"""Workers of FTP, which exclude one another without a rename that replaces nothing; and servers of other habits."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resources import failpoint
from spec.errors import ConnectorError, LeaseLost
from spec.secrets import FromFile
from tests.resources.stores.ftp_stores import made, refusal, secure, sha
from tests.resources.stores.shelf_served import Remote
from tests.servers.proftpd import FTPServer
from tests.servers.pyftpd import running_pyftpd


class Died(BaseException):
    """A worker that is killed."""


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
    monkeypatch.setattr(ftp.Server, "_exclude", lambda *_: (False, False))
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


def test_a_file_whose_size_is_not_told(part: Path) -> None:
    """It is somebody's, although the server says that there is none: it is not renamed over."""
    from pyftpdlib.filesystems import AbstractedFS, FilesystemError

    class Silent(AbstractedFS):  # type: ignore[misc]
        def getsize(self, path: str) -> int:
            if path.endswith("/x.csv"):
                raise FilesystemError("No such file or directory")
            return int(super().getsize(path))

    with running_pyftpd(abstracted_fs=Silent) as server:
        shelf = Remote(server)
        shelf.put("x.csv", b"else")
        store = made(shelf)
        token = store.stage(part, "x.csv", "g1-f1")
        assert "does not tell its size" in str(refusal(lambda: store.publish(token, "x.csv", None, part)))
        store.close()
        assert shelf.get("x.csv") == b"else"
