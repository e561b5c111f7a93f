"""The field's known ways to lose or double rows while reading, played on a PostgreSQL: a declaration and a test each.

Beside every run stands the rule that the bug was made of, on the same rows: it has to lose or double some, else the
replay would prove nothing. What the bug was is said at the top of the declaration of the test's name.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from spec.errors import LedgerError
from tests.journey.seconds import Seconds, put
from tests.journey.test_ids import Meanwhile
from tests.replays.playing import ONE, THREE, TWO, Replay, amid

NOON = f"{ONE} 12:00Z"
ABOVE = "SELECT id FROM rows WHERE at > %s ORDER BY at, id"
HIGHEST = "SELECT max(at) FROM rows"
MANY = 30_000
"""Rows of three batches."""


def test_001_rows_of_equal_cursor(replay: Replay) -> None:
    """Seven rows of one stamp arrive in batches of two, each once."""
    replay.made(*[NOON] * 7)
    replay.deliver(ONE)
    assert replay.ids() == [1, 2, 3, 4, 5, 6, 7]
    batch, last = [0], f"{ONE} 00:00Z"
    usual: list[int] = []
    while batch:
        batch = replay.asked("SELECT id FROM rows WHERE at > %s ORDER BY at LIMIT 2", last)
        usual, last = usual + batch, NOON
    assert len(usual) == 2


def test_002_ties_come_later(replay: Replay) -> None:
    """A row that comes later under a stamp which was read before arrives with the next run, once."""
    replay.made(NOON, NOON)
    replay.deliver(ONE)
    [last] = replay.asked(HIGHEST)
    replay.add(NOON)
    replay.deliver(TWO)
    assert replay.ids() == [1, 2, 3]
    assert replay.asked(ABOVE, last) == []


def test_003_bound_rounded_up(replay: Replay) -> None:
    """Rows a microsecond around the border of two windows are in one of them each."""
    replay.made(f"{ONE} 23:59:59.999998Z", f"{ONE} 23:59:59.999999Z", f"{TWO} 00:00Z", f"{TWO} 00:00:00.000001Z")
    replay.deliver(ONE)
    replay.deliver(TWO)
    assert [replay.ids(ONE), replay.ids(TWO)] == [[1, 2], [3, 4]]
    [rounded] = replay.asked("SELECT max(at)::timestamptz(3) FROM rows WHERE id < 2")
    assert replay.asked(ABOVE, rounded) == [4]


def test_004_maximum_of_another_snapshot(replay: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that is committed while the rows are read is the next key's, and no highest id is asked after the reading."""
    replay.made(NOON, NOON)
    seen = replay.asked("SELECT id FROM rows")
    amid(monkeypatch, lambda: replay.add(NOON))
    replay.deliver(ONE)
    assert replay.ids() == seen
    [last] = replay.asked("SELECT max(id) FROM rows")
    replay.deliver(TWO)
    assert replay.ids() == [1, 2, 3]
    assert seen + replay.asked("SELECT id FROM rows WHERE id > %s", last) == [1, 2]


def test_005_lower_bound_left_out(replay: Replay) -> None:
    """A row exactly on the border of two windows, and one on the border of the first, are delivered."""
    replay.made(f"{ONE} 00:00Z", NOON, f"{TWO} 00:00Z", f"{THREE} 00:00Z")
    for key in (ONE, TWO, THREE):
        replay.deliver(key)
    assert [replay.ids(key) for key in (ONE, TWO, THREE)] == [[1, 2], [3], [4]]
    assert replay.asked("SELECT id FROM rows WHERE at > %s AND at < %s", f"{ONE} 00:00Z", f"{TWO} 00:00Z") == [2]


def test_006_year_2999(replay: Replay) -> None:
    """A row of the year 2999 moves nothing: the rows of the days behind it arrive."""
    replay.made(NOON, "2999-01-01 00:00Z")
    replay.deliver(ONE)
    [last] = replay.asked(HIGHEST)
    replay.add(f"{TWO} 12:00Z")
    replay.deliver(TWO)
    assert replay.ids() == [1, 3]
    assert replay.asked(ABOVE, last) == []


def test_007_cursor_cut_short(replay: Replay) -> None:
    """A row whose stamp has more digits than a millisecond is delivered once, however often a run is started."""
    replay.made(f"{ONE} 12:00:00.123456Z")
    for keys in ((ONE,), (ONE,), (TWO,), (ONE, TWO)):
        replay.deliver(*keys)
    assert replay.ids() == [1]
    [cut] = replay.asked("SELECT date_trunc('milliseconds', max(at)) FROM rows")
    assert replay.asked(ABOVE, cut) == [1]


def test_008_rows_without_a_cursor(replay: Replay) -> None:
    """Rows without a cursor come with the first window where that is declared; else their number stops the window."""
    replay.made(None, NOON, None)
    replay.deliver(ONE)
    replay.deliver(TWO)
    assert replay.ids() == [1, 2, 3]
    assert replay.asked(ABOVE, "2000-01-01 00:00Z") == [2]
    source = {"table": "rows", "cursor": {"by": "time", "column": "at", "stamped_by": "database"}}
    replay.trial.declare(source)
    (stopped,) = replay.trial.run(THREE)
    assert not stopped.good
    assert "2 rows" in stopped.detail


def test_009_late_commit_by_time(replay: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window is not read while a transaction is open in it, though a younger row was committed meanwhile."""
    replay.made()
    with psycopg.connect(replay.url) as late:
        old = late.execute("INSERT INTO rows DEFAULT VALUES RETURNING at").fetchone()
        assert old
        put(monkeypatch, {"time": Seconds(old[0] - timedelta(milliseconds=1))})
        replay.source.execute("INSERT INTO rows DEFAULT VALUES")
        [(last, usual)] = replay.source.execute("SELECT at, id FROM rows").fetchall()
        (early,) = replay.trial.run("000000")
        assert (early.exit_code, replay.ids()) == (3, [])
        assert f"pid {late.info.backend_pid} " in early.detail
    replay.deliver("000000")
    assert replay.ids()[0] == 1
    assert [usual, *replay.asked(ABOVE, last)] == [2]


def test_010_late_commit_by_id(replay: Replay) -> None:
    """A range waits for the transaction that may still commit an id below its end."""
    replay.made()
    with psycopg.connect(replay.url) as late:
        late.execute("INSERT INTO rows DEFAULT VALUES")
        replay.add(NOON)
        [last] = usual = replay.asked("SELECT id FROM rows")
        told = Meanwhile(late.commit)
        replay.deliver(ONE, reporter=told)
    assert told.said
    assert replay.ids() == [1, 2]
    assert usual + replay.asked("SELECT id FROM rows WHERE id > %s", last) == [2]


def test_011_pages_that_move(replay: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that go, and one that moves to the front, between two batches hide nothing: all batches are one snapshot."""
    replay.made()
    fill(replay, MANY)

    def move() -> None:
        replay.source.execute("DELETE FROM rows WHERE id <= 100")
        replay.source.execute("UPDATE rows SET at = '2024-01-01Z' WHERE id = (SELECT max(id) FROM rows)")

    page = "SELECT id FROM rows ORDER BY at, id OFFSET %s LIMIT 10000"
    usual = replay.asked(page, 0)
    amid(monkeypatch, move)
    replay.deliver(ONE)
    assert replay.ids() == list(range(1, MANY + 1))
    usual += replay.asked(page, 10_000) + replay.asked(page, 20_000)
    assert len(usual) == len(set(usual)) == MANY - 100
    assert {10_001, MANY} & {*usual} == set()


def test_012_connection_lost_amid_rows(replay: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    """What arrived before the connection broke is not delivered; the next run delivers every row, once."""
    replay.made()
    fill(replay, MANY)
    page = "SELECT id FROM rows ORDER BY at, id LIMIT %s"
    others = """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE pid <> pg_backend_pid() AND datname = current_database()
    """
    amid(monkeypatch, lambda: replay.asked(others))
    (failed,) = replay.trial.run(ONE)
    assert (failed.good, failed.state, replay.ids()) == (False, "failed", [])
    replay.deliver(ONE)
    assert replay.ids() == list(range(1, MANY + 1))
    usual = replay.asked(page, 10_000) + replay.asked(page, MANY)
    assert len(usual) > len(set(usual)) == MANY


def test_013_backfill_beside_the_newest(replay: Replay) -> None:
    """The newest day first, then the older ones, then all once more: every day's rows are delivered once."""
    days = (ONE, TWO, THREE)
    replay.made(*(f"{day} 12:00Z" for day in days))
    for keys in ((THREE,), (ONE,), (TWO,), days):
        replay.deliver(*keys)
    assert [replay.ids(day) for day in days] == [[1], [2], [3]]
    [saved] = replay.asked("SELECT at FROM rows WHERE id = 2")
    assert replay.asked(ABOVE, saved) == [3]


def test_014_state_lost(replay: Replay) -> None:
    """Without its ledger no run starts, no new one is made in its place, and nothing is delivered a second time."""
    replay.made(NOON)
    replay.deliver(ONE)
    for file in (replay.trial.folder / "home").glob("ledger.db*"):
        file.unlink()
    [delivered] = replay.trial.files("parquet")
    before = delivered.stat()
    for begin in (lambda: replay.trial.run(ONE), replay.trial.home.create):
        with pytest.raises(LedgerError, match="a ledger was here"):
            begin()
    assert (replay.trial.files("parquet"), delivered.stat()) == ([delivered], before)


def fill(replay: Replay, count: int) -> None:
    """That many rows of one day, in the order of their ids."""
    values = "SELECT timestamptz '2024-01-01Z' + i * interval '1 second' FROM generate_series(1, %s) AS i"
    replay.source.execute(f"INSERT INTO rows (at) {values}".encode(), [count])


def test_every_replay_is_played() -> None:
    """A declaration without its test would be a claim that nobody checks."""
    declared = {path.stem for path in Path(__file__).parent.glob("*.yaml")}
    assert len(declared) == 14
    assert declared <= {name.removeprefix("test_") for name in globals()}
