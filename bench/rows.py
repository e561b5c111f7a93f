"""The table that is exported: fifteen columns of the kinds that loyalty programmes have, in PostgreSQL and in DuckDB.

About 200 bytes a row as CSV, with NULL, '', quotes, line breaks, other scripts and JSON. Day n holds what it is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from tests.servers.postgres import PostgresServer

FIRST = date(2024, 1, 1)
COLUMNS = (
    "id, tenant, customer_id, email, type, channel, points, score, visits, active, note, payload, day, occurred_at, "
    "updated_at"  # as declared
)
TYPES = (
    "id bigint NOT NULL, tenant text, customer_id int, email text, type text, channel text, points numeric(12,2), "
    "score double precision, visits smallint, active boolean, note text, payload {json}, day date, "
    "occurred_at {instant}, updated_at {instant} NOT NULL"
)
VALUES = """
    {first} + i, CASE WHEN i % 5 = 0 THEN 'globex' ELSE 'acme' END, CAST(i * 7919 % 1000003 AS int),
    'user' || i || '@example.com',
    CASE i % 4 WHEN 0 THEN 'earn' WHEN 1 THEN 'redeem' WHEN 2 THEN 'gift' ELSE 'visit' END,
    CASE i % 3 WHEN 0 THEN 'store' WHEN 1 THEN 'web' END,
    CAST(i * 31 % 900000 AS numeric(12,2)) - 40000.25,
    CAST(i % 1000 AS double precision) / 8, CAST(i % 500 AS smallint), i % 2 = 0,
    CASE i % 6 WHEN 0 THEN '' WHEN 1 THEN 'say "hi"' WHEN 2 THEN 'two' || chr(10) || 'lines' WHEN 3 THEN 'ñandú 積分'
    WHEN 4 THEN md5(CAST(i AS text)) END,
    CAST('{{"device": "ios", "campaign": "spring-' || (i % 97) || '"}}' AS {json}), DATE '{day}',
    {begin} + (i * 7 % 86400) * INTERVAL '1 second', {begin} + (i % 86400) * INTERVAL '1 second'
"""


def key(number: int) -> str:
    """The partition key of day `number`, from 0."""
    return (FIRST + timedelta(days=number)).isoformat()


def _statements(counts: Sequence[int], table: str, json: str) -> list[str]:
    instant = "timestamptz"
    made = [f"CREATE {table} rows ({TYPES.format(json=json, instant=instant)})"]
    for number, count in enumerate(counts):
        begin = f"timestamptz '{key(number)} 00:00:00Z'"
        values = VALUES.format(first=sum(counts[:number]), json=json, day=key(number), begin=begin)
        made.append(f"INSERT INTO rows SELECT {values} FROM generate_series(CAST(1 AS bigint), {count}) AS series (i)")
    return made


def into_postgres(server: PostgresServer, database: str, counts: Sequence[int], index: str = "brin") -> None:
    """Make the table with `counts[n]` rows in day n, its cursor indexed in that way, vacuumed and analysed."""
    index = f"CREATE INDEX ON rows USING {index} (updated_at)"
    for statement in [*_statements(counts, "UNLOGGED TABLE", "jsonb"), index, "VACUUM (ANALYZE) rows"]:
        server.execute(statement, database)


def into_duckdb(path: Path, counts: Sequence[int]) -> None:
    """The same rows in a DuckDB file."""
    import duckdb

    with duckdb.connect(path, config={"memory_limit": "1GB"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for statement in _statements(counts, "TABLE", "json"):
            connection.execute(statement)
