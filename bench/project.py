"""A project of a measurement's own: its folder of YAML, its ledger, its runs. Rows are made in rows.py."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.measure import Measured, measured
from pipelines.home import Home

EXPORT = "rows"
REPOSITORY = Path(__file__).parent.parent
COMMAND = str(Path(sys.executable).parent / "outgate")
FORMATS: dict[str, dict[str, Any]] = {
    "csv.gz": {"type": "csv", "compression": "gzip"},
    "ndjson.gz": {"type": "ndjson", "compression": "gzip"},
    "parquet": {"type": "parquet"},
}


def postgres(url: str) -> dict[str, Any]:
    """The connector's declaration for a libpq URL."""
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(url)
    place = {"host": parts["host"], "port": int(str(parts["port"])), "database": parts["dbname"], "user": parts["user"]}
    return {"type": "postgres", "password": {"env": "OUTGATE_BENCH_PASSWORD"}, "sslmode": "require"} | place


def secret() -> dict[str, str]:
    """The password where the connector looks for it; servers are not imported by what is measured."""
    from tests.servers.postgres import PASSWORD

    return {"OUTGATE_BENCH_PASSWORD": PASSWORD}


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A folder for everything large, gone at the end."""
    with TemporaryDirectory(prefix=f"outgate-bench-{name}-") as folder:
        Path(folder).chmod(0o755)  # the database server is another user
        yield Path(folder)


@dataclass(frozen=True)
class Bench:
    """A project with one export of the table `rows` into a folder, by day from 2024-01-01."""

    folder: Path

    @classmethod
    def of(cls, folder: Path, connector: Mapping[str, Any], formats: Sequence[str], **more: Any) -> Bench:
        """Write the declarations anew, and a fresh ledger; what was delivered before is removed."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        cursor = {"by": "time", "column": "updated_at", "key": "id", "stamped_by": "database"}
        deliver = [
            {"to": "out", "name": form.replace(".", "_"), "path": "{partition}/{part}." + form, "format": FORMATS[form]}
            for form in formats
        ]  # fmt: skip
        export = {
            "export": EXPORT, "partitions": {"every": "day", "start": "2024-01-01"}, "deliver": deliver,
            "source": {"connector": "source", "table": EXPORT, "cursor": cursor},
        } | more  # fmt: skip
        (folder / "pipelines").mkdir()
        for name, data in {
            EXPORT: export, "connectors": {"source": connector, "out": {"type": "local", "path": "out"}}
        }.items():  # fmt: skip
            (folder / f"pipelines/{name}.yaml").write_text(json.dumps(data, indent=1), encoding="utf-8")
        made = cls(folder)
        made.home.create().close()
        return made

    @property
    def home(self) -> Home:
        """Its home, where the command looks for it."""
        return Home(self.folder / ".outgate", f"sqlite:///{self.folder}/.outgate/ledger.db")

    def command(self, *arguments: str) -> Measured:
        """`outgate ...` as a user starts it: with Dagster, in a process of its own."""
        return measured([COMMAND, *arguments], self.folder, secret())

    def journey(self, *keys: str) -> Measured:
        """The same windows without Dagster, in a process of its own: what an asset's step does."""
        command = [sys.executable, "-m", "bench.worker", str(self.folder), *keys]
        return measured(command, self.folder, secret() | {"PYTHONPATH": str(REPOSITORY)})

    def receipt(self, *keys: str) -> Measured:
        """The same, from the window to the receipt: what starting the process takes is left out of wall and CPU."""
        got = self.journey(*keys)
        wall, cpu = (self.folder / "bench.log").read_text().splitlines()[-1].split()
        return Measured(float(wall), float(cpu), got.peak)

    def reading(self, key: str) -> Measured:
        """The reading of a window alone, in a process of its own: its source to `extract.parquet` in the folder."""
        command = [sys.executable, "-m", "bench.reading", str(self.folder), key]
        return measured(command, self.folder, secret() | {"PYTHONPATH": str(REPOSITORY)})

    def delivered(self, suffix: str = "") -> list[Path]:
        """The files at the destination."""
        return sorted(path for path in (self.folder / "out").rglob(f"*{suffix}") if path.is_file())
