"""The project that is crashed: three exports, two partners, a ledger and a spool, all below one folder.

What is read from it is in source.py; what is done in it in work.py; who is killed there in harness.py.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from assets.journey import Journey
from pipelines.home import Home
from pipelines.project import Project
from resources.ledger import Ledger
from resources.spool import Spool

SOURCE = "db: {type: duckdb, path: source.duckdb, threads: 1}\n"
FOLDERS = """\
partner: {type: local, path: out/partner}
lake: {type: local, path: out/lake}
"""
EXPORT = """\
export: %s
source: {connector: db, table: events, cursor: %s}
partitions: {every: day, start: 2024-01-01}
deliver:
%s"""
DONE = "    done_file: true\n"
DELIVERIES = {
    "partner": """\
  - to: partner
    path: "{export}/{partition}/{export}_{partition}_{part}.csv.gz"
    format: {type: csv, delimiter: ";", compression: gzip, part_size: 1KB}
    done_file: true
""",
    "lake": """\
  - to: lake
    path: "{export}/{partition}.ndjson"
    format: {type: ndjson}
    collects: true
    manifest: false
""",
}
BY_TIME = "{by: time, column: updated_at, key: id, stamped_by: database}"
BY_ID = "{by: id, column: id, start: 61, stamped_by: database}"
EXPORTS = {
    "events": (BY_TIME, ("partner", "lake")),
    "numbers": (BY_ID, ("partner", "lake")),
    "alone": (BY_TIME, ("partner",)),
}
"""The cursor of each export, and its partners; what only one partner gets is streamed."""


@dataclass(frozen=True)
class Place:
    """The folder of a project, and what stands where in it."""

    root: Path
    partners: str = FOLDERS
    """How the partners are declared; elsewhere than in folders a name that begins with a dot is not one of theirs."""

    @property
    def out(self) -> Path:
        """The partners' folders."""
        return self.root / "out"

    @property
    def home(self) -> Home:
        """Ledger and spool."""
        folder = self.root / "home"
        return Home(folder, f"sqlite:///{folder / 'ledger.db'}")

    @cached_property
    def project(self) -> Project:
        """The declarations, read once; nothing is opened."""
        return Project(self.root / "pipelines")

    def declare(self) -> None:
        """Write the declarations and make the ledger."""
        folder = self.root / "pipelines"
        folder.mkdir(parents=True)
        (folder / "connectors.yaml").write_text(SOURCE + self.partners)
        for name, (cursor, partners) in EXPORTS.items():
            deliver = "".join(map(DELIVERIES.__getitem__, partners))
            if self.partners != FOLDERS:
                deliver = deliver.replace(DONE, "")
            (folder / f"{name}.yaml").write_text(EXPORT % (name, cursor, deliver))
        self.home.create().close()

    def show(self, version: Path) -> None:
        """Let the source be that file from now on."""
        fresh = self.root / ".source"
        os.link(version, fresh)
        fresh.replace(self.root / "source.duckdb")

    def become(self, template: Place) -> None:
        """Forget everything and start from a copy of another place."""
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(template.root, self.root, copy_function=shutil.copyfile)

    def open(self) -> Ledger:
        """The ledger. Raises LedgerError."""
        return Ledger.open(self.home.ledger_url, self.home.spool_folder)

    def journey(self, export: str, ledger: Ledger, **more: Any) -> Journey:
        """One run of an export, as the command line would make it."""
        declared, project = self.project.get(export), self.project
        spool = Spool(self.home.spool_folder)
        return Journey(declared, ledger, spool, project.connectors, project.planner(declared), **more)
