"""Values survive: what psycopg reads from PostgreSQL is what other libraries read from every delivered format.

The values and how they compare are in values.py, the readers in readers.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import TupleRow

from tests.journey.readers import READERS, Row
from tests.journey.trial import FORMATS, Trial

DAY = "2024-01-01"
CURSOR = {"by": "time", "column": "at", "stamped_by": "database"}
EVERY = [(form, reader) for form, readers in READERS.items() for reader in readers]

Session = psycopg.Connection[TupleRow]
Reader = Callable[[Path], list[Row]]


def table(source: Session, columns: dict[str, str]) -> None:
    """Make the table `rows` with those columns and types, and a stamp that lies in the day."""
    kinds = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in columns.items()]  # type: ignore[arg-type]
    stamp = sql.SQL("n serial, at timestamptz DEFAULT '2024-01-01 12:00Z'")
    source.execute(sql.SQL("CREATE TABLE rows ({}, {})").format(stamp, sql.SQL(", ").join(kinds)))


def insert(source: Session, name: str, kind: str, text: str | None) -> None:
    """Insert one row with one value, given as the type's text."""
    value = sql.Literal(text) if text is not None else sql.SQL("NULL")
    statement = sql.SQL("INSERT INTO rows ({}) VALUES ({}::{})")
    source.execute(statement.format(sql.Identifier(name), value, sql.SQL(kind)))  # type: ignore[arg-type]


def deliver(trial: Trial, **source: Any) -> None:
    """Deliver the day in every format."""
    trial.declare({"table": "rows", "cursor": CURSOR} | source, formats=tuple(FORMATS))
    (outcome,) = trial.run(DAY)
    assert outcome.good, outcome.detail


@pytest.fixture(scope="module")
def torture(request: pytest.FixtureRequest) -> Any:
    """See below."""
