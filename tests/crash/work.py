"""What a worker process does: the courses, each a few windows of the exports, and the points that it passes.

Whether it is killed on the way is decided by the hook that it is given; nothing here knows.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Pool, event

from assets import parts
from assets.outcome import Outcome
from resources import failpoint
from spec.errors import OutgateError
from tests.crash.project import Place

Hook = Callable[[str], None]
ROWS_A_PART = 8


@dataclass(frozen=True)
class Step:
    """One run: some windows of one export; `again` as a root run's id."""

    export: str
    keys: tuple[str, ...]
    again: str | None = None


@dataclass(frozen=True)
class Course:
    """The runs that one worker makes, what was `delivered` before it, and whether the source has shrunk since."""

    steps: tuple[Step, ...]
    delivered: tuple[Step, ...] = ()

    @property
    def windows(self) -> list[tuple[str, str]]:
        """Export and key of every window that is done in the end."""
        return sorted({(step.export, key) for step in (*self.delivered, *self.steps) for key in step.keys})


D1, D2 = "2024-01-01", "2024-01-02"
ONE = Course((Step("events", (D1,)),))
BEFORE = (Step("events", (D1, D2)),)
AGAIN, NUMBERS = Step("events", (D1, D2), again="again"), Step("numbers", (D1, D2))
ALONE = Step("alone", (D1,))
COURSES = {
    "time": Course((Step("events", (D1, D2)),)),
    "ids": Course((Step("numbers", (D1,)),)),
    "stream": Course((ALONE, Step("alone", (D2,)))),
    "again": Course((Step("events", (D1,), again="again"),), BEFORE),
    "all": Course((AGAIN, NUMBERS, ALONE), BEFORE),
    "back": Course((ALONE, NUMBERS, AGAIN), BEFORE),
}
"""Fresh windows that share a reading; a cursor by id; windows that stream; a generation that replaces another; all of it, in both orders."""


def small_parts() -> None:
    """Make sixty rows several parts: a part ends after eight rows, whatever its size, where parts are asked for."""
    parts.SLICE = 1
    parts._Parts._full = _full  # type: ignore[assignment, method-assign]


def _full(writing: parts._Parts, _file: parts.Hashing, _sink: object, _piece: object) -> bool:
    return writing._form.part_bytes is not None and writing._rows >= ROWS_A_PART


def drive(place: Place, course: Course, **more: Any) -> Iterator[Outcome]:
    """Run the steps of a course in this process; `more` goes to the journeys."""
    for step in course.steps:
        with closing(place.open()) as ledger:
            yield from place.journey(step.export, ledger, again=step.again, **more).run(step.keys)


def watch(hook: Hook) -> None:
    """Call the hook at every failpoint and around every commit to the ledger, in the thread that works."""
    main = threading.main_thread()

    def told(name: str) -> None:
        if threading.current_thread() is main:
            hook(name)

    failpoint.install(told)
    _watch_commits(told)


def _watch_commits(hook: Hook) -> None:
    committed: list[str] = []

    @event.listens_for(Engine, "commit")
    def _commits(connection: Connection) -> None:
        if connection.get_execution_options().get("begin") == "BEGIN IMMEDIATE":
            name = f"commit.{_step()}"
            hook(f"{name}.before")
            committed.append(name)

    @event.listens_for(Pool, "checkin")
    def _returned(_connection: object, _record: object) -> None:
        while committed:
            hook(f"{committed.pop()}.after")


def _step() -> str:
    """The function of the ledger that commits."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        file = frame.f_code.co_filename
        if "/resources/ledger/" in file and not file.endswith("engine.py"):
            return frame.f_code.co_name.strip("_")
    return "unknown"


def main() -> int:
    """Run one window in the place that is named, and say what came of it: `python -m tests.crash.work FOLDER`."""
    small_parts()
    try:
        (outcome,) = drive(Place(Path(sys.argv[1])), ONE)
    except OutgateError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    print(f"{outcome.state}: {outcome.detail}", file=sys.stderr)  # noqa: T201
    return outcome.exit_code


if __name__ == "__main__":
    sys.exit(main())
