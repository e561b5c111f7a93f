"""Aggregates against PostgreSQL's own: exact sums, averages of a stated scale, counts that do not wrap.

A hundred thousand rows; ten million with OUTGATE_PROVE=1.
"""

from __future__ import annotations

import os
from typing import Any

import psycopg
import pyarrow.parquet as pq
from psycopg.rows import TupleRow

from tests.journey.days import after
from tests.journey.trial import Trial

ROWS = 10_000_000 if os.environ.get("OUTGATE_PROVE") == "1" else 100_000
DAY = "2024-01-01"
TABLE = f"""
CREATE UNLOGGED TABLE sums AS SELECT
    (ARRAY['a', 'ä', '', NULL, 'B'])[1 + i % 5] AS place, i % 97 AS number, i AS id,
    CASE WHEN i % 11 > 0 THEN (i * 7919 % 1000003)::numeric(18,4) / 7 END::numeric(18,4) AS price,
    (90071992547409 - i % 3)::bigint AS large, (i % 32767)::smallint AS small,
    (99999999999999999999999999.99 - i)::numeric(28,2) AS wide,
    timestamptz '2024-01-01 00:00:00Z' + i * interval '1 microsecond' AS at
FROM generate_series(1::bigint, {ROWS}) AS r (i)
"""
FIELDS: list[dict[str, Any]] = [
    {"from": "place", "aggregate": "group"},
    {"from": "number", "aggregate": "group"},
    {"from": "id", "to": "rows", "aggregate": "count"},
    *({"from": name, "to": f"{name}_sum", "aggregate": "sum"} for name in ("price", "large", "small", "wide")),
    *({"from": name, "to": f"{name}_average", "aggregate": "average"} for name in ("price", "small")),
    *({"from": name, "to": f"{name}_least", "aggregate": "min"} for name in ("price", "at", "wide")),
    *({"from": name, "to": f"{name}_most", "aggregate": "max"} for name in ("price", "at", "large")),
]
ASKED = """
SELECT place, number, count(*), sum(price), sum(large), sum(small), sum(wide), round(avg(price), 8), round(avg(small), 4),
       min(price), min(at), min(wide), max(price), max(at), max(large)
FROM sums GROUP BY place, number
"""


def test_aggregates_are_those_of_postgres(trial: Trial, source: psycopg.Connection[TupleRow]) -> None:
    """Every group and every figure, typed: a decimal of PostgreSQL is that decimal, a cent is a cent."""
    source.execute(TABLE)
    trial.declare({"table": "sums"}, mode="snapshot", fields=FIELDS)
    with after(DAY):
        [outcome] = trial.run(DAY)
    assert outcome.good, outcome.detail
    [path] = trial.files("parquet", DAY)
    table = pq.read_table(path)
    assert not [kind for kind in table.schema.types if str(kind) in {"float", "double"}]
    found = [tuple(row.values()) for row in table.to_pylist()]
    expected = [tuple(row) for row in source.execute(ASKED.encode())]
    assert len(found) == len(set(found)) == 5 * 97
    assert set(found) == set(expected)
