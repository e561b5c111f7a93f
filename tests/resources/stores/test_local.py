"""The local folder as a store: invisible, published at once, replaced and removed only as told."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from resources.stores.local import Local
from spec.errors import ConnectorError, LeaseLost


@pytest.fixture
def store(tmp_path: Path) -> Local:
    """A store in an empty folder."""
    return Local(path=str(tmp_path / "out"))


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """A sealed part."""
    path = tmp_path / "part"
    path.write_bytes(b"rows")
    return path


def visible(store: Local) -> list[str]:
    """What a partner's `*` finds."""
    return sorted(path.name for path in Path(store.path).rglob("*") if path.is_file() and not path.name.startswith("."))


def sha(data: bytes) -> str:
    """A hash as the ledger keeps it."""
    return hashlib.sha256(data).hexdigest()


def test_a_staged_file_is_not_seen_until_it_is_published(store: Local, part: Path) -> None:
    """Then it is there whole, and nothing else is."""
    token = store.stage(part, "a/x.csv", "g1-f1")
    assert (visible(store), store.staged(token), store.stat("a/x.csv")) == ([], True, None)
    store.publish(token, "a/x.csv", None)
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
        store.publish(token, "x.csv", None)
    assert (Path(store.path) / "x.csv").read_text() == "somebody's"
    store.publish(token, "x.csv", sha(b"somebody's"))
    assert (Path(store.path) / "x.csv").read_bytes() == b"rows"


def test_a_publication_whose_staged_file_is_gone_says_so(store: Local, part: Path) -> None:
    """Whoever comes second finds nothing to publish."""
    token = store.stage(part, "x.csv", "g1-f1")
    store.publish(token, "x.csv", None)
    (Path(store.path) / "x.csv").unlink()
    with pytest.raises(FileNotFoundError):
        store.publish(token, "x.csv", None)


def test_a_late_worker_removes_nothing(store: Local, part: Path) -> None:
    """It slept after it had looked: the file is another's by now, and is there again when it finds that out."""
    store.publish(store.stage(part, "x.csv", "g3-f1"), "x.csv", None)

    def overtaken() -> None:
        raise LeaseLost("somebody else has the window")

    with pytest.raises(LeaseLost):
        store.remove("x.csv", sha(b"rows"), "g2-f1", overtaken)
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
