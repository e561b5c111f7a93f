"""Reading in packs, on every database: each row once, whatever the size of a pack and however many rows tie."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from assets.packs import packs
from resources.databases.base import Column, Query
from resources.databases.postgres import PostgresSnapshot
from spec.errors import RowsRefused
from tests.resources.databases.reading import column, query
from tests.resources.databases.subjects import PostgresSubject, Subject

STAMPS: dict[str, tuple[Any, ...]] = {
    "integer": (1, 2, 2**53 + 1),
    "money": (Decimal("-0.10"), Decimal("0.20"), Decimal("9999999999.99")),
    "text": ("a'b", "b", "c"),
    "day": (date(2024, 1, 1), date(2024, 1, 2), date(9999, 12, 31)),
    "moment": tuple(datetime(2024, 3, 31, 2, 30, 0, micro) for micro in (0, 1, 999_999)),  # noqa: DTZ001
    "instant": tuple(datetime(2024, 3, 31, 2, 30, 0, micro, UTC) for micro in (0, 1, 999_999)),
}
ROWS = 23


def read(subject: Subject, by: tuple[str, ...], size: int, *where: Any) -> list[int]:
    """The ids that packs of a size bring, in the order in which they come."""
    asked = query(subject.database, "ties", *where)
    chosen: dict[str, Column] = {each.name: each for each in asked.columns}
    with subject.database.snapshot() as snapshot:
        batches = list(
            packs(snapshot, asked, tuple(chosen[name] for name in by), size, dialect=subject.database.dialect)
        )
    assert all(batch.num_rows <= size for batch in batches)
    return [number for batch in batches for number in batch.column("id").to_pylist()]


def fill(subject: Subject, kind: str) -> None:
    """Ties of 7, 11 and 5 rows."""
    if kind not in subject.types:
        pytest.skip(f"{type(subject).__name__} has no type for {kind!r}")
    subject.run(f"CREATE TABLE ties (stamp {subject.types[kind]}, id {subject.types['integer']})")
    first, second, third = STAMPS[kind]
    stamps = [first] * 7 + [second] * 11 + [third] * 5
    subject.run("INSERT INTO ties VALUES (?, ?)", [[stamp, number] for number, stamp in enumerate(stamps, 1)])


@pytest.mark.parametrize("kind", STAMPS)
def test_ties_at_the_end_of_a_pack(subject: Subject, kind: str) -> None:
    """Packs of 1, 2, 7 and 1,000 rows bring the same rows, each once, in order."""
    fill(subject, kind)
    for size in (1, 2, 7, 1000):
        assert read(subject, ("stamp", "id"), size) == list(range(1, ROWS + 1))


def test_by_one_column(subject: Subject) -> None:
    """An id alone is enough, and conditions hold in every pack."""
    fill(subject, "integer")
    assert read(subject, ("id",), 4, column("id") > 3) == list(range(4, ROWS + 1))


@pytest.mark.parametrize(
    "statement", ["INSERT INTO ties SELECT stamp, id FROM ties WHERE id = 2", "UPDATE ties SET id = NULL WHERE id = 2"]
)
def test_a_key_that_is_none(subject: Subject, statement: str) -> None:
    """A second row of one key, or a NULL, is not silently left out; in one pack it is read like any other row."""
    fill(subject, "integer")
    subject.run(statement)
    with pytest.raises(RowsRefused, match="do not tell all rows apart"):
        read(subject, ("stamp", "id"), 1)
    assert len(read(subject, ("stamp", "id"), 1000)) == ROWS + ("INSERT" in statement)


def test_a_pack_begins_at_its_place_in_the_index(postgres: PostgresSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL looks the last row up in the index, and does not read the group of ties before it once more."""
    fill(postgres, "integer")
    postgres.run("CREATE UNIQUE INDEX ties_both ON ties (stamp, id)")
    asked: list[str] = []
    original = PostgresSnapshot.read

    def told(snapshot: PostgresSnapshot, query: Query) -> Iterator[pa.RecordBatch]:
        asked.append(query.select().sql("postgres"))
        return original(snapshot, query)

    monkeypatch.setattr(PostgresSnapshot, "read", told)
    assert len(read(postgres, ("stamp", "id"), 5)) == ROWS
    with psycopg.connect(postgres.url) as session:
        session.execute("SET enable_seqscan = off")
        plans = [str(session.execute(f"EXPLAIN {text}".encode()).fetchall()) for text in asked]
    assert len(plans) == 5
    assert all("Index Cond: (ROW(stamp, id) > ROW(" in plan for plan in plans[1:])
