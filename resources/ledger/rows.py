"""The rows that several steps look for: an export under its lock, a window by name or by lease, a delivery of it.

Each function works inside the caller's transaction. Locks are always taken in one order: export, window, quota, ledger.
"""

from __future__ import annotations

from hashlib import sha256

from sqlalchemy import Connection, RowMapping, and_, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import Insert as PostgresInsert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.schema import Table
from sqlalchemy.sql.elements import ColumnElement

from resources.ledger import schema
from resources.ledger.records import Lease
from spec.errors import LeaseLost, LedgerError

window, delivery = schema.window, schema.delivery


def insert_missing(conn: Connection, table: Table, **values: object) -> None:
    """Insert one row unless its primary key is there already; waits for a rival that is inserting the same."""
    statement: PostgresInsert | SqliteInsert
    statement = postgresql.insert(table) if conn.dialect.name == "postgresql" else sqlite.insert(table)
    conn.execute(statement.values(**values).on_conflict_do_nothing())


def lock_export(conn: Connection, name: str) -> RowMapping:
    """The export's row, made if need be, and nobody else's until this transaction ends."""
    insert_missing(conn, schema.export, name=name)
    query = select(schema.export).where(schema.export.c.name == name).with_for_update(key_share=True)
    return conn.execute(query).mappings().one()


def current(conn: Connection, export: str, partition: str) -> RowMapping | None:
    """The window's highest generation, locked; None when it was never planned."""
    named = and_(window.c.export == export, window.c.partition == partition)
    query = select(window).where(named).order_by(window.c.generation.desc()).limit(1).with_for_update(key_share=True)
    return conn.execute(query).mappings().one_or_none()


def _mine(lease: Lease) -> ColumnElement[bool]:
    return and_(window.c.id == lease.window_id, window.c.fence == lease.fence, window.c.lease_owner == lease.owner)


def fenced(conn: Connection, lease: Lease) -> RowMapping:
    """The lease's window, locked for the rest of the transaction. Raises LeaseLost when the fence has moved on."""
    statement = update(window).where(_mine(lease)).values(fence=lease.fence).returning(*window.c)
    row = conn.execute(statement).mappings().one_or_none()
    if row is None:
        raise lost(conn, lease)
    return row


def held(conn: Connection, lease: Lease) -> bool:
    """Whether the lease's fence is still the window's; nothing is locked."""
    return conn.execute(select(window.c.id).where(_mine(lease))).first() is not None


def lost(conn: Connection, lease: Lease) -> LeaseLost:
    """The error for a lease that is no longer good, naming who has the window now."""
    found = conn.execute(select(window.c.fence, window.c.lease_owner).where(window.c.id == lease.window_id)).first()
    now = f"it stands at fence {found.fence}, owner {found.lease_owner!r}" if found else "it is not in this ledger"
    return LeaseLost(
        f"{place(lease)}: {lease.owner!r} no longer holds it with fence {lease.fence} ({now}); "
        "nothing was changed: stop here, whoever has it finishes it"
    )


def place(lease: Lease | RowMapping) -> str:
    """How messages name a window."""
    of = lease if isinstance(lease, RowMapping) else vars(lease)
    return f"{of['export']}/{of['partition']} generation {of['generation']}"


def delivery_of(conn: Connection, row: RowMapping, name: str) -> RowMapping:
    """One delivery of a window. Raises LedgerError when the window has none of that name."""
    query = select(delivery).where(delivery.c.window_id == row["id"])
    found = {one["name"]: one for one in conn.execute(query).mappings()}
    if name not in found:
        raise LedgerError(f"{place(row)} has no delivery {name!r}; it has {', '.join(map(repr, found)) or 'none'}")
    return found[name]


def set_window(conn: Connection, row: RowMapping, **values: object) -> None:
    """Change columns of one window."""
    conn.execute(update(window).where(window.c.id == row["id"]).values(**values))


def set_delivery(conn: Connection, row: RowMapping, **values: object) -> None:
    """Change columns of one delivery."""
    conn.execute(update(delivery).where(delivery.c.id == row["id"]).values(**values))


def clear_tokens(conn: Connection, row: RowMapping) -> None:
    """Forget what was staged for one delivery."""
    conn.execute(
        update(schema.artifact).where(schema.artifact.c.delivery_id == row["id"]).values(token=None, attempted=False)
    )


def bump(conn: Connection) -> int:
    """The ledger's next sequence number. Last in its transaction: its row is everybody's."""
    sequence = schema.ledger.c.sequence
    return int(conn.execute(update(schema.ledger).values(sequence=sequence + 1).returning(sequence)).scalar_one())


def add_deliveries(conn: Connection, row: RowMapping, wanted: list[tuple[str, str]], now: object) -> None:
    """Freeze the list of deliveries of a planned window."""
    rows = [
        {"window_id": row["id"], "name": name, "connector": connector, "key": key(row, name), "updated_at": now}
        for name, connector in wanted
    ]
    if rows:
        conn.execute(insert(delivery).values(reached="planned", state="planned"), rows)


def key(row: RowMapping, name: str) -> str:
    """The idempotency key of a delivery: 32 hex digits made of its names and nothing else."""
    named = f"{row['export']}|{row['partition']}|{row['generation']}|{name}"
    return sha256(named.encode()).hexdigest()[:32]
