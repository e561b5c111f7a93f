"""Rival processes on one ledger, each with connections of its own, let loose at the same moment. No assertions."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from typing import Any

from resources import failpoint
from resources.ledger import Ledger
from tests.resources.ledger.conftest import Place

FORK = multiprocessing.get_context("fork")
PATIENCE = 120


def race(place: Place, count: int, work: Callable[[Ledger, int], Any]) -> list[Any]:
    """What `work(ledger, number)` returned in each of `count` processes that started it together."""
    answers, barrier = FORK.Queue(), FORK.Barrier(count)
    rivals = [FORK.Process(target=_rival, args=(place, number, work, barrier, answers)) for number in range(count)]
    for one in rivals:
        one.start()
    found = [answers.get(timeout=PATIENCE) for _ in rivals]
    for one in rivals:
        one.join(PATIENCE)
    return found


def _rival(place: Place, number: int, work: Callable[[Ledger, int], Any], barrier: Barrier, answers: Any) -> None:
    ledger = place.open()
    barrier.wait(PATIENCE)
    try:
        answers.put(work(ledger, number))
    except BaseException as error:  # noqa: BLE001  (the parent asserts on it)
        answers.put(error)
    ledger.close()


def killed_at(place: Place, point: str, work: Callable[[Ledger], object]) -> bool:
    """Run `work` in a process that is killed with SIGKILL when it comes to `point`; whether it came there."""
    child = FORK.Process(target=_doomed, args=(place, point, work))
    child.start()
    child.join(PATIENCE)
    return child.exitcode == -signal.SIGKILL


def _doomed(place: Place, point: str, work: Callable[[Ledger], object]) -> None:
    def hook(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    ledger = place.open()
    failpoint.install(hook)
    work(ledger)
    ledger.close()
