"""The compiled shape, run by DuckDB against rows whose answer is known."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spec.errors import DeclarationError
from spec.shape import compile_shape
from tests.spec.texts import RIGHT, declared

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def shaped(parts: str, rows: str, mode: str = "mode: snapshot\n") -> list[tuple[object, ...]]:
    """The result of `fields:` and `filters:` over the rows of a VALUES list."""
    head, tail = RIGHT[: RIGHT.index("filters:")], RIGHT[RIGHT.index("deliver:") :]
    read = declared(head + mode + parts + tail)
    connection = duckdb.connect()
    connection.execute(f"SET TimeZone = 'UTC'; CREATE VIEW extract AS {rows}")
    described = connection.sql("FROM extract")
    columns = dict(zip(described.columns, map(str, described.types), strict=True))
    return connection.sql(compile_shape(read, columns, NOW).sql(dialect="duckdb")).fetchall()


VALUES = (
    "SELECT * FROM (VALUES (1, 'a', NULL::INT), (2, 'B', 5), (3, '', 7), (4, NULL, 9), (5, 'a''\"b', 11)) v(id, t, n)"
)


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        ("{field: t, is: equals, value: a}", {1}),
        ("{field: t, is: equals, value: b}", set()),
        ('{field: t, is: equals, value: "a\'\\"b"}', {5}),
        ("{field: t, is: not_equals, value: a}", {2, 3, 4, 5}),
        ("{field: t, is: in, value: [a, B]}", {1, 2}),
        ("{field: t, is: not_in, value: [a, B]}", {3, 4, 5}),
        ("{field: t, is: empty}", {3, 4}),
        ("{field: t, is: not_empty}", {1, 2, 5}),
        ("{field: t, is: contains, value: a}", {1, 5}),
        ("{field: t, is: not_contains, value: a}", {2, 3, 4}),
        ("{field: t, is: starts_with, value: B}", {2}),
        ("{field: t, is: ends_with, value: b}", {5}),
        ("{field: t, is: contains, value: '%'}", set()),
        ("{field: n, is: between, value: [5, 9]}", {2, 3, 4}),
        ("{field: n, is: at_least, value: 9}", {4, 5}),
        ("{field: n, is: less_than, value: 7}", {2}),
        ("{field: n, is: empty}", {1}),
        ('{field: t, is: equals, value: "\' OR 1=1 --"}', set()),
    ],
)
def test_operators_keep_the_rows_they_name(condition: str, ids: set[int]) -> None:
    """Each operator of the table, NULL and hostile values included."""
    rows = shaped(f"filters:\n  any:\n    - all: [{condition}]\nfields: [{{from: id}}]\n", VALUES)
    assert {row[0] for row in rows} == ids


def test_sets_are_joined_by_or_and_conditions_by_and() -> None:
    """(t = a AND id < 2) OR (n > 9)."""
    filters = """filters:
  any:
    - all: [{field: t, is: equals, value: a}, {field: id, is: less_than, value: 2}]
    - all: [{field: n, is: more_than, value: 9}]
fields: [{from: id}]
"""
    assert {row[0] for row in shaped(filters, VALUES)} == {1, 5}


def test_dates_are_relative_to_the_end_of_the_window() -> None:
    """`date:-30 days` seen from 1 March in Paris is 30 January, whatever the clock says."""
    times = "(1, timestamptz '2026-01-29 12:00:00Z'), (2, timestamptz '2026-01-31 12:00:00Z')"
    rows = f"SELECT * FROM (VALUES {times}) v(id, seen)"
    kept = shaped(
        'filters: {any: [{all: [{field: seen, is: after, value: "date:-30 days"}]}]}\nfields: [{from: id}]\n', rows
    )
    assert kept == [(2,)]


def test_defaults_fill_what_is_empty_and_replacements_what_is_named() -> None:
    """An empty text is empty too; a default is not replaced again."""
    fields = "fields: [{from: id}, {from: t, default: a, replace: {a: x, B: y}}, {from: n, default: 0}]\n"
    assert sorted(shaped(fields, VALUES)) == [(1, "x", 0), (2, "y", 5), (3, "a", 7), (4, "a", 9), (5, "a'\"b", 11)]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("['a, b']", "a list (VARCHAR[])"),
        ("timestamptz '2026-01-29 12:00:00.5Z'", "an instant (TIMESTAMP WITH TIME ZONE)"),
        ("timestamp '2026-01-29 12:00:00.5'", "a date and time without a zone (TIMESTAMP)"),
        ("'a'::BLOB", "of a type without operators of its own (BLOB)"),
    ],
)
def test_what_has_no_text_of_its_own_is_not_replaced(value: str, said: str) -> None:
    """`[a, b]` and `2026-01-29 12:00:00.5+00` would leave where files have `["a, b"]` and `2026-01-29T12:00:00.5Z`."""
    with pytest.raises(DeclarationError) as error:
        shaped("fields: [{from: v, replace: {x: y}}]\n", f"SELECT {value} AS v")
    assert f"x.yaml:8: `replace:` compares text, and 'v' is {said}" in str(error.value)


def test_values_that_are_not_replaced_stay_as_they_are() -> None:
    """Numbers, booleans, days and times of day leave as the text that files have of them."""
    columns = ("1.10::DECIMAL(4,2) AS d", "true AS b", "date '2026-01-02' AS t", "time '23:59:59.5' AS c", "7 AS n")
    fields = ", ".join(f"{{from: {column[-1]}, replace: {{'7': seven}}}}" for column in columns)
    shown = shaped(f"fields: [{fields}]\n", f"SELECT {', '.join(columns)}")
    assert shown == [("1.10", "true", "2026-01-02", "23:59:59.5", "seven")]


def test_a_list_has_no_default() -> None:
    """There is no way to write one, and the message says so."""
    with pytest.raises(DeclarationError, match=r"'v' is a list .*, which can have no `default:`"):
        shaped("fields: [{from: v, default: none}]\n", "SELECT ['a'] AS v")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.decimals(min_value=-(10**9), max_value=10**9, places=2), min_size=1, max_size=20))
def test_sums_and_averages_of_decimals_are_exact(values: list[Decimal]) -> None:
    """A sum is the decimal sum, an average the exact quotient rounded half away from zero, four digits more."""
    rows = (
        "SELECT * FROM (VALUES " + ", ".join(f"(1, CAST('{value}' AS DECIMAL(12,2)))" for value in values) + ") v(g, a)"
    )
    aggregates = "{from: g, aggregate: group}, {from: a, to: s, aggregate: sum}, {from: a, to: m, aggregate: average}"
    fields = f"fields: [{aggregates}]\n"
    [(_, total, mean)] = shaped(fields, rows)
    exact = Fraction(sum(values)) / len(values) * 10**6
    rounded = int(abs(exact) + Fraction(1, 2)) * (1 if exact >= 0 else -1)
    assert (total, mean) == (sum(values), Decimal(rounded).scaleb(-6))


def test_an_average_that_cannot_be_exact_is_refused() -> None:
    """Better no number than a rounded one that looks exact."""
    fields = "fields: [{from: g, aggregate: group}, {from: a, to: m, aggregate: average}]\n"
    with pytest.raises(DeclarationError, match="would not be exact"):
        shaped(fields, "SELECT 1 AS g, 1.5::DECIMAL(38,10) AS a")


def test_sums_of_integers_stay_integers() -> None:
    """No HUGEINT that a reader takes for a float."""
    fields = (
        "fields: [{from: g, aggregate: group}, {from: a, to: s, aggregate: sum}, {from: a, to: c, aggregate: count}]\n"
    )
    assert shaped(fields, "SELECT 1 AS g, UNNEST([9007199254740993, NULL])::BIGINT AS a") == [(1, 9007199254740993, 2)]
