"""Each row of the operator table against Python's own answer, and what is refused before a row is read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spec.errors import DeclarationError
from spec.filters import MANY, OPERATORS
from spec.kinds import kind_of
from spec.shape import compile_shape
from spec.values import Clock, literal
from tests.spec.columns import COLUMNS, NOW, PARIS, declare, shaped

Oracle = Callable[[Any, list[Any]], bool]


def _there(test: Oracle) -> Oracle:
    return lambda value, asked: value is not None and test(value, asked)


ORACLE: dict[str, Oracle] = {
    "equals": _there(lambda value, asked: value == asked[0]),
    "not_equals": lambda value, asked: value is None or value != asked[0],
    "less_than": _there(lambda value, asked: value < asked[0]),
    "at_most": _there(lambda value, asked: value <= asked[0]),
    "more_than": _there(lambda value, asked: value > asked[0]),
    "at_least": _there(lambda value, asked: value >= asked[0]),
    "before": _there(lambda value, asked: value < asked[0]),
    "after": _there(lambda value, asked: value > asked[0]),
    "on_or_before": _there(lambda value, asked: value <= asked[0]),
    "on_or_after": _there(lambda value, asked: value >= asked[0]),
    "between": _there(lambda value, asked: asked[0] <= value <= asked[1]),
    "in": _there(lambda value, asked: value in asked),
    "not_in": lambda value, asked: value is None or value not in asked,
    "contains": _there(lambda value, asked: asked[0] in value),
    "not_contains": lambda value, asked: value is None or asked[0] not in value,
    "contains_any": _there(lambda value, asked: bool(set(value) & set(asked))),
    "contains_all": _there(lambda value, asked: set(value) >= set(asked)),
    "starts_with": _there(lambda value, asked: value.startswith(asked[0])),
    "ends_with": _there(lambda value, asked: value.endswith(asked[0])),
    "empty": lambda value, _: value is None or value in ("", []),
    "not_empty": lambda value, _: value is not None and value not in ("", []),
    "true": lambda value, _: value is True,
    "false": lambda value, _: value is False,
}
"""Whether a row is kept, said once more in Python."""
PAIRS = [
    (operator, name)
    for operator, row in OPERATORS.items()
    for name, column in COLUMNS.items()
    if column.kind in row.kinds
]


def kept(operator: str, asked: Any, kind: pa.DataType, rows: list[Any]) -> list[int]:
    """The numbers of the rows that a filter keeps."""
    value = {} if asked is None else {"value": asked}
    filters = {"any": [{"all": [{"field": "c", "is": operator} | value]}]}
    declared = declare(filters=filters, fields=[{"from": "id"}])
    found = shaped(declared, id=(pa.int64(), list(range(len(rows)))), c=(kind, rows))
    return sorted(number for (number,) in found)


@pytest.mark.parametrize(("operator", "name"), PAIRS)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_an_operator_keeps_what_python_keeps(operator: str, name: str, data: st.DataObject) -> None:
    """For each kind of column that it is for: NULLs, limits of the type and Unicode included."""
    column, takes = COLUMNS[name], OPERATORS[operator].takes
    rows = data.draw(st.lists(column.value, min_size=1, max_size=12))
    items = [item for row in rows for item in (row if isinstance(row, list) else [row]) if item is not None]
    asked = data.draw(
        st.lists(
            st.sampled_from(items) | column.item if items else column.item,
            min_size=1 if takes == MANY else takes,
            max_size=4 if takes == MANY else takes,
        )
    )
    written = [column.written(each) for each in asked]
    found = kept(operator, written[0] if takes == 1 else written or None, column.type, rows)
    assert found == [number for number, row in enumerate(rows) if ORACLE[operator](row, asked)]


def test_the_oracle_knows_every_operator() -> None:
    """A new row of the table needs its second opinion, and every kind of column has an operator."""
    assert set(ORACLE) == set(OPERATORS)
    assert {kind for row in OPERATORS.values() for kind in row.kinds} == {each.kind for each in COLUMNS.values()} | {
        "other"
    }


REFUSED = [
    ("before", "2026-01-31", pa.string(), "`is: before` is not for column 'c', which is text (VARCHAR); for that there are equals, not_equals, in,"),
    ("contains", "1", pa.int32(), "`is: contains` is not for column 'c', which is a number (INTEGER)"),
    ("contains_any", ["a"], pa.string(), "`is: contains_any` is not for column 'c', which is text"),
    ("less_than", 5, pa.date32(), "`is: less_than` is not for column 'c', which is a date (DATE)"),
    ("true", None, pa.int32(), "`is: true` is not for column 'c', which is a number"),
    ("in", ["2026-01-31", "b"], pa.date32(), "column 'c' is a date (DATE): 'b' is not a date such as 2026-01-31"),
    ("equals", "abc", pa.int32(), "column 'c' is a number (INTEGER): 'abc' is not a number"),
    ("equals", True, pa.int32(), "column 'c' is a number (INTEGER): True is not a number"),
    ("equals", 1, pa.bool_(), "column 'c' is true or false (BOOLEAN): 1 is not true or false"),
    ("equals", 75001, pa.string(), "column 'c' is text (VARCHAR): 75001 is not text; write it in quotes"),
    ("equals", "2026-02-30", pa.date32(), "column 'c' is a date (DATE): day "),
    ("equals", "2026-01-31 12:00", pa.date32(), "'2026-01-31 12:00' is not a date such as"),
    ("equals", "2026-01-31T12:00Z", pa.timestamp("us"), "has an offset, which the column has not"),
    ("equals", "1.555", pa.decimal128(12, 2), "1.555 is no value of DECIMAL(12,2), which has 2 digits behind the point, -9999999999.99 to 9999999999.99"),
    ("equals", 40000, pa.int16(), "40000 is no value of SMALLINT, which has 0 digits behind the point, -32768 to 32767"),
    ("equals", "date:yesterday", pa.string(), "'date:yesterday' is a date expression: text wants a pattern behind it"),
    ("contains", "a", pa.list_(pa.int32()), "'a' is not a number"),
    ("equals", "a", pa.binary(), "which is of a type without operators of its own (BLOB); for that there are empty, not_empty"),
]  # fmt: skip


@pytest.mark.parametrize(("operator", "asked", "kind", "said"), REFUSED)
def test_what_does_not_fit_its_column_is_refused(operator: str, asked: Any, kind: pa.DataType, said: str) -> None:
    """With the column's type and what is allowed, before anything is compared."""
    with pytest.raises(DeclarationError) as caught:
        kept(operator, asked, kind, [])
    assert said in str(caught.value)
    assert str(caught.value).startswith("x.yaml:")


ALONE = [
    ("before", "abc", "`is: before`: 'abc' is not a date such as"),
    ("after", "2026-02-30", "day "),
    ("less_than", "many", "`is: less_than`: 'many' is not a number"),
    ("starts_with", 5, "`is: starts_with`: 5 is not text"),
    ("between", [1, "2026-01-31"], "'2026-01-31' is not a number, and 1 is not a date"),
    ("before", "date:yesterdy", "is not a date expression"),
]


@pytest.mark.parametrize(("operator", "asked", "said"), ALONE)
def test_a_value_that_no_column_could_have_is_refused_at_check(operator: str, asked: Any, said: str) -> None:
    """The declaration alone shows it."""
    with pytest.raises(DeclarationError, match=r"`filters\.any\.0\.all\.0`") as caught:
        declare(filters={"any": [{"all": [{"field": "c", "is": operator, "value": asked}]}]})
    assert said in str(caught.value)


def test_every_misfit_is_said_at_once() -> None:
    """Two wrong conditions are two lines."""
    conditions = [{"field": "c", "is": "true"}, {"field": "c", "is": "empty"}, {"field": "c", "is": "false"}]
    with pytest.raises(DeclarationError) as caught:
        shaped(declare(filters={"any": [{"all": conditions}]}), c=(pa.string(), []))
    assert len(caught.value.problems) == 2


def test_the_engine_alone_would_have_converted() -> None:
    """The control: DuckDB compares a number with text, and reads dates that are none."""
    with duckdb.connect() as connection:
        assert connection.sql("SELECT 1 = '1', DATE '2026-01-31' = '2026-1-31'").fetchall() == [(True, True)]


def test_a_local_time_is_in_the_zone_of_the_windows() -> None:
    """A date is its midnight in Paris; an offset says otherwise; two spellings of one moment are one."""
    midnight = datetime(2026, 7, 1, tzinfo=PARIS)
    for written in ("2026-07-01", "2026-07-01 00:00", "2026-06-30T22:00:00Z", "2026-07-01 02:00:00.000+04:00"):
        assert kept("equals", written, pa.timestamp("us", "UTC"), [midnight.astimezone(UTC)]) == [0]


def test_a_date_expression_is_a_day_for_dates_and_a_moment_for_times() -> None:
    """Seen from 1 March in Paris; a column without a zone is in that of the cursor, else in that of the windows."""
    rows = [date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1)]
    assert kept("on_or_after", "date:yesterday", pa.date32(), rows) == [1, 2]
    times = [datetime(2026, 2, 27, 23), datetime(2026, 2, 28)]  # noqa: DTZ001  (a column without a zone)
    assert kept("on_or_after", "date:yesterday", pa.timestamp("us"), times) == [1]
    source = {"connector": "db", "table": "rows", "cursor": {"by": "time", "column": "c", "timezone": "UTC"}}
    condition = {"field": "c", "is": "on_or_after", "value": "date:yesterday"}
    declared = declare(source=source, filters={"any": [{"all": [condition]}]})
    assert len(shaped(declared, c=(pa.timestamp("us"), times))) == 2


def test_the_zone_of_the_machine_does_not_matter() -> None:
    """An instant of the repeated hour is taken as its first coming, and written with an offset as either."""
    first, second = (datetime(2025, 10, 26, hour, 30, tzinfo=UTC) for hour in (0, 1))
    kind = pa.timestamp("us", "UTC")
    assert kept("equals", "2025-10-26 02:30", kind, [first, second]) == [0]
    assert kept("equals", "2025-10-26 02:30+01:00", kind, [first, second]) == [1]


@pytest.mark.parametrize(
    ("written", "number"), [(9007199254740993, 1), ("09007199254740993.0", 1), (9007199254740992, 0)]
)
def test_a_long_number_does_not_pass_through_a_float(written: Any, number: int) -> None:
    """Two neighbours that are one as floats stay two."""
    assert kept("equals", written, pa.int64(), [9007199254740992, 9007199254740993]) == [number]


def test_kinds_of_types_that_only_a_transform_makes() -> None:
    """Enums and UUIDs are text, arrays are lists, the rest has no operators but those of emptiness."""
    kinds = {"ENUM('a')": "text", "UUID": "text", "INTEGER[3]": "list", "DECIMAL(4, 1)": "number", "INTERVAL": "other"}
    assert {type_: kind_of(type_) for type_ in kinds} == kinds
    declared = declare(filters={"any": [{"all": [{"field": "c", "is": "equals", "value": "a"}]}]})
    with duckdb.connect() as connection:
        connection.execute("CREATE VIEW extract AS SELECT 'a'::ENUM('a', 'b') AS c")
        sql = compile_shape(declared, {"c": "ENUM('a', 'b')"}, NOW).sql(dialect="duckdb")
        assert connection.sql(sql).fetchall() == [("a",)]


@pytest.mark.parametrize(
    ("value", "zone"), [("0001-01-01", "Europe/Paris"), ("9999-12-31 23:59:59", "America/New_York")]
)
def test_an_instant_beyond_the_calendar_is_refused(value: str, zone: str) -> None:
    """In its own zone it is a day, in UTC there is none; with a Z it is what it says."""
    clock = Clock(datetime(2024, 1, 1, tzinfo=UTC), zone, "UTC")
    with pytest.raises(ValueError, match="is outside the years 1 to 9999 in UTC; write it with a Z"):
        literal(value, "TIMESTAMP WITH TIME ZONE", clock)
    assert literal("9999-12-31 23:59:59Z", "TIMESTAMP WITH TIME ZONE", clock)
