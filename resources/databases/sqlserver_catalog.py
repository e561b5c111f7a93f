"""What SQL Server's catalogue and dynamic views say: types, keys, tables, and who could still commit rows.

Fixed statements, whose few values are literals, on a connection that somebody else opened.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from resources.databases.base import Activity, Facts
from resources.databases.local_time import earliest

Ask: TypeAlias = Callable[[str], list[tuple[Any, ...]]]
"""Runs a statement and returns all its rows."""

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (local to the server until its offset is known)

COLUMNS = """
SELECT name, COALESCE(system_type_name, user_type_name) AS declared, CAST(is_nullable AS INT) AS is_nullable,
       error_number, error_message
FROM sys.dm_exec_describe_first_result_set({statement}, NULL, 0)
WHERE is_hidden = 0 OR is_hidden IS NULL
ORDER BY column_ordinal
"""

SNAPSHOT = """
SELECT CAST(d.snapshot_isolation_state AS INT) AS state, QUOTENAME(d.name) AS name
FROM sys.databases AS d WHERE d.database_id = DB_ID()
"""

LOOK = "SELECT TOP 1 object_id FROM sys.objects"

LEVEL = """
SELECT CAST(transaction_isolation_level AS INT) AS level FROM sys.dm_exec_sessions WHERE session_id = @@SPID
"""

# An identity column's values are taken one by one, and its cache belongs to the whole server.
SEQUENTIAL = """
SELECT COUNT(*) AS number FROM sys.identity_columns
WHERE object_id = OBJECT_ID({table}) AND name = {column} AND CAST(increment_value AS BIGINT) > 0
"""

# 189 is the type of a rowversion. A replica knows nothing of the transactions that are open on its primary.
SETTLED = """
SELECT CAST(MIN_ACTIVE_ROWVERSION() AS BIGINT) - 1 AS number
FROM sys.columns AS c JOIN sys.tables AS t ON t.object_id = c.object_id
WHERE c.object_id = OBJECT_ID({table}) AND c.name = {column} AND c.system_type_id = 189
  AND DATABASEPROPERTYEX(DB_NAME(), 'Updateability') = 'READ_WRITE'
"""

ROWVERSION = """
SELECT c.name FROM sys.columns AS c JOIN sys.tables AS t ON t.object_id = c.object_id
WHERE c.object_id = OBJECT_ID({table}) AND c.system_type_id = 189
"""

TABLES = """
SELECT CASE WHEN s.name = {schema} THEN o.name ELSE CONCAT(s.name, '.', o.name) END AS name
FROM sys.objects AS o JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0
  AND HAS_PERMS_BY_NAME(CONCAT(QUOTENAME(s.name), '.', QUOTENAME(o.name)), 'OBJECT', 'SELECT') = 1
ORDER BY 1
"""

DEFAULT_SCHEMA = "SELECT SCHEMA_NAME() AS name"

KIND = "SELECT type AS kind FROM sys.objects WHERE object_id = OBJECT_ID({table})"

INDEXES = """
SELECT i.index_id, CAST(i.is_primary_key AS INT) AS is_primary, CAST(i.is_unique AS INT) AS is_unique,
       c.name, CAST(c.is_nullable AS INT) AS is_nullable
FROM sys.indexes AS i
JOIN sys.index_columns AS x ON x.object_id = i.object_id AND x.index_id = i.index_id AND x.key_ordinal > 0
JOIN sys.columns AS c ON c.object_id = x.object_id AND c.column_id = x.column_id
WHERE i.object_id = OBJECT_ID({table}) AND i.is_disabled = 0 AND i.is_hypothetical = 0 AND i.has_filter = 0
ORDER BY i.is_primary_key DESC, i.is_unique DESC, i.index_id, x.key_ordinal
"""

COMMENTS = """
SELECT COALESCE(c.name, '') AS name, CAST(p.value AS NVARCHAR(4000)) AS text
FROM sys.extended_properties AS p
LEFT JOIN sys.columns AS c ON c.object_id = p.major_id AND c.column_id = p.minor_id
WHERE p.class = 1 AND p.name = 'MS_Description' AND p.major_id = OBJECT_ID({table})
"""

# Every collation takes 'a' and 'a ' for equal, and most of them 'A' as well.
LOOSE = "SELECT name FROM sys.columns WHERE object_id = OBJECT_ID({table}) AND collation_name IS NOT NULL"

CLOCK = """
SELECT DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2(7)), SYSUTCDATETIME()) AS micros,
       DATEPART(TZOFFSET, SYSDATETIMEOFFSET()) AS minutes,
       (SELECT CONCAT(service_broker_guid, '/', name) FROM sys.databases WHERE database_id = DB_ID()) AS server,
       CASE WHEN DATABASEPROPERTYEX(DB_NAME(), 'Updateability') = 'READ_WRITE'
            THEN CAST(CAST(MIN_ACTIVE_ROWVERSION() AS BIGINT) AS VARCHAR(20)) ELSE '' END AS position
"""

RIGHTS = """
SELECT CASE WHEN COALESCE(HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE'), 0) = 1
              OR COALESCE(HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER PERFORMANCE STATE'), 0) = 1
              OR (SERVERPROPERTY('EngineEdition') = 5
                  AND COALESCE(HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'VIEW DATABASE STATE'), 0) = 1)
            THEN 1 ELSE 0 END AS sees,
       CASE WHEN SERVERPROPERTY('EngineEdition') = 5 THEN 'VIEW DATABASE STATE'
            WHEN CAST(SERVERPROPERTY('ProductMajorVersion') AS INT) >= 16 THEN 'VIEW SERVER PERFORMANCE STATE'
            ELSE 'VIEW SERVER STATE' END AS lacking
"""

# A statement that runs outside a transaction of its own is listed as a request: it may have taken its stamp already.
OPEN = """
SELECT CONCAT('transaction ', t.transaction_id) AS name,
       DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2(7)), CAST(t.transaction_begin_time AS DATETIME2(3)))
         AS begun,
       COALESCE(s.session_id, 0) AS session_id, COALESCE(s.program_name, '') AS program,
       COALESCE(s.status, 'without a session') AS status
FROM sys.dm_tran_active_transactions AS t
LEFT JOIN sys.dm_tran_session_transactions AS x ON x.transaction_id = t.transaction_id
LEFT JOIN sys.dm_exec_sessions AS s ON s.session_id = x.session_id
WHERE t.transaction_type IN (1, 4) AND t.transaction_state NOT IN (6, 8)
  AND t.transaction_id <> CURRENT_TRANSACTION_ID() AND COALESCE(x.session_id, 0) <> @@SPID
  AND (s.database_id = DB_ID() OR EXISTS (
        SELECT 1 FROM sys.dm_tran_database_transactions AS d
        WHERE d.transaction_id = t.transaction_id AND d.database_id = DB_ID()))
UNION ALL
SELECT CONCAT('request ', r.session_id, '/', r.request_id, '/', CONVERT(VARCHAR(23), r.start_time, 121)),
       DATEDIFF_BIG(MICROSECOND, CAST('1970-01-01' AS DATETIME2(7)), CAST(r.start_time AS DATETIME2(3))),
       s.session_id, COALESCE(s.program_name, ''), r.status
FROM sys.dm_exec_requests AS r JOIN sys.dm_exec_sessions AS s ON s.session_id = r.session_id
WHERE s.is_user_process = 1 AND r.session_id <> @@SPID AND r.database_id = DB_ID()
ORDER BY 2
"""

BLIND: tuple[tuple[str, str], ...] = (
    (
        "SELECT CASE WHEN DATABASEPROPERTYEX(DB_NAME(), 'Updateability') = 'READ_ONLY' THEN 1 ELSE 0 END AS yes",
        "this is a replica or read-only, and does not show the transactions of where rows are written",
    ),
    (
        "SELECT CASE WHEN OBJECT_ID('dbo.MSreplication_subscriptions') IS NULL THEN 0 ELSE 1 END AS yes",
        "the database subscribes to another, whose rows arrive with stamps of their own",
    ),
)


def activity(ask: Ask, user: str) -> Activity:
    """Who could still commit rows. The clock is read first: what begins after it is stamped later than it."""
    [(micros, minutes, server, position)] = ask(CLOCK)
    clock, offset = (EPOCH + timedelta(microseconds=micros)).replace(tzinfo=UTC), timedelta(minutes=minutes)
    [(sees, right)] = ask(RIGHTS)
    blind = [why for question, why in BLIND if ask(question)[0][0]]
    if not sees:
        grant = f"GRANT {right} TO {user}"
        blind = [f"the user may not see open transactions: {grant}", *blind]
        return Activity(clock, server, blind="; ".join(blind), remedy=grant, position=position)
    rows = ask(OPEN)
    starts = [earliest(EPOCH + timedelta(microseconds=begun), clock, offset) for _, begun, *_ in rows]
    return Activity(
        clock,
        server,
        open=frozenset(name for name, *_ in rows),
        oldest=min(starts, default=None),
        blind="; ".join(blind),
        detail=_detail(clock, starts, rows) if rows else "",
        position=position,
    )


def facts(ask: Ask, table: str) -> Facts | None:
    """What the catalogue says of a table by its name as a literal; None where there is no such table."""
    kind = ask(KIND.format(table=table))
    if not kind:
        return None
    indexes: dict[int, list[tuple[Any, ...]]] = {}
    for index, *described in ask(INDEXES.format(table=table)):
        indexes.setdefault(index, []).append(tuple(described))
    return Facts(
        key=next((_names(rows) for rows in indexes.values() if _is_key(rows)), ()),
        indexes=tuple(_names(rows) for rows in indexes.values()),
        comments=dict(ask(COMMENTS.format(table=table))),
        loose=frozenset(name for (name,) in ask(LOOSE.format(table=table))),
        is_view=kind[0][0].strip() == "V",
    )


def _names(rows: list[tuple[Any, ...]]) -> tuple[str, ...]:
    return tuple(name for *_, name, _ in rows)


def _is_key(rows: list[tuple[Any, ...]]) -> bool:
    """(primary, unique, name, nullable) of each column: all there is once, and never NULL."""
    return all(primary or (unique and not nullable) for primary, unique, _, nullable in rows)


def _detail(clock: datetime, starts: list[datetime], rows: list[tuple[Any, ...]]) -> str:
    start, (name, _, session, program, status) = min(zip(starts, rows, strict=True), key=lambda pair: pair[0])
    age = max((clock - start).total_seconds(), 0)
    return f"{name} of session {session} ({program or 'unnamed'}, {status}), open for {age:.0f} s"
