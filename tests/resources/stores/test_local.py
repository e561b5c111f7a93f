"""The local folder as a store: invisible, published at once, replaced and removed only as told."""

from __future__ import annotations

import hashlib
import os
from functools import partial
from pathlib import Path

import pytest

from resources import failpoint
from resources.stores.local import Local
from spec.errors import ConnectorError, LeaseLost


@pytest.fixture
def store(tmp_path: Path) -> Local:
    """A store in an empty folder."""
    return Local(path=str(tmp_path / "out"))


def visible(store: Local) -> list[str]:
    """What a partner's `*` finds."""
    return sorted(path.name for path in Path(store.path).rglob("*") if path.is_file() and not path.name.startswith("."))


def sha(data: bytes) -> str:
    """A hash as the ledger keeps it."""
    return hashlib.sha256(data).hexdigest()


def overtaken(store: Local, seen: list[str]) -> None:
    """A worker notices that it was overtaken, when a partner would see these files."""
    if visible(store) == seen:
        raise LeaseLost("somebody else has the window")


def test_a_staged_file_is_not_seen_until_it_is_published(store: Local, part: Path) -> None:
    """Then it is there whole, and nothing else is."""
    token = store.stage(part, "a/x.csv", "g1-f1")
    assert (visible(store), store.staged(token), store.stat("a/x.csv")) == ([], True, None)
    store.publish(token, "a/x.csv", None, part)
    assert (visible(store), store.staged(token)) == (["x.csv"], False)
    found = store.stat("a/x.csv")
    assert found is not None
    assert (found.bytes, found.sha256) == (4, sha(b"rows"))


def test_what_is_there_is_replaced_only_when_it_is_known(store: Local, part: Path) -> None:
    """The control: with `replaces` the same publication goes through."""
    Path(store.path).mkdir()
    (Path(store.path) / "x.csv").write_text("somebody's")
    token = store.stage(part, "x.csv", "g1-f1")
    with pytest.raises(ConnectorError, match="was not written by this delivery of the export"):
        store.publish(token, "x.csv", None, part)
    assert (Path(store.path) / "x.csv").read_text() == "somebody's"
    store.publish(token, "x.csv", sha(b"somebody's"), part)
    assert (Path(store.path) / "x.csv").read_bytes() == b"rows"


def test_a_publication_whose_staged_file_is_gone_says_so(store: Local, part: Path) -> None:
    """Whoever comes second finds nothing to publish."""
    token = store.stage(part, "x.csv", "g1-f1")
    store.publish(token, "x.csv", None, part)
    (Path(store.path) / "x.csv").unlink()
    with pytest.raises(FileNotFoundError):
        store.publish(token, "x.csv", None, part)


def test_a_late_worker_removes_nothing(store: Local, part: Path) -> None:
    """It slept after it had looked: the file is another's by now, and is there again when it finds that out."""
    store.publish(store.stage(part, "x.csv", "g3-f1"), "x.csv", None, part)

    for moment in ([], ["x.csv"]):  # it notices when the file is hidden, or before it touches it
        with pytest.raises(LeaseLost):
            store.remove("x.csv", sha(b"rows"), "g2-f1", partial(overtaken, store, moment))
        assert visible(store) == ["x.csv"]
    store.remove("x.csv", sha(b"other bytes"), "g2-f1", lambda: None)
    assert visible(store) == ["x.csv"]
    store.remove("x.csv", sha(b"rows"), "g3-f2", lambda: None)
    assert list(Path(store.path).iterdir()) == []


def test_no_name_leaves_the_folder(store: Local, part: Path) -> None:
    """Neither for writing nor for reading."""
    for name in ("../x", "a/../../x"):
        with pytest.raises(ConnectorError, match="would leave"):
            store.stage(part, name, "g1-f1")
        with pytest.raises(ConnectorError, match="would leave"):
            store.stat(name)


def test_sweeping_leaves_newer_workers_alone(store: Local, part: Path) -> None:
    """What a successor staged is not a late worker's to remove."""
    old, new = store.stage(part, "x.csv", "g1-f1"), store.stage(part, "x.csv", "g2-f1")
    store.sweep("x.csv", frozenset(), "g1-f2")
    assert (store.staged(old), store.staged(new)) == (False, True)


def hidden(store: Local, fence: str) -> None:
    """A worker dies after it has hidden a file, before it has looked at it again."""

    class Died(BaseException):
        pass

    def die(point: str) -> None:
        if point == "local.remove.hidden":
            raise Died

    failpoint.install(die)
    try:
        with pytest.raises(Died):
            store.remove("x.csv", sha(b"rows"), fence, lambda: None)
    finally:
        failpoint.install(None)
    assert visible(store) == []


def test_what_a_dead_worker_hid_is_put_back(store: Local, part: Path) -> None:
    """By a worker of its age or a later one, also where files have one name only; then it can be removed."""
    store.publish(store.stage(part, "x.csv", "g1-f1"), "x.csv", None, part)
    hidden(store, "g2-f2")
    store.sweep("x.csv", frozenset(), "g1-f9")
    assert visible(store) == []
    store.sweep("x.csv", frozenset(), "g2-f3")
    assert visible(store) == ["x.csv"]
    store.remove("x.csv", sha(b"rows"), "g2-f3", lambda: None)
    assert list(Path(store.path).iterdir()) == []


def test_what_a_dead_worker_hid_is_not_put_over_a_newer_file(store: Local, part: Path) -> None:
    """Whoever has the name by now keeps it."""
    store.publish(store.stage(part, "x.csv", "g1-f1"), "x.csv", None, part)
    hidden(store, "g2-f2")
    part.write_bytes(b"newer")
    store.publish(store.stage(part, "x.csv", "g3-f1"), "x.csv", None, part)
    store.sweep("x.csv", frozenset(), "g3-f1")
    assert [path.read_bytes() for path in Path(store.path).iterdir()] == [b"newer"]


def test_putting_back_needs_no_second_name(store: Local, part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on exFAT, where a hard link is refused and a file that was hidden would be lost."""

    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    store.publish(store.stage(part, "x.csv", "g1-f1"), "x.csv", None, part)
    monkeypatch.setattr(os, "link", refused)
    with pytest.raises(LeaseLost):
        store.remove("x.csv", sha(b"rows"), "g2-f1", partial(overtaken, store, []))
    assert visible(store) == ["x.csv"]
