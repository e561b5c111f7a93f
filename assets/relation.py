"""What an export reads: its table or its own SQL as one checked relation, its columns, and the conditions that always
hold.

SQL of a user is parsed, must be a single SELECT that changes nothing, and leaves here as a tree: never as text. The
tenant's condition is put around it, where the user's text cannot reach it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlglot
from sqlglot import exp

from assets.bounds import refuse_other_ids
from resources.databases.base import Column, Database
from spec.errors import ConnectorError, DeclarationError
from spec.expressions import plain
from spec.filters import numbered
from spec.reading import Declared
from spec.shape import made_of, missing, needed_columns
from spec.source import SqlFile

PLACES = ("low", "high", "last_id")
SPELLED = {"{$last_id}": "{last_id}"}
"""How other tools spell a place."""
BEYOND = 10**37
"""Above every id, and still a number to every database: a NULL would compare with nothing, and rows would be lost."""

_MARK = "outgate_{}_place"
_JOIN, _ON = (re.compile(words, re.IGNORECASE) for words in (r"\bjoin\b", r"\b(on|using|cross|natural)\b"))
LOOSE_JOINS = 8
"""Joins that say nothing of how: each doubles the time that the text takes to read."""
_CHANGES = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Drop, exp.Command, exp.Into, exp.Lock)


@dataclass(frozen=True)
class Relation:
    """The relation and everything about its columns that a reading needs."""

    tree: exp.Expr
    columns: tuple[Column, ...]
    cursor: Column | None
    tenant: tuple[Column, str | int] | None
    places: bool

    def bind(self, low: exp.Expr, high: exp.Expr, last: exp.Expr) -> exp.Expr:
        """The relation with `{low}`, `{high}` and `{last_id}` replaced by literals; `last` is before the first row."""
        values = dict(zip(map(_MARK.format, PLACES), (low, high, last), strict=True))

        def fill(node: exp.Expr) -> exp.Expr:
            return values[node.name].copy() if isinstance(node, exp.Column) and node.name in values else node

        return self.tree.transform(fill) if self.places else self.tree

    def between(self, low: int | None, high: int | None) -> exp.Expr:
        """The relation with `{low}` and `{high}` as ids; None is an id beyond all others on that side."""
        first = exp.convert(-BEYOND if low is None else low)
        return self.bind(first, exp.convert(BEYOND if high is None else high), first)


def relate(declared: Declared, database: Database, sql: Mapping[str, str]) -> Relation:
    """Look the source up and check the declaration's columns against it.

    `sql` holds the texts of SQL files by name. Raises DeclarationError with file and line for a wrong table or column.
    """
    source = declared.export.source
    tree = table_of(source.table) if source.table else _query(declared, database, sql)
    found = _columns(declared, database, tree)
    by_name = {column.name: column for column in found}
    what = f"{source.table!r}" if source.table else "the result of `sql`"
    missing(_mentioned(declared), by_name, what)
    wanted = needed_columns(declared.export)
    kept = list(by_name) if wanted is None else [*wanted]
    cursor = by_name[source.cursor.column] if source.cursor else None
    if cursor is not None:
        refuse_other_ids(cursor, declared)
    tells = (source.cursor and source.cursor.column, source.cursor and source.cursor.key)
    keys = [name for name in (*tells, source.tenant and source.tenant.column) if name]
    kept += [name for name in dict.fromkeys(keys) if name not in kept]
    tenant = (by_name[source.tenant.column], source.tenant.equals) if source.tenant else None
    places = any(_MARK.format(place) in tree.sql() for place in PLACES)
    columns = tuple(by_name[name] for name in kept)
    _refuse_twins(columns, declared.where("source", "table" if source.table else "sql"))
    return Relation(tree, columns, cursor, tenant, places)


def table_of(name: str) -> exp.Table:
    """The table of a declared name: `table`, `schema.table` or `catalog.schema.table`."""
    table, schema, catalog = [*reversed(name.split(".")), None, None][:3]
    return exp.table_(table or "", db=schema, catalog=catalog, quoted=True)


def _columns(declared: Declared, database: Database, tree: exp.Expr) -> tuple[Column, ...]:
    try:
        plain = Relation(tree, (), None, None, places=True).bind(exp.null(), exp.null(), exp.null())
        return database.columns(plain, frozenset(declared.export.source.as_text))
    except ConnectorError as error:
        if error.retriable:
            raise
        place = declared.where("source", "table" if declared.export.source.table else "sql")
        raise DeclarationError(f"{place}: {error}") from None


def _mentioned(declared: Declared) -> dict[str, str]:
    """Every source column that the declaration names, with its place."""
    export, found = declared.export, {}
    if export.source.cursor:
        found[export.source.cursor.column] = declared.where("source", "cursor", "column")
        if export.source.cursor.key:
            found[export.source.cursor.key] = declared.where("source", "cursor", "key")
    if export.source.tenant:
        found[export.source.tenant.column] = declared.where("source", "tenant", "column")
    found |= {name: declared.where("source", "as_text", number) for number, name in enumerate(export.source.as_text)}
    if export.transform is None:
        found |= made_of(declared)
        found |= {condition.field: declared.where(*path) for path, condition in numbered(export.filters)}
    return found


def _query(declared: Declared, database: Database, sql: Mapping[str, str]) -> exp.Expr:
    given = declared.export.source.sql
    text = sql[given.file] if isinstance(given, SqlFile) else str(given)
    place = declared.where("source", "sql")
    tree = parse_select(text, database.dialect, place)
    if declared.export.mode == "incremental" and any(tree.args.get(part) for part in ("limit", "offset")):
        raise DeclarationError(
            f"{place}: LIMIT, TOP, FETCH or OFFSET would leave rows of a window out for ever; take it away "
            "(for packs of so many rows say `batch_rows` under `source:`)"
        )
    return exp.Subquery(this=tree, alias=exp.TableAlias(this=exp.to_identifier("source")))


def parse_select(text: str, dialect: str, place: str) -> exp.Expr:
    """One SELECT as a tree, with `{low}` and `{high}` as marked columns. Raises DeclarationError naming `place`."""
    for other, name in SPELLED.items():
        text = text.replace(other, name)
    for name in PLACES:
        text = text.replace(f"{{{name}}}", _MARK.format(name))
    trees = _parsed(text, dialect, place)
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise DeclarationError(f"{place}: expected one SELECT, found {len(trees)} statements or one that is no SELECT")
    if (bad := trees[0].find(*_CHANGES)) is not None:
        raise DeclarationError(f"{place}: {type(bad).__name__.upper()} is not allowed; a source is only read")
    if any(
        "outgate_" in (literal.name or "") and "_place" in literal.name for literal in trees[0].find_all(exp.Literal)
    ):
        named = ", ".join(f"{{{name}}}" for name in PLACES)
        raise DeclarationError(f"{place}: {named} are values, not text: write them without quotes")
    return trees[0]


def _parsed(text: str, dialect: str, place: str) -> list[exp.Expr]:
    """The statements of a text, each of which can be written again."""
    if len(_JOIN.findall(text)) - len(_ON.findall(text)) > LOOSE_JOINS:
        raise DeclarationError(
            f"{place}: more than {LOOSE_JOINS} joins have neither ON nor USING; say CROSS JOIN, or on what"
        )
    try:
        trees = [tree for tree in sqlglot.parse(text, dialect=dialect) if tree is not None]
        [tree.sql(dialect=dialect) for tree in trees]
    except RecursionError:
        raise DeclarationError(f"{place}: the SQL has too much inside each other; say it more simply") from None
    except sqlglot.errors.SqlglotError as error:
        raise DeclarationError(f"{place}: the SQL cannot be read as {dialect}: {plain(error):.200}") from None
    return trees


def _refuse_twins(columns: tuple[Column, ...], place: str) -> None:
    """Column names that differ only in capitals are one name to most readers, and to the engine here."""
    seen: dict[str, str] = {}
    for column in columns:
        if (other := seen.setdefault(column.name.casefold(), column.name)) != column.name:
            raise DeclarationError(
                f"{place}: columns {other!r} and {column.name!r} differ only in capitals; "
                "list one of them in `fields:`, or rename one with AS in `source.sql`"
            )


def sql_text(folder: Path, name: str, place: str) -> str:
    """The text of a SQL file beside the declaration. Raises DeclarationError."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise DeclarationError(f"{place}: {name!r} is outside the folder of the declaration")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise DeclarationError(f"{place}: {name!r} is not UTF-8 text") from None
    except OSError as error:
        raise DeclarationError(f"{place}: {name!r} cannot be read: {error.strerror}") from None
