"""The fixtures of the replays: those of the journey's proofs, and the declaration that a test is named after."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow

from tests.journey.conftest import _password, source, trial
from tests.journey.trial import Trial
from tests.replays.playing import Replay

__all__ = ["_password", "replay", "source", "trial"]


@pytest.fixture
def replay(
    request: pytest.FixtureRequest, trial: Trial, source: psycopg.Connection[TupleRow], postgres_url: str
) -> Replay:
    """The project with the declaration of the test's name, on a fresh database."""
    declared = Path(__file__).parent / f"{request.function.__name__.removeprefix('test_')}.yaml"
    (trial.folder / "pipelines/rows.yaml").write_text(declared.read_text(encoding="utf-8"), encoding="utf-8")
    return Replay(trial, source, postgres_url)
