"""Rows of a driver that hands out tuples, in chunks of about 4 MiB, and as the columns of one.

What a value of a driver means, and which Arrow type it becomes, belongs to the database's own file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from sqlglot import exp

Row: TypeAlias = tuple[Any, ...]

CHUNK_BYTES = 4 << 20
MOST_ROWS = 20_480
FIRST_ROWS = 16
GROWTH = 8


def chunks(fetch: Callable[[int], Sequence[Row]]) -> Iterator[Sequence[Row]]:
    """What `fetch(number of rows)` hands out, until that is nothing.

    The first chunk is small and tells how wide a row is: a table of long texts never fills the memory.
    """
    size = FIRST_ROWS
    while rows := fetch(size):
        yield rows
        fitting = CHUNK_BYTES * len(rows) // max(sum(map(_width, rows)), 1)
        size = max(1, min(fitting, MOST_ROWS, size * GROWTH))


def by_column(rows: Sequence[Row]) -> list[list[Any]]:
    """The values of each column."""
    return [list(values) for values in zip(*rows, strict=True)]


def numbered(asked: Iterable[exp.Expr]) -> list[exp.Expr]:
    """Each expression under a name of its own: ORDER BY a column's name must not mean the form in which it travels."""
    return [exp.alias_(each, f"outgate_{number}", quoted=True) for number, each in enumerate(asked)]


def _width(row: Row) -> int:
    return sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
