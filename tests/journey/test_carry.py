"""`late: carry`: rows that come late are delivered once, with the next window, whatever is run again afterwards.

Every row in the files is compared with the source. Who is killed or comes in between is in test_carry_races.py.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.views import history_rows
from resources import failpoint
from tests.journey.sources import DATABASES, Source, once
from tests.journey.trial import EXPORT, Told, delivery

DAYS = [f"2024-01-0{day}" for day in range(1, 8)]
ONE, TWO, THREE, FOUR, *_ = DAYS
COLUMNS = {"id": "bigint", "at": "timestamp", "tenant": "text"}
CURSOR = {"by": "time", "column": "at", "key": "id", "timezone": "UTC", "lookback": "9000d"}
CARRY = CURSOR | {"late": "carry"}
BY_ID = {"by": "id", "column": "id", "lag": "0s", "late": "carry", "lookback": "9000d"}


@pytest.fixture(params=DATABASES)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    """A project on each of the databases in turn: two rows a day, ids 10 and 11 on the first."""
    made = Source.of(request.param, request.getfixturevalue(request.param), tmp_path)
    made.make(COLUMNS, [row(day, number) for day in range(1, 5) for number in range(2)])
    made.declare(cursor=CARRY)
    return made


@pytest.fixture
def duckdb(duck: Any, tmp_path: Path) -> Source:
    """The same on one of them."""
    made = Source.of("duck", duck, tmp_path)
    made.make(COLUMNS, [row(day, number) for day in range(1, 5) for number in range(2)])
    made.declare(cursor=CARRY)
    return made


def row(day: int, number: int, tenant: str = "a") -> tuple[int, datetime, str]:
    """A row of a day; its id begins with it."""
    return 10 * day + number, datetime(2024, 1, day, 6, number), tenant  # noqa: DTZ001  (the column has no zone)


def late(source: Source, *rows: Sequence[Any]) -> None:
    """Rows of days that were read already."""
    source.add(rows)


def carried(source: Source, key: str) -> Any:
    """What the receipt of a window says of carried rows."""
    return (source.trial.record(key).horizon or {}).get("carried")


def test_a_late_row_comes_with_the_next_window(source: Source) -> None:
    """Its own window is left as it is, and the run after that finds nothing more."""
    assert source.deliver(ONE) == [[10, 11]]
    late(source, row(1, 2), row(1, 3))
    assert source.deliver(TWO) == [[12, 13, 20, 21]]
    assert (source.trial.record(ONE).generation, carried(source, ONE), carried(source, TWO)) == (1, None, {ONE: 2})
    assert source.deliver(THREE) == [[30, 31]]
    assert carried(source, THREE) is None
    assert source.trial.column("id", ONE) == [10, 11]


def test_again(source: Source) -> None:
    """A window that is run again leaves out what was carried out of it, and has what was carried into it."""
    source.deliver(ONE)
    late(source, row(1, 2))
    source.deliver(TWO)
    late(source, row(1, 3))
    assert source.deliver(ONE, again="a") == [[10, 11, 13]]
    assert source.deliver(TWO, again="b") == [[12, 20, 21]]
    late(source, row(1, 4), row(2, 4))
    assert source.deliver(TWO, again="c") == [[12, 14, 20, 21, 24]]
    assert carried(source, TWO) == {ONE: 2}
    assert source.deliver(ONE, again="d") == [[10, 11, 13]]
    assert source.deliver(THREE, FOUR) == [[30, 31], [40, 41]]
    assert source.trial.column() == [10, 11, 12, 13, 14, 20, 21, 24, 30, 31, 40, 41]


def test_a_source_that_has_lost_a_carried_row(duckdb: Source) -> None:
    """Run again, the window that carried it is without it; come back, it is that window's and no other's."""
    duckdb.deliver(ONE)
    late(duckdb, row(1, 2))
    duckdb.deliver(TWO)
    with duckdb.session() as ask:
        ask("DELETE FROM events WHERE id = 12")
    assert duckdb.deliver(TWO, again="a") == [[20, 21]]
    late(duckdb, row(1, 2))
    assert duckdb.deliver(THREE) == [[30, 31]]
    assert duckdb.deliver(TWO, again="b") == [[12, 20, 21]]


def test_by_id(source: Source) -> None:
    """A number below the highest that was read comes with the next range, also where that has none of its own."""
    source.declare(cursor=BY_ID)
    source.deliver(ONE)
    late(source, row(1, 2))
    assert source.deliver(TWO) == [[12]]
    late(source, row(1, 3), row(5, 0))
    assert source.deliver(THREE) == [[13, 50]]
    assert source.deliver(ONE, TWO, THREE, again="a") == [[10, 11, 20, 21, 30, 31, 40, 41], [12], [13, 50]]


def test_one_window_of_a_run_carries(duckdb: Source) -> None:
    """The first recent one that is read, for all windows before the run; the others look at nothing."""
    duckdb.deliver(ONE)
    late(duckdb, row(1, 2))
    told = Told()
    assert duckdb.deliver(TWO, THREE, FOUR, reporter=told) == [[12, 20, 21], [30, 31], [40, 41]]
    assert told.said == [
        f"{ONE}: 1 rows were committed after it was read; they are delivered with the window that is read now"
    ]
    assert duckdb.deliver(TWO, THREE, FOUR, again="a") == [[12, 20, 21], [30, 31], [40, 41]]
    assert duckdb.deliver(ONE, TWO, THREE, FOUR, again="b") == [[10, 11], [12, 20, 21], [30, 31], [40, 41]]


def test_rows_of_several_windows(duckdb: Source) -> None:
    """Each is in the receipt, in the history and with the window that the rows came too late for."""
    duckdb.deliver(ONE)
    duckdb.deliver(TWO)
    late(duckdb, row(1, 2), row(2, 2), row(2, 3))
    assert duckdb.deliver(THREE) == [[12, 22, 23, 30, 31]]
    assert carried(duckdb, THREE) == {ONE: 1, TWO: 2}
    with duckdb.trial.ledger() as ledger:
        assert [each["detail"] for each in history_rows(ledger.history(EXPORT, THREE))] == [
            f"with 1 late rows of {ONE}; with 2 late rows of {TWO}"
        ]
    assert duckdb.deliver(ONE, TWO, again="a") == [[10, 11], [20, 21]]


def test_an_older_window_carries_nothing(duckdb: Source) -> None:
    """Rows go to a later window: one that is filled in afterwards takes none of a window after it."""
    duckdb.deliver(TWO)
    late(duckdb, row(2, 2))
    assert duckdb.deliver(ONE) == [[10, 11]]
    assert duckdb.deliver(THREE) == [[22, 30, 31]]


def test_a_backfill_of_old_days_carries_nothing(duckdb: Source) -> None:
    """The control: windows that ended longer ago than `lookback` neither look nor are looked at."""
    duckdb.declare(cursor=CARRY | {"lookback": "2d"})
    duckdb.deliver(ONE)
    late(duckdb, row(1, 2))
    assert duckdb.deliver(TWO) == [[20, 21]]


def test_tenants_and_filters(duckdb: Source) -> None:
    """Carried rows pass through the tenant's condition and the filters like all others; the receipt counts those read."""
    chosen = {"any": [{"all": [{"field": "id", "is": "not_equals", "value": 13}]}]}
    duckdb.trial.declare(
        {"table": "events", "cursor": CARRY, "tenant": {"column": "tenant", "equals": "a"}}, filters=chosen
    )
    duckdb.deliver(ONE)
    late(duckdb, row(1, 2), row(1, 3), row(1, 4, "b"))
    assert duckdb.deliver(TWO) == [[12, 20, 21]]
    assert carried(duckdb, TWO) == {ONE: 2}
    assert duckdb.deliver(THREE) == [[30, 31]]


def test_rows_without_a_cursor(source: Source) -> None:
    """Those that come after the first window was read are carried too, and stay with the window that carried them."""
    source.declare(cursor=CARRY | {"nulls": "include"})
    late(source, (1, None, "a"))
    assert source.deliver(ONE) == [[1, 10, 11]]
    late(source, (2, None, "a"))
    assert source.deliver(TWO) == [[2, 20, 21]]
    assert source.deliver(THREE) == [[30, 31]]
    assert source.deliver(ONE, TWO, again="a") == [[1, 10, 11], [2, 20, 21]]


def test_in_packs(source: Source) -> None:
    """Rows that are read along are asked for in packs as well."""
    source.declare(cursor=CARRY, batch_rows=1)
    source.deliver(ONE)
    late(source, row(1, 2), row(1, 3), row(1, 4))
    assert source.deliver(TWO) == [[12, 13, 14, 20, 21]]
    assert source.deliver(THREE) == [[30, 31]]


def test_a_partner_who_takes_files_away(duckdb: Source) -> None:
    """It gets every row once, although the files of earlier windows are gone."""
    taking = [delivery("parquet") | {"collects": True}]
    duckdb.trial.declare({"table": "events", "cursor": CARRY}, deliver=taking)
    got: list[int] = []
    for number, key in enumerate(DAYS[:4], 1):
        duckdb.trial.run(key)
        got += duckdb.trial.column()
        shutil.rmtree(duckdb.trial.folder / "out" / "parquet")
        late(duckdb, *(row(day, 4 + number) for day in range(1, number + 1)) if number < 4 else ())
    with duckdb.session() as ask:
        assert sorted(got) == [each for (each,) in ask("SELECT id FROM events ORDER BY id")]


def test_lost_parts(duckdb: Source) -> None:
    """A window whose sealed parts are gone is read again with the rows that it has carried."""
    duckdb.deliver(ONE)
    late(duckdb, row(1, 2))
    sealed = duckdb.trial.home.spool_folder / "sealed" / EXPORT / TWO
    with once("journey.sealed", lambda: shutil.rmtree(sealed)):
        assert duckdb.deliver(TWO) == [[12, 20, 21]]
    assert (duckdb.trial.record(TWO).generation, carried(duckdb, TWO)) == (2, {ONE: 1})
    assert duckdb.deliver(THREE) == [[30, 31]]


def test_a_spool_that_is_gone_forgets_no_owner(duckdb: Source) -> None:
    """What was carried is kept in the ledger; only the look at windows whose keys are gone ends."""
    duckdb.deliver(ONE)
    late(duckdb, row(1, 2))
    duckdb.deliver(TWO)
    shutil.rmtree(duckdb.trial.home.spool_folder / "sealed")
    assert duckdb.deliver(ONE, TWO, again="a") == [[10, 11], [12, 20, 21]]


@pytest.mark.parametrize("other", ["restate", "report"])
def test_rows_keep_their_owner_when_the_declaration_changes(duckdb: Source, other: str) -> None:
    """Under `restate` or `report` a carried row is not late any more, and its window does not have it."""
    duckdb.deliver(ONE)
    late(duckdb, row(1, 2))
    duckdb.deliver(TWO)
    duckdb.declare(cursor=CURSOR | {"late": other})
    assert duckdb.deliver(THREE) == [[30, 31]]
    assert duckdb.deliver(ONE, TWO, again="a") == [[10, 11], [12, 20, 21]]


class Died(BaseException):
    """The end of a worker."""


def test_a_correction_that_was_begun_is_ended(duckdb: Source) -> None:
    """Begun under `restate`, it has the late rows although `carry` is declared by now; nothing carries them."""
    duckdb.declare(cursor=CURSOR | {"late": "restate"})
    duckdb.deliver(ONE)
    late(duckdb, row(1, 2))

    def die(name: str) -> None:
        if name == "late.read":
            failpoint.install(lambda point: died() if point == "journey.leased" else None)

    failpoint.install(die)
    try:
        with pytest.raises(Died):
            duckdb.trial.run(TWO)
    finally:
        failpoint.install(None)
    duckdb.declare(cursor=CARRY)
    assert [(each.key, each.good) for each in duckdb.trial.run(THREE)] == [(THREE, True), (ONE, True)]
    assert (duckdb.trial.column("id", ONE), duckdb.trial.column("id", THREE)) == ([10, 11, 12], [30, 31])


def died() -> None:
    """Die here."""
    raise Died


def test_another_key_is_refused(duckdb: Source) -> None:
    """Rows that were told apart by other columns cannot be left out: the window stays as it is."""
    duckdb.deliver(ONE)
    late(duckdb, row(1, 2))
    duckdb.deliver(TWO)
    duckdb.declare(cursor=CARRY | {"key": "tenant"})
    for key in (ONE, TWO):
        [outcome] = duckdb.trial.run(key, again="a")
        assert "declare the cursor and key of then" in outcome.detail
    assert duckdb.trial.column() == [10, 11, 12, 20, 21]


def test_nothing_late_streams(duckdb: Source) -> None:
    """A window with rows of others goes through a file, and one without them does not."""
    passed: list[str] = []
    duckdb.deliver(ONE)
    failpoint.install(passed.append)
    try:
        duckdb.deliver(TWO)
        assert "extract.streamed" in passed
        late(duckdb, row(1, 2))
        passed.clear()
        duckdb.deliver(THREE)
        assert "extract.streamed" not in passed
    finally:
        failpoint.install(None)


@pytest.mark.parametrize("seed", range(3))
def test_any_course(duckdb: Source, seed: int) -> None:
    """Late rows, next windows, windows again, in any order: no row is anywhere twice, and in the end none is missing."""
    chance, done, number = random.Random(seed), 0, 2
    duckdb.add(row(day, each) for day in range(5, 8) for each in range(2))
    while done < len(DAYS):
        for _ in range(chance.randrange(3) if done else 0):
            late(duckdb, (1000 + number, *row(chance.randint(1, done), number % 60)[1:]))
            number += 1
        if done and chance.random() < 0.5:
            again = chance.sample(DAYS[:done], min(done, 2))
            duckdb.trial.run(*sorted(again), again=f"again {number} {done}")
        else:
            assert all(each.good for each in duckdb.trial.run(DAYS[done]))
            done += 1
        found = duckdb.trial.column()
        assert len(set(found)) == len(found)
    with duckdb.session() as ask:
        assert duckdb.trial.column() == [each for (each,) in ask("SELECT id FROM events ORDER BY id")]
