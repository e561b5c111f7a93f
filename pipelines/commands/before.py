"""`preview` and `plan`: what a run would read, make and send, without sending anything."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import click

from assets.extract import Ids, query_of
from assets.glance import Glance, glance
from assets.plan import Plan, grid_of, nulls_in
from assets.windows import Window
from pipelines.choice import chosen_keys, newest_key
from pipelines.console import json_option, show
from pipelines.home import Home
from pipelines.project import Project
from resources.databases.base import Query
from spec.errors import RowsRefused
from spec.personal import cut
from spec.reading import Declared
from spec.source import IdCursor


@click.command("preview")
@click.argument("export")
@click.option("--partition", help="The window to look at; the newest complete one by default.")
@json_option
def preview_command(export: str, partition: str | None, *, as_json: bool) -> None:
    """Read and shape the first rows of a window; show ten, and the first lines of its files. Deliver nothing."""
    project = Project.find()
    declared = project.get(export)
    key = partition or newest_key(declared)
    window = grid_of(declared.export).window(key)
    plan, _ = _looked(project, declared)
    found = _glance(plan, window)
    if as_json:
        said = {"export": export, "partition": key} | asdict(found)
        click.echo(json.dumps(said, indent=2, ensure_ascii=False))
        return
    rows = f"{found.rows:,} rows read" if found.whole else f"the first {found.rows:,} rows read, and all is of those"
    click.echo(f"{export} {key}: {rows}\n{found.table}")
    for label, sample in found.files.items():
        begins = " begins with\n" if sample.lines else ": no text to show"
        click.echo(f"\n{label}: {sample.name}{begins}" + "\n".join(sample.lines))


def _glance(plan: Plan, window: Window) -> Glance:
    cursor, ids = plan.export.source.cursor, None
    if isinstance(cursor, IdCursor) and plan.export.mode == "incremental":
        newest = plan.database.newest(plan.relation.between(None, None), cursor.column)
        ids = Ids(None if cursor.start is None else cursor.start - 1, newest)
    with tempfile.TemporaryDirectory(prefix="outgate-preview-") as name:
        try:
            return glance(plan, window, ids, Path(name))
        except RowsRefused as error:
            raise RowsRefused(cut(str(error), plan.export.personal)) from None


@click.command("plan")
@click.argument("export")
@click.option("--from", "first", help="The first window; the newest complete one by default.")
@click.option("--to", "last", help="The last window, inclusive.")
@json_option
def plan_command(export: str, first: str | None, last: str | None, *, as_json: bool) -> None:
    """Show the windows of a backfill, their state, the SQL, and how many rows the source has for them."""
    project = Project.find()
    declared = project.get(export)
    keys = chosen_keys(declared, first, last)
    grid = grid_of(declared.export)
    windows = [grid.window(key) for key in keys]
    plan, states = _looked(project, declared)
    todo = [window for window in windows if states.get(window.key) != "done"]
    chunks = -(-len(todo) // declared.export.partitions.chunk)
    sql, rows = _sql_and_rows(plan, todo)
    if as_json:
        listed = [
            {
                "partition": w.key,
                "from": w.lo.isoformat(),
                "to": w.hi.isoformat(),
                "state": states.get(w.key, "planned"),
            }
            for w in windows
        ]
        click.echo(
            json.dumps(
                {"export": export, "windows": listed, "to_do": len(todo), "runs": chunks, "rows": rows, "sql": sql},
                indent=2,
            )
        )
        return
    shown = windows if len(windows) <= 12 else [*windows[:6], *windows[-6:]]  # noqa: PLR2004
    show(
        [
            {
                "partition": w.key,
                "from": f"{w.lo:%Y-%m-%d %H:%M}",
                "to": f"{w.hi:%Y-%m-%d %H:%M} UTC",
                "state": states.get(w.key, "planned"),
            }
            for w in shown
        ],
        ("partition", "from", "to", "state"),
        as_json=False,
    )
    click.echo(
        f"{len(windows)} window{'s' * (len(windows) != 1)}, {len(todo)} to do in {chunks} run{'s' * (chunks != 1)}; "
        f"{rows if rows is not None else 'unknown'} rows at the source now"
    )
    click.echo(sql)


def _looked(project: Project, declared: Declared) -> tuple[Plan, dict[str, str]]:
    """The plan, and the state of each window by partition, with what the ledger knows if there is one."""
    name = declared.export.export
    with Home.find(project.root, project.environment).look() as ledger:
        states, holder = (ledger.states(name), nulls_in(ledger, name)) if ledger else ({}, None)
    return replace(project.planner(declared)(), nulls_in=holder), states


def _sql_and_rows(plan: Plan, windows: list[Window]) -> tuple[str, int | None]:
    if not windows:
        return "-- nothing to read", 0
    ids = None
    if isinstance(plan.export.source.cursor, IdCursor) and plan.export.mode == "incremental":
        return "-- by id: the range is fixed when the window is first read", None
    span = Window(windows[0].key, windows[0].lo, windows[-1].hi)
    query: Query = query_of(plan, span, ids)
    with plan.database.snapshot() as snapshot:
        return query.select().sql(dialect=plan.database.dialect, pretty=True), snapshot.count(query)
