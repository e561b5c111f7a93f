"""The process that all others are forked from: everything is imported and no connection is open, so a fork is cheap.

It must be a process of its own: one that has used DuckDB or Arrow has threads, which a fork does not take along.
"""

from __future__ import annotations

import functools
import gc
import importlib
import json
import os
import selectors
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from resources.ledger import Artifact, Lease, Ledger, WindowSpec, engine
from resources.ledger.records import Kind
from tests.crash.project import Place
from tests.crash.work import small_parts

HEAVY = (
    "duckdb", "isal.igzip", "pyarrow.compute", "pyarrow.parquet", "sqlglot.dialects.duckdb",
    "resources.databases.duckdb", "resources.registry",
)  # fmt: skip
LONGEST = 120
"""Seconds after which a child is taken for hung, and ended."""
LEASE = timedelta(seconds=30)
KIND: tuple[Kind, ...] = ("part", "manifest", "done_file")


def prepare() -> None:
    """Import what every child would. Called once, before any fork."""
    for name in HEAVY:
        importlib.import_module(name)
    small_parts()
    # SQLAlchemy keeps compiled statements with the engine: a child gets the zygote's, with connections of its own.
    engine.build = functools.cache(engine.build)


def warm(place: Place) -> None:
    """Read the declarations of an empty place and compile the ledger's statements; the ledger is used up by that."""
    place.declare()
    for export in place.project.exports:
        place.project.get(export)
    ledger = place.open()
    for again in (None, "again"):
        _journey(ledger, again)
    ledger.close()
    gc.freeze()


def _journey(ledger: Ledger, again: str | None) -> None:
    day, names = datetime(2024, 1, 1, tzinfo=UTC), (("partner", "partner"), ("lake", "lake"))
    lease = ledger.acquire(WindowSpec("warm", "k", day, day, {}, names), "me", LEASE, again).lease
    assert lease is not None
    ledger.record_grid("warm", "grid")
    with ledger.export_lock("warm", "me", LEASE):
        ledger.fix_ids(lease, ledger.last_id("warm", "k").low, 1)
    parts = [Artifact(name, kind, 1, "path", "name", 1, 1, "sha256") for name, _ in names for kind in KIND]
    ledger.seal(lease, horizon={}, fingerprint="", server="", rows=1, artifacts=parts)
    for name, _ in names:
        _deliver(ledger, lease, name)
    ledger.release(lease)


def _deliver(ledger: Ledger, lease: Lease, name: str) -> None:
    ledger.check(lease)
    ledger.uploaded(lease, name, {(kind, 1): "token" for kind in KIND})
    ledger.older_generations(lease), ledger.written(lease, name, "name", any_window=True), ledger.window("warm", "k")
    ledger.published(lease, name)
    ledger.close(lease, name, {"rows": 1})


Ended = tuple[int, list[Any]]
"""How a process ended (exit code, or minus the signal's number) and what it sent."""


@dataclass
class Child:
    """A forked process, and the lines of JSON that it sends."""

    pid: int
    pipe: int

    def lines(self) -> Iterator[Any]:
        """What it sends, until it has ended."""
        with os.fdopen(self.pipe, encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield json.loads(line)

    def wait(self) -> int:
        """Its exit code, or the negative number of the signal that ended it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def stopped(self) -> bool:
        """Wait until it has stopped (true) or ended (false)."""
        return os.WIFSTOPPED(os.waitpid(self.pid, os.WUNTRACED)[1])

    def end(self) -> Ended:
        """Exit code and all that it sent."""
        sent = list(self.lines())
        return self.wait(), sent


Send = Callable[[Any], None]


def fork(work: Callable[[Send], None], longest: int = LONGEST) -> Child:
    """Run `work(send)` in a child, which is ended after `longest` seconds unless that is 0."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _be_child(work, writer, longest)
    os.close(writer)
    return Child(pid, reader)


def _be_child(work: Callable[[Send], None], writer: int, longest: int) -> NoReturn:
    signal.alarm(longest)
    code = 70

    def send(value: Any) -> None:
        os.write(writer, f"{json.dumps(value)}\n".encode())

    try:
        work(send)
        code = 0
    except BaseException:  # noqa: BLE001  (nothing of a child may run on in its parent's code)
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def gather(children: Sequence[Child]) -> Iterator[Any]:
    """What several children send, as it comes, until all have ended."""
    with selectors.DefaultSelector() as selector:
        for child in children:
            selector.register(child.pipe, selectors.EVENT_READ, bytearray())
        while selector.get_map():
            for key, _ in selector.select():
                data = os.read(key.fd, 1 << 16)
                *lines, rest = bytes(key.data + data).split(b"\n")
                key.data[:] = rest
                yield from map(json.loads, lines)
                if not data:
                    selector.unregister(key.fd)
                    os.close(key.fd)
