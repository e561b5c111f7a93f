"""Parts of a size: none is larger, whatever the rows and the format; and few large row groups in Parquet's."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from assets.parts import GROUP
from tests.assets.files import parts

ROWS = "SELECT i AS id, md5(i::VARCHAR) AS token, (i * 1.01)::DECIMAL(18,2) AS amount FROM range({}) r(i)"
HALF = 60_000
TURNING = (
    f"SELECT i AS id, CASE WHEN i < {HALF} THEN repeat('a', 64) ELSE sha256(i::VARCHAR) || sha256('x' || i) END AS token "
    f"FROM range({2 * HALF}) r(i) ORDER BY i"
)


def test_row_groups_are_large(tmp_path: Path) -> None:
    """Every group but the last holds as much as it may."""
    (part,) = parts(ROWS.format(1_000_000), "{type: parquet}", tmp_path)
    meta = pq.read_metadata(part.path)
    sizes = [meta.row_group(number).num_rows for number in range(meta.num_row_groups)]
    assert len(sizes) <= 1 + 1_000_000 * 64 // GROUP, sizes
    assert min(sizes[:-1]) > GROUP // 80, sizes
    assert pq.read_table(part.path, columns=["id"])["id"].to_pylist() == list(range(1_000_000))


FORMATS = (
    "{type: csv}", "{type: csv, compression: gzip}", "{type: csv, compression: gzip, compression_level: 9}",
    "{type: csv, compression: zstd}", "{type: csv, compression: zip}", "{type: csv, compression: tgz}",
    "{type: csv, compression: tar}", "{type: ndjson, compression: gzip}", "{type: parquet}",
)  # fmt: skip


@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.parametrize("form", FORMATS)
def test_no_part_is_larger_than_it_may_be(form: str, limit: int, tmp_path: Path) -> None:
    """Also where rows that compress well are followed by rows that do not compress at all; and none is small."""
    made = parts(TURNING, form.replace("}", f", part_size: {limit}MB}}"), tmp_path)
    sizes = [part.bytes for part in made]
    assert max(sizes) <= limit * 1_000_000, sizes
    assert min(sizes[:-1]) > limit * 400_000, sizes
    assert sum(part.rows for part in made) == 2 * HALF
