"""What a field does to a value: casts, formats and computed fields, against Python's own answer; and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spec.casts import CASTS
from spec.errors import DeclarationError
from spec.patterns import LETTERS, check, spelled
from tests.spec.columns import COLUMNS, PARIS, decimals, declare, shaped

QUICK = settings(max_examples=25, deadline=None)


def field(settings_: dict[str, Any], kind: pa.DataType, rows: list[Any]) -> list[Any]:
    """The values of one field, in the order of the rows."""
    fields = [{"from": "n"}, {"from": "c", "to": "f"} | settings_]
    found = shaped(declare(fields=fields), n=(pa.int64(), list(range(len(rows)))), c=(kind, rows))
    return [value for _, value in sorted(found, key=lambda row: int(row[0]))]


def local(moment: datetime) -> datetime:
    """The wall clock of an instant in Paris."""
    return moment.astimezone(PARIS).replace(tzinfo=None)


GOOD: list[tuple[str, str, Callable[[Any], Any]]] = [
    ("text", "text", str),
    ("int64", "text", str),
    ("money", "text", lambda value: f"{value:.2f}"),
    ("boolean", "text", lambda value: str(value).lower()),
    ("boolean", "boolean", bool),
    ("boolean", "integer", int),
    ("int64", "integer", int),
    ("int64", "decimal(38,5)", Decimal),
    ("money", "decimal(14, 4)", Decimal),
    ("date", "date", lambda value: value),
    ("time", "time", lambda value: value),
    ("local", "date", lambda value: value.date()),
    ("local", "datetime", lambda value: value),
    ("instant", "date", lambda value: local(value).date()),
    ("instant", "datetime", local),
]


@pytest.mark.parametrize(("name", "cast", "oracle"), GOOD)
@QUICK
@given(data=st.data())
def test_a_cast_gives_what_python_gives(
    name: str, cast: str, oracle: Callable[[Any], Any], data: st.DataObject
) -> None:
    """The same value in another type; NULL stays NULL."""
    rows = data.draw(st.lists(COLUMNS[name].value, min_size=1, max_size=10))
    assert field({"cast": cast}, COLUMNS[name].type, rows) == [None if row is None else oracle(row) for row in rows]


SAID: list[tuple[str, Callable[[str], Any], list[str], list[str]]] = [
    ("integer", int, ["0", "-7", "+12", "007"], ["1.5", "1e3", " 1", "", "9223372036854775808", "abc", "1_000", "٣"]),
    ("decimal(4,2)", Decimal, ["1.5", "-99.99", "7", "1.5000", "3."], ["1.555", "100", "1,5", ".5", "NaN", "1e1"]),
    ("boolean", lambda text: text.lower() == "true", ["true", "FALSE"], ["yes", "1", "t", ""]),
    ("date", date.fromisoformat, ["2026-01-31", "0999-12-31"], ["2026-02-30", "2026-1-5", "20260105", "2026-01-31 10:00"]),
    ("datetime", datetime.fromisoformat, ["2026-01-31 14:30", "2026-01-31T14:30:05.000001"], ["2026-01-31", "2026-01-31 24:00", "2026-01-31 14:30Z", "2026-01-31 14:60"]),
]  # fmt: skip


@pytest.mark.parametrize(("cast", "oracle", "good", "bad"), SAID, ids=[each[0] for each in SAID])
def test_text_is_cast_as_it_is_written_or_the_window_stops(
    cast: str, oracle: Callable[[str], Any], good: list[str], bad: list[str]
) -> None:
    """Nothing is rounded, trimmed or guessed, and the value is named."""
    assert field({"cast": cast}, pa.string(), good) == [oracle(text.rstrip(".")) for text in good]
    for text in bad:
        with pytest.raises(duckdb.Error, match=re.escape(f"column 'c' holds {text}, which is no")):
            field({"cast": cast}, pa.string(), [good[0], text])


def test_the_engine_alone_would_have_rounded() -> None:
    """The control: DuckDB reads 1.6 as 2, 1.555 as 1.56 and yes as true."""
    with duckdb.connect() as connection:
        found = connection.sql("SELECT '1.6'::INT, 1.555::DECIMAL(4, 2), 'yes'::BOOLEAN").fetchall()
    assert found == [(2, Decimal("1.56"), True)]


@QUICK
@given(decimals(12, 4))
def test_a_decimal_loses_digits_only_where_they_are_zeros(value: Decimal) -> None:
    """Else the window stops."""
    rows, kind = [value], pa.decimal128(12, 4)
    if value == round(value, 2):
        assert field({"cast": "decimal(10,2)"}, kind, rows) == [value]
    else:
        with pytest.raises(duckdb.Error, match="holds"):
            field({"cast": "decimal(10,2)"}, kind, rows)
    if value == int(value):
        assert field({"cast": "integer"}, kind, rows) == [int(value)]


def test_a_float_is_cast_where_it_comes_back_the_same() -> None:
    """0.1 is the decimal 0.1; a third is none."""
    assert field({"cast": "decimal(9,1)"}, pa.float64(), [0.1, None, -2.0]) == [Decimal("0.1"), None, Decimal("-2.0")]
    for wrong in (1 / 3, float("nan"), float("inf"), 1e300):
        with pytest.raises(duckdb.Error):
            field({"cast": "decimal(9,1)"}, pa.float64(), [wrong])


def test_every_cast_of_the_table_is_tried() -> None:
    """A new one needs its test."""
    tried = {(COLUMNS[name].kind, cast.partition("(")[0]) for name, cast, _ in GOOD}
    tried |= {("text", cast.partition("(")[0]) for cast, *_ in SAID} | {("text", "time")}
    assert tried == set(CASTS)
    assert [value.isoformat() for value in field({"cast": "time"}, pa.string(), ["14:30:05.5", "00:00"])] == [
        "14:30:05.500000",
        "00:00:00",
    ]


def test_a_default_comes_before_a_cast() -> None:
    """An empty text can be a number then."""
    settings_ = {"default": "0", "replace": {"n/a": ""}, "cast": "integer"}
    assert field(settings_, pa.string(), ["", None, "n/a", "12"]) == [0, 0, 0, 12]


@pytest.mark.parametrize("name", ["date", "local", "instant"])
@QUICK
@given(data=st.data())
def test_a_format_spells_dates_as_python_would(name: str, data: st.DataObject) -> None:
    """Every letter, in the zone of the windows; text in quotes and per cent signs are plain."""
    rows = data.draw(st.lists(COLUMNS[name].value, min_size=1, max_size=10))
    pattern = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS yy/M/d H 'it''s' hh h a SSS 100%"
    assert set(re.findall("[A-Za-z]+", re.sub("'[^']*'", " ", pattern))) == set(LETTERS)
    expected = [spelled(local(row) if name == "instant" else row, pattern) for row in rows if row is not None]
    assert [value for value in field({"format": pattern}, COLUMNS[name].type, rows) if value is not None] == expected


def test_python_spells_them_as_written() -> None:
    """The oracle of the formats, said by hand: midnight and noon are 12."""
    assert spelled(datetime(999, 2, 3, 0, 5, 6, 7), "yyyy/M/d hh:mm a SSSSSS") == "0999/2/3 12:05 AM 000007"  # noqa: DTZ001
    assert spelled(date(2026, 12, 31), "dd.MM.yy HH:mm 'o''clock'") == "31.12.26 00:00 o'clock"
    assert field(
        {"format": "yyyy-MM-dd HH:mm:ss"}, pa.timestamp("us", "UTC"), [datetime(2025, 10, 26, 0, 30, tzinfo=UTC)]
    ) == ["2025-10-26 02:30:00"]


PATTERNS = [
    ("yyyy-MM-dd hh:mm:ss", "hh is the hour from 1 to 12 and wants an `a`"),
    ("YYYY-MM-dd", "'YYYY' is no part of a date; write yyyy"),
    ("yyyy-mm-dd", "mm are the minutes of an hour; the month is MM"),
    ("yyyy-MM-ddTHH:mm", "'T' is no part of a date; write 'T'"),
    ("yyyy 'x", "a quote without its second one"),
    ("--", "has no part of a date"),
]


@pytest.mark.parametrize(("pattern", "said"), PATTERNS)
def test_a_pattern_that_means_something_else_is_refused(pattern: str, said: str) -> None:
    """What other tools' letters would do quietly."""
    with pytest.raises(ValueError, match=re.escape(said)):
        check(pattern)
    with pytest.raises(DeclarationError, match=r"x\.yaml:1: `fields\.0\.format`"):
        declare(fields=[{"from": "a", "format": pattern}])


EXPRESSIONS: list[tuple[str, Any]] = [
    ("upper(t) || '-' || a", "ÀB-7"),
    ("coalesce(n, 'none')", "none"),
    ("d * 0.5", Decimal("0.625")),
    ("round(d, 1)", Decimal("1.3")),
    ("a // 2 + a % 2", 4),
    ("CASE WHEN a > 5 THEN 'big' ELSE 'small' END", "big"),
    ("a IN (1, 7) AND t LIKE 'à%'", True),
    ("lpad(CAST(a AS VARCHAR), 3, '0')", "007"),
    ("substr(t, 1, 1)", "à"),
    ("regexp_replace(t, '[a-z]', '_')", "à_"),
    ("strftime(w, '%Y')", "2026"),
    ("year(w) + month(w)", 2027),
    ("date_trunc('month', w)", datetime(2026, 1, 1)),  # noqa: DTZ001  (a column without a zone)
    ("w + INTERVAL 1 DAY", datetime(2026, 2, 1)),  # noqa: DTZ001
    ("date_diff('day', w, DATE '2026-02-28')", 28),
    ('"odd name" || t', "xàb"),
    ("nullif(a, 7)", None),
    ("t -- and nothing else", "àb"),
]


@pytest.mark.parametrize(("expression", "value"), EXPRESSIONS)
def test_a_computed_field_is_an_expression_of_its_row(expression: str, value: Any) -> None:
    """Text, exact numbers and dates."""
    declared = declare(fields=[{"expression": expression, "to": "f"}])
    columns: dict[str, Any] = {
        "a": (pa.int32(), [7]), "t": (pa.string(), ["àb"]), "n": (pa.string(), [None]),
        "d": (pa.decimal128(6, 2), [Decimal("1.25")]), "w": (pa.timestamp("us"), [datetime(2026, 1, 31)]),  # noqa: DTZ001
        "odd name": (pa.string(), ["x"]),
    }  # fmt: skip
    [(found,)] = shaped(declared, **columns)
    assert found == value


NO_EXPRESSION = [
    ("(SELECT max(id) FROM other)", "asks another table"),
    ("EXISTS (SELECT 1)", "is not allowed"),
    ("sum(a)", "looks at more than its row; aggregate with `aggregate:`"),
    ("row_number() OVER ()", "looks at more than its row"),
    ("getenv('HOME')", "is not one of the functions"),
    ("current_setting('x')", "is not"),
    ("read_text('/etc/passwd')", "is not one of the functions"),
    ("getvariable('x')", "is not"),
    ("now()", "is not"),
    ("current_date", "is not allowed"),
    ("random()", "is not"),
    ("total / 3", "makes floating point of exact numbers; multiply"),
    ("total * 1e3", "would be floating point; write its digits"),
    ("CAST(total AS DOUBLE)", "is no type of an expression"),
    ("extract.a", "has a dot; name the column alone"),
    ("*", "names no column"),
    ("a AS b", "is not allowed"),
    ("a; DROP TABLE x", "is not one expression"),
    ("a, b", "cannot be read as SQL"),
    ("a FROM extract", "cannot be read as SQL"),
    ("list_transform(a, x -> x)", "is not"),
    ("(" * 21 + "a" + ")" * 21, "more than 20 brackets"),
    ("COLUMNS('a')", "is not"),
    ("?", "is not allowed"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "said"), NO_EXPRESSION)
def test_what_is_no_expression_of_a_row_is_refused_at_check(expression: str, said: str) -> None:
    """Queries, aggregates, files, settings, the clock, floating point."""
    with pytest.raises(DeclarationError) as caught:
        declare(fields=[{"expression": expression, "to": "f"}])
    assert said in str(caught.value)


RULES: list[tuple[list[dict[str, Any]], str]] = [
    ([{"to": "f"}], "say either `from:` (a column) or `expression:`"),
    ([{"from": "a", "expression": "b", "to": "f"}], "say either `from:`"),
    ([{"expression": "a + 1"}], "a computed field needs its name: `to:`"),
    ([{"expression": "a + 1", "to": "f", "default": 1}], "`default` is for fields that have a `from:`"),
    ([{"expression": "a", "to": "f", "aggregate": "group"}], "computed fields cannot be aggregated"),
    ([{"from": "a", "aggregate": "group"}, {"expression": "a", "to": "f"}], "computed fields cannot be aggregated"),
    ([{"from": "a", "aggregate": "sum"}], "at least one field with `aggregate: group`"),
    ([{"from": "a", "aggregate": "group"}, {"from": "b"}], "when one field is aggregated all are"),
    ([{"from": "a", "to": "Name"}, {"from": "b", "to": "name"}], "two fields leave as 'Name'"),
    ([{"from": "a", "cast": "float"}], "'float' is no type; allowed: text, integer"),
    ([{"from": "a", "cast": "decimal(39,2)"}], "with at most 38 digits"),
]


@pytest.mark.parametrize(("fields", "said"), RULES)
def test_a_rule_between_fields_is_an_error_at_check(fields: list[dict[str, Any]], said: str) -> None:
    """The vendor's rules, and ours."""
    with pytest.raises(DeclarationError) as caught:
        declare(fields=fields)
    assert said in str(caught.value)


@pytest.mark.parametrize("fields", ["all", ["all", {"from": "a", "aggregate": "group"}]])
def test_all_fields_and_aggregation_do_not_go_together(fields: Any) -> None:
    """`all` is the whole of `fields:`, never one entry among others."""
    if fields == "all":
        assert not declare(fields=fields).export.aggregated
    else:
        with pytest.raises(DeclarationError, match=r"fields\.0"):
            declare(fields=fields)


MISFITS: list[tuple[dict[str, Any], pa.DataType, str]] = [
    ({"cast": "date"}, pa.int32(), "column 'c' is a number (INTEGER), which cannot be cast to date; possible: text, integer, decimal"),
    ({"cast": "text"}, pa.date32(), "possible: date; `format:` makes text of dates and times"),
    ({"format": "yyyy"}, pa.string(), "`format:` is for dates and times, and 'f' is text (VARCHAR)"),
    ({"default": "abc"}, pa.int32(), "the default of 'f', which is a number (INTEGER): 'abc' is not a number"),
    ({"default": 0}, pa.string(), "0 is not text; write it in quotes"),
]  # fmt: skip


@pytest.mark.parametrize(("settings_", "kind", "said"), MISFITS, ids=[each[2] for each in MISFITS])
def test_what_does_not_fit_the_type_is_refused_with_its_line(
    settings_: dict[str, Any], kind: pa.DataType, said: str
) -> None:
    """Before a row is read."""
    with pytest.raises(DeclarationError) as caught:
        field(settings_, kind, [])
    assert said in str(caught.value)
    assert str(caught.value).startswith("x.yaml:1: ")
