"""The measured process: a window's extract to its delivery's parts. Its last words are seconds of wall and CPU."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from assets.extract import Reading
from assets.horizon import look
from assets.seal import path_values
from assets.transform import engine, shape, write
from bench.project import EXPORT, Bench
from pipelines.project import Project


def main() -> int:
    """`python -m bench.shaping FOLDER KEY`: `extract.parquet` lies in the folder, the parts go into `parts`."""
    bench = Bench(Path(sys.argv[1]))
    project = Project(bench.folder / "pipelines")
    plan = project.planner(project.get(EXPORT))()
    window, [delivery] = plan.grid.window(sys.argv[2]), plan.export.deliver
    horizon = look(plan.database, plan.export.source.cursor)
    reading = Reading(bench.folder / "extract.parquet", plan.relation.columns, horizon)
    begun, used = time.monotonic(), time.process_time()
    with engine(bench.folder) as connection:
        shaped = shape(connection, plan, reading, window, None)
        write(shaped, delivery, bench.folder / "parts", plan, path_values(plan.export, window, 1))
    print(time.monotonic() - begun, time.process_time() - used)
    return 0


if __name__ == "__main__":
    sys.exit(main())
