"""Packs: a reading in statements of at most `batch_rows` rows each, for servers that must not hold a long cursor.

All packs are read in one snapshot. The next one begins after the cursor and key of the last row, whatever the number of
rows with one cursor; nothing is skipped by count, and nothing is read twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
from sqlglot import exp

from resources.databases.base import Column, Query, Snapshot
from spec.errors import RowsRefused

COMPARES_ROWS = frozenset({"postgres"})
"""Dialects that find `(a, b) > (x, y)` in an index. The others cannot, or find it slower than what is written out."""


def packs(
    snapshot: Snapshot, query: Query, by: tuple[Column, ...], size: int, *, dialect: str
) -> Iterator[pa.RecordBatch]:
    """The batches of all packs. `by` are columns of the query that tell every row apart; `dialect` is the database's.

    Raises RowsRefused at the end where they did not: a NULL or a second row of the same key would have been left out.
    """
    names = tuple(column.name for column in by)
    beyond = _row_after if dialect in COMPARES_ROWS else _after
    last: list[exp.Expr] = []
    total = 0
    while True:
        after = (beyond(names, last),) if last else ()
        rows, batch = 0, None
        for batch in snapshot.read(replace(query, where=(*query.where, *after), order=names, limit=size)):
            rows += batch.num_rows
            yield batch
        total += rows
        if batch is None or rows < size:
            break
        values = [batch.column(name)[-1] for name in names]
        if not all(value.is_valid for value in values):
            break
        last = [literal(column, value) for column, value in zip(by, values, strict=True)]
    if total >= size and (there := snapshot.count(query)) != total:
        raise RowsRefused(
            f"{total} rows were read in packs and {there} are there: {' and '.join(map(repr, names))} do not tell all "
            "rows apart, or are NULL in some; name the primary key as `key` in `cursor:`, or leave `batch_rows` out"
        )


def _row_after(names: tuple[str, ...], last: list[exp.Expr]) -> exp.Expr:
    """`(a, b) > (x, y)`."""
    columns = [exp.column(name, quoted=True) for name in names]
    return exp.GT(this=exp.Tuple(expressions=columns), expression=exp.Tuple(expressions=last))


def _after(names: tuple[str, ...], last: list[exp.Expr]) -> exp.Expr:
    """The same, written out."""
    column, value = exp.column(names[0], quoted=True), last[0]
    beyond: exp.Expr = exp.GT(this=column, expression=value)
    if len(names) == 1:
        return beyond
    tie = exp.and_(exp.EQ(this=column.copy(), expression=value.copy()), _after(names[1:], last[1:]))
    return exp.paren(exp.or_(beyond, tie))


def literal(column: Column, value: pa.Scalar) -> exp.Expr:
    """A value that was read as the literal that finds it again. Raises TypeError for types that no key should have."""
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        number = value.as_py()
        return exp.Literal.number(f"{number:f}" if pa.types.is_decimal(kind) else number)
    for matches, name in LITERALS:
        if matches(kind):
            return exp.cast(exp.Literal.string(_text(value)), name)
    if pa.types.is_string(kind):
        return exp.Literal.string(value.as_py())
    raise TypeError(f"{column.name!r} is {column.declared}, which packs cannot go on from")


LITERALS = (
    (lambda kind: pa.types.is_timestamp(kind) and kind.tz is not None, "timestamptz"),
    (pa.types.is_timestamp, "timestamp"),
    (pa.types.is_date, "date"),
)
"""Which Arrow types are written as text with a cast, and to what."""


def _text(value: pa.Scalar) -> str:
    found = value.as_py()
    return str(found.isoformat(sep=" ") if hasattr(found, "hour") else found.isoformat())
