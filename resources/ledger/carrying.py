"""Whose rows are whose: the late rows of a window that another one delivered, and what may not have moved meanwhile.

Which rows those are is found in assets/carry.py. They are kept here and not in the spool, because a row whose owner was
forgotten would be delivered twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, RowMapping, and_, func, insert, or_, select

from resources.ledger import rows
from resources.ledger.engine import Transactions
from resources.ledger.records import Carried, Lease, Ownership
from resources.ledger.schema import carried, window
from spec.errors import LedgerError


class Carrying(Transactions):
    """Looking up what was carried; it is recorded by the seal."""

    def ownership(self, export: str, partition: str) -> Ownership:
        """What any sealed generation has carried out of a window or into it, and the version of that."""
        either = or_(carried.c.partition == partition, window.c.partition == partition)
        into = window.c.partition.label("into")
        query = select(carried.c.partition, into, carried.c.rows, carried.c["keys"]).join(
            window, carried.c.window_id == window.c.id
        )
        query = query.where(window.c.export == export, either).order_by(carried.c.window_id, carried.c.partition)
        with self.read() as conn:
            found = tuple(Carried(*row) for row in conn.execute(query))
            return Ownership(version(conn, export, partition), found)


def version(conn: Connection, export: str, partition: str) -> int:
    """Which seal was the last to say whose the window's rows are: its own, or one that carried some; 0 before any."""
    takers = select(carried.c.window_id).where(carried.c.partition == partition)
    says = and_(window.c.export == export, or_(window.c.partition == partition, window.c.id.in_(takers)))
    return int(conn.execute(select(func.max(window.c.sealed)).where(says)).scalar() or 0)


def refuse_moved(conn: Connection, lease: Lease, basis: Mapping[str, int]) -> None:
    """Raise LedgerError (retriable) when somebody else took rows of these windows since; holds the export's lock."""
    if not basis:
        return
    rows.lock_export(conn, lease.export)
    moved = [partition for partition, known in basis.items() if version(conn, lease.export, partition) != known]
    if moved:
        problem = LedgerError(
            f"{rows.place(lease)}: another run delivered rows of {', '.join(map(repr, moved))} meanwhile, maybe the "
            "same late ones; nothing was kept: run it again, and it looks again"
        )
        problem.retriable = True
        raise problem


def keep(conn: Connection, row: RowMapping, found: Sequence[Carried]) -> None:
    """Write down what a window carries, in the transaction of its seal."""
    for one in found:
        values = {"partition": one.partition, "rows": one.rows, "keys": one.keys}
        conn.execute(insert(carried).values(window_id=row["id"], **values))
