"""Contenders for one job: run in turn, round after round, their rows compared with the limit's, and a table of it all.

Which contenders there are is said in speed.py and window.py; what a row must be, in same.py.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import same
from bench.measure import Broken, Measured, interleaved, measured, spread, table
from bench.project import EXPORT, Bench
from bench.rows import COLUMNS

LIMIT = "psql COPY | pigz -1"


@dataclass(frozen=True)
class Contender:
    """What runs in a folder of its own, and the pattern of the files it leaves there; "" for none."""

    run: Callable[[Path], Measured]
    files: str = ""


@dataclass(frozen=True)
class Verdict:
    """How many bytes a contender left, and how its rows compare with the limit's."""

    size: int = 0
    counts: bool = True
    words: str = ""


def contest(base: Path, contenders: Mapping[str, Contender], rounds: int) -> dict[str, list[Measured]]:
    """Run them all. A contender whose first round has other rows than the limit's, which come first, counts not."""
    limit: same.Sums = {}
    verdicts: dict[str, Verdict] = {}

    def run(name: str, number: int) -> Measured:
        contender, folder = contenders[name], base / re.sub(r"\W+", "-", name)
        got = contender.run(folder)
        if number == 0 and contender.files:
            files = sorted(path for path in folder.glob(contender.files) if path.is_file())
            if not files:
                raise Broken(f"{name}: no {contender.files} in {folder}")
            rows = same.sums(files)
            limit.update(limit or rows)
            verdicts[name] = Verdict(sum(path.stat().st_size for path in files), *same.verdict(rows, limit))
        return got

    found = interleaved({name: partial(run, name) for name in contenders}, rounds)
    _report(found, verdicts)
    return found


def _report(found: Mapping[str, Sequence[Measured]], verdicts: Mapping[str, Verdict]) -> None:
    base = [each.wall for each in found[LIMIT]]
    lines = []
    for name, got in found.items():
        verdict = verdicts.get(name, Verdict())
        ratio = spread([each.wall / one for each, one in zip(got, base, strict=True)]) if verdict.counts else ""
        peak = "" if "psql" in name else f"{max(each.peak for each in got) / 1e6:.0f}"
        wall, cpu = (spread(values, ".1f") for values in ([each.wall for each in got], [each.cpu for each in got]))
        size = f"{verdict.size / 1e6:.1f}" if verdict.size else ""
        lines.append((name, ratio, wall, cpu, peak, size, verdict.words))
    table(("contender", "x the limit, wall", "wall s", "CPU s", "peak MB", "MB", "rows"), lines)


def fresh(folder: Path) -> Path:
    """The folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def copy(url: str, rest: str, where: str = "true") -> Contender:
    """COPY by psql of the rows into a shell's `rest`."""

    def run(folder: Path) -> Measured:
        query = f"COPY (SELECT {COLUMNS} FROM rows WHERE {where}) TO STDOUT (FORMAT csv, HEADER)"
        command = f"psql -q -c {shlex.quote(query)} {shlex.quote(url)} {rest}"
        return measured(["/bin/sh", "-c", command], fresh(folder))

    return Contender(run, "rows.csv.gz" if "rows.csv.gz" in rest else "")


def outgate(source: Mapping[str, object], form: str, key: str, how: str) -> Contender:
    """Outgate's way `how`, of one window: `reading`, `journey`, `receipt` (see project.py), or the whole `command`."""

    def run(folder: Path) -> Measured:
        bench = Bench.of(folder, source, (form,))
        if how == "reading":
            return bench.reading(key)
        ways = {"journey": bench.journey, "receipt": bench.receipt}
        got = ways[how](key) if how in ways else bench.command("run", EXPORT, "--partition", key)
        ledger, _ = bench.home.open()
        record = ledger.window(EXPORT, key)
        ledger.close()
        if record is None or record.state != "done":
            raise Broken(f"{folder}: the ledger has {record}")
        return got

    return Contender(run, "extract.parquet" if how == "reading" else f"out/**/*.{form}")
