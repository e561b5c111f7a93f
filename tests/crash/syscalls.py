"""Faults at system calls of a whole run: strace kills the process, or lets the call fail, at every one that writes.

`python -m tests.crash.syscalls --help`. No point of the code is chosen here: the kernel's calls are.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.crash.campaign import stages
from tests.crash.durable import order
from tests.crash.harness import Stage
from tests.crash.work import ONE

WRITES = ("fdatasync", "fsync", "ftruncate", "link", "linkat", "mkdir", "openat", "pwrite64", "rename", "renameat",
          "renameat2", "unlink", "unlinkat", "write")  # fmt: skip
ERRORS = {"fdatasync": "EIO", "fsync": "EIO", "link": "EIO", "linkat": "EIO", "pwrite64": "ENOSPC", "rename": "EIO",
          "write": "ENOSPC"}  # fmt: skip
"""How a call may fail on a disk that is full or broken."""
LINE = re.compile(r"(\d+) +(\w+)\((.*)")
STRACE = ("strace", "-f", "-qq")
QUICKLY = "--seccomp-bpf"
"""Stops only at the calls asked for; strace 6.1 forgets to send its signals then."""
LONGEST = 120


@dataclass(frozen=True)
class Fault:
    """The `nth` call of that name in the main thread, and what happens there: a signal, or an error."""

    call: str
    nth: int
    inject: str

    @property
    def fails(self) -> bool:
        """Whether the call fails; else the process is killed there."""
        return self.inject.startswith("error")

    def __str__(self) -> str:
        return f"{self.inject} at {self.call} #{self.nth}"


@dataclass
class Faults:
    """What came of it. `kills`: runs that were killed; `failures`: those that ended with a message."""

    faults: int = 0
    kills: int = 0
    failures: int = 0
    lost: int = 0
    doubled: int = 0
    problems: list[str] = field(default_factory=list)


def calls(stage: Stage, folder: Path) -> list[tuple[str, int]]:
    """Every call of a whole run that writes into the place, by its name and number among the main thread's."""
    return list(_writing(trace(stage, folder), str(stage.place.root)))


Called = tuple[str, str, str]
"""Thread, call, and its arguments with the paths of open files."""


def trace(stage: Stage, folder: Path) -> list[Called]:
    """The writing calls of a whole run, in their order."""
    log = folder / "strace.log"
    _begin(stage)
    ended = _run(stage, *STRACE, QUICKLY, "-y", "-o", str(log), "-e", f"trace={','.join(WRITES)}")
    assert ended.returncode == 0, f"a run under strace fails by itself: {ended.stderr}"
    lines = log.read_text(errors="replace").splitlines()
    return [(found[1], found[2], found[3]) for found in map(LINE.match, lines) if found]


def _writing(found: list[Called], root: str) -> Iterator[tuple[str, int]]:
    counts: Counter[str] = Counter()
    for thread, call, arguments in found:
        if thread != found[0][0]:
            continue
        counts[call] += 1
        if root in arguments and (call != "openat" or "O_CREAT" in arguments):
            yield call, counts[call]


def faults(found: list[tuple[str, int]]) -> list[Fault]:
    """A kill at each call, and a failure of each that can fail."""
    kills = [Fault(call, nth, "signal=KILL") for call, nth in found]
    return kills + [Fault(call, nth, f"error={ERRORS[call]}") for call, nth in found if call in ERRORS]


def play(stage: Stage, fault: Fault, counts: Faults) -> None:
    """Run with the fault, then once more without, and judge."""
    _begin(stage)
    inject = f"inject={fault.call}:{fault.inject}:when={fault.nth}"
    quickly = [QUICKLY] * fault.fails
    ended = _run(stage, *STRACE, *quickly, "-o", os.devnull, "-e", f"trace={fault.call}", "-e", inject)
    counts.faults += 1
    counts.kills += ended.returncode == -9
    counts.failures += ended.returncode == 1
    allowed = {0, 1} if fault.fails else {-9}
    problems = [f"it ended with {ended.returncode}"] * (ended.returncode not in allowed)
    problems += [f"a traceback: {ended.stderr}"] * ("Traceback" in ended.stderr)
    problems += ["it failed without a word"] * (ended.returncode == 1 and not ended.stderr.strip())
    stage.show(ONE, 1)
    code, sent = stage.attempt(ONE)
    problems += [f"the rerun ended with {code}: {sent}"] * (
        code != 0 or any(state != "done" for _, _, state, _ in sent)
    )
    verdict = stage.check(ONE)
    counts.lost, counts.doubled = counts.lost + verdict.lost, counts.doubled + verdict.doubled
    problems += [f"{verdict.lost} lost, {verdict.doubled} doubled"] * (verdict.harm > 0) + verdict.problems
    counts.problems += [f"{fault}: {problem}" for problem in problems]


def _begin(stage: Stage) -> None:
    stage.begin(ONE)
    stage.show(ONE, 0)


def _run(stage: Stage, *under: str) -> subprocess.CompletedProcess[str]:
    command = [*under, sys.executable, "-m", "tests.crash.work", str(stage.place.root)]
    quiet = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, env=quiet, capture_output=True, text=True, timeout=LONGEST, check=False)


def main() -> None:
    """Play and print what came of it as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=-1, help="how many kills, -1 for all")
    parser.add_argument(
        "--order", action="store_true", help="only: what is on the disk before what, as durable.py says it"
    )
    parser.add_argument("--errors", type=int, default=-1, help="how many failing calls, -1 for all")
    asked, counts = parser.parse_args(), Faults()
    assert shutil.which("strace"), "strace is not installed"
    with stages(asked.seed, 1) as (stage,):
        if asked.order:
            print(json.dumps(order(trace(stage, stage.place.root.parent), stage.place.root)))  # noqa: T201
            return
        found = faults(calls(stage, stage.place.root.parent))
        random.Random(asked.seed).shuffle(found)
        kills = [fault for fault in found if not fault.fails]
        errors = [fault for fault in found if fault.fails]
        chosen = (
            kills[: None if asked.kills < 0 else asked.kills] + errors[: None if asked.errors < 0 else asked.errors]
        )
        for number, fault in enumerate(chosen, 1):
            play(stage, fault, counts)
            print(f"{number} of {len(chosen)}: {fault}", file=sys.stderr, flush=True)  # noqa: T201
    print(json.dumps(asdict(counts)))  # noqa: T201


if __name__ == "__main__":
    main()
