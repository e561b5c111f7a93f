"""Columns of every kind for tests of the shape: their Arrow type, values that they can have, and how those are
declared. And the shape itself, run over such columns.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from spec.document import Document
from spec.kinds import Kind
from spec.reading import Declared, read_export
from spec.shape import compile_shape

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 3, 1, tzinfo=PARIS)
FIRST, LAST = datetime(1980, 1, 1), datetime(2035, 12, 31)  # noqa: DTZ001  (hypothesis adds the zone)


class Column(NamedTuple):
    """One type: `item` draws what it is compared with, which `written` says as a declaration does."""

    type: pa.DataType
    kind: Kind
    item: SearchStrategy[Any]
    written: Callable[[Any], Any]

    @property
    def value(self) -> SearchStrategy[Any]:
        """What may be in a row."""
        return st.none() | (st.lists(st.none() | self.item, max_size=3) if self.kind == "list" else self.item)


def decimals(digits: int, behind: int) -> SearchStrategy[Decimal]:
    """Every value of a decimal type, with all its digits, and often a small one."""
    units = st.integers(1 - 10**digits, 10**digits - 1) | st.integers(-300, 300)
    return units.map(lambda n: Decimal((int(n < 0), tuple(map(int, str(abs(n)))), -behind)))


def _moment(value: datetime) -> str:
    return value.isoformat(sep=" ")


_TEXTS = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("aAbB%_'\"\\éÉßΣ😀\u0301 \x00"), max_size=4
) | st.sampled_from(["", " ", "active", "Active", "NULL", "' OR 1=1 --", "é", "e\u0301"])
COLUMNS: dict[str, Column] = {
    "text": Column(pa.string(), "text", _TEXTS, str),
    "int16": Column(pa.int16(), "number", st.integers(-(2**15), 2**15 - 1), int),
    "int64": Column(pa.int64(), "number", st.integers(-(2**63), 2**63 - 1), int),
    "uint64": Column(pa.uint64(), "number", st.integers(0, 2**64 - 1), int),
    "money": Column(pa.decimal128(12, 2), "number", decimals(12, 2), str),
    "wide": Column(pa.decimal128(38, 10), "number", decimals(38, 10), lambda value: f"{value:f}"),
    "double": Column(pa.float64(), "number", st.floats(allow_nan=False, allow_infinity=False), float),
    "boolean": Column(pa.bool_(), "boolean", st.booleans(), bool),
    "date": Column(pa.date32(), "date", st.dates(FIRST.date(), LAST.date()), date.isoformat),
    "time": Column(pa.time64("us"), "time", st.times(), time.isoformat),
    "local": Column(pa.timestamp("us"), "local", st.datetimes(FIRST, LAST), _moment),
    "instant": Column(pa.timestamp("us", "UTC"), "instant", st.datetimes(FIRST, LAST, timezones=st.just(UTC)), _moment),
    "texts": Column(pa.list_(pa.string()), "list", _TEXTS, str),
    "numbers": Column(pa.list_(pa.int32()), "list", st.integers(-3, 3), int),
    "moneys": Column(pa.list_(pa.decimal128(12, 2)), "list", decimals(3, 2), str),
}


def declare(**parts: Any) -> Declared:
    """A snapshot in Paris with these parts."""
    data: dict[str, Any] = {
        "export": "rows", "mode": "snapshot", "source": {"connector": "db", "table": "rows"},
        "partitions": {"every": "day", "start": "2024-01-01", "timezone": "Europe/Paris"},
        "deliver": [{"to": "folder", "path": "{export}/{partition}.csv", "format": {"type": "csv"}}],
    }  # fmt: skip
    return read_export(Document("x.yaml", data | parts))


def shaped(declared: Declared, **columns: tuple[pa.DataType, list[Any]]) -> list[tuple[Any, ...]]:
    """The rows that leave, of a table with these columns, seen from NOW."""
    table = pa.table({name: pa.array(values, kind) for name, (kind, values) in columns.items()})
    connection = _engine()
    connection.register("extract", table)
    found = connection.sql("FROM extract")
    kinds = dict(zip(found.columns, map(str, found.types), strict=True))
    return connection.sql(compile_shape(declared, kinds, NOW).sql(dialect="duckdb")).fetchall()


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    atexit.register(_close)
    return connection


def _close() -> None:
    _engine().close()
    _engine.cache_clear()
