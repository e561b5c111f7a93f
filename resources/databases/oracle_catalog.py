"""What Oracle's dictionary and dynamic views say: keys, sequences, tables, and who could still commit rows.

Fixed statements with bound values, on a connection that somebody else opened.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any, TypeAlias

from sqlglot import exp

from resources.databases.base import Activity, Facts
from resources.databases.local_time import earliest
from spec.errors import ConnectorError

Row: TypeAlias = tuple[Any, ...]
Ask: TypeAlias = Callable[..., list[Row]]
"""Runs a statement with named values and returns all its rows."""

# In order only where no instance keeps a store of numbers of its own.
SEQUENTIAL = """
SELECT COUNT(*)
FROM all_tab_identity_cols i
JOIN all_sequences s ON s.sequence_owner = i.owner AND s.sequence_name = i.sequence_name
WHERE i.owner = NVL(:owner, SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')) AND i.table_name = :name
  AND i.column_name = :column_name AND s.increment_by > 0 AND s.cycle_flag = 'N'
  AND (s.cache_size = 0 OR s.order_flag = 'Y') AND s.session_flag = 'N' AND s.scale_flag = 'N'
"""

TABLES = """
SELECT CASE WHEN o.owner = SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA') THEN o.object_name
            ELSE o.owner || '.' || o.object_name END AS name
FROM all_objects o
WHERE o.object_type IN ('TABLE', 'VIEW') AND o.oracle_maintained = 'N' AND o.secondary = 'N'
  AND o.object_name NOT LIKE 'BIN$%'
ORDER BY 1
"""

KIND = """
SELECT o.object_type FROM all_objects o
WHERE o.owner = NVL(:owner, SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')) AND o.object_name = :name
  AND o.object_type IN ('TABLE', 'VIEW', 'SYNONYM')
"""

KEY = """
SELECT c.column_name
FROM all_constraints k
JOIN all_cons_columns c ON c.owner = k.owner AND c.constraint_name = k.constraint_name
WHERE k.owner = NVL(:owner, SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')) AND k.table_name = :name
  AND k.constraint_type = 'P' AND k.status = 'ENABLED'
ORDER BY c.position
"""

INDEXES = """
SELECT i.owner || '.' || i.index_name, i.uniqueness, t.column_name, t.nullable
FROM all_indexes i
JOIN all_ind_columns c ON c.index_owner = i.owner AND c.index_name = i.index_name
LEFT JOIN all_tab_columns t
  ON t.owner = i.table_owner AND t.table_name = i.table_name AND t.column_name = c.column_name
WHERE i.table_owner = NVL(:owner, SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')) AND i.table_name = :name
ORDER BY 1, c.column_position
"""

COMMENTS = """
SELECT '' AS name, t.comments FROM all_tab_comments t
WHERE t.owner = NVL(:owner, SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')) AND t.table_name = :name
  AND t.comments IS NOT NULL
UNION ALL
SELECT c.column_name, c.comments FROM all_col_comments c
WHERE c.owner = NVL(:owner, SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')) AND c.table_name = :name
  AND c.comments IS NOT NULL
"""

LOOSE = """
SELECT c.column_name FROM all_tab_cols c
WHERE c.owner = NVL(:owner, SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')) AND c.table_name = :name
  AND c.collation IS NOT NULL AND c.collation NOT IN ('BINARY', 'USING_NLS_COMP')
"""

CLOCK = """
SELECT TO_CHAR(SYS_EXTRACT_UTC(SYSTIMESTAMP), 'YYYY-MM-DD HH24:MI:SS.FF6'), TO_CHAR(SYSTIMESTAMP, 'TZH:TZM'),
       SYS_CONTEXT('USERENV', 'DB_NAME'), SYS_CONTEXT('USERENV', 'DB_DOMAIN'), SYS_CONTEXT('USERENV', 'DATABASE_ROLE')
FROM dual
"""

# A single instance shows itself in GV$ as well; in a cluster, V$ would hide the other instances.
OPEN = """
SELECT t.inst_id || '/' || t.xidusn || '.' || t.xidslot || '.' || t.xidsqn,
       TO_CHAR(t.start_date, 'YYYY-MM-DD HH24:MI:SS'), s.sid, s.program, s.status
FROM gv$transaction t LEFT JOIN gv$session s ON s.inst_id = t.inst_id AND s.saddr = t.ses_addr
"""

# A statement may have its stamp already, and no change yet. Whoever only waits for a queue has none.
RUNNING = """
SELECT s.inst_id || '/' || s.sid || ',' || s.serial#, s.last_call_et, s.sid, s.program, s.status
FROM gv$session s
WHERE s.type = 'USER' AND s.status = 'ACTIVE' AND s.event NOT LIKE 'Streams AQ:%'
  AND s.audsid <> SYS_CONTEXT('USERENV', 'SESSIONID')
  AND NOT (s.sid = SYS_CONTEXT('USERENV', 'SID') AND s.inst_id = SYS_CONTEXT('USERENV', 'INSTANCE'))
"""

MISSING = ("ORA-00942", "ORA-01031")
"""How Oracle says that a view may not be seen."""


def activity(ask: Ask, user: str) -> Activity:
    """Who could still commit rows. The clock is read first: what begins after it is stamped later than it."""
    [(now, zone, *place, role)] = ask(CLOCK)
    clock, offset = datetime.fromisoformat(now).replace(tzinfo=UTC), _offset(zone)
    server = ".".join(part for part in place if part)
    standby = (
        "" if role == "PRIMARY" else f"this is a {str(role).lower()}, which does not show the primary's transactions"
    )
    try:
        running, rows = ask(RUNNING), ask(OPEN)
    except ConnectorError as error:
        if not any(code in str(error) for code in MISSING):
            raise
        grant = "; ".join(f"GRANT SELECT ON SYS.{view} TO {user}" for view in ("GV_$TRANSACTION", "GV_$SESSION"))
        blind = "; ".join(filter(None, [f"the user may not see open transactions: {grant}", standby]))
        return Activity(clock, server, blind=blind, remedy=grant)
    found = [(clock - timedelta(seconds=int(age) + 1), f"session {name}", *rest) for name, age, *rest in running]
    found += [
        (earliest(datetime.fromisoformat(begun), clock, offset), f"transaction {name}", *rest)
        for name, begun, *rest in rows
    ]
    return Activity(
        clock,
        server,
        open=frozenset(name for _, name, *_ in found),
        oldest=min((start for start, *_ in found), default=None),
        blind=standby,
        detail=_detail(clock, found) if found else "",
    )


def facts(ask: Ask, owner: str | None, name: str) -> Facts | None:
    """What the dictionary says of a table or view; None where there is none. Of a synonym it says nothing."""
    of = {"owner": owner, "name": name}
    kinds = {kind for (kind,) in ask(KIND, **of)}
    if not kinds:
        return None
    indexes: dict[str, list[Row]] = {}
    for index, *described in ask(INDEXES, **of):
        indexes.setdefault(index, []).append(tuple(described))
    primary = tuple(column for (column,) in ask(KEY, **of))
    unique = (_names(rows) for rows in indexes.values() if _is_key(rows))
    return Facts(
        key=primary or next(unique, ()),
        indexes=tuple(names for rows in indexes.values() if (names := _names(rows))),
        comments={column or "": text for column, text in ask(COMMENTS, **of)},
        loose=frozenset(column for (column,) in ask(LOOSE, **of)),
        is_view="VIEW" in kinds,
    )


def stored(identifier: exp.Expr | None) -> str | None:
    """A name as the dictionary keeps it: in capitals, unless it was quoted."""
    if not isinstance(identifier, exp.Identifier):
        return None
    return identifier.name if identifier.quoted else identifier.name.upper()


def _names(rows: list[Row]) -> tuple[str, ...]:
    """Up to the first expression, which has no name."""
    return tuple(column for _, column, _ in takewhile(lambda row: row[1], rows))


def _is_key(rows: list[Row]) -> bool:
    """(uniqueness, name, nullable) of each column; an expression has neither name nor nullability."""
    return all(uniqueness == "UNIQUE" and nullable == "N" for uniqueness, _, nullable in rows)


def _offset(zone: str) -> timedelta:
    """Of a text such as "-03:30"."""
    hours, minutes = zone.lstrip("+-").split(":")
    length = timedelta(hours=int(hours), minutes=int(minutes))
    return -length if zone.startswith("-") else length


def _detail(clock: datetime, found: list[tuple[Any, ...]]) -> str:
    start, name, session, program, status = min(found, key=lambda each: each[0])
    who = f"session {session or 'unknown'} ({program or 'unnamed'}, {str(status or 'unknown').lower()})"
    return f"{name} of {who}, open for {max((clock - start).total_seconds(), 0):.0f} s"
