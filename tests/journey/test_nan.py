"""Floats that are no number, beside finite ones only: no filter and no detour through a file loses or renames them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journey.days import after
from tests.small import EXPORT, Small, day

ROWS = "CREATE OR REPLACE TABLE sales AS SELECT * FROM (VALUES (1, 'nan'::{0}), (2, 1.5::{0}), (3, NULL)) v(id, r)"
EXPORTED = EXPORT.replace("  cursor: {by: time, column: sold_at, key: id, stamped_by: database}\n", "").replace(
    "partitions:", "mode: snapshot\nMORE\npartitions:"
)
LANES = {
    "streamed": "",
    "through a file": "unique: [id]",
}
FILTER = "filters: {{any: [{{all: [{{field: r, is: at_least, value: {0}}}]}}]}}"
WANTED = {"": [("1", "NaN"), ("2", "1.5"), ("3", "")], "0": [("1", "NaN"), ("2", "1.5")], "1.6": [("1", "NaN")]}
"""What is left of the rows, by the lowest value that is wanted."""


@pytest.mark.parametrize("kind", ["DOUBLE", "FLOAT"])
@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("least", WANTED)
def test_nan_is_kept(tmp_path: Path, kind: str, lane: str, least: str) -> None:
    """It counts above all numbers and is spelled NaN, in both lanes."""
    more = "\n".join(filter(None, [LANES[lane], FILTER.format(least) if least else ""]))
    small = Small.make(tmp_path, EXPORTED.replace("MORE\n", f"{more}\n" if more else ""))
    small.sql(ROWS.format(kind))
    small.home.create().close()
    with after(day(0)):
        [outcome] = small.journey().run([day(0)])
    assert outcome.good, outcome.detail
    found = sorted((row["id"], row["r"]) for row in small.rows(day(0)))
    assert found == WANTED[least]
