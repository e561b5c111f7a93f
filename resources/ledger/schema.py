"""The ledger's tables, their version, and what lifts an older version to this one.

Only the shape of what is kept belongs here; who may write what is said in the modules named after the steps.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.types import TypeDecorator, TypeEngine


class Instant(TypeDecorator[datetime]):
    """An aware datetime in UTC: timestamptz on PostgreSQL, ISO text of fixed width (so it sorts) on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime] | TypeEngine[str]:
        """The column's own type on that database."""
        return DateTime(timezone=True) if dialect.name == "postgresql" else Text()

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | str | None:
        """A naive datetime is refused: nobody could say later which instant it was."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"an instant needs its time zone, got {value!r}; use datetime(..., tzinfo=UTC)")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.isoformat(timespec="microseconds")

    def process_result_value(self, value: datetime | str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Aware and in UTC, whatever the session's zone is."""
        if value is None:
            return None
        return (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(UTC)


# Partition keys must sort as Python sorts them, not as the server's language does.
KEY = Text().with_variant(Text(collation="C"), "postgresql")
BIG = BigInteger().with_variant(Integer(), "sqlite")
DOCUMENT = JSON(none_as_null=True)
tables = MetaData()

ledger = Table(
    "ledger",
    tables,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("sequence", BIG, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("environment", Text),  # "" without OUTGATE_ENV; NULL until a ledger of version 1 or 2 is next opened
)

export = Table(
    "export",
    tables,
    Column("name", KEY, primary_key=True),
    Column("grid", Text),
    Column("fence", BIG, nullable=False, server_default="0"),
    Column("lease_owner", Text),
    Column("lease_until", Instant),
    Column("active", Boolean),
    Column("nulls_in", Text),  # the partition whose window took the rows without a cursor
)

window = Table(
    "window",
    tables,
    Column("id", BIG, primary_key=True),
    Column("export", KEY, ForeignKey("export.name"), nullable=False),
    Column("partition", KEY, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("again", Text),
    Column("lo", Instant, nullable=False),
    Column("hi", Instant, nullable=False),
    Column("low_id", BIG),
    Column("high_id", BIG),
    Column("declaration", DOCUMENT, nullable=False),
    Column("fingerprint", Text),
    Column("server", Text),
    Column("reached", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("fence", BIG, nullable=False, server_default="0"),
    Column("lease_owner", Text),
    Column("lease_until", Instant),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("horizon", DOCUMENT),
    Column("rows", BIG),
    Column("bytes", BIG),
    Column("detail", Text, nullable=False, server_default=""),
    Column("run", Text),
    Column("seen", DOCUMENT),
    Column("base", DOCUMENT),
    Column("sealed", BIG),  # the ledger's sequence at that moment: an order that no clock can disturb
    Column("started_at", Instant),
    Column("finished_at", Instant),
    UniqueConstraint("export", "partition", "generation"),
    UniqueConstraint("export", "partition", "again"),
    quote=True,
)

delivery = Table(
    "delivery",
    tables,
    Column("id", BIG, primary_key=True),
    Column("window_id", BIG, ForeignKey(window.c.id), nullable=False),
    Column("name", Text, nullable=False),
    Column("connector", Text, nullable=False),
    Column("key", Text, nullable=False, unique=True),
    Column("reached", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False, server_default="1"),
    Column("detail", Text, nullable=False, server_default=""),
    Column("receipt", DOCUMENT),
    Column("published", BIG),  # the sequence when it was last published; a redelivery does not take it back
    Column("updated_at", Instant, nullable=False),
    UniqueConstraint("window_id", "name"),
)

artifact = Table(
    "artifact",
    tables,
    Column("id", BIG, primary_key=True),
    Column("delivery_id", BIG, ForeignKey(delivery.c.id), nullable=False),
    Column("kind", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("path", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("rows", BIG, nullable=False),
    Column("bytes", BIG, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("token", Text),
    Column("attempted", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("delivery_id", "kind", "number"),
    Index("artifact_name", "name"),
)

carried = Table(
    "carried",
    tables,
    Column("window_id", BIG, ForeignKey(window.c.id), primary_key=True),
    Column("partition", KEY, primary_key=True, index=True),  # the window that they came too late for
    Column("rows", BIG, nullable=False),
    Column("keys", LargeBinary, nullable=False),
)

quota = Table(
    "quota",
    tables,
    Column("pool", Text, primary_key=True),
    Column("period", Text, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("limit", BIG, nullable=False),
    Column("reserved", BIG, nullable=False, server_default="0"),
    Column("committed", BIG, nullable=False, server_default="0"),
)

reservation = Table(
    "reservation",
    tables,
    Column("key", Text, primary_key=True),
    Column("pool", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("amount", BIG, nullable=False),
    Column("state", Text, nullable=False),
    Column("charge", Text, nullable=False),
    Column("window_id", BIG, ForeignKey(window.c.id), index=True),
)

event = Table(
    "event",
    tables,
    Column("id", BIG, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("export", KEY),
    Column("partition", KEY),
    Column("generation", Integer),
    Column("delivery", Text),
    Column("what", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Index("event_of", "export", "partition"),
)


MIGRATIONS: tuple[tuple[str, ...], ...] = (
    ('ALTER TABLE "window" ADD COLUMN seen JSON',),
    ("ALTER TABLE ledger ADD COLUMN environment TEXT", "ALTER TABLE export ADD COLUMN nulls_in TEXT"),
    (
        """CREATE TABLE carried (
        window_id BIGINT NOT NULL REFERENCES "window" (id), partition TEXT NOT NULL, rows BIGINT NOT NULL,
        keys BYTEA NOT NULL, PRIMARY KEY (window_id, partition))""",
        "CREATE INDEX ix_carried_partition ON carried (partition)",
    ),
    ('ALTER TABLE "window" ADD COLUMN base JSON',),
)
"""Entry n holds the statements, valid on both databases, that lift version n + 1 to n + 2."""

VERSION = len(MIGRATIONS) + 1


def upgrade(conn: Connection, found: int) -> None:
    """Lift a ledger of version `found` to this one, inside the caller's transaction."""
    for statements in MIGRATIONS[found - 1 :]:
        for statement in statements:
            conn.execute(text(statement))
    conn.execute(ledger.update().values(version=len(MIGRATIONS) + 1))
