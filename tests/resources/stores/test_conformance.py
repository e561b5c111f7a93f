"""What every store must do, whatever it is: nothing is seen before it is whole, and nothing of others is touched."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.stores.base import Store
from spec.errors import ConnectorError, LeaseLost
from tests.resources.stores.shelves import SHELVES, Shelf

SIZES = (0, 1, 261_120, 262_144, 262_145, (8 << 20) - 1, 8 << 20, (8 << 20) + 1, 17 << 20)
"""At the borders of blocks and pieces: of SFTP (255 KiB), of GCS (256 KiB), of multipart uploads (8 MiB)."""
ODD = (
    "a b.csv", "ä/ö ü.csv", "日本/データ.csv", "100%.csv", "a+b&c=d?e#f.csv", "it's \"it\".csv", "[a]*{b}.csv", "-dash.csv",
    "x" * 120 + ".csv", "deep/er/and/deep/er.csv", "%41.csv", "a;b,c@d!e~f$g^h(i).csv",
)  # fmt: skip


@pytest.fixture(params=SHELVES)
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shelf]:
    """Each store's own place."""
    with SHELVES[request.param](request, tmp_path) as made:
        yield made


@pytest.fixture
def store(shelf: Shelf) -> Iterator[Store]:
    """A worker's store."""
    made = shelf.store()
    yield made
    made.close()


def sha(data: bytes) -> str:
    """A hash as the ledger keeps it."""
    return hashlib.sha256(data).hexdigest()


def deliver(
    store: Store, part: Path, name: str, data: bytes, fence: str = "g1-f1", replaces: str | None = None
) -> None:
    """Stage and publish."""
    part.write_bytes(data)
    store.publish(store.stage(part, name, fence), name, replaces, part)


def known(store: Store, name: str) -> tuple[int, str] | None:
    """Bytes and hash of what is there, read where the store does not know the hash."""
    there = store.stat(name)
    return (there.bytes, there.sha256 or store.digest(name)) if there else None


def test_nothing_is_seen_before_it_is_published(shelf: Shelf, store: Store, part: Path) -> None:
    """Then it is there whole, alone, and not staged any more."""
    token = store.stage(part, "a/x.csv", "g1-f1")
    assert (shelf.names(), store.staged(token), store.stat("a/x.csv")) == ([], True, None)
    store.publish(token, "a/x.csv", None, part)
    assert (shelf.names(), store.staged(token), shelf.hidden()) == (["a/x.csv"], False, [])
    assert (shelf.get("a/x.csv"), known(store, "a/x.csv")) == (b"rows", (4, sha(b"rows")))
    assert store.location("a/x.csv").endswith("a/x.csv")


@pytest.mark.parametrize("size", SIZES)
def test_bytes_are_equal_at_every_size(shelf: Shelf, store: Store, part: Path, size: int) -> None:
    """Read by the partner, and by the store itself."""
    data = hashlib.shake_256(b"seed").digest(size)
    deliver(store, part, "x.bin", data)
    assert shelf.get("x.bin") == data
    assert known(store, "x.bin") == (size, sha(data))
    with store.open("x.bin") as file:
        assert file.read(3) + file.read() == data


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_kept(shelf: Shelf, store: Store, part: Path, name: str) -> None:
    """A name arrives as it was given, beside one that differs a little."""
    deliver(store, part, name, b"this")
    deliver(store, part, f"{name}.other", b"other")
    assert shelf.names() == sorted([name, f"{name}.other"])
    assert (shelf.get(name), known(store, name)) == (b"this", (4, sha(b"this")))
    store.remove(name, sha(b"this"), "g1-f1", lambda: None)
    assert (shelf.names(), shelf.hidden()) == ([f"{name}.other"], [])


def test_no_name_leaves_the_place(store: Store, part: Path) -> None:
    """Neither for writing nor for reading."""
    for name in ("../x", "a/../../x", "/x", "a/../x", "./x", ""):
        with pytest.raises(ConnectorError, match="would leave"):
            store.stage(part, name, "g1-f1")
        with pytest.raises(ConnectorError, match="would leave"):
            store.stat(name)


def test_a_file_of_somebody_else_is_never_replaced(shelf: Shelf, store: Store, part: Path) -> None:
    """The control: with the hash that is there, the same publication goes through."""
    shelf.put("x.csv", b"else")
    assert known(store, "x.csv") == (4, sha(b"else"))
    token = store.stage(part, "x.csv", "g1-f1")
    for replaces in (None, sha(b"another")):
        with pytest.raises(ConnectorError, match="was not written by this delivery of the export") as refused:
            store.publish(token, "x.csv", replaces, part)
        assert not refused.value.retriable
        assert shelf.get("x.csv") == b"else"
    if not store.staged(token):  # some servers drop what they refused to publish
        token = store.stage(part, "x.csv", "g1-f1")
    store.publish(token, "x.csv", sha(b"else"), part)
    assert (shelf.names(), shelf.get("x.csv")) == (["x.csv"], b"rows")


def test_what_is_staged_can_be_replaced(shelf: Shelf, store: Store, part: Path) -> None:
    """By the same worker again: the older bytes are never seen."""
    store.stage(part, "x.csv", "g1-f1")
    deliver(store, part, "x.csv", b"second")
    assert (shelf.names(), shelf.get("x.csv")) == (["x.csv"], b"second")


def test_a_second_publication_finds_nothing(shelf: Shelf, store: Store, part: Path) -> None:
    """Whoever comes second is told, and what is there stays."""
    token = store.stage(part, "x.csv", "g1-f1")
    store.publish(token, "x.csv", None, part)
    shelf.take("x.csv")
    with pytest.raises(FileNotFoundError):
        store.publish(token, "x.csv", None, part)
    assert shelf.names() == []


def test_a_generation_replaces_the_one_before(shelf: Shelf, store: Store, part: Path) -> None:
    """With the hash of what it replaces, and again: a repetition gives the same bytes."""
    deliver(store, part, "x.csv", b"one")
    deliver(store, part, "x.csv", b"two", "g2-f1", sha(b"one"))
    deliver(store, part, "x.csv", b"two", "g2-f2", sha(b"two"))
    assert (shelf.names(), shelf.get("x.csv"), shelf.hidden()) == (["x.csv"], b"two", [])


def test_of_two_workers_one_publishes(shelf: Shelf, part: Path) -> None:
    """At the same moment, on connections of their own, ten times: one file, whole, and the other is refused."""
    contents = (b"first", b"second!")
    for number in range(10):
        name = f"{number}.csv"
        racers = [Racer(shelf.store(), part.with_name(f"part{one}"), name, one) for one in range(2)]
        for racer, content in zip(racers, contents, strict=True):
            racer.stage(content)
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        found = [racer.ended for racer in racers]
        assert sorted(found) == ["published", "refused"], (number, found)
        assert shelf.get(name) == contents[found.index("published")]


class Racer(threading.Thread):
    """A worker that publishes while another one does."""

    def __init__(self, store: Store, source: Path, name: str, number: int) -> None:
        super().__init__()
        self.worker, self.source, self.file, self.fence, self.ended = store, source, name, f"g1-f{number}", ""

    def stage(self, content: bytes) -> None:
        """Bring the worker to the moment before."""
        self.source.write_bytes(content)
        self.token = self.worker.stage(self.source, self.file, self.fence)

    def run(self) -> None:
        """Publish, and say how it ended."""
        try:
            self.worker.publish(self.token, self.file, None, self.source)
            self.ended = "published"
        except (ConnectorError, FileNotFoundError):
            self.ended = "refused"
        finally:
            self.worker.close()


def test_sweeping_takes_what_older_workers_left(shelf: Shelf, store: Store, part: Path) -> None:
    """Of this name only, but for what is kept."""
    older = part.with_name("older")
    older.write_bytes(b"older")
    old, other = store.stage(older, "x.csv", "g1-f1"), store.stage(part, "x.csv.gz", "g1-f1")
    mine = store.stage(part, "x.csv", "g1-f2")
    store.sweep("x.csv", frozenset({mine}), "g1-f2")
    assert (store.staged(mine), store.staged(other)) == (True, True)
    store.publish(mine, "x.csv", None, part)
    store.publish(other, "x.csv.gz", None, part)
    with pytest.raises((FileNotFoundError, ConnectorError)):
        store.publish(old, "x.csv", None, older)
    assert (shelf.names(), shelf.hidden()) == (["x.csv", "x.csv.gz"], [])


def test_only_what_is_known_is_removed(shelf: Shelf, store: Store, part: Path) -> None:
    """Other bytes stay, and so does everything when the worker finds that it was overtaken."""

    def overtaken() -> None:
        raise LeaseLost("somebody else has the window")

    deliver(store, part, "x.csv", b"rows")
    store.remove("x.csv", sha(b"other bytes"), "g2-f1", lambda: None)
    with pytest.raises(LeaseLost):
        store.remove("x.csv", sha(b"rows"), "g2-f1", overtaken)
    assert shelf.names() == ["x.csv"]
    store.remove("x.csv", sha(b"rows"), "g2-f1", lambda: None)
    store.remove("x.csv", sha(b"rows"), "g2-f1", lambda: None)
    assert (shelf.names(), shelf.hidden()) == ([], [])


def test_what_is_not_there_is_not_found(shelf: Shelf, store: Store) -> None:
    """In a folder that does not exist, too."""
    assert (store.stat("x.csv"), store.stat("no/such/folder/x.csv"), shelf.names()) == (None, None, [])
    with pytest.raises(FileNotFoundError):
        store.open("x.csv").read()


def test_a_closed_store_opens_again(shelf: Shelf, store: Store, part: Path) -> None:
    """Closing is allowed at any time, and twice."""
    token = store.stage(part, "x.csv", "g1-f1")
    store.close()
    store.close()
    store.publish(token, "x.csv", None, part)
    store.close()
    assert (shelf.get("x.csv"), known(store, "x.csv")) == (b"rows", (4, sha(b"rows")))


def test_another_worker_goes_on_with_what_is_staged(shelf: Shelf, store: Store, part: Path) -> None:
    """The token is all that it needs."""
    token = store.stage(part, "x.csv", "g1-f1")
    heir = shelf.store()
    assert heir.staged(token)
    heir.publish(token, "x.csv", None, part)
    heir.close()
    assert (shelf.get("x.csv"), store.staged(token)) == (b"rows", False)


def test_a_probe_leaves_nothing(shelf: Shelf, store: Store) -> None:
    """`outgate check --connect` finds that all is well."""
    assert store.check() == []
    assert (shelf.names(), shelf.hidden()) == ([], [])


def test_a_thousand_parts(shelf: Shelf, store: Store, part: Path) -> None:
    """Each its own bytes, each published once."""
    wanted = {f"many/{number // 100}/{number:04}.csv": str(number).encode() for number in range(1000)}
    for name, data in wanted.items():
        deliver(store, part, name, data)
    assert shelf.names() == list(wanted)
    assert all(shelf.get(name) == wanted[name] for name in list(wanted)[::97])
