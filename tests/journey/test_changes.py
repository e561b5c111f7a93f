"""`mode: changes`: whoever applies the files of each day in turn has what the source has.

Kills and rivals are in test_changes_races.py.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from assets import changes
from assets.outcome import Outcome
from pipelines.views import history_rows
from resources.stores.local import Local
from spec.errors import ConnectorError
from tests.journey.days import after
from tests.journey.sources import DATABASES, Source
from tests.journey.trial import delivery

ONE, TWO, THREE, FOUR = DAYS = [f"2024-01-0{day}" for day in range(1, 5)]
COLUMNS = {"id": "bigint", "name": "text", "money": "money"}
ROWS = [(1, "ann", Decimal("1.50")), (2, "", Decimal("2.00")), (3, None, None)]
CHANGES = {"mode": "changes", "changes": {"key": ["id"]}}
Row = tuple[Any, ...]


def declare(source: Source, **more: Any) -> None:
    """The export of the table, as Parquet unless said."""
    source.trial.declare({"table": "events"}, **(CHANGES | more))


@pytest.fixture(params=DATABASES)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    """A project on each of the databases in turn."""
    made = Source.of(request.param, request.getfixturevalue(request.param), tmp_path)
    made.make(COLUMNS, ROWS)
    declare(made)
    return made


@pytest.fixture
def duckdb(duck: Any, tmp_path: Path) -> Source:
    """The same on one of them."""
    made = Source.of("duck", duck, tmp_path)
    made.make(COLUMNS, ROWS)
    declare(made)
    return made


def run(source: Source, key: str, **how: Any) -> list[Outcome]:
    """A run on the day after its window."""
    with after(key):
        return source.trial.run(key, **how)


def deliver(source: Source, key: str, **how: Any) -> list[Row]:
    """A run that delivers its window; the rows of it."""
    [outcome] = run(source, key, **how)
    assert (outcome.key, outcome.state, outcome.detail) == (key, "done", "")
    return rows(source, key)


def rows(source: Source, key: str) -> list[Row]:
    """What was delivered with a window."""
    return source.trial.rows(key, "operation", "id", "name", "money")


def told(source: Source, key: str) -> Any:
    """What the receipt says of it."""
    return (source.trial.record(key).horizon or {}).get("changes")


def changed(source: Source, statement: str) -> None:
    """A statement at the source."""
    source.subject.run(statement)


def test_added_changed_and_removed(source: Source) -> None:
    """All is added at first; later a row is what became of it. Of a removed one only the key is known."""
    assert deliver(source, ONE) == [("added", *row) for row in ROWS]
    changed(source, "UPDATE events SET name = 'bob' WHERE id = 2")
    changed(source, "DELETE FROM events WHERE id = 1")
    source.add([(4, "dan", Decimal("0.10"))])
    assert deliver(source, TWO) == [
        ("added", 4, "dan", Decimal("0.10")), ("changed", 2, "bob", Decimal("2.00")), ("removed", 1, None, None),
    ]  # fmt: skip
    assert told(source, TWO) == {"since": ONE, "added": 1, "changed": 1, "removed": 1}
    assert deliver(source, THREE) == []
    source.add([ROWS[0]])
    assert deliver(source, FOUR) == [("added", *ROWS[0])]
    assert told(source, FOUR) == {"since": THREE, "added": 1, "changed": 0, "removed": 0}


@pytest.mark.parametrize("to", ["name = NULL", "money = 2.01", "name = ' '"])
def test_the_smallest_change_is_one(source: Source, to: str) -> None:
    """NULL is no empty text, and a cent is one."""
    deliver(source, ONE)
    changed(source, f"UPDATE events SET {to} WHERE id = 2")
    assert [row[:2] for row in deliver(source, TWO)] == [("changed", 2)]


def test_days_that_were_left_out(duckdb: Source) -> None:
    """The next window has what changed since the last delivery, however long ago that was."""
    deliver(duckdb, ONE)
    changed(duckdb, "DELETE FROM events WHERE id > 1")
    assert [row[:2] for row in deliver(duckdb, FOUR)] == [("removed", 2), ("removed", 3)]
    [outcome] = run(duckdb, FOUR)
    assert outcome.skipped
    with after(FOUR):
        [old] = duckdb.trial.run(THREE)
    assert "is for the newest partition" in old.detail


def test_again(duckdb: Source) -> None:
    """A window that is run again is compared with what was delivered before it, and its files are replaced."""
    deliver(duckdb, ONE)
    changed(duckdb, "UPDATE events SET name = 'bob' WHERE id = 2")
    deliver(duckdb, TWO)
    changed(duckdb, "DELETE FROM events WHERE id = 3")
    found = [row[:2] for row in deliver(duckdb, TWO, again="a")]
    assert found == [("changed", 2), ("removed", 3)]
    assert (duckdb.trial.record(TWO).generation, deliver(duckdb, THREE)) == (2, [])


def test_a_file_for_each_operation(duckdb: Source) -> None:
    """Where the path has {operation}: three files without the column, or those only that have rows."""
    path = "parquet/{partition}/{operation}_{part}.parquet"
    some = delivery("csv", path="some/{partition}/{operation}.csv", empty="skip")
    declare(duckdb, deliver=[delivery("parquet", path=path, manifest=True), some])
    run(duckdb, ONE)
    changed(duckdb, "DELETE FROM events WHERE id = 1")
    run(duckdb, TWO)
    out = duckdb.trial.folder / "out"
    names = [f"{each}_001.parquet" for each in ("added", "changed", "removed")]
    assert [path.name for path in duckdb.trial.files("parquet", TWO)] == names
    assert [path.name for path in sorted((out / "some" / TWO).iterdir())] == ["removed.csv"]
    assert (out / "some" / TWO / "removed.csv").read_text() == "id;name;money\n1;;\n"
    [found] = [each for each in duckdb.trial.record(TWO).deliveries if each.name == "parquet"]
    assert [(each.number, each.rows) for each in found.artifacts if each.kind == "part"] == [(1, 0), (2, 0), (3, 1)]


def test_the_key_that_leaves(duckdb: Source) -> None:
    """It is of fields as they leave, several if need be; groups can be compared as well."""
    fields = [{"from": "name", "to": "who", "default": "nobody", "aggregate": "group"},
              {"from": "id", "to": "how_many", "aggregate": "count"}]  # fmt: skip
    declare(duckdb, fields=fields, changes={"key": ["who"], "column": "what"})
    run(duckdb, ONE)
    duckdb.add([(4, None, None), (5, "eve", None)])
    run(duckdb, TWO)
    found = duckdb.trial.rows(TWO, "what", "who", "how_many")
    assert found == [("added", "eve", 1), ("changed", "nobody", 3)]


def refuse(*_: Any) -> str:
    """What a store does that is away."""
    message = "the disk is away"
    raise ConnectorError(message)


@pytest.fixture
def away() -> Iterator[pytest.MonkeyPatch]:
    """The store is away until this is undone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Local, "stage", refuse)
        yield patch


def test_a_window_that_was_not_delivered_comes_first(duckdb: Source, away: pytest.MonkeyPatch) -> None:
    """What was sealed for it is delivered before the next one is read; while that fails, nothing comes after it."""
    away.undo()
    deliver(duckdb, ONE)
    changed(duckdb, "UPDATE events SET name = 'bob' WHERE id = 2")
    away.setattr(Local, "stage", refuse)
    [failed] = run(duckdb, TWO)
    assert (failed.state, failed.detail) == ("failed", "the disk is away")
    changed(duckdb, "DELETE FROM events WHERE id = 2")
    first, second = run(duckdb, THREE)
    assert [first.asked, first.key, second.asked, second.state] == [False, TWO, True, "failed"]
    assert f"those of {TWO!r} come before, and are failed" in second.detail
    away.undo()
    first, second = run(duckdb, THREE)
    assert [first.state, second.state] == ["done", "done"]
    assert (rows(duckdb, TWO)[0][:2], rows(duckdb, THREE)[0][:2]) == (("changed", 2), ("removed", 2))


def test_a_window_that_was_given_up(duckdb: Source, away: pytest.MonkeyPatch) -> None:
    """A full refresh delivers all rows as added; the window that it passed over has nothing to come any more."""
    [failed] = run(duckdb, ONE)
    assert failed.state == "failed"
    away.undo()
    assert deliver(duckdb, TWO, full_refresh=True) == [("added", *row) for row in ROWS]
    assert told(duckdb, TWO) == {"since": None, "added": 3, "changed": 0, "removed": 0}
    with after(TWO):
        [outcome] = duckdb.trial.run(ONE)
    assert f"the changes of {TWO!r} were delivered since" in outcome.detail
    assert deliver(duckdb, THREE) == []


def test_a_full_refresh_gives_up_what_is_sealed(duckdb: Source, away: pytest.MonkeyPatch) -> None:
    """Of the same window too: all rows as added, in a new generation."""
    away.undo()
    deliver(duckdb, ONE)
    changed(duckdb, "DELETE FROM events WHERE id = 1")
    away.setattr(Local, "stage", refuse)
    run(duckdb, TWO)
    away.undo()
    assert [row[:2] for row in deliver(duckdb, TWO, full_refresh=True, again="a")] == [("added", 2), ("added", 3)]
    assert duckdb.trial.record(TWO).generation == 2


def test_an_attempt_that_sealed_nothing_changes_nothing(duckdb: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window that is run again and fails before its seal stays what it was: the next one is compared with it."""
    deliver(duckdb, ONE)
    with monkeypatch.context() as patch:
        patch.setattr(changes, "compare", refuse)
        [failed] = run(duckdb, ONE, again="a")
    assert (failed.state, duckdb.trial.record(ONE).generation) == ("failed", 2)
    changed(duckdb, "DELETE FROM events WHERE id = 1")
    assert [row[:2] for row in deliver(duckdb, TWO)] == [("removed", 1)]


def test_what_has_no_rows_of_before(duckdb: Source) -> None:
    """A window of another mode, and a delivery that is new: refused, until all rows are delivered as added."""
    deliver(duckdb, ONE)
    duckdb.trial.declare({"table": "events"}, mode="snapshot")
    run(duckdb, TWO)
    declare(duckdb)
    [outcome] = run(duckdb, THREE)
    assert f"{TWO!r} was delivered in another mode" in outcome.detail
    deliver(duckdb, THREE, full_refresh=True)
    declare(duckdb, formats=["parquet", "csv"])
    [outcome] = run(duckdb, FOUR)
    assert "delivery 'csv' is new" in outcome.detail
    assert len(deliver(duckdb, FOUR, full_refresh=True)) == len(ROWS)


def test_sums_of_floats_are_not_compared(duckdb: Source) -> None:
    """They are not the same twice; of decimals they are."""
    changed(duckdb, "CREATE TABLE floats AS SELECT 1 AS k, 0.1::DOUBLE AS f, 0.1::DECIMAL(9,2) AS d")
    for column, good in (("f", False), ("d", True)):
        fields = [{"from": "k", "aggregate": "group"}, {"from": column, "to": "s", "aggregate": "sum"}]
        more: dict[str, Any] = {"mode": "changes", "fields": fields, "changes": {"key": ["k"]}}
        duckdb.trial.declare({"table": "floats"}, **more)
        [outcome] = run(duckdb, ONE)
        assert outcome.good == good
        assert good or "would look like a change; give the field a `cast:" in outcome.detail


def test_delivered_windows_can_be_sent_again(duckdb: Source) -> None:
    """An older one too, from its sealed bytes; what comes next is compared with the newest as before."""
    for key, name in ((ONE, "bob"), (TWO, "eve"), (THREE, "joe")):
        deliver(duckdb, key)
        changed(duckdb, f"UPDATE events SET name = '{name}' WHERE id = 2")
    for key in (ONE, THREE):
        before = rows(duckdb, key)
        [path] = duckdb.trial.files("parquet", key)
        path.unlink()
        with duckdb.trial.ledger() as ledger:
            ledger.reopen("rows", key, (), "a test")
        with after(THREE):
            [outcome] = duckdb.trial.run(key)
        assert (outcome.state, rows(duckdb, key)) == ("done", before)
    assert deliver(duckdb, FOUR) == [("changed", 2, "joe", Decimal("2.00"))]


@pytest.mark.parametrize("how", ["gone", "altered"])
def test_what_was_delivered_is_lost(duckdb: Source, how: str) -> None:
    """Nothing is guessed: a person puts the file back, or has all rows delivered as added."""
    deliver(duckdb, ONE)
    base = duckdb.trial.home.spool_folder / str((duckdb.trial.record(ONE).base or {})["path"])
    data = base.read_bytes()
    base.unlink() if how == "gone" else base.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    [outcome] = run(duckdb, TWO)
    assert (outcome.state, "missing from the spool or altered" in outcome.detail) == ("failed", True)
    base.write_bytes(data)
    assert deliver(duckdb, TWO) == []
    shutil.rmtree(duckdb.trial.home.spool_folder / "sealed")
    assert [row[0] for row in deliver(duckdb, THREE, full_refresh=True)] == ["added"] * 3


REFUSED: dict[str, tuple[str, str]] = {
    "the same row twice": ("INSERT INTO events VALUES (1, 'ann', 1.50)", "1 values of the key (id) are in more than"),
    "another row of the key": ("INSERT INTO events VALUES (2, 'x', 0)", "1 values of the key (id) are in more than"),
    "two new rows of a key": ("INSERT INTO events VALUES (9, 'x', 0), (9, 'y', 0)", "1 values of the key (id) are in"),
    "no key": ("INSERT INTO events VALUES (NULL, 'x', 0)", "1 rows have no value in the key (id)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_rows_that_nobody_could_tell_apart(duckdb: Source, case: str) -> None:
    """Nothing is delivered, and once the source is mended all is as it was."""
    deliver(duckdb, ONE)
    statement, said = REFUSED[case]
    changed(duckdb, statement)
    [outcome] = run(duckdb, TWO)
    assert said in outcome.detail
    changed(duckdb, "DELETE FROM events")
    duckdb.add(ROWS)
    assert deliver(duckdb, TWO) == []


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no such column": ({"changes": {"key": ["nr"]}}, "the rows have no column 'nr' (it has: id, name, money)"),
    "a column of the name": ({"changes": {"key": ["id"], "column": "NAME"}}, "have a column 'NAME' of their own"),
    "another key than then": ({"changes": {"key": ["name"]}}, "was (id BIGINT), and is (name VARCHAR) now"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(duckdb: Source, case: str) -> None:
    """A message with its place, and nothing is delivered."""
    deliver(duckdb, ONE)
    settings, said = MISTAKES[case]
    declare(duckdb, **settings)
    [outcome] = run(duckdb, TWO)
    assert said in outcome.detail
    assert "rows.yaml" in outcome.detail


def test_history_says_what_changed(duckdb: Source) -> None:
    """In the counts of each operation, and since when."""
    deliver(duckdb, ONE)
    changed(duckdb, "DELETE FROM events WHERE id = 1")
    deliver(duckdb, TWO)
    found = {row["partition"]: row["detail"] for row in history_rows([duckdb.trial.record(key) for key in (ONE, TWO)])}
    assert found == {
        ONE: "3 added, 0 changed, 0 removed since nothing", TWO: f"0 added, 0 changed, 1 removed since {ONE}",
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_whoever_applies_the_files_has_the_source(duckdb: Source, seed: int) -> None:
    """Thirty days of random writes, some days left out, some windows run again: a copy is kept by the files alone."""
    chance, copy = random.Random(seed), dict[int, Row]()
    for day in range(1, 31):
        _write_some(duckdb, chance)
        if chance.random() < 0.2:
            continue
        key, before = f"2024-01-{day:02d}", dict(copy)
        copy = _applied(before, deliver(duckdb, key))
        if chance.random() < 0.2:
            _write_some(duckdb, chance)
            copy = _applied(before, deliver(duckdb, key, again=str(day)))
        with duckdb.session() as ask:
            assert copy == {row[0]: row for row in ask("SELECT id, name, money FROM events")}


def _write_some(source: Source, chance: random.Random) -> None:
    for _ in range(chance.randrange(6)):
        number, name = chance.randrange(12), chance.choice(["NULL", "''", "'é'", "'a'"])
        changed(source, f"DELETE FROM events WHERE id = {number}")
        if chance.random() < 0.7:
            changed(source, f"INSERT INTO events VALUES ({number}, {name}, {chance.randrange(3)})")


def _applied(copy: dict[int, Row], found: list[Row]) -> dict[int, Row]:
    """The copy after a file; an operation that does not fit what is there is an error."""
    made = dict(copy)
    for operation, number, *rest in found:
        assert (number in made) == (operation != "added")
        if operation == "removed":
            del made[number]
        else:
            assert made.get(number) != (number, *rest)
            made[number] = (number, *rest)
    return made
