"""What every database must do, on a real one each. A new database inherits all of it by becoming a subject.

What only one database can do (its own types, its own refusals) is not here.
"""

from __future__ import annotations

import contextlib
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from resources.databases.base import Query
from spec.errors import ConnectorError, RowsRefused
from tests.resources.databases.reading import column, query, relation, rows, table
from tests.resources.databases.subjects import WRONG, Subject
from tests.servers.postgres import PASSWORD

ARROW = {
    "integer": pa.int64(),
    "exact": pa.decimal128(38, 10),
    "money": pa.decimal128(12, 2),
    "flag": pa.bool_(),
    "ratio": pa.float64(),
    "text": pa.string(),
    "moment": pa.timestamp("us"),
    "instant": pa.timestamp("us", tz="UTC"),
    "day": pa.date32(),
    "clock": pa.time64("us"),
    "document": pa.string(),
    "bytes": pa.binary(),
    "numbers": pa.list_(pa.int32()),
    "words": pa.list_(pa.string()),
}
LONGEST = Decimal("-9999999999999999999999999999.9999999999")
STAMP = datetime(2026, 3, 29, 1, 59, 59, 999999, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [
    {
        "integer": 1, "exact": Decimal("0.0000000001"), "money": Decimal("-9999999999.99"), "flag": True,
        "ratio": 0.1, "text": "", "moment": STAMP.replace(tzinfo=None), "instant": STAMP, "day": date(1, 1, 1),
        "clock": time(23, 59, 59, 999999), "document": '{"b": 1.10,  "a": "é"}', "bytes": b"\x00\xff",
        "numbers": [1, None, 3], "words": ["", None, "a,b", '"'],
    },
    {
        "integer": 2, "exact": LONGEST, "money": Decimal("0.01"), "flag": False, "ratio": math.inf,
        "text": "crab 🦀 \r\n\t'\"\\;", "moment": datetime(9999, 12, 31, 23, 59, 59, 999999),  # noqa: DTZ001
        "instant": datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), "day": date(9999, 12, 31),
        "clock": time(0), "document": "null", "bytes": b"", "numbers": [], "words": [],
    },
    dict.fromkeys(ARROW) | {"integer": 2**63 - 1},
]  # fmt: skip

HOSTILE = [
    "'; DROP TABLE t; --",
    "\\",
    "\\'",
    "''",
    "$$",
    "%s",
    "?",
    "{x}",
    ":name",
    "\u202e",
    "né\u0301",
    "a\x01b",
    "--",
    "/*",
]


def arrow(subject: Subject) -> dict[str, pa.DataType]:
    """What the columns of `torture` arrive as: those that the database has a type for."""
    return {name: ARROW[name] for name in subject.types}


def stored(subject: Subject) -> list[dict[str, Any]]:
    """The rows of `torture`, the second with what the database has instead of an extreme that it cannot store."""
    first, second, third = ({name: row[name] for name in subject.types} for row in ROWS)
    return [first, second | subject.instead, third]


def spelled(subject: Subject, name: str) -> str:
    """A quoted name in the database's own SQL."""
    return exp.to_identifier(name, quoted=True).sql(subject.database.dialect)


def fill(subject: Subject) -> None:
    """The table `torture`, with its rows."""
    columns = ", ".join(f"{spelled(subject, name)} {kind}" for name, kind in subject.types.items())
    subject.run(f"CREATE TABLE torture ({columns}, PRIMARY KEY ({spelled(subject, 'integer')}))")
    marks = ", ".join("?" for _ in subject.types)
    subject.run(f"INSERT INTO torture VALUES ({marks})", [list(row.values()) for row in stored(subject)])


def numbers(subject: Subject, count: int) -> None:
    """The table `numbers` of 1 to `count`, with some text beside each."""
    source = subject.series.format(rows=count)
    subject.run(f"CREATE TABLE numbers (id {subject.types['integer']}, words {subject.types['text']})")
    subject.run(f"INSERT INTO numbers SELECT i AS id, 'some text beside ' || i AS words FROM {source}")


def test_columns(subject: Subject) -> None:
    """Columns come in the table's order, with exact Arrow types, JSON marked and NOT NULL known."""
    fill(subject)
    found = subject.database.columns(relation(subject.database, "torture"))
    assert {each.name: each.type for each in found} == arrow(subject)
    assert [each.name for each in found] == list(subject.types)
    assert [each.name for each in found if not each.nullable] == ["integer"]
    assert [each.name for each in found if each.json] == ["document"]
    assert all(each.declared for each in found)


def test_exact_values(subject: Subject) -> None:
    """Every value arrives as it was stored: digits, microseconds, '' apart from NULL, line ends, JSON text."""
    fill(subject)
    assert rows(subject.database, "torture") == stored(subject)


def test_not_a_number_is_a_float(subject: Subject) -> None:
    """NaN in a float column stays NaN, in a database that can hold one."""
    subject.run(f"CREATE TABLE t (r {subject.types['ratio']})")
    for text in subject.nan:
        subject.run(f"INSERT INTO t VALUES ({text})")
    assert [math.isnan(row["r"]) for row in rows(subject.database, "t")] == [True for _ in subject.nan]


def test_text_of_any_type(subject: Subject) -> None:
    """Columns of `as_text` are strings, whatever they were, and NULL stays NULL."""
    fill(subject)
    found = table(subject.database, "torture", as_text=frozenset(subject.types))
    assert set(found.schema.types) == {pa.string()}
    texts = {row["integer"]: row for row in found.to_pylist()}
    assert {"exact": str(LONGEST)}.items() >= {
        name: texts["2"][name] for name in subject.types if name == "exact"
    }.items()
    assert texts["1"]["moment"] == "2026-03-29 01:59:59.999999"
    assert {texts[str(2**63 - 1)][name] for name in subject.types if name != "integer"} == {None}


def test_impossible_values_are_refused(subject: Subject) -> None:
    """Infinity and 24:00 are never turned into another value: the column is named, and its text can be had."""
    for name, value in subject.infinite.items():
        subject.run(f"CREATE TABLE t (id int, odd {subject.types[name]})")
        subject.run(f"INSERT INTO t VALUES (1, {value})")
        with pytest.raises(RowsRefused, match=r"column 'odd' .*add 'odd' to `source.as_text`"):
            rows(subject.database, "t")
        assert rows(subject.database, "t", as_text=frozenset({"odd"}))[0]["odd"] == value.strip("'")
        subject.run("DROP TABLE t")


def test_conditions(subject: Subject) -> None:
    """Conditions are literals of the tree, and windows are half-open to the microsecond."""
    fill(subject)
    cursor, stamp = column("instant"), exp.cast(exp.Literal.string(STAMP.isoformat(" ")), "timestamptz")
    assert [row["integer"] for row in rows(subject.database, "torture", exp.GTE(this=cursor, expression=stamp))] == [1]
    assert [row["integer"] for row in rows(subject.database, "torture", exp.LT(this=cursor, expression=stamp))] == [2]
    both = [column("integer") >= 1, column("integer") < 2]
    assert [row["integer"] for row in rows(subject.database, "torture", *both)] == [1]


def test_conditions_see_the_column_and_not_what_is_made_of_it(subject: Subject) -> None:
    """A column that is read as text is still compared as what it is."""
    subject.run("CREATE TABLE t (n int)")
    subject.run("INSERT INTO t VALUES (?)", [[9], [10]])
    assert rows(subject.database, "t", column("n") > 9, as_text=frozenset({"n"})) == [{"n": "10"}]


def test_hostile_literals(subject: Subject) -> None:
    """A literal finds the row that holds it and no other, whatever it spells."""
    subject.run(f"CREATE TABLE t (v {subject.types['text']})")
    subject.run("INSERT INTO t VALUES (?)", [[value] for value in HOSTILE])
    for value in HOSTILE:
        condition = column("v").eq(exp.Literal.string(value))
        assert rows(subject.database, "t", condition) == [{"v": value}]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])))
def test_any_literal(subject: Subject, value: str) -> None:
    """A literal comes back as it was given, for any text."""
    kind = exp.DataType.build(subject.types["text"], dialect=subject.database.dialect)
    one = exp.select(exp.cast(exp.Literal.string(value), kind).as_("v", quoted=True)).subquery("q")
    asked = Query(one, subject.database.columns(one))
    with subject.database.snapshot() as snapshot:
        assert [batch.to_pylist() for batch in snapshot.read(asked)] == [[{"v": value}]]


def test_odd_names(subject: Subject) -> None:
    """Quoted, long and foreign names of tables and columns are read like any other."""
    name, long = 'we"ird Tabellé; --', "x" * 63
    columns = ["select", name, long, "Ünï", "%s"]
    declared = ", ".join(f"{spelled(subject, each)} int" for each in columns)
    subject.run(f"CREATE TABLE {spelled(subject, name)} ({declared})")
    subject.run(f"INSERT INTO {spelled(subject, name)} VALUES (1, 2, 3, 4, 5)")
    assert rows(subject.database, spelled(subject, name)) == [dict(zip(columns, [1, 2, 3, 4, 5], strict=True))]
    assert name in subject.database.tables()


def test_subqueries(subject: Subject) -> None:
    """A query is read like a table; its columns are never called NOT NULL."""
    fill(subject)
    text = f"(SELECT {spelled(subject, 'integer')} AS id, money FROM torture WHERE money < 0) AS q"
    assert rows(subject.database, text) == [{"id": 1, "money": Decimal("-9999999999.99")}]
    assert all(each.nullable for each in query(subject.database, text).columns)
    assert subject.database.newest(relation(subject.database, text), "id") == 1


def test_one_snapshot(subject: Subject) -> None:
    """What others do while a snapshot is open is not seen in it, and is seen in the next one."""
    numbers(subject, 10)
    asked = query(subject.database, "numbers")
    with subject.database.snapshot() as snapshot:
        with contextlib.suppress(duckdb.Error):  # a file that is being read cannot be written
            subject.run("INSERT INTO numbers VALUES (11, 'late')")
        assert snapshot.count(asked) == 10
        with contextlib.suppress(duckdb.Error):
            subject.run("DELETE FROM numbers WHERE id = 1")
        assert sorted(row["id"] for batch in snapshot.read(asked) for row in batch.to_pylist()) == list(range(1, 11))
        assert snapshot.count(asked) == 10
    subject.run("INSERT INTO numbers VALUES (12, 'later')")
    assert rows(subject.database, "numbers")[-1]["id"] == 12


def test_count(subject: Subject) -> None:
    """The count is of the rows that satisfy the conditions."""
    numbers(subject, 10)
    with subject.database.snapshot() as snapshot:
        assert snapshot.count(query(subject.database, "numbers")) == 10
        assert snapshot.count(query(subject.database, "numbers", column("id") > 7)) == 3


def test_streaming(subject: Subject) -> None:
    """A big table comes in many batches, each a small part of it."""
    numbers(subject, 300_000)
    with subject.database.snapshot() as snapshot:
        sizes = [(batch.num_rows, batch.nbytes) for batch in snapshot.read(query(subject.database, "numbers"))]
    assert sum(count for count, _ in sizes) == 300_000
    assert max(count for count, _ in sizes) <= 150_000
    assert max(size for _, size in sizes) < 6 << 20


def test_a_read_that_is_left_early(subject: Subject) -> None:
    """After a first batch the snapshot can be asked again, or closed."""
    numbers(subject, 300_000)
    asked = query(subject.database, "numbers")
    with subject.database.snapshot() as snapshot:
        first = snapshot.read(asked)
        assert 0 < next(first).num_rows < 300_000
        first.close()  # type: ignore[attr-defined]
        assert snapshot.count(asked) == 300_000
        next(snapshot.read(asked))


def test_no_rows(subject: Subject) -> None:
    """An empty table has columns, no rows, and no newest value."""
    subject.run("CREATE TABLE t (id bigint, v numeric(38,10))")
    assert rows(subject.database, "t") == []
    assert subject.database.newest(relation(subject.database, "t"), "id") is None


def test_newest(subject: Subject) -> None:
    """The newest is the highest committed value, exact where a float would not be."""
    fill(subject)
    assert subject.database.newest(relation(subject.database, "torture"), "integer") == 2**63 - 1


def test_activity(subject: Subject) -> None:
    """A quiet database that shows everything is not blind, and its clock is now."""
    found = subject.database.activity()
    assert (found.blind, found.open, found.oldest) == (subject.blind, frozenset(), None)
    assert abs(found.clock - datetime.now(UTC)) < timedelta(seconds=5)
    assert found.server == subject.database.activity().server != ""


def test_tables(subject: Subject) -> None:
    """Tables and views are listed, those of another schema with its name."""
    others = [each for name in subject.schemas for each in (f"CREATE SCHEMA {name}", f"CREATE TABLE {name}.c (i int)")]
    for statement in ("CREATE TABLE b (i int)", "CREATE VIEW a AS SELECT * FROM b", *others):
        subject.run(statement)
    assert subject.database.tables() == ["a", "b", *(f"{name}.c" for name in subject.schemas)]


def test_broken_connections(subject: Subject) -> None:
    """Every question to a database that cannot be reached is a ConnectorError, its sentence holds no password."""
    for database, retriable in subject.broken():
        with pytest.raises(ConnectorError) as asked:
            database.tables()
        with pytest.raises(ConnectorError) as opened, database.snapshot():
            pass
        [problem] = database.check()
        for text in (str(asked.value), str(opened.value), problem):
            assert PASSWORD not in text
            assert WRONG not in text
            assert "\n" not in text
            assert ": " in text
        assert (asked.value.retriable, opened.value.retriable) == (retriable, retriable), problem
        assert PASSWORD not in repr(database)


def test_a_ready_database_has_no_problems(subject: Subject) -> None:
    """The check of a database with a table is silent."""
    subject.run("CREATE TABLE t (i int)")
    assert subject.database.check() == []


def test_what_is_not_there(subject: Subject) -> None:
    """A table, or a column of a read, that is not there is named, and trying again would not help."""
    subject.run("CREATE TABLE t (i int)")
    asked = query(subject.database, "t")
    subject.run("ALTER TABLE t RENAME COLUMN i TO j")
    with subject.database.snapshot() as snapshot, pytest.raises(ConnectorError, match=r"\bi\b") as gone:
        next(snapshot.read(asked))
    with pytest.raises(ConnectorError, match="missing_table") as missing:
        subject.database.columns(relation(subject.database, "missing_table"))
    assert not gone.value.retriable
    assert not missing.value.retriable


def test_errors_of_the_reader_stay_what_they_are(subject: Subject) -> None:
    """A full disk while a snapshot is open is not blamed on the database."""
    with pytest.raises(OSError, match="disk"), subject.database.snapshot():
        raise OSError("disk full")


def test_order_and_limit(subject: Subject) -> None:
    """A query can ask for the first rows in an order, also beside a condition."""
    subject.run(f"CREATE TABLE t (a int, b {subject.types['text']})")
    subject.run("INSERT INTO t VALUES (?, ?)", [[2, "x"], [1, "y"], [3, "w"], [1, "x"], [None, "v"]])
    found = query(subject.database, "t", exp.Is(this=column("a"), expression=exp.null()).not_())
    asked = Query(found.relation, found.columns, found.where, order=("a", "b"), limit=3)
    with subject.database.snapshot() as snapshot:
        got = [(row["a"], row["b"]) for batch in snapshot.read(asked) for row in batch.to_pylist()]
    assert got == [(1, "x"), (1, "y"), (2, "x")]


def test_facts(subject: Subject) -> None:
    """The catalogue tells the key in its order, the indexes with their columns, and what is a view."""
    kind = subject.types["integer"]
    subject.run(f"CREATE TABLE t (a {kind} NOT NULL, b {kind} NOT NULL, c {kind}, d {kind}, PRIMARY KEY (b, a))")
    subject.run("CREATE INDEX t_c ON t (c, a)")
    subject.run("CREATE UNIQUE INDEX t_d ON t (d)")
    subject.run("CREATE VIEW v AS SELECT * FROM t")
    found = subject.database.facts(exp.table_("t", quoted=True))
    assert (found.key, found.is_view) == (("b", "a"), False)
    assert set(found.indexes) == {("b", "a"), ("c", "a"), ("d",)}
    view = subject.database.facts(exp.table_("v", quoted=True))
    assert (view.key, view.indexes, view.is_view) == ((), (), True)


def test_facts_without_a_primary_key(subject: Subject) -> None:
    """A unique index over columns that are never NULL is a key, one over others is none."""
    for name, filled in (("t", "NOT NULL"), ("u", "")):
        subject.run(f"CREATE TABLE {name} (a int, b int {filled})")
        subject.run(f"CREATE UNIQUE INDEX {name}_b ON {name} (b)")
    assert subject.database.facts(exp.table_("t", quoted=True)).key == ("b",)
    assert subject.database.facts(exp.table_("u", quoted=True)).key == ()


def test_facts_of_a_table_that_is_not_there(subject: Subject) -> None:
    """It is an error that names the table, and trying again would not help."""
    with pytest.raises(ConnectorError, match="missing_table") as missing:
        subject.database.facts(exp.table_("missing_table", quoted=True))
    assert not missing.value.retriable


def test_facts_of_odd_names(subject: Subject) -> None:
    """Quoted names of tables, columns and indexes are told like any other."""
    name = 'we"ird; --'
    subject.run(f"CREATE TABLE {spelled(subject, name)} ({spelled(subject, 'sel ect')} int)")
    subject.run(
        f"CREATE INDEX {spelled(subject, 'in dex')} ON {spelled(subject, name)} ({spelled(subject, 'sel ect')})"
    )
    assert subject.database.facts(exp.table_(name, quoted=True)).indexes == (("sel ect",),)


def test_collations(subject: Subject) -> None:
    """Text columns that call different texts equal, or sort otherwise than by code point, are named."""
    loose, exact = subject.collations
    subject.run(f"CREATE TABLE t (a {loose}, b {exact}, c int)")
    assert subject.database.facts(exp.table_("t", quoted=True)).loose == {"a"}
