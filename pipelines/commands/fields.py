"""`fields`: what a database has, and how the command line finds the connector that is meant."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

import click

from pipelines.console import json_option, out, show
from pipelines.project import Project
from resources.databases.base import Database
from spec.errors import DeclarationError

if TYPE_CHECKING:
    from assets.catalogue import Described, Listed
    from resources.connector import Connector


@click.command("fields")
@click.argument("what", metavar="CONNECTOR[.TABLE]")
@click.option("--values", is_flag=True, help="Show values of columns that look personal, and of views, too.")
@json_option
def fields_command(what: str, *, values: bool, as_json: bool) -> None:
    """List a database's tables, or the columns of one: types, keys, comments, and values that come often.

    Values are counted in a sample of at most 10,000 rows.
    """
    connector, _, table = what.partition(".")
    database = database_of(Project.find(), connector)
    if not table:
        show([{"table": name} for name in database.tables()], ("table",), as_json=as_json, empty="no table can be read")
        return
    from assets.catalogue import describe

    found = describe(database, connector, table, values=values)
    if as_json:
        click.echo(json.dumps(_plain(found), indent=2, ensure_ascii=False))
        return
    _print(found)


def database_of(project: Project, name: str) -> Database:
    """The database of that name. Raises DeclarationError with the nearest name there is."""
    databases = [each for each in project.connectors.names if is_a(project, each, Database)]
    if name not in project.connectors:
        raise DeclarationError(f"there is no connector {name!r}{near(name, databases)}")
    connector = project.connectors.get(name)
    if not isinstance(connector, Database):
        raise DeclarationError(f"connector {name!r} ({connector.type}) is no database{near(name, databases)}")
    return connector


def is_a(project: Project, name: str, kind: type[Connector]) -> bool:
    """Whether a declared connector is a database, or a store; it is not made."""
    from resources.registry import types

    model = types().get(project.connectors.kind(name))
    return model is not None and issubclass(model, kind)


def near(name: str, known: list[str]) -> str:
    """The end of a message about a name that is not there."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{hint} (there are: {', '.join(known) or 'none'})"


def _plain(found: Described) -> dict[str, Any]:
    return {
        "table": found.name, "comment": found.facts.comments.get("", ""), "is_view": found.facts.is_view,
        "key": list(found.facts.key), "indexes": [list(names) for names in found.facts.indexes],
        "sampled": found.sampled, "values_withheld": list(found.withheld),
        "columns": [_row(each) | {"values": _counted(each)} for each in found.columns],
    }  # fmt: skip


def _row(listed: Listed) -> dict[str, Any]:
    from assets.catalogue import in_words

    column = listed.column
    return {
        "column": column.name, "declared": column.declared, "type": in_words(column.type, json=column.json),
        "nullable": column.nullable, "key": listed.key, "indexed": listed.indexed, "comment": listed.comment,
    }  # fmt: skip


def _counted(listed: Listed) -> list[dict[str, Any]] | None:
    return None if listed.values is None else [{"value": value, "count": count} for value, count in listed.values]


def _print(found: Described) -> None:
    from rich.markup import escape

    if comment := found.facts.comments.get(""):
        out.print(escape(comment))
    rows = [_row(each) | {"values": _said(each, found)} for each in found.columns]
    for row in rows:
        marks = [mark for mark, there in (("key", row["key"]), ("index", row["indexed"])) if there]
        row |= {"nullable": "NULL" if row["nullable"] else "", "marks": " ".join(marks)}
    show(rows, ("column", "declared", "type", "nullable", "marks", "values", "comment"), as_json=False)
    if found.sampled:
        out.print(f"values: counted in {found.sampled:,} rows, the first that came")
    if found.withheld:
        out.print(
            escape(f"not shown, for they look personal: values of {', '.join(found.withheld)} (--values shows them)")
        )
    if found.facts.is_view and not found.sampled:
        out.print("a view: its rows are only read with --values")


def _said(listed: Listed, found: Described) -> str:
    return ", ".join(f"{value} ({count / found.sampled:.0%})" for value, count in listed.values or ())
