"""The order of `mode: changes`: what a window's rows are compared with, what must end before it, what overtook it.

What was delivered is a file of the spool, made and read in assets/changes.py; here is which window's counts.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, and_, exists, or_, select, true
from sqlalchemy.sql.elements import ColumnElement

from resources.ledger import rows
from resources.ledger.engine import Transactions
from resources.ledger.reading import gather
from resources.ledger.records import Lease, Order
from resources.ledger.schema import window
from spec.errors import LedgerError


class Changing(Transactions):
    """Looking the order up; the seal makes sure of it."""

    def order(self, export: str, partition: str, lo: datetime) -> Order:
        """What comes before the window that begins at `lo`, and after it."""
        with self.read() as conn:
            return _order(conn, export, partition, lo)


def _order(conn: Connection, export: str, partition: str, lo: datetime) -> Order:
    mine, before = window.c.export == export, _before(lo, partition)
    kept = and_(mine, before, _last_sealed(), window.c.reached == "done")
    base_id = select(window.c.id).where(kept).order_by(window.c.lo.desc(), window.c.partition.desc()).limit(1)
    base = next(iter(gather(conn, window.c.id == base_id.scalar_subquery())), None)
    since = ~_before(base.lo, base.partition) if base else true()
    open_ = and_(mine, before, since, _last_sealed(), window.c.reached != "done")
    later = and_(mine, ~before, window.c.partition != partition, window.c.sealed.is_not(None))
    after = sorted(gather(conn, later), key=lambda each: (each.lo, each.partition, each.generation))
    return Order(base, tuple(gather(conn, open_)), tuple(after))


def _last_sealed() -> ColumnElement[bool]:
    """Of every window the newest generation that was sealed: one that never was has changed nothing."""
    other = window.alias("other")
    same = and_(other.c.export == window.c.export, other.c.partition == window.c.partition)
    later = and_(same, other.c.generation > window.c.generation, other.c.sealed.is_not(None))
    return and_(window.c.sealed.is_not(None), ~exists().where(later))


def _before(lo: datetime, partition: str) -> ColumnElement[bool]:
    return or_(window.c.lo < lo, and_(window.c.lo == lo, window.c.partition < partition))


def refuse_disorder(conn: Connection, lease: Lease, base: int | None, *, fresh: bool) -> None:
    """Raise LedgerError (retriable) when rows were compared with what is not the last delivery any more.

    `base` is the id of the generation that they were compared with; `fresh` that this was to be none.
    """
    rows.lock_export(conn, lease.export)
    lo = conn.execute(select(window.c.lo).where(window.c.id == lease.window_id)).scalar_one()
    order = _order(conn, lease.export, lease.partition, lo)
    known = order.base.id if order.base else None
    if order.later or (not fresh and (order.open or known != base)):
        problem = LedgerError(
            f"{rows.place(lease)}: another run sealed changes meanwhile; nothing was kept: run it again, and it "
            "comes after those"
        )
        problem.retriable = True
        raise problem
