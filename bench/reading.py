"""The measured process: the reading alone, one window from its source to Parquet. It times nothing."""

from __future__ import annotations

import sys
from pathlib import Path

from assets.horizon import look
from assets.stream import read
from bench.project import EXPORT, Bench
from pipelines.project import Project


def main() -> int:
    """`python -m bench.reading FOLDER KEY`: the file lies in the folder."""
    bench = Bench(Path(sys.argv[1]))
    project = Project(bench.folder / "pipelines")
    plan = project.planner(project.get(EXPORT))()
    horizon = look(plan.database, plan.export.source.cursor)
    read(plan, plan.grid.window(sys.argv[2]), None, horizon, bench.folder, lambda _rows, _bytes: None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
