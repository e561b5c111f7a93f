"""A small project on DuckDB for tests of the upper rooms: three weeks of rows, one export, a folder as destination."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb

from assets.journey import Journey
from pipelines.cli import main
from pipelines.home import Home
from pipelines.project import Project

EXPORT = """\
export: sales
owner: crm@example.com
source:
  connector: shop
  table: sales
  cursor: {by: time, column: sold_at, key: id, stamped_by: database}
partitions: {every: day, start: 2026-01-01}
deliver:
  - to: folder
    path: "{export}/{partition}/{export}_{partition}.csv"
    format: {type: csv}
schedule: {daily: "06:00"}
"""
CONNECTORS = """\
shop: {type: duckdb, path: shop.duckdb}
folder: {type: local, path: out}
"""
ROWS_A_DAY = 5
DAYS = 21


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Small:
    """The project's folder and what one does with it."""

    root: Path

    @classmethod
    def make(cls, root: Path, export: str = EXPORT, connectors: str = CONNECTORS) -> Small:
        """Write the declarations and the source."""
        (root / "pipelines").mkdir(parents=True)
        small = cls(root)
        small.declare(export)
        (root / "pipelines/connectors.yaml").write_text(connectors, encoding="utf-8")
        small.sql(
            "CREATE TABLE sales AS SELECT i AS id, timestamptz '2026-01-01 00:00:00Z' + to_hours((24 * i) // 5) AS sold_at, "
            f"'Ann ' || i AS buyer_email, (i * 1.5)::DECIMAL(10,2) AS amount FROM range({ROWS_A_DAY * DAYS}) r(i)"
        )
        return small

    def declare(self, text: str, name: str = "sales") -> None:
        """Write one export's YAML."""
        (self.root / f"pipelines/{name}.yaml").write_text(text, encoding="utf-8")

    def sql(self, text: str) -> None:
        """Change the source."""
        with duckdb.connect(str(self.root / "shop.duckdb")) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(text)

    @property
    def project(self) -> Project:
        """The project as it is declared now."""
        return Project(self.root / "pipelines")

    @property
    def home(self) -> Home:
        """Its home, in the folder itself whatever the environment says."""
        return Home(self.root / ".outgate", f"sqlite:///{self.root}/.outgate/ledger.db")

    def journey(self, export: str = "sales") -> Journey:
        """A journey of the export, on the ledger that `home.create()` made."""
        project = self.project
        declared = project.get(export)
        ledger, spool = self.home.open()
        return Journey(declared, ledger, spool, project.connectors, project.planner(declared))

    def rows(self, partition: str) -> list[dict[str, str]]:
        """The delivered rows of a window."""
        with (self.root / f"out/sales/{partition}/sales_{partition}.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def outgate(self, *arguments: str, **environment: str) -> Ended:
        """Run the command line's `main` in this process, in the project's folder."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("OUTGATE_")}
        out, err = io.StringIO(), io.StringIO()
        argv = ["outgate", *arguments]
        with (
            mock.patch.dict(os.environ, kept | {"COLUMNS": "200"} | environment, clear=True),
            mock.patch.object(sys, "argv", argv),
            contextlib.chdir(self.root),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                main()
                code = 0
            except SystemExit as ended:
                code = int(ended.code or 0)
        return Ended(code, out.getvalue(), err.getvalue())

    def process(self, *arguments: str, **environment: str) -> Ended:
        """Run the installed command, as a user does; the variables of a user are not ours."""
        command = [str(Path(sys.executable).parent / "outgate"), *arguments]
        kept = {key: value for key, value in os.environ.items() if not key.startswith("OUTGATE_")} | environment
        ended = subprocess.run(
            command, cwd=self.root, capture_output=True, text=True, check=False, timeout=300, env=kept
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def history(self) -> list[dict[str, Any]]:
        """What `history --json` prints."""
        found: list[dict[str, Any]] = json.loads(self.outgate("history", "--json").stdout)
        return found


def day(number: int) -> str:
    """The key of the n-th day, from 0."""
    return datetime(2026, 1, 1 + number, tzinfo=UTC).strftime("%Y-%m-%d")
