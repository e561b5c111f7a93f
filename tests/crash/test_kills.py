"""A worker is killed at every point of its way, its restart at another, and the source changes between the two."""

from __future__ import annotations

from typing import Any

import pytest

from tests.crash.playing import play

PAIRS = 12


@pytest.fixture(scope="module")
def counts() -> dict[str, Any]:
    """What a small campaign came to: each point once, and some of the ordered pairs."""
    return play("campaign", "--pairs", str(PAIRS))


def test_every_point_is_struck(counts: dict[str, Any]) -> None:
    """There are many points, and a kill that was planned has killed: no scenario passes because nothing happened."""
    assert counts["points"] >= 60
    assert counts["scenarios"] == counts["points"] + PAIRS
    assert counts["unreached"] == []
    assert counts["kills"] == counts["points"] + 2 * PAIRS


def test_no_row_is_lost_or_doubled(counts: dict[str, Any]) -> None:
    """Whatever was killed, every partner has each row of one state of the source exactly once."""
    assert (counts["lost"], counts["doubled"]) == (0, 0), counts["problems"]


def test_files_manifests_and_ledger_agree(counts: dict[str, Any]) -> None:
    """Nothing is left behind, nothing is missing, and all three tell the same story."""
    assert counts["problems"] == []
