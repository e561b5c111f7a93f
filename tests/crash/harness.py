"""Scenarios: a worker is killed at a point, its restart at another, and the last one may finish. Then judge.

Which scenarios there are is said in campaign.py; what a worker does in work.py; what must be true in checker.py.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from tests.crash import source, zygote
from tests.crash.checker import Verdict, check
from tests.crash.partners import Partners
from tests.crash.project import Place
from tests.crash.work import COURSES, Course, Hook, drive, watch
from tests.crash.zygote import Ended, Send

Kill = tuple[str, int]
"""A point and the number of the passing at which the process dies there."""
Patch = Callable[[], None]
CHANGES = 2
"""How often the source changes under a course: once after each kill."""


@dataclass(frozen=True)
class Scenario:
    """A course and the kills, each of them in the restart after the one before."""

    course: str
    kills: tuple[Kill, ...]


@dataclass
class Result:
    """What came of a scenario: how many of its kills struck, and the verdict on what is left."""

    scenario: Scenario
    struck: int = 0
    verdict: Verdict = field(default_factory=Verdict)


def killer(kill: Kill) -> Hook:
    """A hook that ends this process, at once and for good."""
    point, left = kill

    def hook(name: str) -> None:
        nonlocal left
        left -= name == point
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    return hook


class Stage:
    """One folder in which scenarios are played one after the other, with its templates and versions of the source."""

    def __init__(self, base: Path, seed: int, partners: Partners | None = None) -> None:
        base.mkdir()
        self._partners, self._base = partners, base
        self.place = Place(base / "place", partners.declared) if partners else Place(base / "place")
        zygote.warm(self.place)
        shutil.rmtree(self.place.root)
        self.place.declare()
        first = source.first(seed)
        self._versions = {
            False: source.history(first, seed, CHANGES),
            True: (first, *source.history(source.shrunk(first), seed, CHANGES)),
        }
        self._templates = {delivered: Place(base / f"delivered-{delivered}") for delivered in self._versions}
        self._alone(lambda _: self._write())
        self._templates[False].become(self.place)
        self.place.show(self._file(True, 0))
        if partners:
            self._alone(lambda _: partners.forget())
        self._alone(lambda send: self.run(Course(COURSES["all"].delivered), None, send))
        self._bring()
        self._templates[True].become(self.place)

    def _bring(self) -> None:
        """Have in the folders what the partners have."""
        if self._partners:
            self._alone(lambda _: cast("Partners", self._partners).bring(self.place.out))

    def _write(self) -> None:
        for delivered, versions in self._versions.items():
            for number, rows in enumerate(versions):
                source.write(rows, self._file(delivered, number))

    def _file(self, delivered: bool, number: int) -> Path:
        return self._base / f"{delivered}-{number}.duckdb"

    def _alone(self, work: Callable[[Send], None]) -> None:
        code, _ = zygote.fork(work).end()
        assert code == 0, "preparing a stage failed; see above"

    def begin(self, course: Course) -> None:
        """Be at the start of a course, with nothing done but what was delivered before it."""
        self.place.become(self._templates[bool(course.delivered)])
        if self._partners:
            self._alone(lambda _: cast("Partners", self._partners).become(self.place.out))

    def show(self, course: Course, change: int) -> None:
        """Let the source be what it is after that many changes."""
        delivered = bool(course.delivered)
        self.place.show(self._file(delivered, delivered + change))

    def check(self, course: Course) -> Verdict:
        """Judge what lies there now."""
        delivered = bool(course.delivered)
        self._bring()
        return check(self.place.root, course, self._versions[delivered], int(delivered))

    def run(self, course: Course, hook: Hook | None, send: Send) -> None:
        """In a child: be a worker; sends one list (export, key, state, detail) a window."""
        if hook:
            watch(hook)
        for outcome in drive(self.place, course):
            send([outcome.export, outcome.key, outcome.state, outcome.detail])

    def passed(self, course: Course, patch: Patch | None = None) -> list[str]:
        """The points that a course passes, one after the other, when nobody is killed."""

        def work(send: Send) -> None:
            if patch:
                patch()
            passed: list[str] = []
            self.run(course, passed.append, lambda _: None)
            send(passed)

        self.begin(course)
        self.show(course, 0)
        code, sent = zygote.fork(work).end()
        assert code == 0, "a course fails even when nobody is killed; see above"
        return list(sent[0])

    def record(self, name: str, patch: Patch | None = None) -> Counter[str]:
        """How often a course passes each point; a course that begins with nothing must be harmless then."""
        course = COURSES[name]
        passes = Counter(self.passed(course, patch))
        if not (patch and course.delivered):
            verdict = self.check(course)
            assert not verdict.harm, f"course {name!r} does harm even when nobody is killed: {verdict}"
        return passes

    def play(self, scenario: Scenario, patch: Patch | None = None) -> Result:
        """Kill as the scenario says, restart, let the last worker finish, and judge."""
        result = Result(scenario)
        course = COURSES[scenario.course]
        self.begin(course)
        hooks: list[Hook | None] = [*map(killer, scenario.kills), None]
        for attempt, hook in enumerate(hooks):
            self.show(course, attempt)
            code, sent = self.attempt(course, hook, patch)
            result.struck += code == -signal.SIGKILL
            if code != -signal.SIGKILL and (code or any(state != "done" for _, _, state, _ in sent)):
                result.verdict.problems.append(f"attempt {attempt + 1} ended with {code}: {sent}")
        problems = result.verdict.problems
        result.verdict = self.check(course)
        result.verdict.problems += problems
        return result

    def attempt(self, course: Course, hook: Hook | None = None, patch: Patch | None = None) -> Ended:
        """Let a worker of its own run a course."""

        def work(send: Send) -> None:
            if patch:
                patch()
            self.run(course, hook, send)

        return zygote.fork(work).end()
