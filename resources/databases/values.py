"""What databases share about Arrow values: refusing what a type cannot carry, rebuilding decimals exactly.

Which limits a database has and how its values travel belongs to the database's own file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from resources.databases.base import Column
from spec.errors import ConnectorError, RowsRefused

DAY = 86_400_000_000
Limit: TypeAlias = tuple[tuple[int, int], pa.DataType, str]


@dataclass(frozen=True)
class Limits:
    """The lowest and highest true value, as Arrow stores them; what lies outside is the database's way to say infinity.

    `timestamp` in microseconds since 1970, `date` in days.
    """

    timestamp: tuple[int, int]
    date: tuple[int, int]

    def of(self, kind: pa.DataType) -> Limit | None:
        """(the limits, the integer type below, what an impossible value is), None for a type without limits."""
        table: tuple[tuple[Callable[[pa.DataType], bool], Limit], ...] = (
            (pa.types.is_timestamp, (self.timestamp, pa.int64(), "an infinite or out-of-range timestamp")),
            (pa.types.is_date32, (self.date, pa.int32(), "an infinite date")),
            (pa.types.is_time64, ((0, DAY - 1), pa.int64(), "the time 24:00:00")),
        )
        return next((limit for matches, limit in table if matches(kind)), None)


def refused(column: Column, found: str) -> RowsRefused:
    """The error for a value that the column's Arrow type cannot carry."""
    return RowsRefused(
        f"column {column.name!r} ({column.declared}) holds {found}, which {column.type} cannot carry: add"
        f" {column.name!r} to `source.as_text` to deliver the source's own text, or leave the rows out in `source.sql`"
    )


def within(column: Column, values: pa.Array, limits: Limits) -> pa.Array:
    """The same values, in a list or not. Raises RowsRefused for one outside the limits of its type."""
    plain = values.flatten() if pa.types.is_list(values.type) else values
    limit = limits.of(plain.type)
    if limit is None or len(plain) == 0:
        return values
    (low, high), integers, found = limit
    extremes = pc.min_max(plain.view(integers))
    if extremes["min"].is_valid and not low <= extremes["min"].as_py() <= extremes["max"].as_py() <= high:
        raise refused(column, found)
    return values


def unscaled(values: pa.Array, kind: pa.Decimal128Type) -> pa.Array:
    """Integers that are a decimal's digits, as that decimal: the same 128 bits under another scale, no arithmetic."""
    wide = values.cast(pa.decimal128(19, 0))
    return pa.Array.from_buffers(kind, len(wide), wide.buffers(), wide.null_count, wide.offset)


def parsed(column: Column, values: pa.Array) -> pa.Array:
    """Decimals from their text. Raises RowsRefused for text that is no number, such as NaN."""
    try:
        return values.cast(column.type)
    except pa.ArrowInvalid:
        texts = {text for text in values.to_pylist() if text}
        odd = sorted(texts & {"NaN", "Infinity", "-Infinity"})
        raise refused(column, odd[0] if odd else "a number out of range") from None


def distinct(names: list[str]) -> list[str]:
    """The same names. Raises ConnectorError for two that are one: nothing could tell their columns apart."""
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConnectorError(f"the query has more than one column named {twice[0]!r}: give each its own with AS")
    return names


def batch_of(columns: tuple[Column, ...], arrays: Iterable[pa.Array]) -> pa.RecordBatch:
    """One batch with exactly the columns' names and types."""
    schema = pa.schema([pa.field(column.name, column.type) for column in columns])
    return pa.RecordBatch.from_arrays(list(arrays), schema=schema)
