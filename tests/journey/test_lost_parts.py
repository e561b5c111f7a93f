"""Sealed parts that are gone from the spool, and snapshots of the past: when a window is read again, and when it is not.

Kills between the steps are played in tests/crash.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resources import failpoint
from tests.small import EXPORT, ROWS_A_DAY, Small, day

MOVING = EXPORT.replace(
    "schedule:",
    "  - {to: folder, name: taken, path: 'taken/{partition}.csv', format: {type: csv}, collects: true}\nschedule:",
)
SNAPSHOT = EXPORT.replace("partitions: {every: day", "mode: snapshot\npartitions: {every: month")


class Died(BaseException):
    """The end of a worker, at a failpoint."""


@contextmanager
def at(point: str, *, lose: Small | None = None, die: bool = False) -> Iterator[list[str]]:
    """Lose the sealed parts, or die, whenever a failpoint is reached; the list has one entry each time."""
    found: list[str] = []

    def hook(name: str) -> None:
        if name == point:
            found.append(name)
            if lose is not None:
                lose_parts(lose)
            if die:
                raise Died

    failpoint.install(hook)
    try:
        yield found
    finally:
        failpoint.install(None)


def lose_parts(small: Small) -> None:
    """Remove what is sealed in the spool."""
    shutil.rmtree(small.root / ".outgate/spool/sealed")


def made(root: Path, export: str = EXPORT) -> Small:
    """A project with a ledger."""
    small = Small.make(root, export)
    small.home.create().close()
    return small


def sealed_and_lost(small: Small, key: str, point: str = "journey.sealed") -> None:
    """Seal a window, die, and lose its parts."""
    with at(point, die=True), pytest.raises(Died):
        list(small.journey().run([key]))
    lose_parts(small)


def test_a_window_whose_parts_are_gone_is_read_again(tmp_path: Path) -> None:
    """As a new generation, whose lease is kept while it is worked on and given back in the end."""
    small = made(tmp_path)
    sealed_and_lost(small, day(0))
    journey = small.journey()
    [outcome] = journey.run([day(0)])
    assert outcome.good, outcome.detail
    assert len(small.rows(day(0))) == ROWS_A_DAY
    [old, new] = journey.ledger.history("sales", day(0))
    assert (old.generation, old.state, new.generation, new.state) == (1, "failed", 2, "done")
    events = [(event.generation, event.what) for event in journey.ledger.events("sales")]
    assert (2, "released") in events


def test_a_part_that_was_altered_is_not_delivered(tmp_path: Path) -> None:
    """Other bytes of the same size are no longer what was sealed: the window is read again, and they are never seen."""
    small = made(tmp_path)

    def alter(name: str) -> None:
        if name == "journey.sealed":
            failpoint.install(None)
            [part] = (small.root / ".outgate/spool/sealed").rglob("1")
            data = part.read_bytes()
            part.chmod(0o600)
            part.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])

    failpoint.install(alter)
    journey = small.journey()
    [outcome] = journey.run([day(0)])
    assert outcome.good, outcome.detail
    assert [one.generation for one in journey.ledger.history("sales", day(0))] == [1, 2]
    other = made(tmp_path / "other")
    assert [each.good for each in other.journey().run([day(0)])] == [True]
    assert small.rows(day(0)) == other.rows(day(0))


def test_a_failure_of_the_second_reading_is_written_down(tmp_path: Path) -> None:
    """At the new generation, which anybody may take up at once."""
    small = made(tmp_path)
    sealed_and_lost(small, day(0))
    (tmp_path / "shop.duckdb").rename(tmp_path / "away.duckdb")
    journey = small.journey()
    [outcome] = journey.run([day(0)])
    assert outcome.state == "failed"
    record = journey.ledger.window("sales", day(0))
    assert record is not None
    assert (record.generation, record.state) == (2, "failed")
    assert "shop.duckdb" in record.detail
    (tmp_path / "away.duckdb").rename(tmp_path / "shop.duckdb")
    [outcome] = small.journey().run([day(0)])
    assert outcome.good, outcome.detail


def test_parts_that_are_lost_twice_fail_the_window(tmp_path: Path) -> None:
    """A spool that keeps nothing is an error, and not a window that is silently not delivered."""
    small = made(tmp_path)
    with at("journey.sealed", lose=small) as lost:
        [outcome] = small.journey().run([day(0)])
    assert len(lost) == 2
    assert (outcome.good, outcome.state) == (False, "failed")
    assert "missing from the spool" in outcome.detail
    [outcome] = small.journey().run([day(0)])
    assert outcome.good, outcome.detail
    assert len(small.rows(day(0))) == ROWS_A_DAY


def test_what_a_partner_took_is_not_delivered_twice(tmp_path: Path) -> None:
    """A new generation would deliver again what was collected: only `--again` says that this is wanted."""
    small = made(tmp_path, MOVING.replace("to: folder\n", "to: second\n"))
    (tmp_path / "pipelines/connectors.yaml").write_text(
        "shop: {type: duckdb, path: shop.duckdb}\nfolder: {type: local, path: out}\nsecond: {type: local, path: blocked}\n"
    )
    (tmp_path / "blocked").write_text("a file where the folder should be")
    [outcome] = small.journey().run([day(0)])
    assert not outcome.good
    taken = tmp_path / f"out/taken/{day(0)}.csv"
    taken.unlink()
    lose_parts(small)
    (tmp_path / "blocked").unlink()
    [outcome] = small.journey().run([day(0)])
    assert not outcome.good
    assert "taken may have its files already" in outcome.detail
    assert "`--again`" in outcome.detail
    assert not taken.exists()
    journey = small.journey()
    journey.again = "a person's wish"
    [outcome] = journey.run([day(0)])
    assert outcome.good, outcome.detail
    assert taken.exists()


def months() -> tuple[str, str]:
    """The newest month that has ended, and the one before."""
    last = datetime.now(UTC).replace(day=1) - timedelta(days=1)
    before = last.replace(day=1) - timedelta(days=1)
    return f"{last:%Y-%m-01}", f"{before:%Y-%m-01}"


def test_an_old_snapshot_is_not_begun_again(tmp_path: Path) -> None:
    """`--again` on it is refused before anything is planned: what was delivered stays delivered, and verified."""
    small = made(tmp_path, SNAPSHOT)
    new, old = months()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assets.windows.Grid.newest", lambda *_: old)
        assert small.outgate("run", "sales", "--partition", old).returncode == 0
    ended = small.outgate("run", "sales", "--partition", old, "--again")
    assert ended.returncode == 2
    assert f"is for the newest partition, '{new}'" in ended.stdout + ended.stderr
    [record] = small.journey().ledger.history("sales")
    assert (record.partition, record.generation, record.state) == (old, 1, "done")
    assert small.outgate("verify", "sales").returncode == 0


def test_an_old_snapshot_whose_parts_are_gone_is_not_read_again(tmp_path: Path) -> None:
    """It fails, and says why; the newest one goes on as ever."""
    small = made(tmp_path, SNAPSHOT)
    new, old = months()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assets.windows.Grid.newest", lambda *_: old)
        sealed_and_lost(small, old)
    [outcome] = small.journey().run([old])
    assert not outcome.good
    assert "is for the newest partition" in outcome.detail
    [outcome] = small.journey().run([new])
    assert outcome.good, outcome.detail


def test_an_old_snapshot_whose_parts_are_gone_stays_delivered(tmp_path: Path) -> None:
    """`redeliver` is refused before its receipt is taken back."""
    small = made(tmp_path, SNAPSHOT)
    _, old = months()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assets.windows.Grid.newest", lambda *_: old)
        assert small.outgate("run", "sales", "--partition", old).returncode == 0
    lose_parts(small)
    ended = small.outgate("redeliver", "sales", "--partition", old)
    assert ended.returncode == 2
    assert "is for the newest partition" in ended.stderr
    assert [row["state"] for row in small.history()] == ["done"]


def test_a_generation_that_was_only_planned_is_not_what_is_verified(tmp_path: Path) -> None:
    """The files of the one before are there still, and compared; the control: one that was changed is told."""
    small = made(tmp_path)
    assert small.outgate("run", "sales", "--partition", day(0)).returncode == 0
    (tmp_path / "shop.duckdb").rename(tmp_path / "away.duckdb")
    assert small.outgate("run", "sales", "--partition", day(0), "--again").returncode == 2
    assert small.history()[0]["generation"] == 2
    ended = small.outgate("verify", "sales")
    assert "1 of 1 deliveries are as the receipts say" in ended.stdout
    (tmp_path / f"out/sales/{day(0)}/sales_{day(0)}.csv").write_text("changed")
    assert small.outgate("verify", "sales").returncode == 1


def test_a_delivery_that_is_not_declared_any_more_keeps_its_file(tmp_path: Path) -> None:
    """Read again, a window is what is declared now: what another delivery got stays, and none is done without a file."""
    second = "  - {to: folder, name: second, path: 'second/{partition}.csv', format: {type: csv}}\nschedule:"
    small = made(tmp_path, EXPORT.replace("schedule:", second))
    assert small.outgate("run", "sales", "--partition", day(0)).returncode == 0
    small.declare(EXPORT)
    lose_parts(small)
    assert small.outgate("redeliver", "sales", "--partition", day(0)).returncode == 0
    assert (tmp_path / f"out/second/{day(0)}.csv").is_file()
    record = small.journey().ledger.window("sales", day(0))
    assert record is not None
    assert [(each.name, (each.receipt or {})["rows"]) for each in record.deliveries] == [("folder", ROWS_A_DAY)]


def test_a_partner_takes_a_file_that_its_worker_did_not_see_arrive(tmp_path: Path) -> None:
    """A file has its final name or its hidden one, never both: taken away after the kill, it is not delivered again."""
    small = made(tmp_path, MOVING.replace("    format: {type: csv}\n", "    format: {type: csv}\n    collects: true\n"))
    with at("local.publish.renamed", die=True), pytest.raises(Died):
        list(small.journey().run([day(0)]))
    file = tmp_path / f"out/sales/{day(0)}/sales_{day(0)}.csv"
    file.unlink()
    [outcome] = small.journey().run([day(0)])
    assert outcome.good, outcome.detail
    assert not file.exists()


def test_what_a_partner_may_have_taken_is_not_delivered_twice(tmp_path: Path) -> None:
    """A publication that was begun counts, whether or not the ledger has its end."""
    taken, other = "    collects: true\n", "  - {to: second, path: '{partition}.csv', format: {type: csv}}\n"
    text = EXPORT.replace(
        "    format: {type: csv}\n", f"    format: {{type: csv}}\n    manifest: false\n{taken}{other}"
    )
    small = made(tmp_path, text)
    (tmp_path / "pipelines/connectors.yaml").write_text(
        "shop: {type: duckdb, path: shop.duckdb}\nfolder: {type: local, path: out}\nsecond: {type: local, path: blocked}\n"
    )
    with at("load.published_one", die=True), pytest.raises(Died):
        list(small.journey().run([day(0)]))
    file = tmp_path / f"out/sales/{day(0)}/sales_{day(0)}.csv"
    file.unlink()
    for folder in (tmp_path / ".outgate/spool/sealed").rglob("second"):
        shutil.rmtree(folder)
    for _ in range(2):
        [outcome] = small.journey().run([day(0)])
        assert not outcome.good
        assert "folder may have its files already" in outcome.detail
    assert not file.exists()


def test_an_old_snapshot_is_not_put_over_a_newer_one(tmp_path: Path) -> None:
    """`redeliver` of a snapshot whose name a newer one has is refused, and its receipt stays."""
    small = made(tmp_path, SNAPSHOT.replace("{export}/{partition}/{export}_{partition}.csv", "all.csv"))
    new, old = months()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assets.windows.Grid.newest", lambda *_: old)
        assert small.outgate("run", "sales", "--partition", old).returncode == 0
    assert small.outgate("run", "sales", "--partition", new).returncode == 0
    ended = small.outgate("redeliver", "sales", "--partition", old)
    assert ended.returncode == 2
    assert f"'all.csv' holds the newer window '{new}'" in ended.stderr
    assert {row["state"] for row in small.history()} == {"done"}
