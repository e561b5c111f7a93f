"""730 daily windows in one command: Dagster runs, cost at the source against one full read, where the time goes.

The source is the demo's events; one full read of it is the same command with all windows in one chunk. Wall and
CPU are shown by purse (traced.py), and what a second call costs, which has
nothing to do. `--events 500000`, `--rounds 3`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from statistics import median

from bench.loyalty import ARGUMENTS, DAYS, UNTIL, declared, losses
from bench.measure import Measured, measured, spread, table
from bench.project import REPOSITORY, Bench, scratch
from bench.traced import SOURCE
from demo.generate import generate

RUNS_ALLOWED, READS_ALLOWED = 25, 2.0
Report = dict[str, dict[str, float]]


def main() -> int:
    """Measure, print, end with 1 where a figure is over its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    reports: list[Report] = []
    reads: list[Report] = []
    whole: list[Measured] = []
    second: list[Measured] = []
    with scratch("backfill") as folder:
        source = folder / "loyalty.duckdb"
        generate(source, UNTIL, events=chosen.events)
        for number in range(chosen.rounds):
            bench = declared(folder / "project", source)
            reads.append(_traced(declared(folder / "at once", source, chunk=1000))[0])
            report, run = _traced(bench)
            reports.append(report)
            whole.append(run)
            runs = _runs(bench)
            second.append(bench.command(*ARGUMENTS))
            print(f"  round {number + 1}: {run.wall:.0f} s", flush=True)
        lost = losses(source, bench.delivered(".csv.gz"))
        return _report(reports, reads, whole, second, (runs, _runs(bench)), lost)


def _traced(bench: Bench) -> tuple[Report, Measured]:
    path = bench.folder / "report.json"
    command = [sys.executable, "-m", "bench.traced", str(path), *ARGUMENTS]
    got = measured(command, bench.folder, {"PYTHONPATH": str(REPOSITORY)})
    report: Report = json.loads(path.read_text(encoding="utf-8"))
    return report, got


def _runs(bench: Bench) -> int:
    from pipelines.project import Project
    from pipelines.runs import instance_of

    with instance_of(bench.home, Project(bench.folder / "pipelines")) as instance:
        return int(instance.get_runs_count())


def _report(
    reports: Sequence[Report], reads: Sequence[Report], whole: Sequence[Measured], second: Sequence[Measured],
    runs: tuple[int, int], losses: tuple[int, int, int],
) -> int:  # fmt: skip
    _split(reports)
    lost, doubled, delivered = losses
    for name, got in (("whole", whole), ("second call", second)):
        wall, cpu = spread([each.wall for each in got]), spread([each.cpu for each in got])
        print(f"{name}: {wall} s wall, {cpu} s CPU, peak {max(each.peak for each in got) / 1e6:.0f} MB")
    print(f"{DAYS} windows, {delivered:,} rows, {lost} lost, {doubled} doubled")
    print(f"Dagster runs: {runs[0]}, and {runs[1]} after the second call; allowed {RUNS_ALLOWED}")
    cost = {kind: _cost(reports, reads, kind) for kind in ("wall", "cpu")}
    for kind, ratios in cost.items():
        print(f"time at the source against one full read, {kind}: {spread(ratios)}; allowed {READS_ALLOWED}")
    good = max(runs) <= RUNS_ALLOWED and median(cost["wall"]) <= READS_ALLOWED and lost == doubled == 0
    print("PASS" if good else "FAIL")
    return int(not good)


def _cost(reports: Sequence[Report], reads: Sequence[Report], kind: str) -> list[float]:
    """Each round's time at the source against the full read before it."""
    return [_at_source(report, kind) / _at_source(read, kind) for report, read in zip(reports, reads, strict=True)]


def _at_source(report: Report, kind: str) -> float:
    return sum(purse[kind] for name, purse in report.items() if name.startswith(SOURCE))


def _split(reports: Sequence[Report]) -> None:
    """The median of each purse, the largest first."""
    purses = {name: {what: median([each[name][what] for each in reports]) for what in ("wall", "cpu", "calls")}
              for name in reports[0]}  # fmt: skip
    total = sum(each["wall"] for each in purses.values())
    order = sorted(purses, key=lambda name: -purses[name]["wall"])
    table(("where", "wall s", "of all", "CPU s", "calls", "ms a call"), [
        (name, f"{got['wall']:.2f}", f"{got['wall'] / total:.0%}", f"{got['cpu']:.2f}", f"{got['calls']:.0f}",
         f"{got['wall'] / got['calls'] * 1000:.2f}" if got["calls"] else "")
        for name in order for got in [purses[name]]
    ])  # fmt: skip
