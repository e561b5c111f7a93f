"""The home: the folder that keeps the ledger, the spool and Dagster's own state, by default `.outgate/` in the
project.

OUTGATE_HOME names another folder, OUTGATE_LEDGER another ledger (a postgresql:// URL, for several hosts). An
environment (OUTGATE_ENV) has a home of its own inside it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from resources.ledger import Ledger
from resources.spool import Spool
from spec.errors import LedgerError, LedgerMissing


@dataclass(frozen=True)
class Home:
    """Where everything is kept. Nothing is made before it is needed; only `create` makes a ledger."""

    folder: Path
    ledger_url: str
    environment: str = ""

    @classmethod
    def find(cls, root: Path, environment: str = "") -> Home:
        """The home that the environment variables name, for a project at `root`."""
        folder = Path(os.environ.get("OUTGATE_HOME") or root / ".outgate").absolute()
        if environment:
            folder /= environment
        return cls(folder, os.environ.get("OUTGATE_LEDGER") or f"sqlite:///{folder / 'ledger.db'}", environment)

    @property
    def spool_folder(self) -> Path:
        """The spool."""
        return Path(os.environ.get("OUTGATE_SPOOL") or self.folder / "spool")

    @property
    def dagster(self) -> Path:
        """Dagster's own storage."""
        return self.folder / "dagster"

    def open(self) -> tuple[Ledger, Spool]:
        """The ledger and the spool. Raises LedgerError when there is no ledger, or not the right one."""
        ledger = Ledger.open(self.ledger_url, self.spool_folder, environment=self.environment)
        return ledger, Spool(self.spool_folder)

    @contextmanager
    def look(self) -> Iterator[Ledger | None]:
        """The ledger to look something up in, None where there is none yet. Raises LedgerError for other trouble."""
        try:
            ledger = self.open()[0]
        except LedgerMissing:
            ledger = None
        with nullcontext() if ledger is None else closing(ledger):
            yield ledger

    def create(self) -> Ledger:
        """Make the folders and the ledger. Raises LedgerError when there is one."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            Spool(self.spool_folder)
        except OSError as error:
            raise LedgerError(f"the home {self.folder} cannot be made: {error.strerror}; see OUTGATE_HOME") from None
        return Ledger.create(self.ledger_url, self.spool_folder, environment=self.environment)
