"""A project of a test's own: its folder of YAML, its home and ledger, its runs, and the files that they delivered.

Everything goes through the product's own doors (Project, Home, Journey). What a file's bytes mean is read in
readers.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from psycopg.conninfo import conninfo_to_dict

from assets.journey import Journey
from assets.outcome import Outcome, Reporter
from assets.plan import Plan
from pipelines.home import Home
from pipelines.project import Project
from resources.ledger import Ledger, Window
from tests.resources.databases.subjects import PASSWORD_VARIABLE

EXPORT = "rows"
DAYS = {"every": "day", "start": "2024-01-01"}
FORMATS: dict[str, dict[str, Any]] = {
    "csv": {"type": "csv", "delimiter": ";", "newline": "crlf"},
    "psv": {"type": "psv"},
    "tsv": {"type": "tsv"},
    "ndjson": {"type": "ndjson"},
    "json": {"type": "json"},
    "parquet": {"type": "parquet"},
}


def postgres(url: str, **settings: Any) -> dict[str, Any]:
    """The connector's declaration for a libpq URL; the password comes from its variable."""
    parts = conninfo_to_dict(url)
    place = {"host": parts["host"], "port": int(str(parts["port"])), "database": parts["dbname"], "user": parts["user"]}
    return {"type": "postgres", "password": {"env": PASSWORD_VARIABLE}, "sslmode": "require"} | place | settings


def delivery(form: str, **more: Any) -> dict[str, Any]:
    """One delivery into the project's folder, called like its format."""
    path = f"{form}/{{partition}}/{{export}}_{{part}}.{form}"
    return {"to": "folder", "name": form, "path": path, "format": FORMATS[form], "manifest": False} | more


class Told(Reporter):
    """Remembers what was said and how much came from the source."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.rows = self.bytes = 0

    def read(self, rows: int, size: int) -> None:
        """Count."""
        self.rows, self.bytes = self.rows + rows, self.bytes + size

    def say(self, text: str) -> None:
        """Remember."""
        self.said.append(text)


@dataclass(frozen=True)
class Trial:
    """One project with one export, named `rows`, whose source is `db` and whose store is `folder`."""

    folder: Path

    @classmethod
    def of(cls, folder: Path, connector: dict[str, Any]) -> Trial:
        """A new project in `folder`, with its ledger."""
        made = cls(folder)
        made.connect(connector)
        made.home.create().close()
        return made

    @property
    def home(self) -> Home:
        """Its home, whatever the environment says."""
        return Home(self.folder / "home", f"sqlite:///{self.folder / 'home' / 'ledger.db'}")

    @property
    def project(self) -> Project:
        """The project, read anew."""
        return Project(self.folder / "pipelines")

    def connect(self, connector: dict[str, Any]) -> None:
        """Declare (anew) the source."""
        self._write("connectors", {"db": connector, "folder": {"type": "local", "path": "out"}})

    def declare(
        self, source: dict[str, Any], *, formats: Sequence[str] = ("parquet",),
        partitions: dict[str, Any] | None = None, **more: Any,
    ) -> None:  # fmt: skip
        """Declare (anew) the export: days since 2024 unless said, delivered in each of `formats`."""
        whole = {"source": {"connector": "db"} | source, "partitions": partitions or DAYS}
        self._write(EXPORT, {"export": EXPORT, **whole, "deliver": [delivery(form) for form in formats]} | more)

    def _write(self, name: str, data: dict[str, Any]) -> None:
        path = self.folder / "pipelines" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")

    @contextmanager
    def journey(self, **how: Any) -> Iterator[Journey]:
        """One run's journey; `how` are its switches, such as `again` and `accept_columns`."""
        project = self.project
        declared = project.get(EXPORT)
        ledger, spool = self.home.open()
        with closing(ledger):
            yield Journey(declared, ledger, spool, project.connectors, project.planner(declared), **how)

    def run(self, *keys: str, **how: Any) -> list[Outcome]:
        """One run over the windows of `keys`."""
        with self.journey(**how) as journey:
            return list(journey.run(keys))

    def plan(self) -> Plan:
        """What the declaration comes to, the source having been looked at."""
        project = self.project
        return project.planner(project.get(EXPORT))()

    def record(self, key: str) -> Window:
        """What the ledger knows of a window."""
        with self.ledger() as ledger:
            found = ledger.window(EXPORT, key)
        assert found is not None, f"window {key!r} was never planned"
        return found

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The ledger, open."""
        with closing(self.home.open()[0]) as ledger:
            yield ledger

    def files(self, form: str, key: str = "*") -> list[Path]:
        """The delivered files of a format, of one window or of all."""
        return sorted((self.folder / "out" / form).glob(f"{key}/*.{form}"))

    def rows(self, key: str, *columns: str) -> list[tuple[Any, ...]]:
        """Some columns of the rows in the delivered Parquet of one window, sorted, NULL first."""
        tables = [pq.read_table(path, columns=list(columns)) for path in self.files("parquet", key)]
        found = [tuple(row[name] for name in columns) for table in tables for row in table.to_pylist()]
        return sorted(found, key=lambda row: [(value is not None, value) for value in row])

    def column(self, name: str = "id", key: str = "*") -> list[Any]:
        """The sorted values of one column in the delivered Parquet of one window or of all, each as often as it is."""
        return sorted(value for path in self.files("parquet", key) for value in pq.read_table(path)[name].to_pylist())
