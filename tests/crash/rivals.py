"""Live rivals: several workers let loose on one window at the same moment. `python -m tests.crash.rivals --help`.

One that is frozen while another works is in frozen.py, one that is killed in campaign.py.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.crash import zygote
from tests.crash.campaign import stages
from tests.crash.harness import Stage
from tests.crash.work import ONE, Course, drive

ONCE = {("sealed", None): 1} | {
    (what, to): 1 for to in ("partner", "lake") for what in ("uploaded", "published", "done")
}
"""What the trail of one window has, whoever worked on it."""


@dataclass
class Rivalry:
    """What came of it: `rounds` played, what workers were told how often, and everything that was wrong."""

    rounds: int = 0
    told: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def tell(self, what: str) -> None:
        """Count one answer."""
        self.told[what] = self.told.get(what, 0) + 1


def race(stage: Stage, workers: int, rivalry: Rivalry) -> None:
    """Let `workers` processes begin one window at the same moment; one of them delivers it."""
    stage.begin(ONE)
    stage.show(ONE, 0)
    gate, opener = os.pipe()

    def work(send: zygote.Send) -> None:
        os.close(opener)
        os.read(gate, 1)
        for outcome in drive(stage.place, ONE):
            send("finds it done" if outcome.good and outcome.skipped else outcome.state)

    children = [zygote.fork(work) for _ in range(workers)]
    os.close(gate)
    os.close(opener)
    told = [said for child in children for said in child.end()[1]]
    rivalry.rounds += 1
    for said in told:
        rivalry.tell(said)
    problems = [] if told.count("done") == 1 and set(told) <= {"done", "busy", "finds it done"} else [f"told: {told}"]
    rivalry.problems += problems + wrong(stage, ONE)


def wrong(stage: Stage, course: Course, anew: bool = False) -> list[str]:
    """What is not as it should be once a course is done, its trail included."""
    verdict = stage.check(course)
    harm = [f"{verdict.lost} rows lost, {verdict.doubled} doubled"] if verdict.harm else []
    trail = asked(stage, "SELECT generation, what, delivery FROM event")
    counts = Counter((what, to) for generation, what, to in trail if generation == 1 + anew)
    once = {event: counts[event] for event in ONCE}
    return harm + verdict.problems + ([f"the trail: {once}"] if once != ONCE else [])


def asked(stage: Stage, statement: str) -> list[tuple[Any, ...]]:
    """The rows that the ledger's file has."""
    with closing(sqlite3.connect(f"file:{stage.place.home.folder / 'ledger.db'}?mode=ro", uri=True)) as ledger:
        return ledger.execute(statement).fetchall()


def main() -> None:
    """Play and print what came of it as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--races", type=int, default=20, help="how many races")
    parser.add_argument("--workers", type=int, default=2, help="how many workers in each")
    wanted, rivalry = parser.parse_args(), Rivalry()
    with stages(wanted.seed, 1) as (stage,):
        for number in range(wanted.races):
            race(stage, wanted.workers, rivalry)
            print(f"{number + 1} of {wanted.races}: {rivalry.told}", file=sys.stderr, flush=True)  # noqa: T201
    print(json.dumps(asdict(rivalry)))  # noqa: T201


if __name__ == "__main__":
    main()
