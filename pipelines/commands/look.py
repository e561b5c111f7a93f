"""`check`, `list` and `show`: what is declared, and whether it is right."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import click

from assets.plan import Plan
from pipelines.console import json_option, out, show
from pipelines.home import Home
from pipelines.project import Project
from spec.errors import DeclarationError, OutgateError
from spec.profiles import advice, unpriced
from spec.reading import Declared
from spec.source import IdCursor


@click.command("check")
@click.argument("exports", nargs=-1)
@click.option("--connect", is_flag=True, help="Also try the connectors, look columns up, advise on indexes and rights.")
def check_command(exports: tuple[str, ...], *, connect: bool) -> None:
    """Check the declarations; exit 2 and a located message for each thing that is wrong."""
    project = Project.find()
    chosen = [project.get(name) for name in exports] or list(project.exports.values())
    problems = [*project.problems, *project.check_connectors()] if not exports else []
    problems += [problem for each in chosen for problem in _problems(project, each)]
    advice = [sentence for each in chosen for sentence in _of_formats(each)]
    advice += [sentence for each in chosen if not problems for sentence in _of_keys(project, each)]
    if connect and not problems:
        problems, found = _connect(project, chosen)
        advice += found
    for sentence in dict.fromkeys(advice):
        click.echo(f"advice: {sentence}", err=bool(problems))
    if problems:
        raise DeclarationError(*problems)
    many = "export is" if len(chosen) == 1 else "exports are"
    click.echo(f"{len(chosen)} {many} right: {', '.join(each.export.export for each in chosen) or 'none declared'}")


def _problems(project: Project, declared: Declared) -> list[str]:
    try:
        project.keys(declared)
        project.recipients(declared)
    except DeclarationError as error:
        return list(error.problems)
    return [*_grid_problems(project, declared), *_odd_nights(declared)]


def _of_formats(declared: Declared) -> list[str]:
    """What is allowed in a file and deserves a thought, said without a look at the source."""
    found = [
        f"{declared.where('deliver', number, *place)}: {sentence}"
        for number, delivery in enumerate(declared.export.deliver)
        for place, sentence in delivery.advice()
    ]
    return [*found, *(f"{declared.where(*place)}: {sentence}" for place, sentence in advice(declared.export))]


def _of_keys(project: Project, declared: Declared) -> list[str]:
    """Keys that can be used for some days more."""
    found = project.recipients(declared)
    labels = [delivery.label for delivery in declared.export.deliver]
    said = [(label, each.soon(datetime.now(UTC))) for label, those in found.items() for each in those]
    return [f"{declared.where('deliver', labels.index(label), 'encrypt')}: {words}" for label, words in said if words]


def _grid_problems(project: Project, declared: Declared) -> list[str]:
    """A grid that changed under windows that exist; nothing to compare with where there is no ledger yet."""
    from assets.plan import grid_of

    with Home.find(project.root, project.environment).look() as ledger:
        if ledger is None:
            return []
        known, now = ledger.grid(declared.export.export), grid_of(declared.export).fingerprint
        if known and known != now and ledger.states(declared.export.export):
            problem = (
                f"{declared.where('partitions')}: {declared.export.export} has windows of the grid {known!r}, "
                f"declared is {now!r}; keep the old grid, or give the export a new name"
            )
            return [problem]
    return []


def _odd_nights(declared: Declared) -> list[str]:
    """A grid that Dagster does not show as it is; Dagster is asked only where clocks touch it."""
    from assets.nights import touched
    from assets.plan import grid_of

    if not touched(grid_of(declared.export), datetime.now(UTC).date()):
        return []
    from assets.partitions import refuse_other_keys

    try:
        refuse_other_keys(declared)
    except DeclarationError as error:
        return list(error.problems)
    return []


def _connect(project: Project, chosen: list[Declared]) -> tuple[list[str], list[str]]:
    """What would stop a run, and what only deserves a thought."""
    problems: list[str] = []
    advice: list[str] = []
    used = {each.export.source.connector for each in chosen} | {to.to for each in chosen for to in each.export.deliver}
    for name in sorted(used):
        found = project.connectors.get(name).check()
        place = f"{project.connectors.where(name)}: connector {name!r}"
        problems += [f"{place}: {problem}" for problem in found]
        advice += [f"{place}: {warning}" for warning in project.connectors.get(name).warnings()]
    for declared in chosen if not problems else []:
        try:
            advice += _advice(project.planner(declared)())
        except OutgateError as error:
            problems.append(str(error))
    return problems, advice


def _advice(plan: Plan) -> list[str]:
    """Raises what a run would raise before it reads anything: a column that cannot be a cursor."""
    from sqlglot import exp

    from assets.advice import advice
    from assets.extract import cut
    from assets.transform import rehearse

    if not isinstance(plan.export.source.cursor, IdCursor):
        cut(plan, plan.grid.first, None)
    tree = plan.relation.tree
    facts = plan.database.facts(tree) if isinstance(tree, exp.Table) else None
    priced = [f"{plan.declared.where(*place)}: {said}" for place, said in unpriced(plan.export, rehearse(plan))]
    return [*advice(plan, facts, plan.database.activity()), *priced]


@click.command("list")
@json_option
def list_command(*, as_json: bool) -> None:
    """List the exports: what they read, where they deliver, how their windows stand."""
    project = Project.find()
    rows = [_row(each, _states(project, each.export.export)) for each in project.exports.values()]
    show(
        rows,
        ("export", "mode", "every", "source", "deliveries", "schedule", "windows"),
        as_json=as_json,
        empty="no export is declared",
    )
    for problem in project.problems:
        click.echo(problem, err=True)


def _states(project: Project, export: str) -> Counter[str]:
    with Home.find(project.root, project.environment).look() as ledger:
        return Counter(ledger.states(export).values() if ledger else ())


def _row(declared: Declared, states: Counter[str]) -> dict[str, Any]:
    export = declared.export
    schedule = f"{export.schedule.daily} {export.schedule.timezone}" if export.schedule else ""
    return {
        "export": export.export, "mode": export.mode, "every": export.partitions.cadence,
        "timezone": export.partitions.timezone,
        "source": f"{export.source.connector}.{export.source.table or 'sql'}",
        "deliveries": ", ".join(each.label for each in export.deliver), "schedule": schedule,
        "windows": ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none yet",
    }  # fmt: skip


@click.command("show")
@click.argument("export")
@json_option
def show_command(export: str, *, as_json: bool) -> None:
    """Show one export as it is understood: every setting with its default filled in."""
    project = Project.find()
    declared = project.get(export)
    data = declared.export.model_dump(mode="json", by_alias=True)
    if as_json:
        click.echo(json.dumps(data | {"declared_in": declared.where()}, indent=2, ensure_ascii=False))
        return
    import yaml

    out.print(f"[bold]{export}[/bold] ({declared.where()})")
    click.echo(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
    states = _states(project, export)
    out.print("windows: " + (", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none yet"))
