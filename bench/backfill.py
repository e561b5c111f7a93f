"""730 daily windows in one command: Dagster runs, cost at the source against one full read, where the time goes.

The source is the demo's events. Wall and CPU are shown by purse (traced.py), and what a second call costs, which has
nothing to do. `--events 500000`, `--rounds 3`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from statistics import median

from bench.loyalty import ARGUMENTS, DAYS, UNTIL, declared, losses
from bench.measure import Measured, measured, spread, table
from bench.project import EXPORT, REPOSITORY, Bench, scratch
from bench.traced import SOURCE
from demo.generate import generate

RUNS_ALLOWED, READS_ALLOWED = 25, 2.0
READS = 3
"""Full reads before each backfill, and as many after it: what stands between them is compared with their median."""
Report = dict[str, dict[str, float]]


def main() -> int:
    """Measure, print, end with 1 where a figure is over its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    reports: list[Report] = []
    reads: list[dict[str, float]] = []
    whole: list[Measured] = []
    second: list[Measured] = []
    with scratch("backfill") as folder:
        source = folder / "loyalty.duckdb"
        generate(source, UNTIL, events=chosen.events)
        for number in range(chosen.rounds):
            bench = declared(folder / "project", source)
            reads += [_full_read(bench) for _ in range(READS)]
            report, run = _traced(bench)
            reports.append(report)
            whole.append(run)
            reads += [_full_read(bench) for _ in range(READS)]
            runs = _runs(bench)
            second.append(bench.command(*ARGUMENTS))
            print(f"  round {number + 1}: {run.wall:.0f} s", flush=True)
        lost = losses(source, bench.delivered(".csv.gz"))
        return _report(reports, reads, whole, second, (runs, _runs(bench)), lost)


def _full_read(bench: Bench) -> dict[str, float]:
    """Wall and CPU seconds of one reading of all windows at once, from the first question to the closed snapshot."""
    from assets.extract import read
    from assets.horizon import look
    from assets.windows import Window
    from pipelines.project import Project

    project = Project(bench.folder / "pipelines")
    folder = bench.folder / "full"
    folder.mkdir(exist_ok=True)
    begun = time.perf_counter(), time.process_time()
    plan = project.planner(project.get(EXPORT))()
    span = Window("all", plan.grid.first.lo, plan.grid.window(ARGUMENTS[-1]).hi)
    horizon = look(plan.database, plan.export.source.cursor)
    read(plan, span, None, horizon, folder, lambda _rows, _bytes: None)
    return {"wall": time.perf_counter() - begun[0], "cpu": time.process_time() - begun[1]}


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
    reports: Sequence[Report], reads: Sequence[dict[str, float]], whole: Sequence[Measured], second: Sequence[Measured],
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


def _cost(reports: Sequence[Report], reads: Sequence[dict[str, float]], kind: str) -> list[float]:
    """Each round against the median of the full reads around it."""
    around = [reads[number : number + 2 * READS] for number in range(0, len(reads), 2 * READS)]
    return [
        sum(purse[kind] for name, purse in report.items() if name.startswith(SOURCE))
        / median([each[kind] for each in near])
        for report, near in zip(reports, around, strict=True)
    ]


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
