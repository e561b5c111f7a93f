"""How nested values are spelled in text formats; plain values travel the whole journey in tests/journey/test_values.py."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import duckdb
import pytest

from assets.lines import header, line
from spec.formats import Csv, Ndjson

NESTED: tuple[tuple[str, Any], ...] = (
    ("{'a': 'nan'::DOUBLE, 'b\"x': [1, NULL]}", {"a": "NaN", 'b"x': [1, None]}),
    ("{'m': MAP {'k\"1': '-inf'::FLOAT, 'k2': NULL}}", {"m": {'k"1': "-Infinity", "k2": None}}),
    ("MAP {1: [{'z': 'é'}]}", {"1": [{"z": "é"}]}),
    ("[1.5, NULL]::DECIMAL(30,2)[]", ["1.50", None]),
    ("[9007199254740993, 2]::BIGINT[2]", [9007199254740993, 2]),
    ("[['a,b'], [], NULL]", [["a,b"], [], None]),
    ("MAP {}::MAP(INTEGER, INTEGER)", {}),
    (
        "{'t': TIMESTAMPTZ '2024-01-01 00:00:00Z', 'j': '{\"a\": 1}'::JSON}",
        {"t": "2024-01-01T00:00:00Z", "j": {"a": 1}},
    ),
    ("NULL::STRUCT(q INTEGER)", None),
    ("NULL::MAP(VARCHAR, DOUBLE)", None),
    ("{'a': NULL::INTEGER}", {"a": None}),
)


def _strict(text: str) -> Any:
    """As the strictest readers do: NaN and Infinity are no JSON."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize(("value", "meaning"), NESTED)
def test_nested_values_in_ndjson(value: str, meaning: Any) -> None:
    """Structures, maps, lists and arrays are JSON that a strict reader takes, innermost values exact."""
    assert _strict(_line(value, Ndjson(type="ndjson"))) == {"v": meaning, "beside": 1}


@pytest.mark.parametrize(("value", "meaning"), NESTED)
def test_nested_values_in_csv(value: str, meaning: Any) -> None:
    """In CSV they are the same JSON in a cell, and NULL is an empty cell."""
    [row] = csv.DictReader(io.StringIO(_line(value, Csv(type="csv"))))
    assert (_strict(row["v"]) if row["v"] else None) == meaning


def _line(value: str, form: Csv | Ndjson) -> str:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE t AS SELECT {value} AS v, 1 AS beside")
        relation = connection.sql("SELECT * FROM t")
        columns = dict(zip(relation.columns, map(str, relation.types), strict=True))
        text: str = connection.sql(f"SELECT {line(form, columns)} FROM t").fetchall()[0][0]
        return header(form, columns).decode() + text
