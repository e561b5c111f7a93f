"""What PostgreSQL's catalogue says of a table: key, indexes, comments, collations.

Fixed statements with bound parameters, on a connection that somebody else opened.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from resources.databases.base import Facts

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

RELATION = b"""
SELECT oid, relkind IN ('v', 'm'), obj_description(oid, 'pg_class') FROM pg_class WHERE oid = to_regclass(%s)
"""

# An index of another kind, or of some rows only, does not serve a range of the whole table.
INDEXES = b"""
SELECT i.indisprimary, i.indisunique AND bool_and(coalesce(a.attnotnull, false)), array_agg(a.attname ORDER BY k.number)
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_am m ON m.oid = c.relam AND m.amname IN ('btree', 'brin')
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attribute, number)
LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attribute AND k.attribute > 0
WHERE i.indrelid = %s AND i.indisvalid AND i.indpred IS NULL AND k.number <= i.indnkeyatts
GROUP BY i.indexrelid, i.indisprimary, i.indisunique
ORDER BY i.indisprimary DESC, i.indexrelid
"""

# Older servers have no provider of a database's default collation: it is libc's.
NOTES = b"""
SELECT a.attname, col_description(a.attrelid, a.attnum),
       a.attcollation <> 0 AND NOT (c.collisdeterministic
       AND CASE coalesce(nullif(c.collprovider::text, 'd'), d.provider)
         WHEN 'b' THEN true
         WHEN 'c' THEN coalesce(nullif(c.collcollate, ''), d.datcollate) ~* '^(C|POSIX|C[.]UTF-?8)$'
         ELSE false END)
FROM pg_attribute a
LEFT JOIN pg_collation c ON c.oid = a.attcollation
CROSS JOIN (SELECT coalesce(to_jsonb(e) ->> 'datlocprovider', 'c') AS provider, e.datcollate
            FROM pg_database e WHERE e.datname = current_database()) d
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
"""


def facts(session: Connection[TupleRow], table: str) -> Facts | None:
    """The facts of a table or view by its quoted name, None when there is none."""
    found = session.execute(RELATION, (table,)).fetchone()
    if found is None:
        return None
    oid, is_view, comment = found
    indexes = [(main or unique, cut(names)) for main, unique, names in session.execute(INDEXES, (oid,)).fetchall()]
    notes = session.execute(NOTES, (oid,)).fetchall()
    said = {"": comment} | {name: text for name, text, _ in notes}
    return Facts(
        key=next((names for unique, names in indexes if unique), ()),
        indexes=tuple(dict.fromkeys(names for _, names in indexes if names)),
        comments={name: text for name, text in said.items() if text},
        loose=frozenset(name for name, _, loose in notes if loose),
        is_view=is_view,
    )


def cut(names: list[str | None]) -> tuple[str, ...]:
    """An index's columns up to its first expression: what follows that cannot be looked up alone."""
    return tuple(takewhile(lambda name: name is not None, names))  # type: ignore[arg-type]
