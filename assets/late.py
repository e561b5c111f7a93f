"""Late rows: rows of a delivered window that were committed after it had been read. Which windows are looked at for
them, when, and what a correction is called.

How rows are told apart is in seen.py; a correction is driven like any other window, by the journey.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from assets.horizon import Horizon
from assets.plan import Plan, key_columns
from assets.seen import count_late, kept
from assets.transform import engine
from assets.windows import Window
from resources.ledger import Ledger
from resources.ledger import Window as WindowRecord
from resources.spool import Spool
from spec.base import seconds
from spec.export import Export
from spec.source import IdCursor, TimeCursor

CORRECTION = re.compile(r"late:(\d+):(\d+)")
"""The `again` of a correction: the generation that lacks rows, and how many were found missing."""
THEN = {
    "restate": "it is delivered again",
    "carry": "they are delivered with the window that is read now",
    "report": "it is left as it is (`late: restate` or `carry` would deliver them)",
}


def is_kept(plan: Plan, window: Window, horizon: Horizon) -> bool:
    """Whether the keys of a window are worth keeping: rows can be told apart, and a sweep will look at it."""
    cursor = plan.export.source.cursor
    if (
        cursor is None
        or plan.export.mode != "incremental"
        or not key_columns(plan)
        or not _looked_at(cursor, horizon.kind)
    ):
        return False
    return window.hi + seconds(cursor.lookback) >= horizon.at


def due(export: Export, ledger: Ledger, driven: set[str]) -> list[WindowRecord]:
    """The windows of other runs that ended less than `lookback` ago, oldest first, with corrections that were begun.

    None unless this run has driven such a recent window itself: a backfill of old ones looks at nothing.
    """
    cursor = export.source.cursor
    if cursor is None or export.mode != "incremental":
        return []
    since, records = ledger.now() - seconds(cursor.lookback), ledger.windows(export.export, newest_first=False)
    if not any(record.partition in driven and record.hi > since for record in records):
        return []
    return [
        record for record in records
        if record.partition not in driven and record.hi > since
        and (is_begun(record) or (cursor.late != "carry" and _may_lack(cursor, record)))
    ]  # fmt: skip


def before(export: Export, ledger: Ledger, window: Window) -> list[WindowRecord] | None:
    """The windows whose late rows `window` carries: those before it that ended less than `lookback` ago.

    None where it carries none: it ended longer ago itself, or no `late: carry` is declared.
    """
    cursor = export.source.cursor
    since = ledger.now() - seconds(cursor.lookback) if cursor else ledger.now()
    if cursor is None or cursor.late != "carry" or window.hi <= since:
        return None
    records = ledger.windows(export.export, newest_first=False)
    return [record for record in records if since < record.hi <= window.lo and _may_lack(cursor, record)]


def _may_lack(cursor: TimeCursor | IdCursor, record: WindowRecord) -> bool:
    known = record.reached == "done" and record.seen is not None
    return known and _looked_at(cursor, str((record.horizon or {}).get("kind")))


def _looked_at(cursor: TimeCursor | IdCursor, horizon: str) -> bool:
    """A window that was read behind a gate lacks nothing, so it is looked at only where `late` was written down."""
    return horizon != "gate" or cursor.late is not None


def is_begun(record: WindowRecord) -> bool:
    """Whether it is a correction that an earlier run began and did not end."""
    return record.reached != "done" and late_rows(record) is not None


def asked(record: WindowRecord, rows: int) -> str:
    """What asks for the correction of a generation, the same however often it is tried."""
    return record.again or "" if is_begun(record) else f"late:{record.generation}:{rows}"


def late_rows(record: WindowRecord) -> int | None:
    """How many late rows a generation was made for; None when it is no correction."""
    found = CORRECTION.fullmatch(record.again or "")
    return int(found[2]) if found else None


def look(
    plan: Plan, records: Sequence[WindowRecord], ledger: Ledger, spool: Spool, folder: Path, owner: str,
    say: Callable[[str], None],
) -> dict[str, int]:  # fmt: skip
    """Count the late rows of the windows, by partition, and write them down; {} where they are only to be reported.

    Raises ConnectorError and what else a reading raises.
    """
    name, policy = plan.export.export, _policy(plan.export)
    known = kept(plan, records, ledger, spool, folder)
    with engine(folder, spool.root) as connection:
        found = count_late(plan, known, connection, folder, plan.database.activity().server)
    for key, rows in found.items():
        say(f"{key}: {rows} rows were committed after it was read; {THEN[policy]}")
        ledger.event("late", export=name, partition=key, who=owner, detail=f"{rows} rows")
    return {} if policy == "report" else found


def _policy(export: Export) -> str:
    """No window is delivered again by itself where a partner takes files away: it has the window's other rows."""
    cursor = export.source.cursor
    usual = "report" if any(delivery.collects for delivery in export.deliver) else "restate"
    return (cursor.late if cursor else None) or usual
