"""What one may know of a table before its export is declared: columns, keys, comments, and values that come often.

Which of them make a good export is draft.py's, which of them make a bad one advice.py's. Printing is the commands'.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime

import pyarrow as pa
from sqlglot import exp

from assets.relation import table_of
from resources.databases.base import Column, Database, Facts, Query
from spec.errors import ConnectorError, DeclarationError, RowsRefused

SAMPLED, MOST_VALUES, SHOWN, LONGEST = 10_000, 20, 6, 40
"""Rows of a sample; distinct values of a column that is worth showing; values shown; characters of one."""

PERSONAL = re.compile(
    r"name|nom\b|mail|courriel|phone|telef|mobile|birth|geburt|addr|adress|strasse|street|city|town|zip|postal|postcode"
    r"|iban|bic|card|passport|passw|secret|token|national|social|insee|contact|person|gender|sex"
    r"|(^|_)(dob|ip|tel|fax|gsm|ssn|vat|lat|lon|lng|note|notes|comment|comments)(_|$)",
    re.IGNORECASE,
)
"""Names of columns whose values may be of people: those are shown on request only."""

WORDS: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
    (pa.types.is_boolean, "true or false"),
    (pa.types.is_integer, "whole number"),
    (pa.types.is_decimal, "exact decimal"),
    (pa.types.is_floating, "floating point"),
    (pa.types.is_date, "date"),
    (lambda kind: pa.types.is_timestamp(kind) and kind.tz is not None, "instant"),
    (pa.types.is_timestamp, "date and time, no zone"),
    (pa.types.is_time, "time of day"),
    (pa.types.is_binary, "bytes"),
    (pa.types.is_list, "list"),
    (pa.types.is_string, "text"),
)


@dataclass(frozen=True)
class Listed:
    """One column, and the values that a sample of the table often has in it (None: not looked at)."""

    column: Column
    comment: str = ""
    key: bool = False
    indexed: bool = False
    values: tuple[tuple[str, int], ...] | None = None


@dataclass(frozen=True)
class Described:
    """A table or view: its columns in order, and how many rows the values were counted in."""

    name: str
    facts: Facts
    columns: tuple[Listed, ...]
    sampled: int = 0
    withheld: tuple[str, ...] = field(default=())


def look_up(database: Database, connector: str, name: str) -> tuple[exp.Table, tuple[Column, ...], Facts]:
    """A table by its name. Raises DeclarationError with the nearest names when there is none, else ConnectorError."""
    table = table_of(name)
    try:
        return table, database.columns(table), database.facts(table)
    except ConnectorError as error:
        known = [] if error.retriable else database.tables()
        if error.retriable or name in known:
            raise
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        listed = ", ".join(known[:MOST_VALUES]) + (" ..." if len(known) > MOST_VALUES else "")
        raise DeclarationError(f"{connector!r} has no table {name!r}{hint} (it has: {listed or 'none'})") from None


def describe(database: Database, connector: str, name: str, *, values: bool) -> Described:
    """A table's columns, with frequent values: of all columns where `values`, else of none that looks personal and of
    no view, whose rows may be dear.
    """
    table, columns, facts = look_up(database, connector, name)
    personal = tuple(each.name for each in columns if not values and PERSONAL.search(each.name))
    wanted = [each for each in columns if countable(each) and each.name not in personal]
    sampled, counted = (0, {}) if facts.is_view and not values else frequent(database, table, wanted)
    led = {names[0] for names in facts.indexes}
    listed = tuple(
        Listed(
            each, facts.comments.get(each.name, ""), each.name in facts.key, each.name in led, counted.get(each.name)
        )
        for each in columns
    )
    return Described(name, facts, listed, sampled, personal)


def countable(column: Column) -> bool:
    """Whether values of a column can come often: words, numbers and flags, not moments, measures and documents."""
    kind = column.type
    return not column.json and (pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def frequent(
    database: Database, table: exp.Table, columns: list[Column]
) -> tuple[int, dict[str, tuple[tuple[str, int], ...]]]:
    """How many rows were looked at (the first that the database gives, at most 10,000), and by column the values of
    those that have few, most frequent first. All are read as text, which no value is refused as.
    """
    if not columns:
        return 0, {}
    names = frozenset(each.name for each in columns)
    texts = tuple(each for each in database.columns(table, names) if each.name in names)
    counts: dict[str, Counter[str]] = {each.name: Counter() for each in texts}
    sampled = 0
    try:
        with database.snapshot() as snapshot:
            for batch in snapshot.read(Query(table, texts, limit=SAMPLED)):
                sampled += batch.num_rows
                for name, array in zip(batch.schema.names, batch.columns, strict=True):
                    counts[name].update(value for value in array.to_pylist() if value is not None)
    except RowsRefused:  # text that is no text: the columns are shown all the same
        return 0, {}
    few = {name: found for name, found in counts.items() if 0 < len(found) <= MOST_VALUES and showable(found, sampled)}
    return sampled, {name: tuple(found.most_common(SHOWN)) for name, found in few.items()}


def oldest(database: Database, table: exp.Table, column: Column) -> date | None:
    """The day of the lowest value of a date or timestamp, None when there is no row or its value is none."""
    present = exp.Is(this=exp.column(column.name, quoted=True), expression=exp.null()).not_()
    asked = Query(table, (column,), (present,), order=(column.name,), limit=1)
    try:
        with database.snapshot() as snapshot:
            found = [value for batch in snapshot.read(asked) for value in batch.column(0).to_pylist()]
    except RowsRefused:
        return None
    return next((value.date() if isinstance(value, datetime) else value for value in found), None)


def showable(found: Counter[str], sampled: int) -> bool:
    """Not one value a row, not an address of somebody, not long prose."""
    repeated = len(found) == 1 or len(found) * 2 <= sampled
    return repeated and all(len(value) <= LONGEST and "@" not in value for value in found)


def in_words(kind: pa.DataType, *, json: bool = False) -> str:
    """A type as a reader would say it."""
    said = "JSON" if json else next(words for matches, words in WORDS if matches(kind))
    if pa.types.is_decimal(kind):
        return f"{said}, {kind.precision} digits, {kind.scale} of them behind the point"
    if pa.types.is_integer(kind):
        return f"{said}, {kind.bit_width} bit{'' if pa.types.is_signed_integer(kind) else ', not negative'}"
    return f"{said} of {in_words(kind.value_type)}" if pa.types.is_list(kind) else said
