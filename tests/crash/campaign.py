"""Which scenarios are played, by how many processes, and what they come to: `python -m tests.crash.campaign --help`.

Singles are every point (`each`: at every passing in every course); pairs are ordered: the second kill strikes the
restart after the first. How one scenario is played is in harness.py.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path

from tests.crash import zygote
from tests.crash.controls import CONTROLS
from tests.crash.harness import Result, Scenario, Stage
from tests.crash.work import COURSES

WORKERS = max(2, os.cpu_count() or 1)
PRICES = ("again", "ids", "time", "all")
"""The courses, the cheapest first."""
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
            if name not in {"seed", "control", "points"}:
                setattr(self, name, getattr(self, name) + value)

    def __str__(self) -> str:
        return (
            f"{self.control or 'the product'}: {self.points} points, {self.scenarios} scenarios, {self.pairs} pairs, "
            f"{self.kills} SIGKILLs, {self.lost} rows lost, {self.doubled} doubled, {self.wrong} scenarios wrong"
        )


def singles(passes: Passes, chance: random.Random, *, each: bool) -> Iterator[Scenario]:
    """Every passing of every point in every course; or each point once, somewhere."""
    if each:
        for course, passed in passes.items():
            yield from (Scenario(course, ((point, n + 1),)) for point in sorted(passed) for n in range(passed[point]))
        return
    for point in points(passes):
        course = chance.choice([name for name in PRICES[:3] if point in passes.get(name, ())] or ["all"])
        yield Scenario(course, ((point, chance.randint(1, passes[course][point])),))


def points(passes: Passes) -> list[str]:
    """Every point that some course passes."""
    return sorted(set().union(*passes.values()))


def pairs(passes: Passes, chance: random.Random) -> list[Scenario]:
    """Every ordered pair of points in the cheapest course that has both, in a random order."""
    found = []
    for first, second in product(points(passes), repeat=2):
        course = next((name for name in PRICES if {first, second} <= set(passes.get(name, ()))), None)
        if course is not None:
            nth = chance.randint(1, passes[course][first])
            found.append(Scenario(course, ((first, nth), (second, 1))))
    chance.shuffle(found)
    return found


def earlier(missed: Scenario) -> Scenario:
    """The same pair with the first kill at its first passing, which leaves the restart most to do."""
    (first, _), second = missed.kills
    return replace(missed, kills=((first, 1), second))


def run(seed: int, *, each: bool, count: int, control: str = "", say: Callable[[str], None] = print) -> Counts:
    """Play a campaign: all singles, and `count` of the pairs (-1: all). Must be called in a process of its own."""
    base = Path(tempfile.mkdtemp(prefix="outgate-crash-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    try:
        zygote.prepare()
        stages = [Stage(base / str(number), seed) for number in range(WORKERS)]
        passes = {name: stages[0].record(name, CONTROLS.get(control)) for name in COURSES}
        chance = random.Random(seed)
        chosen = list(singles(passes, chance, each=each))
        chosen += pairs(passes, chance)[: None if count < 0 else count]
        counts = Counts(seed, control, len(points(passes)))
        _play(stages, chosen, counts, control, say)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    return counts


def _play(stages: list[Stage], chosen: list[Scenario], counts: Counts, control: str, say: Callable[[str], None]) -> None:
    """Share the scenarios out, and report about thirty times."""
    shares = [chosen[number :: len(stages)] for number in range(len(stages))]
    children = [zygote.fork(lambda send, s=s, c=c: _share(s, c, control, send), longest=0)
                for s, c in zip(stages, shares, strict=True)]  # fmt: skip
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
        if len(scenario.kills) > 1 and result.struck < len(scenario.kills) and earlier(scenario) != scenario:
            result = stage.play(earlier(scenario), CONTROLS.get(control))
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
    asked = parser.parse_args()

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)  # noqa: T201

    counts = run(asked.seed, each=asked.each, count=asked.pairs, control=asked.control, say=say)
    print(json.dumps(asdict(counts)))  # noqa: T201


if __name__ == "__main__":
    main()
