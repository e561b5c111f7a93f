"""The harness can fail: each wrong order that is patched in is caught by the rows that it loses or doubles."""

from __future__ import annotations

import pytest

from tests.crash.controls import CONTROLS
from tests.crash.playing import play

MOMENTS = 16


@pytest.mark.parametrize("control", CONTROLS)
def test_a_wrong_order_is_caught(control: str) -> None:
    """Unkilled it does no harm; killed at some moments while it delivers, it does in at least a quarter of them."""
    counts = play("campaign", "--control", control, "--moments", str(MOMENTS))
    assert counts["scenarios"] == counts["kills"] == MOMENTS
    assert counts["caught"] * 4 >= MOMENTS, counts
