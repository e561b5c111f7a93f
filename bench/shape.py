"""Rows that were read to files: shaping, writing and compressing alone, against pigz -1 on the same bytes.

The extract is made once from a DuckDB file. Each contender is a process of its own; ours says what it took without its
start. The limit of a text format is `pigz -1` with both cores on the file's plain text. `--million 5`, `--rounds 3`.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.measure import Measured, interleaved, measured, spread, table
from bench.project import REPOSITORY, Bench, scratch
from bench.rows import into_duckdb, key

AGGREGATE: list[dict[str, Any]] = [
    {"from": "tenant", "aggregate": "group"}, {"from": "type", "aggregate": "group"},
    {"from": "channel", "aggregate": "group"}, {"from": "id", "to": "rows", "aggregate": "count"},
    {"from": "points", "to": "sum", "aggregate": "sum"}, {"from": "points", "to": "average", "aggregate": "average"},
    {"from": "updated_at", "to": "first", "aggregate": "min"}, {"from": "updated_at", "to": "last", "aggregate": "max"},
]  # fmt: skip
SHAPES: dict[str, tuple[str, dict[str, Any], float | None]] = {
    "csv.gz": ("csv.gz", {}, 1.3),
    "ndjson.gz": ("ndjson.gz", {}, 1.5),
    "parquet": ("parquet", {}, None),
    "aggregate, csv.gz": ("csv.gz", {"mode": "snapshot", "fields": AGGREGATE}, None),
}
"""Format, what else is declared, and the highest ratio to pigz on the plain text of the same file."""
MEMORY = 400_000_000


def main() -> int:
    """Measure, print the table; 1 where a limit was passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--million", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with scratch("shape") as folder:
        into_duckdb(folder / "rows.duckdb", [int(chosen.million * 1_000_000)])
        contenders: dict[str, Callable[[int], Measured]] = {}
        for name, (form, more, limit) in SHAPES.items():
            contenders[name] = _shaping(folder, name, form, more)
            if limit:
                contenders[f"pigz -1, {form}"] = _pigz(folder, name, form)
        return _report(interleaved(contenders, chosen.rounds))


def _shaping(folder: Path, name: str, form: str, more: dict[str, Any]) -> Callable[[int], Measured]:
    bench = Bench.of(folder / name, {"type": "duckdb", "path": str(folder / "rows.duckdb")}, (form,), **more)
    command = [sys.executable, "-m", "bench.shaping", str(bench.folder), key(0)]

    def run(number: int) -> Measured:
        if not number:
            bench.reading(key(0))
        shutil.rmtree(bench.folder / "parts", ignore_errors=True)
        got = measured(command, bench.folder, {"PYTHONPATH": str(REPOSITORY)})
        wall, cpu = (bench.folder / "bench.log").read_text().splitlines()[-1].split()
        return Measured(float(wall), float(cpu), got.peak)

    return run


def _pigz(folder: Path, name: str, form: str) -> Callable[[int], Measured]:
    def run(number: int) -> Measured:
        plain = folder / form.removesuffix(".gz")
        if not number:
            measured(["sh", "-c", f"pigz -dc '{folder / name}/parts/1' > {plain}"], folder)
        return measured(["sh", "-c", f"pigz -1 -p 2 < {plain} > {plain}.limit"], folder)

    return run


def _report(found: dict[str, list[Measured]]) -> int:
    lines, failed = [], []
    for name, got in found.items():
        form, _, limit = SHAPES.get(name, ("", {}, None))
        ratios = [one.wall / other.wall for one, other in zip(got, found.get(f"pigz -1, {form}", []), strict=False)]
        said = spread(ratios) if limit else ""
        peak = max(each.peak for each in got)
        wall, cpu = (spread(values, ".1f") for values in ([each.wall for each in got], [each.cpu for each in got]))
        lines.append((name, said, limit or "", wall, cpu, f"{peak / 1e6:.0f}" if form else ""))
        if (limit and statistics.median(ratios) > limit) or (form and peak > MEMORY):
            failed.append(name)
    table(("contender", "x pigz -1, wall", "limit", "wall s", "CPU s", "peak MB"), lines)
    print(f"FAIL: {', '.join(failed)}" if failed else f"PASS: within the limits, and under {MEMORY / 1e6:.0f} MB")
    return int(bool(failed))
