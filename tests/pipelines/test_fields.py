"""`outgate fields`: what it shows of a real catalogue, and what it keeps to itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from assets.catalogue import PERSONAL, in_words
from tests.pipelines.sqlite_shop import made, run
from tests.small import Small

ORDERS = (
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, buyer_email TEXT, status TEXT NOT NULL, kind INT, at DATETIME)",
    "ALTER TABLE orders ADD COLUMN total DECIMAL(10,2)",
    "ALTER TABLE orders ADD COLUMN doc JSON",
    "CREATE INDEX orders_at ON orders (at, id)",
    "CREATE VIEW open_orders AS SELECT * FROM orders",
)
ROWS = (
    "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < {count}) INSERT INTO orders SELECT i,"
    " 'ann' || i || '@example.com', CASE i % 4 WHEN 0 THEN 'paid' ELSE 'new' END, i % 2, '2026-01-01', i, '{{}}' FROM r"
)


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """A project with a hundred orders."""
    return made(tmp_path, *ORDERS, ROWS.format(count=100))


def columns(small: Small, *arguments: str) -> dict[str, dict[str, Any]]:
    """The columns that `--json` prints, by name."""
    found = json.loads(small.outgate("fields", *arguments, "--json").stdout)
    return {each["column"]: each for each in found["columns"]}


def test_tables(small: Small) -> None:
    """Tables and views of a connector, as a list or as JSON."""
    assert json.loads(small.outgate("fields", "lite", "--json").stdout) == [
        {"table": "open_orders"},
        {"table": "orders"},
    ]
    assert "open_orders" in small.outgate("fields", "lite").stdout


def test_columns(small: Small) -> None:
    """Each column with its types in words, NULL, key and index."""
    found = columns(small, "lite.orders")
    assert list(found) == ["id", "buyer_email", "status", "kind", "at", "total", "doc"]
    assert (found["id"]["key"], found["id"]["nullable"], found["at"]["indexed"]) == (True, False, True)
    assert found["total"]["type"] == "exact decimal, 10 digits, 2 of them behind the point"
    assert (found["doc"]["type"], found["at"]["declared"]) == ("JSON", "DATETIME")
    shown = small.outgate("fields", "lite.orders").stdout
    assert "date and time, no zone" in shown
    assert "key index" in shown


def test_frequent_values(small: Small) -> None:
    """Values of columns with few of them, with their share; not one value a row, and no measures."""
    found = columns(small, "lite.orders")
    assert found["status"]["values"] == [{"value": "new", "count": 75}, {"value": "paid", "count": 25}]
    assert [found[name]["values"] for name in ("id", "total", "at", "doc")] == [None] * 4
    shown = small.outgate("fields", "lite.orders").stdout
    assert "new (75%), paid (25%)" in shown
    assert "counted in 100 rows" in shown


def test_personal_values_are_withheld(small: Small) -> None:
    """Columns that look personal are named and not read, unless asked; an address is not shown even then."""
    run(small, "ALTER TABLE orders ADD COLUMN first_name TEXT", "UPDATE orders SET first_name = 'Zoe'")
    plain, asked = (small.outgate("fields", "lite.orders", *flags).stdout for flags in ((), ("--values",)))
    assert "Zoe" not in plain
    assert "look personal: values of buyer_email, first_name" in plain
    assert "Zoe (100%)" in asked
    assert "@example.com" not in plain + asked


def test_the_sample_is_bounded(small: Small) -> None:
    """A large table is not read as a whole."""
    run(small, "DELETE FROM orders", ROWS.format(count=30_000))
    assert json.loads(small.outgate("fields", "lite.orders", "--json").stdout)["sampled"] == 10_000


def test_rows_of_a_view_are_not_read(small: Small) -> None:
    """A view may be dear: its columns are shown, its values on request."""
    assert columns(small, "lite.open_orders")["status"]["values"] is None
    assert "only read with --values" in small.outgate("fields", "lite.open_orders").stdout
    assert columns(small, "lite.open_orders", "--values")["status"]["values"]


def test_values_that_are_refused_do_not_hide_the_columns(small: Small) -> None:
    """A value of another type than its column's is counted as text; text that is broken costs the values only."""
    run(small, "UPDATE orders SET kind = 'none' WHERE id > 50")
    assert {"value": "none", "count": 50} in columns(small, "lite.orders")["kind"]["values"]
    run(small, "UPDATE orders SET status = CAST(X'FF' AS TEXT) WHERE id = 1")
    assert columns(small, "lite.orders")["status"]["values"] is None


def test_a_schema(small: Small) -> None:
    """`connector.schema.table` is a table of that schema, and its comments are told."""
    small.sql("CREATE SCHEMA crm; CREATE TABLE crm.t (a INT); COMMENT ON COLUMN crm.t.a IS 'the [first]'")
    assert columns(small, "shop.crm.t")["a"]["comment"] == "the [first]"
    assert "the [first]" in small.outgate("fields", "shop.crm.t").stdout


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("lit", "there is no connector 'lit'; did you mean 'lite'? (there are: lite, shop)"),
        (
            "lite.ordrs",
            "'lite' has no table 'ordrs'; did you mean 'orders' or 'open_orders'? (it has: open_orders, orders)",
        ),
        ("folder.x", "connector 'folder' (local) is no database (there are: lite, shop)"),
    ],
)
def test_what_is_not_there(small: Small, what: str, said: str) -> None:
    """A wrong name is exit 2, with the nearest names."""
    ended = small.outgate("fields", what)
    assert (ended.returncode, ended.stderr.strip()) == (2, said)


@pytest.mark.parametrize(
    "name", ["name", "EMAIL", "phone_number", "birth_date", "dob", "home_address", "client_ip", "iban", "zip"]
)
def test_what_looks_personal(name: str) -> None:
    """Names, addresses of all kinds, births."""
    assert PERSONAL.search(name)


@pytest.mark.parametrize("name", ["status", "total", "script", "channel", "description", "shipped_at", "tip", "island"])
def test_what_does_not(name: str) -> None:
    """The control: words of business are not taken for it."""
    assert not PERSONAL.search(name)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (pa.uint64(), "whole number, 64 bit, not negative"),
        (pa.timestamp("us", tz="UTC"), "instant"),
        (pa.list_(pa.int32()), "list of whole number, 32 bit"),
        (pa.decimal128(20, 0), "exact decimal, 20 digits, 0 of them behind the point"),
        (pa.time64("us"), "time of day"),
        (pa.binary(), "bytes"),
    ],
)
def test_types_in_words(kind: pa.DataType, words: str) -> None:
    """Every Arrow type that a database hands out has words."""
    assert in_words(kind) == words
