"""Several workers on one window: whoever else is alive, one of them delivers it and the others change nothing."""

from __future__ import annotations

import pytest

from tests.crash.playing import play


@pytest.mark.parametrize(("workers", "races"), [(2, 10), (4, 5)])
def test_one_of_several_workers_delivers(workers: int, races: int) -> None:
    """Started at the same moment, one does all of it and the others are told that it is busy or done."""
    found = play("rivals", "--workers", str(workers), "--races", str(races))
    assert found["problems"] == []
    assert found["told"]["done"] == races
    assert sum(found["told"].values()) == races * workers


def test_a_worker_that_was_frozen_changes_nothing() -> None:
    """Stopped until others have delivered its window once or twice, it wakes, changes no byte and says why."""
    found = play("frozen", "--count", "12")
    assert found["problems"] == []
    assert sum(found["told"].values()) == 12
    assert found["told"]["lost its lease"] > 0
