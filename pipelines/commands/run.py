"""`run` and `backfill`: windows are driven to done, as Dagster runs that the UI shows like any other."""

from __future__ import annotations

import json

import click

from assets.outcome import Outcome
from assets.plan import grid_of
from pipelines.choice import chosen_keys, newest_key
from pipelines.console import Bars, json_option, out, show
from pipelines.home import Home
from pipelines.project import Project
from pipelines.views import history_rows
from spec.errors import DeclarationError

WAITING = 3

again_option = click.option("--again", is_flag=True, help="Read and deliver done windows anew, as a new generation.")
accept_option = click.option("--accept-columns", is_flag=True, help="Deliver although the source's columns changed.")


@click.command("run")
@click.argument("export")
@click.option("--partition", help="The window; the newest complete one by default.")
@again_option
@accept_option
@click.option("--full-refresh", is_flag=True, help="In `mode: changes`: deliver all rows as added, anew.")
@json_option
def run_command(
    export: str, partition: str | None, *, again: bool, accept_columns: bool, full_refresh: bool, as_json: bool
) -> None:
    """Deliver one window. On a window that is done it changes nothing and says so."""
    project = Project.find()
    declared = project.get(export)
    if full_refresh and declared.export.mode != "changes":
        raise DeclarationError(
            f"{declared.where('mode')}: --full-refresh is for `mode: changes`; --again does the same"
        )
    keys = chosen_keys(declared, partition, partition) if partition else [newest_key(declared)]
    _execute(project, export, keys, again=again, accept=accept_columns, refresh=full_refresh, as_json=as_json)


@click.command("backfill")
@click.argument("export")
@click.option("--from", "first", required=True, help="The first window.")
@click.option("--to", "last", required=True, help="The last window, inclusive.")
@again_option
@accept_option
@json_option
def backfill_command(export: str, first: str, last: str, *, again: bool, accept_columns: bool, as_json: bool) -> None:
    """Deliver a range of windows, both ends included; windows that are done are passed over."""
    project = Project.find()
    declared = project.get(export)
    if declared.export.whole:
        raise DeclarationError(
            f"{declared.where('mode')}: `mode: {declared.export.mode}` reads the rows as they are now and has no "
            f"history; use `outgate run {export}`"
        )
    _execute(project, export, chosen_keys(declared, first, last), again=again, accept=accept_columns, as_json=as_json)


def _execute(
    project: Project, export: str, keys: list[str], *, again: bool, accept: bool, as_json: bool, refresh: bool = False
) -> None:
    from pipelines.runs import launch

    declared = project.get(export)
    home = Home.find(project.root, project.environment)
    ledger, _ = home.open()
    for name in {declared.export.source.connector, *(delivery.to for delivery in declared.export.deliver)}:
        project.connectors.get(name)  # a wrong setting is said here, with its line, not from inside a run
    ledger.record_grid(export, grid_of(declared.export).fingerprint)
    states = ledger.states(export)
    todo = keys if again or refresh else [key for key in keys if states.get(key) != "done"]
    with Bars(export, len(todo), quiet=as_json) as bars:
        runs = launch(project, home, declared, todo, bars, again=again, accept=accept, refresh=refresh) if todo else 0
    _report(bars.outcomes, keys, todo, runs, as_json=as_json)
    rows = history_rows(each.record for each in bars.outcomes if each.record)
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif 0 < len(rows) <= 20:  # noqa: PLR2004  (a long backfill is for `history`)
        show(
            rows, ("export", "partition", "generation", "delivery", "state", "rows", "bytes", "horizon"), as_json=False
        )
    ledger.close()
    raise SystemExit(exit_code(bars.outcomes))


def exit_code(outcomes: list[Outcome]) -> int:
    """What a command ends with: held and not yet (3) only where nothing worse happened."""
    codes = {outcome.exit_code for outcome in outcomes if not outcome.good}
    return max(codes - {WAITING}, default=WAITING) if codes else 0


def _report(outcomes: list[Outcome], keys: list[str], todo: list[str], runs: int, *, as_json: bool) -> None:
    if not todo:
        whose = "the window is" if len(keys) == 1 else f"all {len(keys)} windows are"
        click.echo(f"nothing to do: {whose} delivered already", err=as_json)
    if as_json or not todo:
        return
    good = sum(outcome.good for outcome in outcomes if outcome.asked)
    passed = len(keys) - len(todo)
    said = f", {passed} were done before" if passed else ""
    out.print(f"{good} of {len(todo)} windows delivered in {runs} run{'s' * (runs != 1)}{said}")
    if untried := len(todo) - sum(outcome.tried for outcome in outcomes if outcome.asked):
        out.print(f"{untried} windows were not tried: what failed would stop them too")
    for outcome in outcomes:
        if outcome.before:
            out.print(f"{outcome.key}: {outcome.state}, before the changes that come after it")
        if outcome.late is not None and outcome.good:
            out.print(f"{outcome.key}: delivered again with {outcome.late} rows that had come late")
