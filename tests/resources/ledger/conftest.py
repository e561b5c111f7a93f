"""The ledger under test, on each database it can live in. What tests do with it is in their own files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from resources.ledger import Ledger


@dataclass(frozen=True)
class Place:
    """Where one ledger lives: its URL and its spool."""

    url: str
    spool: Path

    def open(self) -> Ledger:
        """Open it once more, as another process would."""
        return Ledger.open(self.url, self.spool)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place for a ledger."""
    sqlite = f"sqlite:///{tmp_path / 'ledger.db'}"
    url = sqlite if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    return Place(url, tmp_path / "spool")


@pytest.fixture
def ledger(place: Place) -> Iterator[Ledger]:
    """A new ledger."""
    made = Ledger.create(place.url, place.spool)
    yield made
    made.close()
