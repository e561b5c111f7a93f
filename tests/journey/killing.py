"""Runs that are killed: a worker of its own for each, forked from a process that has opened nothing yet.

`python -m tests.journey.killing` reads a list of plays as JSON and writes, for each, what is in the windows after it.
A play: {"folder": a project, "kills": [point], "runs": [[keys, again]],
"columns": of the rows that are read back}; the first run is the one that is killed, once for each
point in turn; after that all of them are brought to their end. Each run is on the day after its last window.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import duckdb  # noqa: F401  (once, before the forks)
import pyarrow.parquet  # noqa: F401
import sqlalchemy.dialects.sqlite  # noqa: F401

import resources.databases.duckdb
import resources.stores.local  # noqa: F401
from resources.failpoint import install
from tests.journey.days import after
from tests.journey.trial import Trial

MEMORY = Path("/dev/shm")  # noqa: S108  (the folders in it are made by tempfile)


def killer(point: str) -> Callable[[str], None]:
    """A hook that ends this process at a point, at once and for good."""
    return lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == point else None


def fork(work: Callable[[], Any]) -> tuple[int, Any]:
    """Do it in a child: how that ended, and what it wrote."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        with os.fdopen(write, "w") as out:
            json.dump(work(), out)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as told:
        text = told.read()
    return os.waitpid(child, 0)[1], json.loads(text) if text else None


def run(place: Path, keys: list[str], again: str | None, hook: Callable[[str], None] | None = None) -> list[str]:
    """One run in this process: the states that its windows came to."""
    install(hook)
    with after(keys[-1]):
        return [outcome.state for outcome in Trial(place).run(*keys, again=again)]


def points(place: Path, keys: list[str], again: str | None) -> list[str]:
    """The points that a run passes when nobody is killed."""
    passed: list[str] = []
    run(place, keys, again, passed.append)
    return list(dict.fromkeys(passed))


@contextmanager
def stage() -> Iterator[Path]:
    """A folder to play in, in memory where there is such a place."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder) / "place"


def play(
    folder: Path, place: Path, kills: list[str], runs: list[tuple[list[str], str | None]], columns: list[str]
) -> dict[str, Any]:
    """One play, in a copy of the project."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(folder, place)
    if not kills:
        return {"points": fork(partial(points, place, *runs[0]))[1]}
    struck = [fork(partial(run, place, *runs[0], killer(kill)))[0] == signal.SIGKILL for kill in kills]
    states = fork(lambda: [state for each in runs for state in run(place, *each)])[1]
    windows = {path.name: Trial(place).rows(path.name, *columns) for path in (place / "out" / "parquet").iterdir()}
    return {"kills": kills, "struck": struck, "states": states, "windows": windows}


if __name__ == "__main__":
    with stage() as where:
        for line in sys.stdin:
            asked = json.loads(line)
            print(json.dumps(play(Path(asked["folder"]), where, asked["kills"], asked["runs"], asked["columns"])))  # noqa: T201
