"""The measured process: one run of a bench project's export through the product's own journey. It times nothing."""

from __future__ import annotations

import sys
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
        outcomes = list(journey.run(sys.argv[2:]))
    for outcome in outcomes:
        print(outcome.key, outcome.state, outcome.detail, outcome.record and outcome.record.rows)
    return int(not all(outcome.good for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
