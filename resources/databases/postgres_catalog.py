"""What PostgreSQL's catalogue and statistics say: types, sequences, tables, and who could still commit rows.

Fixed statements with bound parameters, on a connection that somebody else opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from resources.databases import postgres_types
from resources.databases.base import Activity, Column

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

TYPES = b"""
SELECT CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN t.typname ELSE '' END,
       format_type(u.type, nullif(u.modifier, -1)), coalesce(a.attnotnull, false)
FROM unnest(%s::int8[]::oid[], %s::int4[], %s::int8[]::oid[], %s::int2[])
     WITH ORDINALITY AS u (type, modifier, relation, number, position)
JOIN pg_type t ON t.oid = u.type
LEFT JOIN pg_attribute a ON a.attrelid = u.relation AND a.attnum = u.number AND u.number > 0
ORDER BY u.position
"""

# Two owners of one sequence, or a default that computes with nextval(), are not "one by one".
SEQUENTIAL = b"""
SELECT EXISTS (
  SELECT FROM pg_attribute a
  JOIN pg_depend o ON o.classid = 'pg_class'::regclass AND o.refclassid = 'pg_class'::regclass
       AND o.refobjid = a.attrelid AND o.refobjsubid = a.attnum AND o.deptype IN ('a', 'i')
  JOIN pg_sequence s ON s.seqrelid = o.objid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = to_regclass(%s) AND a.attname = %s AND NOT a.attisdropped
    AND s.seqcache = 1 AND s.seqincrement > 0 AND NOT s.seqcycle
    AND (a.attidentity <> ''
         OR pg_get_expr(d.adbin, d.adrelid) = format('nextval(%%L::regclass)', s.seqrelid::regclass::text)))
"""

TABLES = rb"""
SELECT CASE WHEN pg_table_is_visible(c.oid) THEN c.relname ELSE n.nspname || '.' || c.relname END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
  AND has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT')
ORDER BY 1
"""

POSITION = b"SELECT pg_snapshot_xmin(pg_current_snapshot())"
HAS_XMIN = b"SELECT relkind IN ('r', 'p', 'm') FROM pg_class WHERE oid = to_regclass(%s)"

# A row's transaction, widened from 32 to 64 bits: it cannot be of the future, so it is of this epoch or of the last.
SINCE = """
((pg_snapshot_xmax(pg_current_snapshot())::text::bigint >> 32) << 32) + xmin::text::bigint
- CASE WHEN xmin::text::bigint > (pg_snapshot_xmax(pg_current_snapshot())::text::bigint & 4294967295)
  THEN 4294967296 ELSE 0 END
"""

# A backend cannot leave its database, so those of others cannot write here.
OPEN = b"""
SELECT pid, xact_start, coalesce(application_name, ''), coalesce(state, backend_type, '')
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
  AND backend_type NOT IN ('parallel worker', 'walsender', 'autovacuum worker')
ORDER BY xact_start
"""

REMEDY = b"SELECT format('GRANT pg_read_all_stats TO %I;', current_user)"
BLIND: tuple[tuple[bytes, str], ...] = (
    (
        b"SELECT NOT pg_has_role(current_user, 'pg_read_all_stats', 'usage')",
        "the role may not see the transactions of others: GRANT pg_read_all_stats to it",
    ),
    (b"SELECT pg_is_in_recovery()", "the server is a standby, which does not show the primary's transactions"),
    (
        b"SELECT EXISTS (SELECT FROM pg_prepared_xacts WHERE database = current_database())",
        "there are prepared transactions, which are not listed with their start",
    ),
    (
        b"""SELECT EXISTS (SELECT s.subdbid FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
            WHERE d.datname = current_database())""",
        "the database subscribes to another, whose rows arrive with stamps of their own",
    ),
    (
        b"""SELECT current_setting('track_activities') = 'off' OR EXISTS (SELECT FROM pg_stat_activity
            WHERE datname = current_database() AND state = 'disabled')""",
        "`track_activities` is off in some session, whose transactions are then not listed",
    ),
)


@dataclass(frozen=True)
class Described:
    """One result column as the protocol describes it."""

    name: str
    type: int
    modifier: int
    relation: int
    number: int


def columns(
    session: Connection[TupleRow], found: list[Described], *, is_table: bool, as_text: frozenset[str]
) -> tuple[Column, ...]:
    """The columns of a described result. NOT NULL is only true of a table's own: an outer join takes it away."""
    lists = [[getattr(each, key) for each in found] for key in ("type", "modifier", "relation", "number")]
    rows = session.execute(TYPES, lists).fetchall()
    return tuple(
        postgres_types.column(
            each.name, internal, declared, nullable=not (is_table and not_null), as_text=each.name in as_text
        )
        for each, (internal, declared, not_null) in zip(found, rows, strict=True)
    )


def activity(session: Connection[TupleRow], place: str) -> Activity:
    """Who could still commit rows. The clock is read first: what begins after it is stamped later than it.

    Blindness is asked last: a transaction that is prepared meanwhile is then seen as open, or as prepared.
    """
    clock: datetime = one(session, b"SELECT clock_timestamp()")
    rows = session.execute(OPEN).fetchall()
    blind = [why for question, why in BLIND if one(session, question)]
    return Activity(
        clock=clock,
        position=str(one(session, POSITION)),
        server=_server(session) or place,
        open=frozenset(f"{pid}/{start.isoformat()}" for pid, start, *_ in rows),
        oldest=rows[0][1] if rows else None,
        blind="; ".join(blind),
        remedy=one(session, REMEDY) if BLIND[0][1] in blind else "",
        detail=_detail(clock, *rows[0]) if rows else "",
    )


def one(session: Connection[TupleRow], statement: bytes, parameters: tuple[str, ...] = ()) -> Any:
    """The single value of a statement that always has one."""
    row = session.execute(statement, parameters or None).fetchone()
    return row[0] if row else None


def _server(session: Connection[TupleRow]) -> str:
    import psycopg

    try:
        identity = one(session, b"SELECT system_identifier FROM pg_control_system()")
    except psycopg.errors.InsufficientPrivilege:
        return ""
    return f"{identity}/{one(session, b'SELECT current_database()')}"


def _detail(clock: datetime, pid: int, start: datetime, application: str, state: str) -> str:
    return f"pid {pid} ({application or 'unnamed'}, {state}), open for {max((clock - start).total_seconds(), 0):.0f} s"
