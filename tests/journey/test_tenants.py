"""One tenant's export holds that tenant's rows: whatever the filters, the values, the query and the source do."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow.parquet as pq
import pytest
from psycopg.rows import TupleRow

from assets.extract import query_of
from assets.plan import Plan, grid_of
from assets.relation import Relation, relate
from resources.databases.duckdb import DuckDB
from spec.document import Document
from spec.filters import MANY, OPERATORS
from spec.kinds import Kind
from spec.reading import Declared, read_export
from spec.shape import compile_shape
from tests.journey.trial import EXPORT, Trial, delivery

DAY = "2024-01-01"
TENANTS = (
    "acme",
    "globex",
    "ACME",
    "acme ",
    "",
    "%",
    "\\",
    "acme' OR '1'='1",
    'o"; DROP TABLE rows; --',
    "{low}",
    "é😀",
)
VALUES = (
    *TENANTS,
    "') OR 1=1 --",
    "' UNION SELECT * FROM rows --",
    "*/ OR 1=1 /*",
    "NULL",
    "a",
    "_",
    0,
    1,
    -1,
    3.5,
)
COLUMNS: tuple[tuple[str, Kind], ...] = (("tenant", "text"), ("note", "text"), ("amount", "number"))
QUERIES = (
    "SELECT * FROM rows",
    "SELECT * FROM rows WHERE tenant = 'acme' OR 1 = 1",
    "SELECT * FROM rows UNION ALL SELECT * FROM rows",
    "WITH rows AS (SELECT * FROM rows) SELECT * FROM rows -- ) WHERE 1 = 1",
    "SELECT * FROM rows /* ) AS source WHERE (1 = 1 */",
    "SELECT * FROM (SELECT * FROM rows) AS source ORDER BY id LIMIT 30",
    'SELECT id, note, tenant, amount FROM rows AS "so""urce"',
)
TRIES = 1000
CURSOR = {"by": "time", "column": "at", "stamped_by": "database"}

Session = psycopg.Connection[TupleRow]


def declared(query: str, tenant: str, filters: list[Any]) -> Declared:
    """A snapshot of one tenant's rows of a query, filtered."""
    data: dict[str, Any] = {
        "export": EXPORT, "mode": "snapshot", "partitions": {"every": "day", "start": DAY},
        "source": {"connector": "db", "sql": query, "tenant": {"column": "tenant", "equals": tenant}},
        "deliver": [delivery("parquet")],
    }  # fmt: skip
    return read_export(Document("rows.yaml", data | ({"filters": {"any": filters}} if filters else {})))


def hostile(chance: random.Random) -> list[Any]:
    """Up to three sets of up to three conditions."""
    return [{"all": [condition(chance) for _ in range(chance.randint(1, 3))]} for _ in range(chance.randint(0, 3))]


def condition(chance: random.Random) -> dict[str, Any]:
    """One condition on any column, with an operator for it and as many values as that takes."""
    field, kind = chance.choice(COLUMNS)
    operator = chance.choice([name for name, row in OPERATORS.items() if kind in row.kinds])
    takes, fitting = OPERATORS[operator].takes, [each for each in VALUES if isinstance(each, str) == (kind == "text")]
    values = [chance.choice(fitting) for _ in range(chance.randint(1, 4) if takes == MANY else takes)]
    value = {} if takes == 0 else {"value": values[0] if takes == 1 else values}
    return {"field": field, "is": operator} | value


def rows_of(connection: duckdb.DuckDBPyConnection, plan: Plan) -> tuple[list[str], list[str]]:
    """The tenants of the rows that the source gives for a plan, and of those that its shape lets through."""
    window = plan.grid.window(DAY)
    asked = query_of(plan, window, None).select().sql("duckdb")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE extract AS {asked}")
    found = connection.table("extract")
    kinds = dict(zip(found.columns, map(str, found.types), strict=True))
    shaped = compile_shape(plan.declared, kinds, window.hi).sql("duckdb")
    through = connection.sql(f"SELECT tenant FROM ({shaped})").fetchall()
    return [each for (each,) in found.select("tenant").fetchall()], [each for (each,) in through]


def test_no_filter_lets_a_foreign_row_through(tmp_path: Path) -> None:
    """A thousand random hostile filters, tenants and queries let no row of another tenant through."""
    chance, let_through = random.Random(20240131), 0
    database = DuckDB(path=str(tmp_path / "source.duckdb"), threads=1)
    relations: dict[tuple[str, str], Relation] = {}
    with duckdb.connect(database.path) as file:
        fill(file)
    with duckdb.connect(config={"threads": 1}) as connection:
        fill(connection)
        for _ in range(TRIES):
            query, tenant = chance.choice(QUERIES), chance.choice(TENANTS)
            export = declared(query, tenant, hostile(chance))
            relation = relations.get((query, tenant)) or relate(export, database, {})
            relations[query, tenant] = relation
            read, through = rows_of(connection, Plan(export, database, relation, grid_of(export.export)))
            assert {*read, *through} <= {tenant}
            let_through += len(through)
    assert let_through > TRIES


def fill(connection: duckdb.DuckDBPyConnection) -> None:
    """The table: eight rows of each tenant."""
    connection.execute("CREATE TABLE rows (id INTEGER, tenant VARCHAR, note VARCHAR, amount DECIMAL(12, 2))")
    rows = [(number, tenant, "abc"[number % 3], number) for number, tenant in enumerate(TENANTS * 8)]
    connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", rows)


@pytest.mark.parametrize("tenant", ["acme", "acme' OR '1'='1", "", "\\"])
def test_a_tenant_is_delivered(trial: Trial, source: Session, tenant: str) -> None:
    """Of a table of many tenants, all rows of the declared one are delivered and no other."""
    source.execute("CREATE TABLE rows (id serial, tenant text, at timestamptz DEFAULT '2024-01-01Z')")
    with source.cursor() as cursor:
        cursor.executemany("INSERT INTO rows (tenant) VALUES (%s)", [(each,) for each in (*TENANTS, None) * 3])
    trial.declare({"table": "rows", "cursor": CURSOR, "tenant": {"column": "tenant", "equals": tenant}})
    assert [outcome.good for outcome in trial.run(DAY)] == [True]
    assert trial.column("tenant") == [tenant] * 3


def test_a_source_that_lies(trial: Trial, source: Session) -> None:
    """A source whose `=` says that 'ACME' is 'acme' is caught by the rows that it returns; nothing is delivered."""
    source.execute("CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    source.execute("CREATE TABLE rows (tenant text COLLATE loose, at timestamptz DEFAULT '2024-01-01Z')")
    source.execute("INSERT INTO rows VALUES ('acme'), ('ACME')")
    trial.declare({"table": "rows", "cursor": CURSOR, "tenant": {"column": "tenant", "equals": "acme"}})
    (outcome,) = trial.run(DAY)
    assert (outcome.exit_code, outcome.state, trial.files("parquet")) == (1, "failed", [])
    assert "whose tenant column 'tenant' (text) is not exactly 'acme'" in outcome.detail
    source.execute("DELETE FROM rows WHERE tenant COLLATE \"C\" = 'ACME'")
    assert [outcome.good for outcome in trial.run(DAY)] == [True]
    assert trial.column("tenant") == ["acme"]


@pytest.mark.parametrize(
    ("kind", "stored", "asked"),
    [
        ("char(8)", "acme", "acme"),
        ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"),
        ("character varying(8)", "acme", "acme"),
    ],
)
def test_spellings_of_one_tenant(trial: Trial, source: Session, kind: str, stored: str, asked: str) -> None:
    """Padding and the capitals of a UUID make no other tenant."""
    source.execute(f"CREATE TABLE rows (tenant {kind}, at timestamptz DEFAULT '2024-01-01Z')".encode())
    source.execute("INSERT INTO rows VALUES (%s)", (stored,))
    trial.declare({"table": "rows", "cursor": CURSOR, "tenant": {"column": "tenant", "equals": asked}})
    assert [outcome.good for outcome in trial.run(DAY)] == [True]
    assert [each.strip() for each in trial.column("tenant")] == [stored]


def test_the_tenant_need_not_be_delivered(trial: Trial, source: Session) -> None:
    """The tenant's column takes part in the check also where it is no field of the delivery."""
    source.execute("CREATE TABLE rows AS SELECT 1 AS id, 7::bigint AS tenant, timestamptz '2024-01-01Z' AS at")
    source.execute("INSERT INTO rows VALUES (2, 8, '2024-01-01Z')")
    where = {"column": "tenant", "equals": 7}
    trial.declare({"table": "rows", "cursor": CURSOR, "tenant": where}, fields=[{"from": "id"}])
    assert [outcome.good for outcome in trial.run(DAY)] == [True]
    assert trial.column() == [1]
    assert pq.read_schema(trial.files("parquet")[0]).names == ["id"]
