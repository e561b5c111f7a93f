"""What people and the journey look up: windows with their deliveries and artifacts, states, earlier generations.

Nothing is written here. Every look-up of windows is three queries, however many there are.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, cast

from sqlalchemy import Connection, RowMapping, Select, and_, exists, select
from sqlalchemy.sql.elements import ColumnElement

from resources.ledger import schema
from resources.ledger.engine import Transactions
from resources.ledger.records import Artifact, Delivery, Lease, Window

window, delivery, artifact = schema.window, schema.delivery, schema.artifact

WINDOW = tuple(name for name in Window.__dataclass_fields__ if name != "deliveries")
DELIVERY = tuple(name for name in Delivery.__dataclass_fields__ if name != "artifacts")
ARTIFACT = tuple(name for name in Artifact.__dataclass_fields__ if name != "delivery")
ORDERS = {
    True: (window.c.export, window.c.partition.desc(), window.c.generation.desc()),
    False: (window.c.export, window.c.partition, window.c.generation),
}


def _latest() -> ColumnElement[bool]:
    later = window.alias("later")
    same = and_(later.c.export == window.c.export, later.c.partition == window.c.partition)
    return ~exists().where(and_(same, later.c.generation > window.c.generation))


def _artifact(row: RowMapping, of: str) -> Artifact:
    return Artifact(delivery=of, **{name: row[name] for name in ARTIFACT})


def gather(conn: Connection, wanted: ColumnElement[bool], *, newest_first: bool = False) -> list[Window]:
    """The windows that `wanted` (a condition on the table) chooses, whole."""
    chosen = select(window.c.id).where(wanted)
    found = conn.execute(select(window).where(wanted).order_by(*ORDERS[newest_first])).mappings().all()
    deliveries = _deliveries(conn, chosen)
    return [Window(**{name: row[name] for name in WINDOW}, deliveries=tuple(deliveries[row["id"]])) for row in found]


def _deliveries(conn: Connection, chosen: Select[Any]) -> dict[int, list[Delivery]]:
    artifacts = _artifacts(conn, chosen)
    query = select(delivery).where(delivery.c.window_id.in_(chosen)).order_by(delivery.c.id)
    found: dict[int, list[Delivery]] = defaultdict(list)
    for row in conn.execute(query).mappings():
        mine = tuple(_artifact(one, row["name"]) for one in artifacts[row["id"]])
        found[row["window_id"]].append(Delivery(**{name: row[name] for name in DELIVERY}, artifacts=mine))
    return found


def _artifacts(conn: Connection, chosen: Select[Any]) -> dict[int, list[RowMapping]]:
    query = select(artifact).join(delivery).where(delivery.c.window_id.in_(chosen)).order_by(artifact.c.id)
    found: dict[int, list[RowMapping]] = defaultdict(list)
    for row in conn.execute(query).mappings():
        found[row["delivery_id"]].append(row)
    return found


def one(conn: Connection, window_id: int) -> Window:
    """One generation by its id."""
    return gather(conn, window.c.id == window_id)[0]


class Reading(Transactions):
    """The look-ups. Each is one consistent picture."""

    def window(self, export: str, partition: str) -> Window | None:
        """The current generation, None when the window was never planned."""
        named = and_(window.c.export == export, window.c.partition == partition, _latest())
        with self.read() as conn:
            return next(iter(gather(conn, named)), None)

    def windows(self, export: str, *, newest_first: bool = True) -> list[Window]:
        """The current generation of every window of an export, by partition key."""
        with self.read() as conn:
            return gather(conn, and_(window.c.export == export, _latest()), newest_first=newest_first)

    def states(self, export: str) -> dict[str, str]:
        """The state of every window's current generation, by partition key."""
        query = select(window.c.partition, window.c.state).where(window.c.export == export, _latest())
        with self.read() as conn:
            return {row.partition: row.state for row in conn.execute(query.order_by(window.c.partition))}

    def history(self, export: str | None = None, partition: str | None = None) -> list[Window]:
        """Every generation, by export, partition and generation: of everything, one export or one window."""
        wanted = [window.c.export == export] if export is not None else []
        wanted += [window.c.partition == partition] if partition is not None else []
        with self.read() as conn:
            return gather(conn, and_(True, *wanted))

    def written(self, lease: Lease, delivery_name: str, name: str, *, any_window: bool) -> frozenset[str]:
        """The sha256 of everything that this delivery ever sealed for `name`, in this window or, if asked, in any.

        What stands there with one of these is ours, however far the attempt got that put it there. The files of
        another export, delivery or (unless asked) window are not: they are not to be replaced.
        """
        mine = [window.c.export == lease.export, delivery.c.name == delivery_name, artifact.c.name == name]
        mine += [] if any_window else [window.c.partition == lease.partition]
        query = select(artifact.c.sha256).join(delivery, artifact.c.delivery_id == delivery.c.id)
        query = query.join(window, delivery.c.window_id == window.c.id).where(*mine)
        with self.read() as conn:
            return frozenset(conn.execute(query).scalars())

    def taken_by(self, window_id: int, delivery_name: str, name: str) -> str | None:
        """The newest later partition of the export whose same delivery was published under that name; None if none."""
        mine = window.alias("mine")
        lo, export = (select(mine.c[one]).where(mine.c.id == window_id).scalar_subquery() for one in ("lo", "export"))
        later = and_(window.c.export == export, window.c.lo > lo, delivery.c.published.is_not(None))
        query = select(window.c.partition).join(delivery, delivery.c.window_id == window.c.id)
        query = query.join(artifact, artifact.c.delivery_id == delivery.c.id)
        query = query.where(later, delivery.c.name == delivery_name, artifact.c.name == name)
        with self.read() as conn:
            return cast("str | None", conn.execute(query.order_by(window.c.lo.desc()).limit(1)).scalar())

    def older_generations(self, lease: Lease) -> tuple[Artifact, ...]:
        """All that the older generations of the lease's window sealed for deliveries that still go to one connector."""
        with self.read() as conn:
            found = conn.execute(_sealed_before(lease)).mappings().all()
        return tuple(_artifact(row, row["of"]) for row in found)

    def last_fingerprint(self, export: str) -> tuple[str, str] | None:
        """(fingerprint, partition) of the generation that was sealed last, None when none ever was."""
        sealed = and_(window.c.export == export, window.c.sealed.is_not(None))
        query = select(window.c.fingerprint, window.c.partition).where(sealed)
        with self.read() as conn:
            row = conn.execute(query.order_by(window.c.sealed.desc()).limit(1)).first()
        return None if row is None else (row.fingerprint, row.partition)


def _sealed_before(lease: Lease) -> Select[Any]:
    mine = delivery.alias("mine")
    same = and_(mine.c.name == delivery.c.name, mine.c.connector == delivery.c.connector)
    older = and_(
        window.c.export == lease.export,
        window.c.partition == lease.partition,
        window.c.generation < lease.generation,
    )
    return (
        select(artifact, delivery.c.name.label("of"))
        .join(delivery, artifact.c.delivery_id == delivery.c.id)
        .join(window, delivery.c.window_id == window.c.id)
        .join(mine, and_(same, mine.c.window_id == lease.window_id))
        .where(older)
        .order_by(delivery.c.name, artifact.c.id)
    )
