"""How far the source may be read: the horizon gate, its fallback to the declared lag, and the wait for either.

A row that is stamped before the horizon is visible, because no transaction that is still open began before it. That
holds only for stamps that the database sets and where the database lets us see who else is writing; else the declared
lag takes the gate's place, and the receipt says so. Reading the database's activity is the connector's work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlglot import exp

from resources.databases.base import Activity, Database
from spec.base import seconds
from spec.errors import NotYet
from spec.source import IdCursor, TimeCursor

GUARD = timedelta(seconds=1)
POLL_SECONDS = 0.25
Say = Callable[[str], None]


@dataclass(frozen=True)
class Horizon:
    """What a reading may rely on: everything stamped before `at` is visible. `kind` is the receipt's one word.

    `server` and `position` say where a later sweep for late rows may begin.
    """

    at: datetime
    kind: str
    detail: str
    server: str
    position: str = ""

    def as_dict(self) -> dict[str, object]:
        """For the ledger and the manifest."""
        return {"at": self.at.astimezone(UTC).isoformat(), "kind": self.kind, "detail": self.detail}


def look(database: Database, cursor: TimeCursor | IdCursor | None) -> Horizon:
    """The horizon as it is now. A snapshot export (no cursor) is as of the database's clock."""
    activity = database.activity()
    if cursor is None:
        return Horizon(activity.clock, "gate", "one read-only snapshot", activity.server, activity.position)
    why = _no_gate(cursor, activity)
    if why:
        at = activity.clock - seconds(cursor.lag)
        return Horizon(at, "lag", f"{why}; lag {cursor.lag}", activity.server, activity.position)
    at = min(activity.clock, activity.oldest or activity.clock) - GUARD
    return Horizon(at, "gate", activity.detail, activity.server, activity.position)


def _no_gate(cursor: TimeCursor | IdCursor, activity: Activity) -> str:
    return activity.blind if cursor.stamped_by == "database" else "the cursor is stamped by the application"


def wait_for(
    database: Database, cursor: TimeCursor | IdCursor | None, until: datetime, deadline: float, say: Say
) -> Horizon:
    """Wait until the horizon has reached `until`, at most to the monotonic `deadline`. Raises NotYet."""
    say = _once(say)
    while True:
        horizon = look(database, cursor)
        if cursor is None or horizon.at >= until:
            return horizon
        known = f"{horizon.kind}: {horizon.detail or 'no detail'}"
        text = f"the source's horizon is {horizon.at:%Y-%m-%d %H:%M:%S} UTC ({known})"
        if time.monotonic() >= deadline or horizon.at + timedelta(seconds=deadline - time.monotonic()) < until:
            raise NotYet(
                f"not yet: the window ends at {until:%Y-%m-%d %H:%M:%S} UTC and {text}; it can be read after that"
            )
        say(f"waiting: {text}")
        time.sleep(POLL_SECONDS)


def settle_ids(
    database: Database,
    relation: exp.Expr,
    cursor: IdCursor,
    deadline: float,
    say: Say,
    fixed: int | None = None,
) -> tuple[int | None, Horizon]:
    """The highest id that can be read up to without missing a lower one, and how that is known.

    H is taken first; then every transaction that was open at that moment must end, because each may still commit an id
    below H. Where that cannot be seen, the lag is waited instead. A range that an earlier attempt has `fixed` waits for
    the transactions of now, and for no lag a second time. Raises NotYet at the deadline.
    """
    settled = database.settled(relation, cursor.column)
    high = fixed if fixed is not None else database.newest(relation, cursor.column) if settled is None else settled
    activity = first = database.activity()
    if settled is not None and high is not None and high <= settled:
        told = "the database tells which values are settled"
        return high, Horizon(first.clock, "gate", told, first.server, first.position)
    why = _no_gate(cursor, activity)
    if not why and not database.sequential(relation, cursor.column):
        why = "the ids are not handed out one by one by the database"
    pending = activity.open
    say = _once(say)
    ends = time.monotonic() + (seconds(cursor.lag).total_seconds() if fixed is None else 0)
    while time.monotonic() < ends if why else pending:
        if time.monotonic() >= deadline or (why and ends > deadline):
            raise NotYet(f"not yet: ids up to {high} may still be joined by lower ones ({why or activity.detail})")
        say(f"waiting for transactions that may still commit lower ids: {why or activity.detail}")
        time.sleep(POLL_SECONDS)
        activity = database.activity()
        why = why or _no_gate(cursor, activity)
        pending &= activity.open
    return high, Horizon(first.clock, "lag" if why else "gate", why or first.detail, first.server, first.position)


def _once(say: Say) -> Say:
    """Says the first thing that it is told: a wait is worth one line, however often one looks."""
    left = [say]
    return lambda text: left.pop()(text) if left else None
