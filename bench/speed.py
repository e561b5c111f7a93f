"""Rows from PostgreSQL to files, against the limit (psql's COPY through pigz -1 on two cores), dlt and Sling.

Contenders run interleaved, each in a process of its own; Outgate and its peers must have delivered every row. Ratios
are to the limit of the same round. `--million 1`, `--rounds 3`, `--without dlt sling`. pigz comes from apt.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench import peers
from bench.measure import Broken, Measured, interleaved, measured, spread, table
from bench.project import EXPORT, Bench, postgres, scratch
from bench.rows import COLUMNS, into_postgres, key
from tests.servers.postgres import running_postgres

LIMIT = "psql COPY | pigz -1"
FORMATS = ("csv.gz", "ndjson.gz", "parquet")
Contender = Callable[[int], Measured]


def main() -> int:
    """Measure and print; nothing here can fail but a contender."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--million", type=float, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without", nargs="*", default=[], choices=["dlt", "sling"])
    chosen = parser.parse_args()
    rows = int(chosen.million * 1_000_000)
    with scratch("speed") as folder, running_postgres(folder / "server") as server, server.database("bench") as url:
        into_postgres(server, "bench", [rows])
        contenders = _contenders(folder, url, rows, {"dlt", "sling"} - {*chosen.without})
        found = interleaved(contenders, chosen.rounds)
        sizes = {name: _size(folder / _slug(name)) for name in contenders}
    _report(found, sizes, rows)
    return 0


def _contenders(folder: Path, url: str, rows: int, wanted: set[str]) -> dict[str, Contender]:
    """By name; what one delivers lies in the folder of its slug."""
    nowhere = "psql COPY > /dev/null"
    made: dict[str, Contender] = {
        LIMIT: partial(_shell, folder / _slug(LIMIT), url, "| pigz -1 -p 2 > rows.csv.gz"),
        nowhere: partial(_shell, folder / _slug(nowhere), url, "> /dev/null"),
    }
    for form in FORMATS:
        made[f"journey, {form}"] = partial(_journey, folder / _slug(f"journey, {form}"), postgres(url), form, rows)
    made["outgate run, csv.gz"] = partial(_command, folder / _slug("outgate run, csv.gz"), postgres(url), rows)
    if "sling" in wanted and peers.installed("sling"):
        made["Sling 1.4.11, csv.gz"] = partial(peers.sling, folder / "sling", url, rows)
    if "dlt" in wanted and peers.installed("dlt"):
        for form, backend in (("csv", "pyarrow"), ("csv", "connectorx"), ("parquet", "connectorx")):
            name = f"dlt {backend}, {form}"
            made[name] = partial(peers.dlt, folder / _slug(name), url, form, backend, rows)
    return made


def _slug(name: str) -> str:
    return re.sub(r"\W+", "-", name)


def _shell(folder: Path, url: str, rest: str, _round: int) -> Measured:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    copy = shlex.quote(f"COPY (SELECT {COLUMNS} FROM rows) TO STDOUT (FORMAT csv, HEADER)")
    return measured(["/bin/sh", "-c", f"psql -q -c {copy} {shlex.quote(url)} {rest}"], folder)


def _journey(folder: Path, source: Mapping[str, Any], form: str, rows: int, _round: int) -> Measured:
    bench = Bench.of(folder, source, (form,))
    got = bench.journey(key(0))
    _all_there(bench, rows)
    return got


def _command(folder: Path, source: Mapping[str, Any], rows: int, _round: int) -> Measured:
    bench = Bench.of(folder, source, ("csv.gz",))
    got = bench.command("run", EXPORT, "--partition", key(0))
    _all_there(bench, rows)
    return got


def _all_there(bench: Bench, rows: int) -> None:
    ledger, _ = bench.home.open()
    record = ledger.window(EXPORT, key(0))
    ledger.close()
    if record is None or record.state != "done" or record.rows != rows:
        raise Broken(f"{bench.folder}: expected {rows} rows, the ledger has {record}")


def _size(folder: Path) -> int:
    """What a contender delivered: by all of them, a compressed file of rows."""
    files = [path for path in folder.rglob("*") if path.is_file() and not {".outgate", "state"} & {*path.parts}]
    return sum(path.stat().st_size for path in files if path.suffix in {".gz", ".parquet", ".csv"})


def _report(found: Mapping[str, Sequence[Measured]], sizes: Mapping[str, int], rows: int) -> None:
    base = [each.wall for each in found[LIMIT]]
    head = ("contender", "x the limit, wall", "wall s", "CPU s", "peak MB", "MB")
    lines = []
    for name, got in found.items():
        ratio = spread([each.wall / one for each, one in zip(got, base, strict=True)])
        peak = "" if "psql" in name else f"{max(each.peak for each in got) / 1e6:.0f}"
        wall, cpu = (spread(values, ".1f") for values in ([each.wall for each in got], [each.cpu for each in got]))
        lines.append((name, ratio, wall, cpu, peak, f"{sizes[name] / 1e6:.0f}" if sizes[name] else ""))
    table(head, lines)
    rate = rows / statistics.median([each.wall for each in found["journey, csv.gz"]])
    print(f"{rows:,} rows, journey to csv.gz: {rate:,.0f} rows a second")
