"""The measured process: one run of a bench project's export through the product's own journey.

Its last words are the seconds of wall and CPU from the first window to the last receipt, without the process's start.
"""

from __future__ import annotations

import sys
import time
from contextlib import closing
from pathlib import Path

from assets.journey import Journey
from bench.project import EXPORT, Bench
from pipelines.project import Project


def main() -> int:
    """`python -m bench.worker FOLDER KEY ...`."""
    bench = Bench(Path(sys.argv[1]))
    project = Project(bench.folder / "pipelines")
    declared = project.get(EXPORT)
    ledger, spool = bench.home.open()
    with closing(ledger):
        journey = Journey(declared, ledger, spool, project.connectors, project.planner(declared))
        begun, used = time.monotonic(), time.process_time()
        outcomes = list(journey.run(sys.argv[2:]))
        took = time.monotonic() - begun, time.process_time() - used
    for outcome in outcomes:
        print(outcome.key, outcome.state, outcome.detail, outcome.record and outcome.record.rows)
    print(*took)
    return int(not all(outcome.good for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
