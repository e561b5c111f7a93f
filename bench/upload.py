"""Files to a store, 1 GB in five parts of 200 MB, against the vendor's own tuned client in the same run.

Each contender is a process of its own, in turn with the others; what arrived in the first round is read back. Gates: at
least as fast as the fastest of the others, by the medians, and a peak of less than 200 MB. `--parts 5`, `--size 200`
(MB), `--rounds 5`, `--only s3`. A store is one row of STORES in uploading.py.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from bench.measure import Broken, Measured, interleaved, measured, spread, table
from bench.project import REPOSITORY, scratch
from bench.uploading import OURS, STORES, Place

MOST_MB = 200


def main() -> int:
    """Measure and print; 1 when a gate is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=int, default=5)
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=list(STORES), choices=list(STORES))
    chosen = parser.parse_args()
    with scratch("upload") as folder:
        files = _files(folder / "sealed", chosen.parts, chosen.size * 10**6)
        met = [_report(store, _contest(store, folder, files, chosen.rounds), files) for store in chosen.only]
    return 0 if all(met) else 1


def _files(folder: Path, count: int, size: int) -> list[Path]:
    """Bytes that nothing can make smaller."""
    folder.mkdir()
    made = [folder / f"part-{number}.csv.gz" for number in range(count)]
    for number, file in enumerate(made):
        with file.open("wb") as writer:
            source = random.Random(number)
            for begin in range(0, size, 10**6):
                writer.write(source.randbytes(min(10**6, size - begin)))
    return made


def _contest(store: str, folder: Path, files: Sequence[Path], rounds: int) -> dict[str, list[Measured]]:
    """A fresh server each round, as what was sent before would fill the disk; and each time another one begins."""
    found: dict[str, list[Measured]] = {}
    for number in range(rounds):
        with STORES[store].server(folder / f"server-{store}-{number}") as place:
            names = list(STORES[store].contenders)
            first = number % len(names)
            runs = {name: partial(_run, store, name, place, folder, files) for name in names[first:] + names[:first]}
            for name, got in interleaved(runs, 1).items():
                found.setdefault(name, []).extend(got)
            for name in names if number == 0 else ():
                _compare(store, name, place, files)
    return found


def _run(store: str, name: str, place: Place, folder: Path, files: Sequence[Path], _round: int) -> Measured:
    words = [store, name, *(f"{key}={value}" for key, value in place.items()), "--", *map(str, files)]
    return measured([sys.executable, "-m", "bench.uploading", *words], folder, {"PYTHONPATH": str(REPOSITORY)})


def _compare(store: str, name: str, place: Place, files: Sequence[Path]) -> None:
    for file in files:
        if STORES[store].get(place, f"{name}/{file.name}") != file.read_bytes():
            raise Broken(f"{store}: {name} left other bytes than those of {file.name}")


def _report(store: str, found: Mapping[str, Sequence[Measured]], files: Sequence[Path]) -> bool:
    size = sum(file.stat().st_size for file in files)
    walls = {name: [each.wall for each in got] for name, got in found.items()}
    medians = {name: statistics.median(wall) for name, wall in walls.items()}
    lines = []
    for name, got in found.items():
        cpu, peak = spread([each.cpu for each in got], ".1f"), max(each.peak for each in got) / 1e6
        lines.append((name, f"{size / 1e6 / medians[name]:.0f}", spread(walls[name], ".1f"), cpu, f"{peak:.0f}"))
    table((f"{store}: contender", "MB/s", "wall s", "CPU s", "peak MB"), lines)
    best = min(seconds for name, seconds in medians.items() if name != OURS)
    peak = max(each.peak for each in found[OURS]) / 1e6
    gates = {
        f"{best / medians[OURS]:.2f} times as fast as the fastest other": medians[OURS] <= best,
        f"{peak:.0f} MB of {MOST_MB} MB": peak < MOST_MB,
    }
    for words, met in gates.items():
        print(f"{'PASS' if met else 'FAIL'}: {store}: {words}")
    return all(gates.values())
