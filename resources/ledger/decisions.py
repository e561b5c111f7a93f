"""What is decided about a window from outside an attempt: a lost spool, a redelivery, the end of an unknown.

Each moves the fence, so that no older worker writes after it. The steps of an attempt belong in journey.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, RowMapping, select

from resources.ledger import rows
from resources.ledger.journey import Journey, worst
from resources.ledger.leases import INHERITED, Leases, plan, refuse_busy, take
from resources.ledger.records import Lease, WindowSpec
from resources.ledger.schema import delivery
from spec.errors import DeclarationError, LedgerError

SPENT = {"published", "done", "unknown"}


class Decisions(Journey, Leases):
    """Moves that end or reopen a generation."""

    def supersede(self, lease: Lease, reason: str, owner: str, ttl: timedelta, spec: WindowSpec) -> Lease:
        """Give up a sealed generation that cannot be delivered any more and plan the next one, leased to `owner`.

        The next one is of the declaration as it is now, and answers whatever asked for this one. What this one had
        reserved for its deliveries is given back, unless one of them may have reached its destination. Raises
        LeaseLost, and LedgerError when the generation is not sealed.
        """
        with self.write() as conn:
            rows.lock_export(conn, lease.export)
            row = rows.fenced(conn, lease)
            if row["reached"] != "sealed":
                raise LedgerError(f"{rows.place(row)} is {row['reached']!r}: only a sealed generation is superseded")
            self._give_up(conn, row, reason)
            successor = self._succeed(conn, row, owner, ttl, spec)
            self.note(conn, "superseded", row, who=lease.owner, detail=reason)
        return successor

    def _give_up(self, conn: Connection, row: RowMapping, reason: str) -> None:
        found = conn.execute(select(delivery).where(delivery.c.window_id == row["id"])).mappings()
        spent = any({one["reached"], one["state"]} & SPENT for one in found)
        self.settle(conn, row["id"], {}, spent=spent)
        ended = {"fence": row["fence"] + 1, "lease_owner": None, "lease_until": None}
        rows.set_window(conn, row, state="failed", detail=reason, finished_at=self.instant(conn), **ended)

    def _succeed(self, conn: Connection, row: RowMapping, owner: str, ttl: timedelta, spec: WindowSpec) -> Lease:
        now = self.instant(conn)
        rows.set_window(conn, row, again=None)
        kept = {name: row[name] for name in (*INHERITED, "run", "again")} | {"declaration": spec.declaration}
        following = plan(conn, now, row["generation"] + 1, **kept)
        rows.add_deliveries(conn, following, list(spec.deliveries), now)
        return take(conn, following, now, owner, ttl)

    def reopen(self, export: str, partition: str, deliveries: Sequence[str], who: str) -> None:
        """Let the next run deliver the same sealed bytes once more: all of those deliveries, or none where one cannot.

        No `deliveries` stand for all that the window has. Raises DeclarationError where it cannot be.
        """
        with self.write() as conn:
            row = self._free(conn, export, partition)
            if row["reached"] == "planned":
                raise DeclarationError(f"{rows.place(row)} has nothing sealed to deliver again; run it first")
            for found in _chosen(conn, row, deliveries):
                self._put(conn, row, found, "sealed")
                self.note(conn, "reopened", row, delivery=found["name"], who=who)

    def resolve(self, export: str, partition: str, delivery: str, delivered: bool, who: str) -> None:  # noqa: FBT001
        """Say what became of a delivery whose answer was lost: published, or still to be delivered.

        Raises DeclarationError when the delivery is not unknown.
        """
        with self.write() as conn:
            row = self._free(conn, export, partition)
            [found] = _chosen(conn, row, [delivery])
            if found["state"] != "unknown":
                raise DeclarationError(
                    f"{rows.place(row)}, delivery {delivery!r} is {found['state']!r}: only 'unknown' can be resolved"
                )
            self._put(conn, row, found, "published" if delivered else "sealed")
            said = "delivered" if delivered else "not delivered"
            self.note(conn, "resolved", row, delivery=delivery, who=who, detail=said)

    def _put(self, conn: Connection, row: RowMapping, found: RowMapping, reached: str) -> None:
        values: dict[str, object] = {"reached": reached, "state": reached, "detail": "", "receipt": None}
        if reached == "sealed":
            rows.clear_tokens(conn, found)
            values["attempt"] = found["attempt"] + 1
        else:
            values["published"] = rows.bump(conn)
        rows.set_delivery(conn, found, **values, updated_at=self.instant(conn))
        opened = {"reached": "sealed", "state": worst(conn, row, "sealed"), "detail": "", "finished_at": None}
        rows.set_window(conn, row, fence=row["fence"] + 1, lease_owner=None, lease_until=None, **opened)

    def _free(self, conn: Connection, export: str, partition: str) -> RowMapping:
        """The current generation, which nobody works on."""
        row = rows.current(conn, export, partition)
        if row is None:
            raise DeclarationError(f"{export}/{partition} was never run; `outgate history {export}` lists what was")
        busy = refuse_busy(row, self.instant(conn))
        if busy:
            raise DeclarationError(f"{busy}; wait until that run has ended, then try again")
        return row


def _chosen(conn: Connection, row: RowMapping, names: Sequence[str]) -> list[RowMapping]:
    """The window's deliveries of those names, all where none is given. Raises DeclarationError for an unknown one."""
    query = select(delivery).where(delivery.c.window_id == row["id"]).order_by(delivery.c.id)
    known = {found["name"]: found for found in conn.execute(query).mappings()}
    for name in names:
        if name not in known:
            raise DeclarationError(f"{rows.place(row)} has no delivery {name!r}; it has {', '.join(map(repr, known))}")
    return [known[name] for name in dict.fromkeys(names or known)]
