"""SFTP as a store: what only it has. What every store must do is in test_conformance.py, logins in test_sftp_login.py."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from resources import failpoint
from resources.stores import sftp_wire as wire
from resources.stores.sftp import Sftp
from resources.stores.sftp_wire import Broken, Wire
from spec.errors import ConnectorError, LeaseLost
from tests.servers.sshd import FULL, Sshd, running_sshd

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can have an account of another owner")
POINTS = (
    "sftp.stage.begins", "sftp.stage.open", "sftp.stage.written", "sftp.stage.synced", "sftp.stage.closed",
    "sftp.stage.checked", "sftp.publish.begins", "sftp.publish.renamed", "sftp.folder.made",
)  # fmt: skip


class Died(BaseException):
    """A worker is gone."""


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """A sealed part."""
    path = tmp_path / "part"
    path.write_bytes(b"rows")
    return path


@pytest.fixture
def folder(sshd: Sshd) -> Path:
    """The partner's folder, as the server's machine sees it."""
    return sshd.folder()


@pytest.fixture
def make(sshd: Sshd, folder: Path) -> Iterator[Callable[..., Sftp]]:
    """Makes stores in that folder, with the settings given."""
    made: list[Sftp] = []

    def store(**settings: Any) -> Sftp:
        made.append(Sftp.model_validate(sshd.declared(folder=str(folder)) | settings))
        return made[-1]

    yield store
    for each in made:
        each.close()


@contextmanager
def at(point: str, do: Callable[[], None]) -> Iterator[None]:
    """Do something each time a point is passed."""
    failpoint.install(lambda name: do() if name == point else None)
    try:
        yield
    finally:
        failpoint.install(None)


def die() -> None:
    """End as a killed worker does: no more is sent."""
    raise Died


def sha(data: bytes) -> str:
    """A hash as the ledger keeps it."""
    return hashlib.sha256(data).hexdigest()


def files(folder: Path) -> dict[str, bytes]:
    """All that is there, hidden or not."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_may_die_anywhere(make: Callable[..., Sftp], folder: Path, part: Path, point: str) -> None:
    """The next one delivers the file once, and nothing else is left."""
    dead = make()
    with at(point, die), pytest.raises(Died):
        dead.publish(dead.stage(part, "a/b/x.csv", "g1-f1"), "a/b/x.csv", None, part)
    assert files(folder).get("a/b/x.csv") in {None, b"rows"}
    heir = make()
    if heir.stat("a/b/x.csv") is None:
        heir.publish(heir.stage(part, "a/b/x.csv", "g1-f2"), "a/b/x.csv", None, part)
    heir.sweep("a/b/x.csv", frozenset(), "g1-f2")
    assert files(folder) == {"a/b/x.csv": b"rows"}


@pytest.mark.parametrize("kind", [wire.OPEN, wire.WRITE, wire.CLOSE, wire.RENAME, wire.MKDIR, wire.STAT])
def test_each_call_stands_a_lost_answer(
    make: Callable[..., Sftp], folder: Path, part: Path, monkeypatch: pytest.MonkeyPatch, kind: int
) -> None:
    """The server did what it was asked, and nobody heard of it: the same call is made again."""
    lost: list[int] = []

    def answer(self: Wire, number: int) -> Any:
        found = heard(self, number)
        if sent.get(number) == kind and not lost:
            lost.append(number)
            raise Broken("the line broke")
        return found

    def ask(self: Wire, asked: int, *fields: bytes) -> int:
        number = said(self, asked, *fields)
        sent[number] = asked
        return number

    sent: dict[int, int] = {}
    heard, said = Wire.answer, Wire.ask
    monkeypatch.setattr(Wire, "answer", answer)
    monkeypatch.setattr(Wire, "ask", ask)
    store = make()
    token = again(lambda: store.stage(part, "a/x.csv", "g1-f1"))
    with suppress(FileNotFoundError):
        again(lambda: store.publish(token, "a/x.csv", None, part))
    assert (len(lost), files(folder)) == (1, {"a/x.csv": b"rows"})


def again(step: Callable[[], Any]) -> Any:
    """Take a step once more when that may help."""
    try:
        return step()
    except ConnectorError as error:
        if not error.retriable:
            raise
        return step()


def test_both_names_of_a_torn_rename_are_one_file(make: Callable[..., Sftp], folder: Path, part: Path) -> None:
    """A server that dies between link and unlink leaves them: publishing again ends it, staging again harms neither."""
    store = make()
    token = store.stage(part, "x.csv", "g1-f1")
    (folder / "x.csv").hardlink_to(folder / token)
    assert store.stage(part, "x.csv", "g1-f1") == token
    assert files(folder) == {"x.csv": b"rows", token: b"rows"}
    (folder / token).unlink()
    (folder / token).hardlink_to(folder / "x.csv")
    with at("sftp.stage.open", die), pytest.raises(Died):
        store.stage(part, "x.csv", "g1-f1")
    assert files(folder)["x.csv"] == b"rows"
    token = store.stage(part, "x.csv", "g1-f1")
    store.publish(token, "x.csv", None, part)
    assert files(folder) == {"x.csv": b"rows"}


def test_what_was_cut_while_it_was_staged_is_not_published(make: Callable[..., Sftp], folder: Path, part: Path) -> None:
    """It counts as gone, and is staged again."""
    store = make()
    token = store.stage(part, "x.csv", "g1-f1")
    (folder / token).write_bytes(b"ro")
    with pytest.raises(FileNotFoundError):
        store.publish(token, "x.csv", None, part)
    assert files(folder) == {}


def test_what_a_dead_worker_hid_is_put_back(make: Callable[..., Sftp], folder: Path, part: Path) -> None:
    """By a worker of its age or a later one; then it can be removed. What has its name by then keeps it."""
    store = make()
    for newer in (False, True):
        store.publish(store.stage(part, "x.csv", "g1-f1"), "x.csv", None, part)
        with at("sftp.remove.hidden", die), pytest.raises(Died):
            store.remove("x.csv", sha(b"rows"), "g2-f2", lambda: None)
        assert list(files(folder)) == [".x.csv.g2-f2.gone"]
        if newer:
            (folder / "x.csv").write_bytes(b"newer")
        store.sweep("x.csv", frozenset(), "g1-f9")
        assert ".x.csv.g2-f2.gone" in files(folder)
        store.sweep("x.csv", frozenset(), "g2-f3")
        assert files(folder) == {"x.csv": b"newer" if newer else b"rows"}
        store.remove("x.csv", sha(b"newer" if newer else b"rows"), "g2-f3", lambda: None)
        assert files(folder) == {}


@pytest.mark.parametrize("late", [False, True])
def test_a_removal_whose_answer_was_lost_goes_on(
    make: Callable[..., Sftp], folder: Path, part: Path, *, late: bool
) -> None:
    """What the same worker hid before is removed by its second call; when it is overtaken, it is put back."""

    def confirm() -> None:
        confirmed.append(1)
        if late and len(confirmed) > 1:
            raise LeaseLost("somebody else has the window")

    confirmed: list[int] = []
    store = make()
    store.publish(store.stage(part, "x.csv", "g1-f1"), "x.csv", None, part)
    with at("sftp.remove.hidden", die), pytest.raises(Died):
        store.remove("x.csv", sha(b"rows"), "g2-f2", lambda: None)
    with pytest.raises(LeaseLost) if late else nullcontext():
        store.remove("x.csv", sha(b"rows"), "g2-f2", confirm)
    assert files(folder) == ({"x.csv": b"rows"} if late else {})


def test_the_hash_is_read_back_when_it_is_asked_for(make: Callable[..., Sftp], part: Path) -> None:
    """Else the size is all that is known without reading."""
    plain, sure = make(), make(verify="hash")
    plain.publish(plain.stage(part, "x.csv", "g1-f1"), "x.csv", None, part)
    for store, known in ((plain, None), (sure, sha(b"rows"))):
        found = store.stat("x.csv")
        assert found is not None
        assert (found.bytes, found.sha256) == (4, known)


def test_a_server_with_nothing_but_the_standard(part: Path) -> None:
    """Without sync, limits and the rename that replaces, files arrive; only replacing is refused, with the reason."""
    with running_sshd(subsystem="-P fsync,limits,posix-rename,statvfs") as server:
        folder = server.folder()
        store = Sftp.model_validate(server.declared(folder=str(folder)))
        part.write_bytes(bytes(300_000))
        store.publish(store.stage(part, "x.csv", "g1-f1"), "x.csv", None, part)
        known = sha(bytes(300_000))
        assert store.digest("x.csv") == known
        part.write_bytes(b"new")
        with pytest.raises(ConnectorError, match="in one step") as refused:
            store.publish(store.stage(part, "x.csv", "g2-f1"), "x.csv", known, part)
        assert not refused.value.retriable
        assert store.digest("x.csv") == known
        store.close()


def test_a_line_that_the_server_drops_is_opened_again(
    make: Callable[..., Sftp], sshd: Sshd, folder: Path, part: Path
) -> None:
    """In the middle of a file it is an error that may pass, between two calls nobody notices."""
    store = make()
    part.write_bytes(bytes(3_000_000))
    with at("sftp.stage.open", lambda: hang_up(sshd)), pytest.raises(ConnectorError, match="failed: ") as broken:
        store.stage(part, "x.csv", "g1-f1")
    assert broken.value.retriable
    token = store.stage(part, "x.csv", "g1-f1")
    hang_up(sshd)
    store.publish(token, "x.csv", None, part)
    assert files(folder) == {"x.csv": bytes(3_000_000)}


def hang_up(server: Sshd) -> None:
    """End every session of the server, and wait until they are gone."""
    for pid in server.sessions():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while server.sessions():
        pass


def test_a_server_that_falls_silent_is_not_waited_for(make: Callable[..., Sftp], sshd: Sshd, part: Path) -> None:
    """Neither while it is asked nor while it is sent to."""
    store = make(idle_timeout=1)
    part.write_bytes(bytes(30_000_000))
    for ask in (lambda: store.stat("x.csv"), lambda: store.stage(part, "x.csv", "g1-f1")):
        store.stat("x.csv")
        stopped = sshd.sessions()
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(ConnectorError, match=r"silent for too long.*check `host`") as silent:
                ask()
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        assert silent.value.retriable


@ROOT
def test_a_folder_that_may_not_be_written_is_named(make: Callable[..., Sftp], folder: Path, part: Path) -> None:
    """With what the account needs; a second try would not help."""
    os.chown(folder, 0, 0)
    with pytest.raises(ConnectorError, match="permission denied: the account needs the right") as denied:
        make().stage(part, "x.csv", "g1-f1")
    assert str(folder) in str(denied.value)
    assert not denied.value.retriable
    with pytest.raises(ConnectorError, match=r"making the folder .*/new'.*permission denied"):
        make().stage(part, "new/x.csv", "g1-f1")
    [said] = make().check()
    assert said.startswith("writing a probe: ")
    assert "permission denied" in said


def test_folders_are_made_when_they_may_be(make: Callable[..., Sftp], folder: Path, part: Path) -> None:
    """With the modes that are declared; else the missing one is named."""
    with pytest.raises(ConnectorError, match=r"looking for .*/a'.*create_folders"):
        make(create_folders=False).stage(part, "a/x.csv", "g1-f1")
    store = make(file_mode="0664", folder_mode="775")
    store.publish(store.stage(part, "a/b/x.csv", "g1-f1"), "a/b/x.csv", None, part)
    assert (folder / "a/b/x.csv").stat().st_mode & 0o777 == 0o664
    make(create_folders=False).stage(part, "a/b/y.csv", "g1-f1")


@ROOT
def test_a_full_disk_is_said(make: Callable[..., Sftp], part: Path) -> None:
    """With what is free; it may pass. A file that fits is the control, and nothing of the other is seen."""
    store = make(folder="full")
    part.write_bytes(bytes(FULL + 1))
    with pytest.raises(ConnectorError, match=r"a quota is full.*\(\d+ bytes are free there\): make room") as full:
        store.stage(part, "x.csv", "g1-f1")
    assert full.value.retriable
    assert store.stat("x.csv") is None
    store.sweep("x.csv", frozenset(), "g1-f1")
    part.write_bytes(bytes(FULL // 2))
    store.publish(store.stage(part, "x.csv", "g1-f1"), "x.csv", None, part)
    store.remove("x.csv", sha(bytes(FULL // 2)), "g1-f1", lambda: None)


def test_a_folder_or_a_dead_link_has_the_name(make: Callable[..., Sftp], folder: Path, part: Path) -> None:
    """Neither is a file, and neither is replaced."""
    (folder / "x.csv").mkdir()
    (folder / "y.csv").symlink_to("nowhere")
    store = make()
    for name in ("x.csv", "y.csv"):
        assert store.stat(name) is None
        for replaces in (None, sha(b"rows")):
            with pytest.raises(ConnectorError, match="was not written by this delivery"):
                store.publish(store.stage(part, name, "g1-f1"), name, replaces, part)
    assert (folder / "x.csv").is_dir()
    assert (folder / "y.csv").is_symlink()


def test_a_folder_that_is_relative_begins_where_the_login_ends(sshd: Sshd, folder: Path, part: Path) -> None:
    """And is never one of this machine."""
    store = Sftp.model_validate(sshd.declared(folder=f"{folder.name}/in"))
    store.publish(store.stage(part, "x.csv", "g1-f1"), "x.csv", None, part)
    store.close()
    assert files(folder) == {"in/x.csv": b"rows"}
    assert store.location("ä x.csv") == f"sftp://{sshd.host}:{sshd.port}/~/{folder.name}/in/%C3%A4%20x.csv"


def test_a_folder_of_thousands_is_swept(make: Callable[..., Sftp], folder: Path, part: Path) -> None:
    """The listing comes in many answers; only what is of the name is touched."""
    for number in range(1500):
        (folder / f"{number}.csv").touch()
    store = make()
    mine, other = store.stage(part, "7.csv.gz", "g1-f1"), store.stage(part, "7.csv", "g1-f1")
    assert store.sweep("7.csv", frozenset(), "g1-f2") == [other]
    assert store.staged(mine)
    assert len(files(folder)) == 1501


def test_two_streams_and_a_question_share_a_line(make: Callable[..., Sftp], folder: Path) -> None:
    """Answers that come out of turn find who asked."""
    data = {name: hashlib.shake_256(name.encode()).digest(9_000_000) for name in ("a", "b")}
    for name, content in data.items():
        (folder / name).write_bytes(content)
    store = make()
    with store.open("a") as one, store.open("b") as two:
        read = {"a": b"", "b": b""}
        for _ in range(10):
            read["a"] += one.read(1_000_000)
            assert store.stat("a") is not None
            read["b"] += two.read(1_000_000)
    assert read == data


def test_new_keys_in_the_middle_of_a_file(part: Path) -> None:
    """A server that changes them every 4 MB gets and gives the same bytes."""
    data = hashlib.shake_256(b"seed").digest(40_000_000)
    part.write_bytes(data)
    with running_sshd("RekeyLimit 4M") as server:
        store = Sftp.model_validate(server.declared(folder=server.folder().name))
        store.publish(store.stage(part, "x.bin", "g1-f1"), "x.bin", None, part)
        assert store.digest("x.bin") == sha(data)
        store.close()
