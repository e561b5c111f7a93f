"""A partner that fails for a reason that may pass: the step is taken again, after longer and longer, and only that step."""

from __future__ import annotations

from pathlib import Path

import pytest

from assets import load
from resources.stores.local import Local
from spec.errors import ConnectorError
from tests.small import CONNECTORS, ROWS_A_DAY, Small, day

THRICE = CONNECTORS.replace("path: out}", "path: out, attempts: 3}")


class Moody:
    """A step of a store that fails so often before it works."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: str, times: int, *, passes: bool = True) -> None:
        self.waited, self.calls, self._left, self._passes = list[float](), 0, times, passes
        self._real = getattr(Local, step)
        monkeypatch.setattr(Local, step, lambda *given: self._call(*given))  # noqa: PLW0108  (a function is bound to the store, a method is not)
        monkeypatch.setattr(load, "sleep", self.waited.append)

    def _call(self, *given: object) -> object:
        self.calls += 1
        if self._left:
            self._left -= 1
            message = "the line broke"
            raise ConnectorError(message, retriable=self._passes)
        return self._real(*given)


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """A project whose partner is tried three times."""
    made = Small.make(tmp_path, connectors=THRICE)
    made.home.create().close()
    return made


@pytest.mark.parametrize("step", ["stage", "publish", "stat"])
def test_a_step_is_taken_again(small: Small, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Twice it fails, the third time it works; the waits grow, and the rows are there once."""
    moody = Moody(monkeypatch, step, 2)
    [outcome] = small.journey().run([day(0)])
    assert outcome.good, outcome.detail
    assert moody.waited == [1.0, 2.0]
    assert len(small.rows(day(0))) == ROWS_A_DAY


def test_patience_ends(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the third time the window fails with the partner's words, and a later run goes on from there."""
    moody = Moody(monkeypatch, "publish", 3)
    [outcome] = small.journey().run([day(0)])
    assert (outcome.good, outcome.retriable, moody.calls) == (False, True, 3)
    assert "the line broke" in outcome.detail
    [outcome] = small.journey().run([day(0)])
    assert outcome.good, outcome.detail


def test_a_reason_that_stays_is_not_waited_for(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong password is not tried again: accounts are locked that way."""
    moody = Moody(monkeypatch, "stage", 1, passes=False)
    [outcome] = small.journey().run([day(0)])
    assert (outcome.good, moody.calls, moody.waited) == (False, 1, [])
