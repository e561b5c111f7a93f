"""Dagster's entry: all declared exports as one `Definitions`. Tests swap parts through `build_definitions`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import dagster as dg

from assets.graph import assets_of, resource_of
from assets.journey import Journey
from assets.outcome import Reporter
from assets.partitions import refuse_other_keys
from pipelines.home import Home
from pipelines.project import Project
from schedules.calendars import schedule_of
from schedules.housekeeping import dead_runs
from spec.errors import DeclarationError
from spec.reading import Declared

os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")  # whatever instance the definitions are loaded into
warnings.filterwarnings("ignore", category=dg.BetaWarning)  # backfill_policy is one, per asset


def build_definitions(
    project: Project | None = None, home: Home | None = None, reporter: Callable[[], Reporter] = Reporter
) -> dg.Definitions:
    """The definitions of a project. A declaration that is wrong is left out and said in the log, not raised."""
    project = project or Project.find()
    home = home or Home.find(project.root, project.environment)
    kinds = {name: project.connectors.kind(name) for name in project.connectors.names}

    def prepare(declared: Declared, told: Reporter) -> Journey:
        ledger, spool = home.open()
        return Journey(declared, ledger, spool, project.connectors, project.planner(declared), told)

    exports, problems = _shown(project)
    for problem in problems:
        dg.get_dagster_logger("outgate").error(problem)
    assets = [part for declared in exports for part in assets_of(declared, prepare, kinds, reporter)]
    jobs = {each.export.export: _job(each) for each in exports}
    schedules = [schedule_of(each, jobs[each.export.export]) for each in exports]
    return dg.Definitions(
        assets=_once(assets), jobs=list(jobs.values()), schedules=[each for each in schedules if each],
        sensors=[dead_runs],
        executor=dg.in_process_executor, resources={name: resource_of(project.connectors, name) for name in kinds},
    )  # fmt: skip


def _shown(project: Project) -> tuple[list[Declared], list[str]]:
    """The exports that Dagster can show, and what is wrong with the others."""
    shown: list[Declared] = []
    problems: list[str] = []
    for declared in project.exports.values():
        try:
            refuse_other_keys(declared)
        except DeclarationError as error:
            problems += error.problems
        else:
            shown.append(declared)
    return shown, [*project.problems, *problems]


def _job(declared: Declared) -> dg.UnresolvedAssetJobDefinition:
    export = declared.export
    return dg.define_asset_job(
        f"{export.export}_job", selection=dg.AssetSelection.groups(export.export), description=export.description,
        executor_def=dg.in_process_executor,
    )  # fmt: skip


def _once(assets: list[Any]) -> list[Any]:
    """Two exports may read one source: it is one asset."""
    seen: set[object] = set()
    kept = []
    for part in assets:
        key = part.key if isinstance(part, dg.AssetSpec) else part
        if key not in seen:
            seen.add(key)
            kept.append(part)
    return kept


@dg.definitions
def defs() -> dg.Definitions:
    """What `dagster dev` loads."""
    return build_definitions()
