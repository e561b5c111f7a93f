"""Values survive: what psycopg reads from PostgreSQL is what other libraries read from every delivered format.

The values and how they compare are in values.py, the readers in readers.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.rows import TupleRow

from tests.journey.readers import READERS, Row, array, duckdb_csv, loads, ndjson, python_csv, read
from tests.journey.trial import FORMATS, Trial, postgres
from tests.journey.values import AS_TEXT, KINDS, Kind
from tests.servers.postgres import PostgresServer

DAY = "2024-01-01"
CURSOR = {"by": "time", "column": "at", "stamped_by": "database"}
EVERY = [(form, reader) for form, readers in READERS.items() for reader in readers]
STAMP = "n serial, at timestamptz NOT NULL DEFAULT '2024-01-01 12:00Z'"

OBJECTS = (ndjson, array)

Session = psycopg.Connection[TupleRow]
Reader = Callable[[Path], list[Row]]


def make(source: Session, columns: dict[str, str]) -> None:
    """Make the table `rows` with those columns and types, numbered, and stamped within the day."""
    kinds = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in columns.items()]
    source.execute(sql.SQL("CREATE TABLE rows ({}, {})").format(sql.SQL(STAMP), sql.SQL(", ").join(kinds)))


def insert(source: Session, name: str, kind: str, text: str | None) -> None:
    """Insert one row with one value, given as the type's text."""
    value = sql.SQL("INSERT INTO rows ({}) VALUES ({}::{})")
    source.execute(value.format(sql.Identifier(name), sql.Literal(text), sql.SQL(kind)))


def deliver(trial: Trial, fields: Any = "all", **source: Any) -> None:
    """Deliver the day in every format."""
    trial.declare({"table": "rows", "cursor": CURSOR} | source, formats=tuple(FORMATS), fields=fields)
    (outcome,) = trial.run(DAY, again=uuid4().hex if trial.files("parquet") else None)
    assert outcome.good, outcome.detail
    assert not outcome.skipped


def numbered(rows: Iterable[Row]) -> dict[int, Row]:
    """Rows by their number, each of which must be there once."""
    found = list(rows)
    by_number = {int(row["n"]): row for row in found}
    assert len(by_number) == len(found)
    return by_number


@dataclass(frozen=True)
class Torture:
    """The table of all kinds as psycopg reads it, and the project that has delivered it."""

    rows: dict[int, Row]
    trial: Trial


@pytest.fixture(scope="module")
def torture(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Torture]:
    """All values of all kinds and a NULL of each, a row a value, delivered once in every format."""
    with postgres_server.database("torture") as url, psycopg.connect(url, autocommit=True) as source:
        make(source, {name: kind.type for name, kind in KINDS.items()})
        for name, kind in KINDS.items():
            for text in (*kind.texts, None):
                insert(source, name, kind.type, text)
        trial = Trial.of(tmp_path_factory.mktemp("torture"), postgres(url))
        deliver(trial)
        yield Torture(expected(source), trial)


def expected(source: Session) -> dict[int, Row]:
    """What psycopg reads; JSON, and what arrives as text, as the server's text."""
    casts = {True: "{}::text", False: "{}"}
    columns = [
        sql.SQL(casts[kind.structured or kind.type in AS_TEXT]).format(sql.Identifier(name))
        for name, kind in KINDS.items()
    ]
    rows = source.execute(sql.SQL("SELECT n, {} FROM rows").format(sql.SQL(", ").join(columns))).fetchall()
    return numbered(dict(zip(["n", *KINDS], row, strict=True)) for row in rows)


def differs(kind: Kind, reader: Reader, true: Any, found: Any) -> bool:
    """Whether a reading is another value; NULL is told from all else wherever the reader can."""
    if true is None and reader is python_csv:
        return bool(found != "")
    if true is None or found is None:
        return not (found is None and (true is None or (reader in OBJECTS and true == "null")))
    if kind.structured:
        return bool(loads(true) != (found if reader in OBJECTS else loads(found)))
    return bool(kind.canonical(true) != kind.canonical(found))


@pytest.mark.parametrize(("form", "reader"), EVERY)
def test_every_value_survives(torture: Torture, form: str, reader: Reader) -> None:
    """Each value of each type reads back equal, and NULL as NULL, from every format by another library."""
    found = numbered(read(reader, torture.trial.files(form)))
    wrong = [
        (name, true[name], found[number][name])
        for number, true in torture.rows.items()
        for name, kind in KINDS.items()
        if differs(kind, reader, true[name], found[number][name])
    ]
    assert wrong == []
    assert found.keys() == torture.rows.keys()


def test_how_values_are_spelled(trial: Trial, source: Session) -> None:
    """The text of one row of every spelling, in CSV and in NDJSON, is what partners were told."""
    kinds = ["numeric(38,10)", "numeric(12,2)", "float8", "timestamptz", "timestamp", "bytea", "boolean", "jsonb", "integer[]", "text", "text"]  # fmt: skip
    texts = ["0", "1.1", "-Infinity", "2024-01-01 01:02:03+01", "2024-01-01", r"\xff", "t", '{"a": 1.10}', "{1,NULL}", "", None]  # fmt: skip
    make(source, {f"c{number}": kind for number, kind in enumerate(kinds)})
    values = sql.SQL(", ").join(map(sql.Literal, texts))
    source.execute(sql.SQL("INSERT INTO rows (at, n, {}) VALUES ('2024-01-01Z', 7, {})").format(
        sql.SQL(", ".join(f"c{number}" for number in range(len(kinds)))), values))  # fmt: skip
    deliver(trial)
    line = (
        "7;2024-01-01T00:00:00Z;0.0000000000;1.10;-Infinity;2024-01-01T00:02:03Z;2024-01-01T00:00:00;/w==;true;"
        '"{""a"": 1.10}";[1,null];"";'
    )
    (text,), (objects,) = trial.files("csv"), trial.files("ndjson")
    assert text.read_bytes().split(b"\r\n")[1:] == [line.encode(), b""]
    assert objects.read_text() == (
        '{"n":7,"at":"2024-01-01T00:00:00Z","c0":"0.0000000000","c1":1.10,"c2":"-Infinity",'
        '"c3":"2024-01-01T00:02:03Z","c4":"2024-01-01T00:00:00","c5":"/w==","c6":true,"c7":{"a": 1.10},'
        '"c8":[1,null],"c9":"","c10":null}\n'
    )


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("timestamptz", "infinity"), ("timestamptz", "-infinity"), ("timestamp", "infinity"), ("date", "-infinity"),
        ("numeric(12,2)", "NaN"), ("numeric(38,10)", "NaN"), ("time", "24:00:00"), ("timestamptz[]", "{infinity}"),
    ],
)  # fmt: skip
def test_what_no_type_can_carry(trial: Trial, source: Session, kind: str, text: str) -> None:
    """Infinite times and NaN decimals are refused by name, nothing is delivered; declared as text they arrive."""
    make(source, {"odd": kind})
    insert(source, "odd", kind, text)
    trial.declare({"table": "rows", "cursor": CURSOR})
    (outcome,) = trial.run(DAY)
    assert (outcome.exit_code, outcome.state, trial.files("parquet")) == (1, "failed", [])
    assert "'odd'" in outcome.detail
    assert "as_text" in outcome.detail
    deliver(trial, as_text=["odd"])
    for form, reader in EVERY:
        assert [row["odd"] for row in read(reader, trial.files(form))] == [text]


@pytest.mark.parametrize(("kind", "text"), [("text", ""), ("integer", "1"), ("bytea", "")])
def test_an_only_column(trial: Trial, source: Session, kind: str, text: str) -> None:
    """A CSV of one column has a line for every row that no reader skips, also where the value is NULL or empty."""
    make(source, {"only": kind})
    for value in (None, text, None):
        insert(source, "only", kind, value)
    deliver(trial, fields=[{"from": "only"}])
    for form, reader in EVERY:
        rows = [row["only"] for row in read(reader, trial.files(form))]
        blank = "" if form in {"csv", "psv", "tsv"} else None
        assert len(rows) == 3
        assert rows.count(blank) >= 2
    for form in ("csv", "psv", "tsv"):
        assert b"\n\n" not in trial.files(form)[0].read_bytes().replace(b"\r", b"")


CELLS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8) | st.text(
    st.sampled_from("\"';|,\\ \t\r\nN=\u2028"), max_size=6
)
NUMBERS = st.decimals(min_value=-(10**17), max_value=10**17, places=4)
MOMENTS = st.datetimes()
TABLES = st.lists(st.tuples(*(st.none() | each for each in (CELLS, CELLS, NUMBERS, MOMENTS))), min_size=1, max_size=12)


@given(rows=TABLES)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_table_survives(trial: Trial, source: Session, rows: list[tuple[Any, ...]]) -> None:
    """Random tables of texts, decimals and times read back equal from every format."""
    names = {"one": "text", "two": "text", "number": "numeric(38,4)", "moment": "timestamp"}
    source.execute("DROP TABLE IF EXISTS rows")
    make(source, names)
    with source.cursor() as cursor:
        cursor.executemany("INSERT INTO rows (one, two, number, moment) VALUES (%s, %s, %s, %s)", rows)
    deliver(trial)
    kinds = dict(zip(names, ("short", "short", "free", "moment"), strict=True))
    for form, reader in EVERY:
        found = numbered(read(reader, trial.files(form)))
        for number, row in enumerate(rows, 1):
            true = dict(zip(names, row, strict=True))
            wrong = [name for name in names if differs(KINDS[kinds[name]], reader, true[name], found[number][name])]
            assert wrong == [], (form, true, found[number])
        assert len(found) == len(rows)


def test_an_empty_line_would_be_lost(tmp_path: Path) -> None:
    """The control: Python's reader finds one row less where the NULL of an only column is an empty line."""
    path = tmp_path / "naive.csv"
    path.write_text("only\r\n\r\nx\r\n")
    assert [row for row in path.read_text().splitlines()[1:] if row] == ["x"]
    with pytest.raises(ValueError, match="shorter"):
        python_csv(path)
    assert duckdb_csv(path)
