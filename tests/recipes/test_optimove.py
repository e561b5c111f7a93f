"""The recipe `optimove`: gz CSV, NDJSON and Parquet, split, to each of the four places that Optimove takes files from.

The recipe's files are used as they are, but for the partner's name, smaller parts, and the two connectors of the test.
Nothing of the product reads what arrived.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from assets.journey import Journey
from assets.outcome import Outcome
from pipelines.choice import newest_key
from pipelines.home import Home
from pipelines.project import Project
from tests.resources.stores.shelves import SHELVES, Shelf

RECIPE = Path(__file__).parents[2] / "pipelines" / "recipes" / "optimove"
PLACES = ("s3", "gcs", "azure", "sftp")
DAYS = ("2024-01-01", "2024-01-02")
TABLES = """
CREATE TABLE customers AS SELECT 'c' || i AS customer_id, 'user' || i || '@example.com' AS email,
    ['MT', 'DE', NULL][i % 3 + 1] AS country, NULL::VARCHAR AS language, i % 2 = 0 AS is_opt_in,
    DATE '1970-01-01' + i::INT AS birth_date, timestamptz '2023-05-05 05:05:05Z' AS registered_at,
    timestamptz '2024-01-01 00:00:00Z' + to_seconds(i * 4) AS updated_at FROM range(30000) r(i);
CREATE TABLE transactions AS SELECT i AS transaction_id, 'c' || i % 30000 AS customer_id, 'p' || i % 500 AS product_id,
    ((hash(i) % 1000000)::BIGINT / 100)::DECIMAL(10, 2) AS amount, 'EUR' AS currency,
    timestamptz '2023-12-31 23:59:59Z' AS ordered_at,
    timestamptz '2024-01-01 00:00:00Z' + to_seconds(i) AS updated_at FROM range(150000) r(i);
CREATE TABLE products AS SELECT 'p' || i AS product_id, 'Product "' || i || '", new' AS name, 'shoes' AS category,
    (i * 1.1)::DECIMAL(10, 2) AS price, 'EUR' AS currency, timestamptz '2024-01-01 00:00:00Z' AS updated_at
    FROM range(500) r(i);
"""
MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
LARGEST = 1_000_000


@dataclass(frozen=True)
class Delivering:
    """A copy of the recipe, and the place where Optimove looks."""

    root: Path
    shelf: Shelf

    @classmethod
    def of(cls, root: Path, shelf: Shelf) -> Delivering:
        """Copy the recipe, make the tables, and lay the test's connectors over the recipe's."""
        for path in RECIPE.glob("*.yaml"):
            text = path.read_text(encoding="utf-8").replace("to: optimove_s3", "to: optimove")
            text = re.sub(r"format: \{type: (\w+)\}", r"format: {type: \1, part_size: 1MB}", text)
            (root / path.name).write_text(text, encoding="utf-8")
        with duckdb.connect(str(root / "shop.duckdb")) as connection:
            connection.execute(TABLES)
        store = shelf.store()
        place = store.model_dump(mode="json", exclude_unset=True) | {"type": store.type}
        overlay = {"shop_db": {"type": "duckdb", "path": str(root / "shop.duckdb")}, "optimove": place}
        (root / "connectors.test.yaml").write_text(json.dumps(overlay), encoding="utf-8")
        made = cls(root, shelf)
        made.home.create().close()
        return made

    @property
    def home(self) -> Home:
        """Its home, whatever the environment says."""
        return Home(self.root / "home", f"sqlite:///{self.root / 'home' / 'ledger.db'}")

    def run(self, name: str, *keys: str) -> list[Outcome]:
        """Deliver windows of one export; the newest, where none is named."""
        project = Project(self.root, "test")
        declared = project.get(name)
        ledger, spool = self.home.open()
        with closing(ledger):
            journey = Journey(declared, ledger, spool, project.connectors, project.planner(declared))
            return list(journey.run(keys or (newest_key(declared),)))

    def files(self, table: str) -> list[bytes]:
        """What is there of a table, in the order of its names; only files that Optimove takes, and none too large."""
        names = [name for name in self.shelf.names() if name.startswith(f"{table}/")]
        assert all(re.fullmatch(rf"{table}/{table}_\d{{4}}-?\d\d-?\d\d_\d+\.[a-z.]+", name) for name in names), names
        found = [self.shelf.get(name) for name in names]
        assert all(len(data) <= LARGEST for data in found)
        return found

    def source(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the shop."""
        with duckdb.connect(str(self.root / "shop.duckdb"), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.sql(sql).fetchall()


@pytest.fixture(params=PLACES)
def delivering(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Delivering]:
    """The recipe on its way to each place."""
    with SHELVES[request.param](request, tmp_path) as shelf:
        (tmp_path / "recipe").mkdir()
        yield Delivering.of(tmp_path / "recipe", shelf)


def lines(files: list[bytes]) -> list[dict[str, str]]:
    """The rows of gz CSV files; each has its header."""
    return [row for data in files for row in csv.DictReader(io.StringIO(gzip.decompress(data).decode(), newline=""))]


def test_each_format_arrives_split_and_exact(delivering: Delivering) -> None:
    """Every row of the window once, by Optimove's rules; and nothing is sent a second time, even when it was taken."""
    assert all(each.good for each in delivering.run("customers", *DAYS) + delivering.run("transactions", *DAYS))
    assert delivering.run("products")[0].good
    _customers(delivering)
    _transactions(delivering)
    _products(delivering)
    for name in delivering.shelf.names():
        delivering.shelf.take(name)
    again = delivering.run("customers", *DAYS) + delivering.run("transactions", *DAYS)
    assert all(each.skipped for each in again)
    assert delivering.shelf.names() == []


def _customers(delivering: Delivering) -> None:
    rows = lines(delivering.files("Customers"))
    wanted = delivering.source("SELECT customer_id, email, country, birth_date FROM customers")
    found = [(row["CustomerID"], row["Email"], row["Country"], row["birth_date"]) for row in rows]
    assert sorted(found) == sorted((key, email, country or "", str(born)) for key, email, country, born in wanted)
    assert all(MOMENT.fullmatch(row["LastUpdated"]) and MOMENT.fullmatch(row["registered_at"]) for row in rows)
    assert {row["Language"] for row in rows} == {"en"}


def _transactions(delivering: Delivering) -> None:
    files = delivering.files("Transactions")
    assert len(files) > len(DAYS)
    texts = [line for data in files for line in gzip.decompress(data).decode().splitlines()]
    rows = [json.loads(line, parse_float=str) for line in texts]
    wanted = delivering.source("SELECT transaction_id, amount FROM transactions")
    found = sorted((row["TransactionID"], row["Amount"]) for row in rows)
    assert found == sorted((key, str(amount)) for key, amount in wanted)
    assert all(MOMENT.fullmatch(row["LastUpdated"]) and row["Currency"] == "EUR" for row in rows)


def _products(delivering: Delivering) -> None:
    tables = [pq.read_table(io.BytesIO(data)) for data in delivering.files("Products")]
    found = [(row["ProductID"], row["Name"], row["Price"]) for table in tables for row in table.to_pylist()]
    assert sorted(found) == sorted(delivering.source("SELECT product_id, name, price FROM products"))
