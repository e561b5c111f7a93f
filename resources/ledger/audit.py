"""The audit trail: one event for each change, written in the transaction of that change and never altered.

What is worth an event is decided where the change is made. Details are shown to people: no secret goes in.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, RowMapping, insert, select

from resources.ledger import schema
from resources.ledger.engine import Transactions
from resources.ledger.records import Event

SHOWN = ("at", "export", "partition", "generation", "delivery", "what", "who", "detail")
Values = Mapping[str, object] | RowMapping
PLACE = ("export", "partition", "generation")


class Audit(Transactions):
    """Writing and reading events."""

    def note(self, conn: Connection, what: str, place: Values, **more: object) -> None:
        """Add one event to the caller's transaction; `place` is a window's row, or as much of it as is known."""
        where = {name: place.get(name) for name in PLACE}
        values = {"at": self.instant(conn), "what": what, "who": "", "detail": "", **where, **more}
        conn.execute(insert(schema.event).values(values))

    def event(
        self,
        what: str,
        *,
        export: str | None = None,
        partition: str | None = None,
        generation: int | None = None,
        delivery: str | None = None,
        who: str = "",
        detail: str = "",
    ) -> None:
        """Record something that happened outside the ledger's own steps."""
        place = {"export": export, "partition": partition, "generation": generation}
        with self.write() as conn:
            self.note(conn, what, place, delivery=delivery, who=who, detail=detail)

    def events(self, export: str | None = None, partition: str | None = None) -> list[Event]:
        """The trail in the order in which it was written, of everything, one export or one of its partitions."""
        table = schema.event
        query = select(*(table.c[name] for name in SHOWN)).order_by(table.c.id)
        if export is not None:
            query = query.where(table.c.export == export)
        if partition is not None:
            query = query.where(table.c.partition == partition)
        with self.read() as conn:
            return [Event(*row) for row in conn.execute(query)]
