"""The ledger's shadow in the spool: its id and its sequence, so that a lost or restored ledger is noticed.

What follows from a difference is decided in opening.py; this file only reads and advances.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from spec.errors import LedgerError

NAME = "ledger.json"


@dataclass(frozen=True)
class Mirrored:
    """What the spool knows of its ledger; `sequence` counts the ledger's seals, publications and closings."""

    id: str
    sequence: int


class Mirror:
    """`ledger.json` in one spool folder."""

    def __init__(self, spool: Path) -> None:
        self.spool = spool
        self.path = spool / NAME

    def read(self) -> Mirrored | None:
        """What was mirrored, None when nothing was. Raises LedgerError when the file is not what was written."""
        try:
            found = json.loads(self.path.read_bytes())
            return Mirrored(str(found["id"]), int(found["sequence"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerError(
                f"{self.path} is not the mirror of a ledger ({error}); restore the file, or, when you are sure that "
                "the ledger is the newest there is, remove it: the next start writes it again"
            ) from None

    def advance(self, to: Mirrored) -> None:
        """Write `to` atomically and durably, unless what stands there is as new. Raises LedgerError on a foreign id."""
        self.spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone():
            found = self.read()
            if found is not None and found.id != to.id:
                raise LedgerError(foreign(self, found.id, to.id))
            if found is None or found.sequence < to.sequence:
                self._write(json.dumps({"id": to.id, "sequence": to.sequence}))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        # Two workers that commit one after the other may come here in the other order: compare and write as one step.
        with (self.spool / ".ledger.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, text: str) -> None:
        temporary = self.spool / f".{NAME}.tmp"
        with temporary.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self.path)
        folder = os.open(self.spool, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def foreign(mirror: Mirror, mirrored: str, opened: str) -> str:
    """The sentence for a spool that belongs to another ledger."""
    return (
        f"the spool {str(mirror.spool)!r} belongs to ledger {mirrored!r}, and this is ledger {opened!r}; "
        "open the ledger that belongs to it, or give this ledger a spool of its own"
    )
