"""Each row of the table of aggregates against Python's exact answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spec.aggregates import AGGREGATES, AVERAGE_DIGITS
from spec.errors import DeclarationError
from tests.spec.columns import COLUMNS, declare, shaped

BIG, SMALL = 2**63 - 1, -(2**63)
SCALES = {"int16": 0, "int64": 0, "uint64": 0, "money": 2}


def grouped(aggregate: str, kind: pa.DataType, rows: list[tuple[str | None, Any]], **more: Any) -> dict[Any, Any]:
    """The aggregate of each group."""
    fields = [{"from": "g", "aggregate": "group"}, {"from": "c", "to": "a", "aggregate": aggregate} | more]
    keys, values = [key for key, _ in rows], [value for _, value in rows]
    found = shaped(declare(fields=fields), g=(pa.string(), keys), c=(kind, values))
    assert len(found) == len({key for key, _ in found})
    return dict(found)


def _sum(values: list[Any], _: int) -> Any:
    with localcontext(prec=80):
        return sum(values)


def _average(values: list[Any], scale: int) -> Any:
    behind = scale + AVERAGE_DIGITS
    exact = sum(map(Fraction, values)) / len(values) * 10**behind
    rounded = int(abs(exact) + Fraction(1, 2)) * (1 if exact >= 0 else -1)
    return Decimal(rounded).scaleb(-behind)


ORACLE: dict[str, tuple[Callable[[list[Any], int], Any], tuple[str, ...]]] = {
    "sum": (_sum, ("int16", "uint64", "money")),
    "average": (_average, ("int16", "int64", "uint64", "money")),
    "min": (
        lambda values, _: min(values),
        ("text", "int64", "wide", "double", "boolean", "date", "time", "local", "instant"),
    ),
    "max": (
        lambda values, _: max(values),
        ("text", "int64", "wide", "double", "boolean", "date", "time", "local", "instant"),
    ),
}
"""Of the values that are there, said once more in Python, and for which columns."""
CASES = [(aggregate, name) for aggregate, (_, names) in ORACLE.items() for name in names]


@pytest.mark.parametrize(("aggregate", "name"), CASES)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_an_aggregate_is_what_python_says(aggregate: str, name: str, data: st.DataObject) -> None:
    """Of each group, NULLs left out; of a group without values there is none. NULL and an empty text are two groups."""
    column = COLUMNS[name]
    values = column.item.map(lambda value: value.encode().decode()) if name == "text" else column.item
    rows = data.draw(st.lists(st.tuples(st.sampled_from([None, "", "a"]), st.none() | values), min_size=1, max_size=12))
    expected = {}
    for key in {key for key, _ in rows}:
        there = [value for group, value in rows if group == key and value is not None]
        expected[key] = ORACLE[aggregate][0](there, SCALES.get(name, 0)) if there else None
    assert grouped(aggregate, column.type, rows) == expected


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([None, "", "a"]), st.none() | st.integers(0, 9)), min_size=1, max_size=20))
def test_count_counts_rows(rows: list[tuple[str | None, int | None]]) -> None:
    """Whatever the column holds: two counts are the same number."""
    fields = [
        {"from": "g", "aggregate": "group"},
        {"from": "g", "to": "x", "aggregate": "count"},
        {"from": "c", "aggregate": "count"},
    ]
    keys, values = [key for key, _ in rows], [value for _, value in rows]
    found = shaped(declare(fields=fields), g=(pa.string(), keys), c=(pa.int64(), values))
    assert {key: counts for key, *counts in found} == {key: [keys.count(key)] * 2 for key in keys}


def test_every_aggregate_has_its_oracle() -> None:
    """A new row of the table needs its second opinion."""
    assert {*ORACLE, "group", "count"} == set(AGGREGATES)


@pytest.mark.parametrize(
    ("kind", "values"),
    [(pa.int64(), [BIG, 1]), (pa.int64(), [SMALL, -1]), (pa.decimal128(38, 0), [Decimal("9" * 38), Decimal(1)])],
)
def test_a_sum_that_its_type_cannot_hold_stops(kind: pa.DataType, values: list[Any]) -> None:
    """It neither wraps nor becomes a float."""
    with pytest.raises(duckdb.Error, match=r"(?i)range|fit|cast"):
        grouped("sum", kind, [("a", value) for value in values])
    assert grouped("sum", kind, [("a", values[0]), ("a", -values[1]), ("a", values[1])]) == {"a": values[0]}


def test_a_hundred_thousand_cents_do_not_drift() -> None:
    """The control: as floats they do, and so does a plain sum of floats beside ours."""
    cents = [Decimal("0.01")] * 100_000
    assert grouped("sum", pa.decimal128(12, 2), [("a", cent) for cent in cents]) == {"a": Decimal("1000.00")}
    plain = 0.0
    for _ in cents:
        plain += 0.01
    assert plain != 1000.0
    assert grouped("sum", pa.float64(), [("a", 0.01)] * 100_000) == {"a": 1000.0}


REFUSED = [
    ("sum", pa.string(), "`aggregate: sum` is not for column 'c', which is text (VARCHAR); for that there are group, count, min, max"),
    ("average", pa.bool_(), "`aggregate: average` is not for column 'c', which is true or false"),
    ("max", pa.list_(pa.string()), "`aggregate: max` is not for column 'c', which is a list"),
    ("average", pa.decimal128(38, 10), "the average of DECIMAL(38,10) would not be exact; use sum and count"),
]  # fmt: skip


@pytest.mark.parametrize(("aggregate", "kind", "said"), REFUSED, ids=[each[2] for each in REFUSED])
def test_an_aggregate_of_what_cannot_be_added_is_refused(aggregate: str, kind: pa.DataType, said: str) -> None:
    """With the line of the field, and what there is instead."""
    with pytest.raises(DeclarationError) as caught:
        grouped(aggregate, kind, [])
    assert said in str(caught.value)
    assert str(caught.value).startswith("x.yaml:1: ")


def test_groups_can_be_cast_and_spelled() -> None:
    """A month is one group; a sum is of what was cast; a maximum is found before it is spelled."""
    fields = [
        {"from": "d", "to": "month", "format": "yyyy-MM", "aggregate": "group"},
        {"from": "t", "cast": "decimal(6,2)", "aggregate": "sum"},
        {"from": "d", "to": "last", "format": "dd.MM.yyyy", "aggregate": "max"},
    ]
    days = ["2026-01-31", "2026-02-01", "2026-01-02"]
    found = shaped(
        declare(fields=fields),
        d=(pa.date32(), [date.fromisoformat(day) for day in days]),
        t=(pa.string(), ["1.10", "5", "2.2"]),
    )
    assert sorted(found) == [("2026-01", Decimal("3.30"), "31.01.2026"), ("2026-02", Decimal("5.00"), "01.02.2026")]
