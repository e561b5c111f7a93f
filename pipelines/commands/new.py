"""`new`: a first declaration from what the catalogue says, by flags or by questions."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import click

from pipelines.commands.fields import database_of, is_a, near
from pipelines.project import Project
from resources.databases.base import Database
from resources.stores.base import Store
from spec.errors import DeclarationError

if TYPE_CHECKING:
    from assets.draft import Choice, Source

NONE = "none"


@click.command("new")
@click.argument("export", required=False)
@click.option("--from", "table", metavar="CONNECTOR.TABLE", help="The table to read.")
@click.option("--to", "store", metavar="CONNECTOR", help="Where to deliver; the only store unless there are several.")
@click.option("--cursor", metavar="COLUMN", help="The column that tells what is new, or `none` for a snapshot.")
@click.option("--key", metavar="COLUMN", help="The column that tells rows of one moment apart.")
def new_command(export: str | None, table: str | None, store: str | None, cursor: str | None, key: str | None) -> None:
    """Write a first declaration of a table to pipelines/EXPORT.yaml, from the catalogue.

    Asks for what is not given, on a terminal. What it chose, and what you must check, is in comments.
    """
    from assets.draft import choose, text

    project = Project.find()
    asking = sys.stdin.isatty() and not (export and table)
    export = _given(export, "EXPORT", "name of the export", asking=asking)
    table = _given(table, "--from CONNECTOR.TABLE", "read from (connector.table)", asking=asking)
    database, source = _source(project, export, table, store, asking=asking)
    choice = choose(source, None if cursor == NONE else cursor, key)
    if cursor == NONE:
        choice = _snapshot("as asked for")
    if asking:
        choice = _asked(source, choice)
    made = text(source, choice, _start(database, source, choice))
    path = _write(project, export, made)
    click.echo(
        f"made {path}: look for CHECK in it, then `outgate check {export} --connect` and `outgate preview {export}`"
    )


def _given(value: str | None, missing: str, question: str, *, asking: bool) -> str:
    if value:
        return value
    if not asking:
        context = click.get_current_context()
        raise click.UsageError(f"Missing {missing} (without a terminal nothing can be asked).", context)
    return str(click.prompt(question))


def _source(project: Project, export: str, place: str, store: str | None, *, asking: bool) -> tuple[Database, Source]:
    from assets.catalogue import look_up
    from assets.draft import Source

    connector, _, name = place.partition(".")
    if not name:
        raise DeclarationError(f"--from {place!r} names no table; write CONNECTOR.TABLE (see `outgate fields {place}`)")
    database = database_of(project, connector)
    _, columns, facts = look_up(database, connector, name)
    chosen = _store(project, store, asking=asking)
    return database, Source(export, connector, name, chosen, database.dialect, columns, facts)


def _store(project: Project, name: str | None, *, asking: bool) -> str:
    stores = [each for each in project.connectors.names if is_a(project, each, Store)]
    if name is None and len(stores) == 1:
        return stores[0]
    if name is None and asking and stores:
        name = str(click.prompt("deliver to", type=click.Choice(stores)))
    if name is None:
        raise click.UsageError(f"Missing --to CONNECTOR; there are: {', '.join(stores) or 'none'}.")
    if name not in stores:
        raise DeclarationError(f"there is no connector {name!r} that files can be delivered to{near(name, stores)}")
    return name


def _asked(source: Source, suggested: Choice) -> Choice:
    from assets.draft import choose

    click.echo(f"suggested: {suggested.why}")
    names = [each.name for each in source.columns]
    default = suggested.cursor.name if suggested.cursor else NONE
    cursor = str(click.prompt("cursor", type=click.Choice([*names, NONE]), default=default, show_choices=False))
    if cursor == NONE:
        return _snapshot("as asked for")
    chosen = choose(source, cursor)
    if chosen.by == "id":
        return chosen
    key = click.prompt("key", type=click.Choice([*names, NONE]), default=chosen.key or NONE, show_choices=False)
    return replace(chosen, key=None if key == NONE else str(key))


def _snapshot(why: str) -> Choice:
    from assets.draft import Choice

    return Choice(None, why=why)


def _start(database: Database, source: Source, choice: Choice) -> date:
    """The day of the oldest row where an index finds it; else yesterday, so that one window has ended already."""
    from assets.catalogue import oldest
    from assets.draft import serves
    from assets.relation import table_of

    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    if choice.cursor is None or choice.by == "id":
        return yesterday
    found = oldest(database, table_of(source.table), choice.cursor) if serves(source, choice.cursor) else None
    return min(found or date(yesterday.year, 1, 1), yesterday)


def _write(project: Project, export: str, made: str) -> str:
    """Write a new file, once what is in it was read as a declaration."""
    from spec.document import read
    from spec.reading import read_export

    read_export(read(made, f"{export}.yaml"))
    if export in project.exports:
        where = project.exports[export].where("export")
        raise DeclarationError(f"{where}: there is an export {export!r} already; give the new one another name")
    path = project.folder / f"{export}.yaml"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(made)
    except FileExistsError:
        raise DeclarationError(
            f"{path} is there already, and is not overwritten; give the export another name"
        ) from None
    return str(path)
