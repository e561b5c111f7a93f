"""Parquet: few large row groups, also where the file is split; what a group holds back counts towards the part."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from assets.parts import GROUP
from tests.assets.files import parts

ROWS = "SELECT i AS id, md5(i::VARCHAR) AS token, (i * 1.01)::DECIMAL(18,2) AS amount FROM range({}) r(i)"
LIMIT = 2_000_000


def test_row_groups_are_large(tmp_path: Path) -> None:
    """Every group but the first, which tells how well rows compress, and the last, holds as much as it may."""
    (part,) = parts(ROWS.format(1_000_000), "{type: parquet}", tmp_path)
    meta = pq.read_metadata(part.path)
    sizes = [meta.row_group(number).num_rows for number in range(meta.num_row_groups)]
    assert len(sizes) <= 2 + 1_000_000 * 64 // GROUP, sizes
    assert min(sizes[1:-1]) > GROUP // 80, sizes
    assert pq.read_table(part.path, columns=["id"])["id"].to_pylist() == list(range(1_000_000))


def test_a_split_counts_what_is_held_back(tmp_path: Path) -> None:
    """No part is larger than it may be, none but the last is small, and every row is in one of them."""
    made = parts(ROWS.format(500_000), f"{{type: parquet, part_size: {LIMIT // 1_000_000}MB}}", tmp_path)
    assert max(part.bytes for part in made) <= LIMIT
    assert min(part.bytes for part in made[1:-1]) > LIMIT // 2, [part.bytes for part in made]
    found = [value for part in made for value in pq.read_table(part.path, columns=["id"])["id"].to_pylist()]
    assert found == list(range(500_000))
