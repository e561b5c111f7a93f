"""Frozen workers: one is stopped while another finishes its window, and wakes when everything is over.

`python -m tests.crash.frozen --help`. A frozen process is alive, so only the end of its lease frees the window.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Any

from resources.ledger import Lease
from resources.ledger.leases import Leases
from tests.crash import zygote
from tests.crash.campaign import stages
from tests.crash.harness import Kill, Stage
from tests.crash.rivals import Rivalry, asked, wrong
from tests.crash.work import D1, ONE, Course, Hook, Step, drive, watch

ANEW = Course((Step("events", (D1,), again="anew"),), ONE.steps)
SHORT, LONG = timedelta(milliseconds=200), timedelta(seconds=30)
POLL = timedelta(milliseconds=20)
ENDINGS = {"lost its lease": "no longer holds it with fence", "finds it done": "done: "}
"""What a worker that was frozen may say in the end, and the words to know it by."""
FROM, TO = "journey.leased", "ledger.close.before"
"""The frozen worker has the window and has not closed its last delivery."""


def freeze(stage: Stage, at: Kill, rivalry: Rivalry, *, anew: bool) -> None:
    """Stop a worker at a point until another has finished its window (and, `anew`, delivered it once more), then wake
    it: it must change nothing.
    """
    stage.begin(ONE)
    stage.show(ONE, 0)
    name, problems = f"frozen at {at[0]} #{at[1]}{', anew' * anew}", []
    frozen = zygote.fork(lambda send: _frozen(stage, at, send))
    assert frozen.stopped(), f"{name}: it never came there"
    for course in (ONE, ANEW)[: 1 + anew]:
        stage.show(course, 1)
        ended = zygote.fork(partial(_second, stage, course)).end()
        problems += [f"the second worker: {ended}"] * (ended != (0, ["done: "]))
    before = _everything(stage)
    os.kill(frozen.pid, signal.SIGCONT)
    code, told = frozen.end()
    after = _everything(stage)
    problems += [f"it changed {what}" for what in sorted(before.keys() | after) if before.get(what) != after.get(what)]
    said = next((name for name, words in ENDINGS.items() if words in "".join(told)), f"{code}: {told}")
    problems += [f"it ended with {code} and said {told}"] * (code != 0 or said not in ENDINGS)
    rivalry.rounds += 1
    rivalry.tell(said)
    problems += wrong(stage, ANEW if anew else ONE, anew)
    rivalry.problems += [f"{name}: {problem}" for problem in problems]


def _second(stage: Stage, course: Course, send: zygote.Send) -> None:
    send(_finish(stage, course))


def _frozen(stage: Stage, at: Kill, send: zygote.Send, lease: timedelta = SHORT) -> None:
    """A worker that stops itself, never in the middle of a heartbeat's transaction."""
    renewing, renew = threading.Lock(), Leases.renew

    def alone(ledger: Leases, held: Lease, ttl: timedelta) -> None:
        with renewing:
            renew(ledger, held, ttl)

    Leases.renew = alone  # type: ignore[assignment, method-assign]
    watch(_stopper(at, renewing))
    send(_finish(stage, ONE, lease))


def _stopper(at: Kill, renewing: threading.Lock) -> Hook:
    point, left = at

    def hook(name: str) -> None:
        nonlocal left
        left -= name == point
        if name == point and left == 0:
            with renewing:
                os.kill(os.getpid(), signal.SIGSTOP)

    return hook


def _finish(stage: Stage, course: Course, lease: timedelta = LONG) -> str:
    """Run a course as soon as its window is free; what it came to."""
    patience = threading.Event()
    while True:
        (outcome,) = drive(stage.place, course, lease=lease)
        if outcome.state != "busy":
            return f"{outcome.state}: {outcome.detail}"
        patience.wait(POLL.total_seconds())


def overtake(stage: Stage, rivalry: Rivalry) -> None:
    """Wake a late worker between the successor's upload and its publication, for a partner that collects its files:
    what the successor staged must still be there.
    """
    stage.begin(ONE)
    stage.show(ONE, 0)
    late = zygote.fork(lambda send: _frozen(stage, ("local.stage.written", 6), send))
    stopped = late.stopped()
    successor = zygote.fork(lambda send: _frozen(stage, ("ledger.uploaded.after", 1), send, LONG))
    stopped = successor.stopped() and stopped
    ended = []
    for worker in (late, successor):
        os.kill(worker.pid, signal.SIGCONT)
        ended.append(worker.end())
    problems = [] if stopped and ended[1] == (0, ["done: "]) else [f"stopped: {stopped}, they said {ended}"]
    rivalry.rounds += 1
    rivalry.problems += [f"overtaken: {problem}" for problem in problems + wrong(stage, ONE)]


def _everything(stage: Stage) -> dict[str, Any]:
    """Every file of the partners as bytes, every table of the ledger as rows."""
    files = {str(path): path.read_bytes() for path in stage.place.out.rglob("*") if path.is_file()}
    tables = [name for (name,) in asked(stage, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    return files | {f"table {name}": asked(stage, f'SELECT * FROM "{name}"') for name in tables}


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
    parser.add_argument("--count", type=int, default=-1, help="at how many moments a worker is frozen, -1 for all")
    wanted, rivalry = parser.parse_args(), Rivalry()
    with stages(wanted.seed, 1) as (stage,):
        overtake(stage, rivalry)
        chosen = list(moments(stage.passed(ONE)))
        random.Random(wanted.seed).shuffle(chosen)
        for number, at in enumerate(chosen[: None if wanted.count < 0 else wanted.count]):
            freeze(stage, at, rivalry, anew=number % 2 == 1)
            print(f"{number + 1} of {len(chosen)}: {rivalry.told}", file=sys.stderr, flush=True)  # noqa: T201
    print(json.dumps(asdict(rivalry)))  # noqa: T201


if __name__ == "__main__":
    main()
