"""Which scenarios are played, by how many processes, and what they come to: `python -m tests.crash.campaign --help`.

Singles are every point (`each`: at every passing in every course); pairs are ordered: the second kill strikes the
restart after the first. How one scenario is played is in harness.py.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import product
from pathlib import Path

from tests.crash import zygote
from tests.crash.controls import CONTROLS
from tests.crash.harness import Result, Scenario, Stage
from tests.crash.partners import partners
from tests.crash.work import COURSES
from tests.resources.stores.shelves import SHELVES

WORKERS = max(2, os.cpu_count() or 1)
SHORT = ("again", "ids", "time", "stream")
"""The courses with one thing in them, the cheapest first."""
LONG = ("all", "back")
"""Those with everything, for pairs of points that no short one passes in that order."""
MEMORY = Path("/dev/shm")  # noqa: S108  (the folders in it are made by tempfile)
DELIVERING = (
    "load.",
    "commit.uploaded",
    "commit.publish",
    "commit.close",
    "commit.restage",
    "ledger.uploaded",
    "ledger.publish",
)
WRITING = ("commit.", "control.", "ledger.", "load.", "local.")
Passes = dict[str, Counter[str]]


@dataclass
class Counts:
    """What a campaign comes to. `caught`: scenarios with a row lost or doubled; `wrong`: those with any problem."""

    seed: int = 0
    control: str = ""
    points: int = 0
    scenarios: int = 0
    pairs: int = 0
    kills: int = 0
    lost: int = 0
    doubled: int = 0
    caught: int = 0
    wrong: int = 0
    names: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """Count one scenario; its kills that never struck are named."""
        verdict, kills = result.verdict, result.scenario.kills
        self.scenarios += 1
        self.pairs += len(kills) > 1 and result.struck > 1
        self.kills += result.struck
        self.lost, self.doubled = self.lost + verdict.lost, self.doubled + verdict.doubled
        self.caught += verdict.harm > 0
        self.wrong += bool(verdict.harm or verdict.problems)
        name = f"{result.scenario.course}: {' then '.join(f'{point} #{nth}' for point, nth in kills)}"
        if result.struck < len(kills):
            self.unreached.append(name)
        if verdict.harm or verdict.problems:
            self.problems.append(f"{name}: {verdict.lost} lost, {verdict.doubled} doubled; {verdict.problems}")

    def merge(self, other: Counts) -> None:
        """Add the counts of another worker."""
        for name, value in vars(other).items():
            if name not in {"seed", "control", "points", "names"}:
                setattr(self, name, getattr(self, name) + value)

    def __str__(self) -> str:
        return (
            f"{self.control or 'the product'}: {self.points} points, {self.scenarios} scenarios, {self.pairs} pairs, "
            f"{self.kills} SIGKILLs, {self.lost} rows lost, {self.doubled} doubled, {self.wrong} scenarios wrong"
        )


def singles(passes: Passes, chance: random.Random, store: str, *, each: bool) -> Iterator[Scenario]:
    """Every passing of every point in every short course; or each point once, somewhere."""
    for point in points(passes, store):
        courses = [name for name in SHORT if passes[name][point]]
        for course in courses if each else [chance.choice(courses)]:
            count = passes[course][point]
            chosen = range(1, count + 1) if each else [chance.randint(1, count)]
            yield from (Scenario(course, ((point, nth),)) for nth in chosen)


def moments(passes: Passes, chance: random.Random, count: int) -> list[Scenario]:
    """So many of all passings in the courses that begin with nothing, while the ledger or a partner is written to."""
    courses = [name for name in SHORT if not COURSES[name].delivered]
    found = [Scenario(name, ((point, nth + 1),)) for name in courses
             for point, passed in sorted(passes[name].items()) if point.startswith(WRITING)
             for nth in range(passed)]  # fmt: skip
    return chance.sample(found, count)


def points(passes: Passes, store: str = "") -> list[str]:
    """Every point that some short course passes; where partners are in a store, those from upload to done."""
    found = sorted(set().union(*(passes[name] for name in SHORT)))
    return [point for point in found if point.startswith((f"{store}.", *DELIVERING))] if store else found


def pairs(passes: Passes, chance: random.Random, store: str = "") -> list[Scenario]:
    """Every ordered pair of points in the cheapest course that has both, in a random order."""
    found = []
    for first, second in product(points(passes, store), repeat=2):
        course = next(name for name in (*SHORT, *LONG) if passes[name][first] and passes[name][second])
        found.append(Scenario(course, ((first, chance.randint(1, passes[course][first])), (second, 1))))
    chance.shuffle(found)
    return found


def roomier(missed: Scenario) -> Iterator[Scenario]:
    """The same pair where more is left for the restart: the first kill at its first passing of a long course."""
    (first, _), second = missed.kills
    yield from (Scenario(course, ((first, 1), second)) for course in LONG)


@dataclass(frozen=True)
class Asked:
    """What is to be played: all singles (`each` passing of them), and so many pairs; or so many moments of a control."""

    seed: int = 1
    each: bool = False
    pairs: int = 0
    control: str = ""
    moments: int = 60
    store: str = ""

    def choose(self, passes: Passes) -> list[Scenario]:
        """The scenarios, the same ones for the same seed."""
        chance = random.Random(self.seed)
        if self.control:
            return moments(passes, chance, self.moments)
        chosen = list(singles(passes, chance, self.store, each=self.each))
        return chosen + pairs(passes, chance, self.store)[: None if self.pairs < 0 else self.pairs]


@contextmanager
def stages(seed: int, count: int, store: str = "") -> Iterator[list[Stage]]:
    """Make this process a zygote, with so many stages in memory where there is such a folder. Once a process.

    With a `store` the partners are there, and not in folders of the stage.
    """
    base = Path(tempfile.mkdtemp(prefix="outgate-crash-", dir=MEMORY if MEMORY.is_dir() else None))
    try:
        zygote.prepare()
        with partners(store, base, count) as places:
            yield [Stage(base / str(number), seed, place) for number, place in enumerate(places)]
    finally:
        shutil.rmtree(base, ignore_errors=True)
        gc.unfreeze()


def run(asked: Asked, say: Callable[[str], None]) -> Counts:
    """Play a campaign. Must be called in a process that has opened nothing yet."""
    with stages(asked.seed, WORKERS, asked.store) as made:
        passes = {name: made[0].record(name, CONTROLS.get(asked.control)) for name in COURSES}
        names = points(passes, asked.store)
        counts = Counts(asked.seed, asked.control, len(names), names=names)
        _play(made, asked.choose(passes), counts, say)
    return counts


def _play(made: list[Stage], chosen: list[Scenario], counts: Counts, say: Callable[[str], None]) -> None:
    """Share the scenarios out, and report about thirty times."""
    shares = [chosen[number :: len(made)] for number in range(len(made))]
    players = [partial(_share, *each, counts.control) for each in zip(made, shares, strict=True)]
    children = [zygote.fork(player, longest=0) for player in players]
    step = max(1, len(chosen) // 30)
    for line in zygote.gather(children):
        counts.merge(Counts(**line))
        if counts.scenarios % step == 0:
            say(f"{counts.scenarios} of {len(chosen)}: {counts}")
    codes = [child.wait() for child in children]
    assert not any(codes), f"a player of scenarios ended with {codes}; see above"


def _share(stage: Stage, scenarios: Iterable[Scenario], control: str, send: zygote.Send) -> None:
    for scenario in scenarios:
        result = stage.play(scenario, CONTROLS.get(control))
        others = roomier(scenario) if len(scenario.kills) > 1 else iter(())
        while result.struck < len(scenario.kills) and (other := next(others, None)):
            result = stage.play(other, CONTROLS.get(control))
        counts = Counts()
        counts.add(result)
        send(asdict(counts))


def main() -> None:
    """Play, say how it goes on stderr, and print the counts as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", action="store_true", help="every passing of every point")
    parser.add_argument("--pairs", type=int, default=0, help="how many ordered pairs, -1 for all")
    parser.add_argument("--control", choices=["", *CONTROLS], default="", help="a wrong order instead of the product's")
    parser.add_argument("--moments", type=int, default=60, help="at how many passings a wrong order is killed")

    parser.add_argument("--store", choices=["", *SHELVES], default="", help="where the partners are, if not in folders")

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)  # noqa: T201

    counts = run(Asked(**vars(parser.parse_args())), say)
    print(json.dumps(asdict(counts)))  # noqa: T201


if __name__ == "__main__":
    main()
