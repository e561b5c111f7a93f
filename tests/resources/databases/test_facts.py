"""What catalogues say beyond what all databases have: comments, expressions and conditions of indexes, collations."""

from __future__ import annotations

import pytest
from sqlglot import exp

from resources.databases.base import Facts
from tests.resources.databases.subjects import DuckDBSubject, PostgresSubject, SQLiteSubject, Subject


def facts(subject: Subject, name: str = "t", schema: str | None = None) -> Facts:
    """The facts of a table."""
    return subject.database.facts(exp.table_(name, db=schema, quoted=True))


@pytest.mark.parametrize("name", ["postgres", "duck"])
def test_comments(name: str, request: pytest.FixtureRequest) -> None:
    """Comments of columns and of the table itself are told, where there are some."""
    subject: Subject = request.getfixturevalue(name)
    subject.run("CREATE TABLE t (a int, b int)")
    assert facts(subject).comments == {}
    subject.run("COMMENT ON TABLE t IS 'orders'")
    subject.run("COMMENT ON COLUMN t.b IS 'cents, ''net'''")
    assert facts(subject).comments == {"": "orders", "b": "cents, 'net'"}


@pytest.mark.parametrize("name", ["postgres", "duck"])
def test_another_schema(name: str, request: pytest.FixtureRequest) -> None:
    """A table of another schema is found by both names, and not mistaken for its namesake."""
    subject: Subject = request.getfixturevalue(name)
    subject.run("CREATE SCHEMA s")
    subject.run("CREATE TABLE s.t (a int PRIMARY KEY)")
    subject.run("CREATE TABLE t (a int)")
    assert (facts(subject).key, facts(subject, schema="s").key) == ((), ("a",))


@pytest.mark.parametrize("name", ["postgres", "duck", "lite"])
def test_indexes_of_expressions(name: str, request: pytest.FixtureRequest) -> None:
    """An index is told up to its first expression, and one that begins with an expression not at all; neither is a key
    though it is unique.
    """
    subject: Subject = request.getfixturevalue(name)
    subject.run("CREATE TABLE t (a int NOT NULL, b int NOT NULL)")
    subject.run("CREATE UNIQUE INDEX one ON t (a, (b + 1))")
    subject.run("CREATE UNIQUE INDEX two ON t ((b + 1), a)")
    found = facts(subject)
    assert found.indexes == (("a",),)
    assert found.key == ()


@pytest.mark.parametrize("name", ["postgres", "lite"])
def test_indexes_of_some_rows(name: str, request: pytest.FixtureRequest) -> None:
    """An index with a condition serves no window and is no key."""
    subject: Subject = request.getfixturevalue(name)
    subject.run("CREATE TABLE t (a int NOT NULL)")
    subject.run("CREATE UNIQUE INDEX part ON t (a) WHERE a > 5")
    assert (facts(subject).indexes, facts(subject).key) == ((), ())


def test_indexes_that_serve_no_range(postgres: PostgresSubject) -> None:
    """A hash index and what an index only carries along are left out; a block range index counts."""
    postgres.run("CREATE TABLE t (a int, b int, c int)")
    postgres.run("CREATE INDEX ON t USING hash (a)")
    postgres.run("CREATE INDEX ON t USING brin (b)")
    postgres.run("CREATE INDEX ON t (c) INCLUDE (a)")
    assert set(facts(postgres).indexes) == {("b",), ("c",)}


def test_collations_of_postgres(postgres: PostgresSubject) -> None:
    """C, POSIX, ucs_basic and C.UTF-8 go by code point; ICU and what is not deterministic do not; numbers have none."""
    postgres.run("CREATE COLLATION loosest (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    postgres.run("CREATE COLLATION bytes (provider = libc, locale = 'C.UTF-8')")
    exact = ("C", "POSIX", "ucs_basic", "bytes", "default")
    columns = ", ".join(f'"{name}" text COLLATE "{name}"' for name in (*exact, "loosest", "en-x-icu"))
    postgres.run(f"CREATE TABLE t ({columns}, n int)")
    assert facts(postgres).loose == {"loosest", "en-x-icu"}


def test_collations_of_sqlite(lite: SQLiteSubject) -> None:
    """NOCASE and RTRIM are loose, and so is a collation that only another program has."""
    lite.run("CREATE TABLE t (a TEXT COLLATE NOCASE, b TEXT COLLATE RTRIM, c TEXT COLLATE BINARY, d TEXT, e INT)")
    assert facts(lite).loose == {"a", "b"}


def test_keys_of_sqlite(lite: SQLiteSubject) -> None:
    """The row's own number is a key that needs no index of its own; a table without rowid has the key that it says."""
    lite.run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    lite.run("CREATE TABLE u (a TEXT, b TEXT, PRIMARY KEY (b, a)) WITHOUT ROWID")
    assert (facts(lite).key, facts(lite).indexes) == (("id",), (("id",),))
    assert facts(lite, "u").key == ("b", "a")
    assert facts(lite, "T").key == ("id",)


def test_materialized_views(postgres: PostgresSubject) -> None:
    """A materialized view is a view, with the indexes that it has."""
    postgres.run("CREATE MATERIALIZED VIEW t AS SELECT 1 AS a")
    postgres.run("CREATE UNIQUE INDEX ON t (a)")
    assert facts(postgres).is_view
    assert facts(postgres).indexes == (("a",),)


def test_unique_constraints_of_duckdb(duck: DuckDBSubject) -> None:
    """A UNIQUE of NOT NULL columns is a key where there is no primary one, and an index."""
    duck.run("CREATE TABLE t (a int NOT NULL UNIQUE, b int UNIQUE)")
    assert facts(duck).key == ("a",)
    assert set(facts(duck).indexes) == {("a",), ("b",)}
