"""The same 730 windows, the process killed (SIGKILL) on its way and the command given again: 0 rows lost, 0 doubled."""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from pathlib import Path

from bench.loyalty import ARGUMENTS, DAYS, UNTIL, declared, losses
from bench.measure import Broken
from bench.project import COMMAND, Bench, scratch
from demo.generate import generate


def main() -> int:
    """Kill and call again, then compare. `--kills 2`, `--events 500000`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--kills", type=int, default=2)
    chosen = parser.parse_args()
    with scratch("killed") as folder:
        source = folder / "loyalty.duckdb"
        generate(source, UNTIL, events=chosen.events)
        bench = declared(folder / "project", source)
        for number in range(chosen.kills):
            seen = _kill_after(bench, DAYS * (number + 1) // (chosen.kills + 1))
            print(f"  killed with {seen} files at the destination", flush=True)
        bench.command(*ARGUMENTS)
        return _verdict(bench, source)


def _kill_after(bench: Bench, files: int) -> int:
    """SIGKILL the command, and whatever it started, once that many files are delivered."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OUTGATE_", "DAGSTER_"))}
    with (bench.folder / "killed.log").open("ab") as log:
        child = subprocess.Popen([COMMAND, *ARGUMENTS], cwd=bench.folder, env=plain, stdout=log, stderr=log)
        while len(bench.delivered(".csv.gz")) < files:
            if child.poll() is not None:
                raise Broken(f"the backfill ended before it was killed; {bench.folder}/killed.log says why")
            time.sleep(0.5)
        child.kill()
        child.wait()
    return len(bench.delivered(".csv.gz"))


def _verdict(bench: Bench, source: Path) -> int:
    lost, doubled, delivered = losses(source, bench.delivered(".csv.gz"))
    staged = len([path for path in bench.delivered(".part") if path.name.startswith(".")])
    print(f"{delivered:,} rows delivered, {lost} lost, {doubled} doubled, {staged} staged files left behind")
    good = lost == doubled == staged == 0 and delivered > 0
    print("PASS" if good else "FAIL")
    return int(not good)
