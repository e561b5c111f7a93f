"""Taking a window, keeping it, giving it back: who may write, and which generation is the current one.

What the holder then writes belongs in journey.py.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, and_, delete, insert, select, update

from resources.failpoint import reach
from resources.ledger import rows
from resources.ledger.audit import Audit
from resources.ledger.reading import one
from resources.ledger.records import Acquired, Lease, WindowSpec
from resources.ledger.schema import delivery, window
from spec.errors import DeclarationError

INHERITED = ("export", "partition", "lo", "hi", "low_id", "high_id", "declaration")


def plan(conn: Connection, now: datetime, generation: int, **values: object) -> RowMapping:
    """Insert one generation that nothing was done for yet."""
    fresh = {"generation": generation, "reached": "planned", "state": "planned", "started_at": now}
    return conn.execute(insert(window).values(**values, **fresh).returning(*window.c)).mappings().one()


def take(conn: Connection, row: RowMapping, now: datetime, owner: str, ttl: timedelta, **also: object) -> Lease:
    """Move the fence on and hand the window to `owner`; what the last attempt said about itself is cleared."""
    attempt = {"fence": row["fence"] + 1, "attempts": row["attempts"] + 1, "state": row["reached"], "detail": ""}
    rows.set_window(conn, row, lease_owner=owner, lease_until=now + ttl, **attempt, **also)
    # A lost answer is a fact about the destination, not about the attempt: it stays until the destination was asked.
    passing = and_(delivery.c.window_id == row["id"], delivery.c.state.in_(("failed", "held")))
    conn.execute(update(delivery).where(passing).values(state=delivery.c.reached, detail=""))
    return Lease(row["id"], row["export"], row["partition"], row["generation"], row["fence"] + 1, owner)


def refuse_busy(row: RowMapping, now: datetime) -> str:
    """Who has the window and until when; empty when nobody has."""
    if row["lease_owner"] is None or row["lease_until"] <= now:
        return ""
    return f"{row['lease_owner']!r} has {rows.place(row)} until {row['lease_until']:%Y-%m-%d %H:%M:%S} UTC"


def _known(conn: Connection, spec: WindowSpec, again: str | None) -> bool:
    mine = and_(window.c.export == spec.export, window.c.partition == spec.partition, window.c.again == again)
    return again is None or conn.execute(select(window.c.id).where(mine)).first() is not None


def _refreeze(conn: Connection, row: RowMapping, spec: WindowSpec, now: datetime) -> dict[str, object]:
    if row["reached"] != "planned":
        return {}
    conn.execute(delete(delivery).where(delivery.c.window_id == row["id"]))
    rows.add_deliveries(conn, row, list(spec.deliveries), now)
    return {"declaration": spec.declaration, "lo": spec.lo, "hi": spec.hi}


class Leases(Audit):
    """The window's lease. Every write of its holder asks for the fence; the lease's end alone takes nothing away."""

    def acquire(
        self,
        spec: WindowSpec,
        owner: str,
        ttl: timedelta,
        again: str | None = None,
        run: str | None = None,
        dead: Callable[[str], bool] = lambda _: False,
    ) -> Acquired:
        """Take the current generation of a window, planning it where need be.

        `again` is the id of a root run: a done window gets one new generation for each such id. Without it a done
        window is left alone. `owner` takes its own live lease anew, and that of an owner who is `dead`. Raises
        DeclarationError without a delivery.
        """
        if not spec.deliveries:
            raise DeclarationError(f"{spec.export}: there is nothing under `deliver:`; add a delivery")
        reach("ledger.acquire.before")
        with self.write() as conn:
            acquired = self._acquire(conn, spec, owner, ttl, again=again, run=run, dead=dead)
        reach("ledger.acquire.after")
        return acquired

    def _acquire(
        self,
        conn: Connection,
        spec: WindowSpec,
        owner: str,
        ttl: timedelta,
        *,
        again: str | None,
        run: str | None,
        dead: Callable[[str], bool],
    ) -> Acquired:
        rows.lock_export(conn, spec.export)
        now = self.instant(conn)
        row = self._generation(conn, spec, again, now)
        free = row["reached"] == "done" or row["lease_owner"] == owner or dead(row["lease_owner"] or "")
        busy = "" if free else refuse_busy(row, now)
        if busy or row["reached"] == "done":
            return Acquired(one(conn, row["id"]), None, busy)
        # A run that finishes what it found half done must not, when it is retried, read it all once more.
        claimed = row["again"] if row["again"] or _known(conn, spec, again) else again
        frozen = _refreeze(conn, row, spec, now)
        lease = take(conn, row, now, owner, ttl, run=run or row["run"], again=claimed, **frozen)
        self.note(conn, "leased", row, who=owner, detail=f"fence {lease.fence}, attempt {row['attempts'] + 1}")
        return Acquired(one(conn, row["id"]), lease, "")

    def _generation(self, conn: Connection, spec: WindowSpec, again: str | None, now: datetime) -> RowMapping:
        row = rows.current(conn, spec.export, spec.partition)
        if row is None:
            frozen = {"declaration": spec.declaration, "lo": spec.lo, "hi": spec.hi}
            return plan(conn, now, 1, export=spec.export, partition=spec.partition, again=again, **frozen)
        if row["reached"] != "done" or _known(conn, spec, again):
            return row
        return plan(conn, now, row["generation"] + 1, again=again, **{name: row[name] for name in INHERITED})

    def renew(self, lease: Lease, ttl: timedelta) -> None:
        """Keep the lease for `ttl` from now. Raises LeaseLost."""
        with self.write() as conn:
            row = rows.fenced(conn, lease)
            rows.set_window(conn, row, lease_until=self.instant(conn) + ttl)

    def check(self, lease: Lease) -> None:
        """Raise LeaseLost when the fence has moved on."""
        with self.read() as conn:
            if not rows.held(conn, lease):
                raise rows.lost(conn, lease)

    def _release_lease(self, lease: Lease) -> None:
        with self.write() as conn:
            if not rows.held(conn, lease):
                return
            row = rows.fenced(conn, lease)
            rows.set_window(conn, row, lease_owner=None, lease_until=None)
            self.note(conn, "released", row, who=lease.owner)
