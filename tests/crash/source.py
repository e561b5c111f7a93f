"""The source that the crashed runs read: what is in it, and how an application changes it between two restarts.

Rows are plain Python, so that what should have been delivered is known without the product and without DuckDB.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 3
A_DAY = 20
"""Rows a day; with notes of 120 random digits they make several parts of 1 kB."""
TABLE = "CREATE TABLE events (id BIGINT NOT NULL, updated_at TIMESTAMPTZ NOT NULL, amount DECIMAL(10,2), note VARCHAR)"


@dataclass(frozen=True)
class Row:
    """One row; `note` is sometimes NULL."""

    id: int
    updated_at: datetime
    amount: Decimal
    note: str | None


Version = tuple[Row, ...]
"""The whole table as one transaction would see it."""


def first(seed: int) -> Version:
    """The rows of all days: ties on one stamp, both edges of a day, even ids so that late ones fit between."""
    return tuple(_row(seed, day, number) for day in range(DAYS) for number in range(A_DAY))


def _row(seed: int, day: int, number: int) -> Row:
    identity = 2 * (day * A_DAY + number) + 2
    seconds = {0: 0.0, 1: 0.0, A_DAY - 1: 86_399.999999}.get(number, 3600.0 * (number // 3) + 0.000001)
    return Row(identity, FIRST + timedelta(days=day, seconds=seconds), _amount(seed, identity), _note(seed, identity))


def _amount(seed: int, of: int) -> Decimal:
    return Decimal(random.Random(f"{seed} {of}").randrange(-(10**6), 10**6)) / 100


def _note(seed: int, of: int) -> str | None:
    digits = hashlib.sha512(f"{seed} {of}".encode()).hexdigest()[:120]
    return {0: None, 1: f'"{digits}";\n{digits}', 2: f"é\t{digits}\r"}.get(of % 7, digits)


def changed(rows: Version, seed: int) -> Version:
    """What an application left of it: in each day updates that keep the stamp, a deletion, a late row, a row that moved
    on to the next day.
    """
    chance = random.Random(seed)
    found = {row.id: row for row in rows}
    for day in range(DAYS):
        mine = [row for row in found.values() if row.updated_at.date() == (FIRST + timedelta(days=day)).date()]
        gone, moved, *updated = chance.sample(mine, 5)
        del found[gone.id]
        found[moved.id] = replace(moved, updated_at=moved.updated_at + timedelta(days=1), amount=moved.amount + 1)
        found |= {row.id: replace(row, amount=row.amount + 1) for row in updated}
        late = replace(chance.choice(updated), id=next(_free(chance, found)), note=_note(seed, day))
        found[late.id] = late
    return tuple(found.values())


def _free(chance: random.Random, taken: Iterable[int]) -> Iterator[int]:
    while True:
        identity = 2 * chance.randrange(DAYS * A_DAY) + 1
        if identity not in taken:
            yield identity


def shrunk(rows: Version) -> Version:
    """The same table after a clean-up: only every third row is left, so that a window has fewer parts than before."""
    return rows[::3]


def history(start: Version, seed: int, count: int) -> tuple[Version, ...]:
    """`start` and what it becomes after each of `count` changes."""
    versions = [start]
    for number in range(count):
        versions.append(changed(versions[-1], seed + number))
    return tuple(versions)


def write(rows: Version, path: Path) -> None:
    """Make the DuckDB file of one version. Only ever called in a process of its own."""
    import duckdb

    with duckdb.connect(str(path)) as connection:
        connection.execute(TABLE)
        cells = [[row.id, row.updated_at, row.amount, row.note] for row in rows]
        connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", cells)
