"""The judge: what the partners have, what their manifests say and what the ledger says, against the source's versions.

It reads the files with reader.py and the ledger's file with plain SQL; the product is not asked.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.crash.project import EXPORTS
from tests.crash.reader import READERS, Found, Rows, digest
from tests.crash.source import Row, Version
from tests.crash.work import Course

Entry = dict[str, Any]
WINDOW = 'SELECT * FROM "window" WHERE export = ? AND partition = ? ORDER BY generation'
DELIVERIES = "SELECT * FROM delivery WHERE window_id = ?"
ARTIFACTS = "SELECT * FROM artifact WHERE delivery_id = ?"


@dataclass
class Verdict:
    """Rows lost and doubled over all windows and partners, and everything else that is not as it should be."""

    lost: int = 0
    doubled: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def harm(self) -> int:
        """Rows that a partner misses or has too many of."""
        return self.lost + self.doubled


def check(root: Path, course: Course, versions: Sequence[Version], before: int = 0) -> Verdict:
    """Judge what lies in a place. `versions`: what the source was, one after the other, while the course was run;
    windows that only the deliveries before the course made were read from the first `before` of them.
    """
    verdict = Verdict()
    fresh = {(step.export, key) for step in course.steps for key in step.keys}
    again = {(step.export, key) for step in course.delivered for key in step.keys} & fresh
    with closing(sqlite3.connect(f"file:{root / 'home/ledger.db'}?mode=ro", uri=True)) as ledger:
        ledger.row_factory = sqlite3.Row
        for window in course.windows:
            seen = versions[before:] if window in fresh else versions[:before]
            _check_window(_Window(root, ledger, *window), seen, 2 if window in again else 1, verdict)
        _check_quota(ledger, verdict)
    _check_strangers(root, course, verdict)
    return verdict


@dataclass
class _Window:
    root: Path
    ledger: sqlite3.Connection
    export: str
    key: str

    def asked(self, statement: str, *values: object) -> list[Entry]:
        return [dict(row) for row in self.ledger.execute(statement, values)]

    def __str__(self) -> str:
        return f"{self.export}/{self.key}"


def _check_window(window: _Window, versions: Sequence[Version], generation: int, verdict: Verdict) -> None:
    generations = window.asked(WINDOW, window.export, window.key)
    if [(row["generation"], row["state"]) for row in generations] != [(n + 1, "done") for n in range(generation)]:
        verdict.problems.append(f"{window}: generations {[(r['generation'], r['state']) for r in generations]}")
    found = {
        name: READERS[name](window.root / "out" / name, window.export, window.key) for name in EXPORTS[window.export][1]
    }
    wanted = [Counter(row for row in rows if _inside(row, generations[-1])) for rows in versions]
    best = min(wanted, key=lambda rows: sum(_differences(rows, found)))
    lost, doubled = _differences(best, found)
    verdict.lost, verdict.doubled = verdict.lost + lost, verdict.doubled + doubled
    _check_receipts(window, generations[-1], best, found, verdict)


def _inside(row: Row, entry: Entry) -> bool:
    if entry["export"] == "numbers":
        return bool((entry["low_id"] or 0) < row.id <= (entry["high_id"] or 0))
    return datetime.fromisoformat(entry["lo"]) <= row.updated_at < datetime.fromisoformat(entry["hi"])


def _differences(wanted: Rows, found: dict[str, Found]) -> tuple[int, int]:
    lost = sum((wanted - one.rows).total() for one in found.values())
    return lost, sum((one.rows - wanted).total() for one in found.values())


def _check_receipts(window: _Window, entry: Entry, wanted: Rows, found: dict[str, Found], verdict: Verdict) -> None:
    said = {"rows of the window": entry["rows"]}
    for delivery in window.asked(DELIVERIES, entry["id"]):
        name, files = delivery["name"], found[delivery["name"]].files
        artifacts = window.asked(ARTIFACTS, delivery["id"])
        said |= {
            f"rows of {name}'s receipt": json.loads(delivery["receipt"] or '{"rows": null}')["rows"],
            f"rows of {name}'s parts": sum(one["rows"] for one in artifacts),
        }
        _check_files(f"{window} {name}", artifacts, files, verdict)
        if "_manifest.json" in files:
            _check_manifest(f"{window} {name}", json.loads(files["_manifest.json"]), entry, artifacts, verdict)
        if delivery["state"] != "done":
            verdict.problems.append(f"{window} {name}: the delivery is {delivery['state']!r}")
    verdict.problems += [f"{window}: {what}: {n}" for what, n in said.items() if n != wanted.total()]


def _check_files(where: str, artifacts: list[Entry], files: dict[str, bytes], verdict: Verdict) -> None:
    known = {Path(one["name"]).name: (one["bytes"], one["sha256"]) for one in artifacts}
    there = {name: (len(data), digest(data)) for name, data in files.items()}
    if known != there:
        wrong = sorted(name for name in known | there if known.get(name) != there.get(name))
        verdict.problems.append(f"{where}: not what the ledger says: {', '.join(wrong)}")


def _check_manifest(where: str, manifest: Entry, entry: Entry, artifacts: list[Entry], verdict: Verdict) -> None:
    columns = ("name", "rows", "bytes", "sha256")
    parts = [{name: one[name] for name in columns} for one in artifacts if one["kind"] == "part"]
    wanted = {"parts": parts, "rows": entry["rows"], "generation": entry["generation"], "partition": entry["partition"]}
    verdict.problems += [f"{where}: the manifest's {name} is {manifest[name]!r}"
                         for name, value in wanted.items() if manifest[name] != value]  # fmt: skip


def _check_quota(ledger: sqlite3.Connection, verdict: Verdict) -> None:
    for table in ("quota", "reservation"):
        if count := ledger.execute(f"SELECT count(*) FROM {table}").fetchone()[0]:
            verdict.problems.append(f"the ledger has {count} rows in {table}, and no export has a quota")


def _check_strangers(root: Path, course: Course, verdict: Verdict) -> None:
    """No hidden file, and no file in a folder of none of the windows."""
    for path in sorted(path for path in (root / "out").rglob("*") if path.is_file()):
        name = path.relative_to(root / "out").as_posix()
        mine = any(name.startswith((f"partner/{e}/{k}/", f"lake/{e}/{k}.ndjson")) for e, k in course.windows)
        if not mine or path.suffix in {".part", ".gone"}:
            verdict.problems.append(f"{name} was left behind")
