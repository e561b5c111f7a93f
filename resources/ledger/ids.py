"""Cursors by id: where a key's range begins, fixing it once and for all, and the lock under which that is done.

How the end of a range is found at the source belongs in assets/extract.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import Connection, and_, func, select, update

from resources.failpoint import reach
from resources.ledger import rows
from resources.ledger.audit import Audit
from resources.ledger.records import IdPosition, Lease
from resources.ledger.schema import export as exports
from resources.ledger.schema import window
from spec.errors import ConnectorError, LeaseLost

POLL_SECONDS = 0.1
A_MINUTE = timedelta(minutes=1)


def position(conn: Connection, export: str, partition: str) -> IdPosition:
    """Where the ids of that key begin."""
    fixed = and_(window.c.export == export, window.c.high_id.is_not(None))
    low = select(func.max(window.c.high_id)).where(fixed, window.c.partition < partition)
    later = select(window.c.id).where(fixed, window.c.partition > partition).limit(1)
    return IdPosition(conn.execute(low).scalar(), conn.execute(later).first() is not None)


def _fits(at: IdPosition, low: int | None, high: int) -> bool:
    after = at.low is None or (low is not None and low >= at.low)
    return low == high or (after and not at.skipped)


class Ids(Audit):
    """The ranges `low < id <= high` of an export's keys; `low` None is the whole history before the first."""

    def last_id(self, export: str, partition: str) -> IdPosition:
        """The highest id fixed for any key before this one, and whether a later key was fixed already."""
        with self.read() as conn:
            return position(conn, export, partition)

    def fix_ids(self, lease: Lease, low: int | None, high: int) -> tuple[int | None, int]:
        """Keep the range of the lease's window; what was kept before wins. Returns what is kept.

        Raises LeaseLost when the lease is gone, and when another key took those ids meanwhile (the export's lock was
        lost): nothing is kept then.
        """
        reach("ledger.fix_ids.before")
        with self.write() as conn:
            kept = self._fix(conn, lease, low, high)
        reach("ledger.fix_ids.after")
        return kept

    def _fix(self, conn: Connection, lease: Lease, low: int | None, high: int) -> tuple[int | None, int]:
        rows.lock_export(conn, lease.export)
        row = rows.fenced(conn, lease)
        if row["high_id"] is not None:
            return row["low_id"], row["high_id"]
        at = position(conn, lease.export, lease.partition)
        if not _fits(at, low, high):
            raise LeaseLost(
                f"{rows.place(row)}: the ids ({low!r}, {high!r}] overlap those of another key ({at}); "
                "fix them under the export's lock, after asking for the position there"
            )
        rows.set_window(conn, row, low_id=low, high_id=high)
        self.note(conn, "ids_fixed", row, who=lease.owner, detail=f"({low!r}, {high!r}]")
        return low, high

    @contextmanager
    def export_lock(
        self,
        export: str,
        owner: str,
        ttl: timedelta,
        timeout: timedelta = A_MINUTE,
        dead: Callable[[str], bool] = lambda _: False,
    ) -> Iterator[int]:
        """Be the only one who fixes ids of that export; yields the lock's fence.

        It ends with the block, after `ttl` if the process dies, or at once where its owner is known to be `dead`.
        Raises ConnectorError (retriable) when it is not free within `timeout`. `fix_ids` itself refuses what a holder
        that overslept its `ttl` would spoil.
        """
        fence = self._wait(export, owner, ttl, timeout, dead)
        try:
            yield fence
        finally:
            self._unlock(export, fence)

    def _wait(self, export: str, owner: str, ttl: timedelta, timeout: timedelta, dead: Callable[[str], bool]) -> int:
        end = time.monotonic() + timeout.total_seconds()
        while True:
            fence, holder = self._try_lock(export, owner, ttl, dead)
            if fence:
                return fence
            if time.monotonic() >= end:
                raise ConnectorError(f"{export}: {holder} is fixing its ids; try again later", retriable=True)
            time.sleep(POLL_SECONDS)

    def _try_lock(self, export: str, owner: str, ttl: timedelta, dead: Callable[[str], bool]) -> tuple[int, str]:
        with self.write() as conn:
            row, now = rows.lock_export(conn, export), self.instant(conn)
            if row["lease_owner"] is not None and row["lease_until"] > now and not dead(row["lease_owner"]):
                return 0, f"{row['lease_owner']!r} (until {row['lease_until']:%H:%M:%S} UTC)"
            values = {"fence": row["fence"] + 1, "lease_owner": owner, "lease_until": now + ttl}
            conn.execute(update(exports).where(exports.c.name == export).values(**values))
            return row["fence"] + 1, ""

    def _unlock(self, export: str, fence: int) -> None:
        mine = and_(exports.c.name == export, exports.c.fence == fence)
        with self.write() as conn:
            conn.execute(update(exports).where(mine).values(lease_owner=None, lease_until=None))
