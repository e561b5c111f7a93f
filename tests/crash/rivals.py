"""Live rivals: several workers let loose on one window, and one that is frozen while another finishes its window.

`python -m tests.crash.rivals --help`. Who is killed instead is in campaign.py.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from resources.ledger import Lease, Ledger
from tests.crash import zygote
from tests.crash.campaign import stages
from tests.crash.harness import Kill, Stage
from tests.crash.work import D1, Course, Hook, Step, drive, watch

ONE = Course((Step("events", (D1,)),))
ANEW = Course((Step("events", (D1,), again="anew"),), ONE.steps)
SHORT = timedelta(milliseconds=200)
POLL = timedelta(milliseconds=20)
ENDINGS = {"lost its lease": "no longer holds it with fence", "finds it done": "done: "}
"""What a worker that was frozen may say in the end, and the words to know it by."""
ONCE = {("sealed", None): 1} | {(what, to): 1 for to in ("partner", "lake") for what in ("uploaded", "published", "done")}
"""What the trail of one window has, whoever worked on it."""
FROM, TO = "journey.leased", "ledger.close.before"
"""The frozen worker has the window and has not closed its last delivery."""


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
    rivalry.problems += problems + _wrong(stage, ONE)


def freeze(stage: Stage, at: Kill, rivalry: Rivalry, *, anew: bool) -> None:
    """Stop a worker at a point until another has finished its window (and, `anew`, delivered it once more), then wake
    it: it must change nothing.
    """
    stage.begin(ONE)
    stage.show(ONE, 0)
    frozen = zygote.fork(lambda send: _frozen(stage, at, send))
    name, problems = f"frozen at {at[0]} #{at[1]}{', anew' * anew}", []
    if not frozen.stopped():
        problems.append("never came there")
    for course in (ONE, ANEW)[: 1 + anew]:
        stage.show(course, 1)
        said = zygote.fork(lambda send, c=course: send(_finish(stage, c))).end()
        problems += [f"the second worker: {said}"] * (said != (0, ["done"]))
    before = _everything(stage)
    os.kill(frozen.pid, signal.SIGCONT)
    code, told = frozen.end()
    after = _everything(stage)
    problems += [f"it changed {what}" for what in sorted(before.keys() | after) if before.get(what) != after.get(what)]
    said = next((name for name, words in ENDINGS.items() if words in "".join(told)), f"{code}: {told}")
    problems += [f"it ended with {code} and said {told}"] * (code != 0 or said not in ENDINGS)
    rivalry.rounds += 1
    rivalry.tell(said)
    problems += _wrong(stage, ANEW if anew else ONE, anew)
    rivalry.problems += [f"{name}: {problem}" for problem in problems]


def _frozen(stage: Stage, at: Kill, send: zygote.Send) -> None:
    """A worker with a short lease that stops itself, never in the middle of a heartbeat's transaction."""
    renewing, renew = threading.Lock(), Ledger.renew

    def alone(ledger: Ledger, lease: Lease, ttl: timedelta) -> None:
        with renewing:
            renew(ledger, lease, ttl)

    Ledger.renew = alone  # type: ignore[method-assign]
    watch(_stopper(at, renewing))
    for outcome in drive(stage.place, ONE, lease=SHORT):
        send(f"{outcome.state}: {outcome.detail}")


def _stopper(at: Kill, renewing: threading.Lock) -> Hook:
    point, left = at

    def hook(name: str) -> None:
        nonlocal left
        left -= name == point
        if name == point and left == 0:
            with renewing:
                os.kill(os.getpid(), signal.SIGSTOP)

    return hook


def _finish(stage: Stage, course: Course) -> str:
    """Run a course as soon as its window is free; what it came to."""
    patience = threading.Event()
    while True:
        (outcome,) = drive(stage.place, course)
        if outcome.state != "busy":
            return outcome.state if outcome.good else f"{outcome.state}: {outcome.detail}"
        patience.wait(POLL.total_seconds())


def _wrong(stage: Stage, course: Course, anew: bool = False) -> list[str]:
    verdict = stage.check(course)
    harm = [f"{verdict.lost} rows lost, {verdict.doubled} doubled"] if verdict.harm else []
    trail = _asked(stage, "SELECT generation, what, delivery FROM event")
    counts = Counter((what, to) for generation, what, to in trail if generation == 1 + anew)
    once = {event: counts[event] for event in ONCE}
    return harm + verdict.problems + ([f"the trail: {once}"] if once != ONCE else [])


def _everything(stage: Stage) -> dict[str, Any]:
    """Every file of the partners as bytes, every table of the ledger as rows."""
    files = {str(path): path.read_bytes() for path in stage.place.out.rglob("*") if path.is_file()}
    tables = [name for (name,) in _asked(stage, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    return files | {f"table {name}": _asked(stage, f'SELECT * FROM "{name}"') for name in tables}


def _asked(stage: Stage, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{stage.place.home.folder / 'ledger.db'}?mode=ro", uri=True)) as ledger:
        return ledger.execute(statement).fetchall()


def moments(passed: list[str]) -> Iterator[Kill]:
    """Every moment at which a worker may be frozen: not inside a transaction, which would stop the others too."""
    counts: Counter[str] = Counter()
    last = len(passed) - passed[::-1].index(TO)
    for number, name in enumerate(passed[:last]):
        counts[name] += 1
        inside = name.startswith("commit.") and name.endswith(".before")
        if number >= passed.index(FROM) and not inside:
            yield name, counts[name]


def main() -> None:
    """Play and print what came of it as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--races", type=int, default=0, help="how many races")
    parser.add_argument("--workers", type=int, default=2, help="how many workers in each")
    parser.add_argument("--frozen", type=int, default=0, help="at how many moments a worker is frozen, -1 for all")
    asked, rivalry = parser.parse_args(), Rivalry()
    with stages(asked.seed, 1) as (stage,):
        for _ in range(asked.races):
            race(stage, asked.workers, rivalry)
        chosen = list(moments(stage.passed(ONE))) if asked.frozen else []
        random.Random(asked.seed).shuffle(chosen)
        for number, at in enumerate(chosen[: None if asked.frozen < 0 else asked.frozen]):
            freeze(stage, at, rivalry, anew=number % 2 == 1)
            print(f"{number + 1} of {len(chosen)}: {rivalry.told}", file=sys.stderr, flush=True)  # noqa: T201
    print(json.dumps(asdict(rivalry)))  # noqa: T201


if __name__ == "__main__":
    main()
