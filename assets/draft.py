"""A first declaration from what the catalogue says: `outgate new`. Every choice that a person must check has a comment.

Asking questions and writing the file are the command's work. What is written passes `outgate check` as it stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

import pyarrow as pa

from assets.advice import INDEXES
from assets.catalogue import PERSONAL
from resources.databases.base import Column, Facts
from spec.errors import DeclarationError

CHANGED = re.compile(r"updat|modif|chang|edited|touched|mtime|maj\b|geaendert", re.IGNORECASE)
CREATED = re.compile(r"creat|insert|added|inserted|recorded|ctime|erstellt", re.IGNORECASE)
PLAIN = re.compile(r"[A-Za-z_][\w.]*")
RESERVED = frozenset({"null", "true", "false", "yes", "no", "on", "off"})
By = Literal["time", "id"]


@dataclass(frozen=True)
class Choice:
    """The cursor (None: a snapshot of all rows), the key beside it, and why."""

    cursor: Column | None
    by: By = "time"
    key: str | None = None
    why: str = ""


@dataclass(frozen=True)
class Source:
    """What is exported, and by which connectors."""

    export: str
    connector: str
    table: str
    store: str
    dialect: str
    columns: tuple[Column, ...]
    facts: Facts


def choose(source: Source, cursor: str | None = None, key: str | None = None) -> Choice:
    """The cursor: the one that is asked for, else a NOT NULL, indexed time of change, then of creation, then a whole
    number that is the primary key, else none. Raises DeclarationError for a column that is not there or cannot be one.
    """
    found = Choice(_named(source, cursor), why="as asked for") if cursor else _suggested(source)
    if found.cursor is None:
        return found
    by: By = "id" if _whole(found.cursor.type) else "time"
    if by == "time" and not _dated(found.cursor.type):
        raise DeclarationError(
            f"column {cursor!r} is {found.cursor.declared}: a cursor is a timestamp, a date or a whole number"
        )
    single = source.facts.key[0] if len(source.facts.key) == 1 else None
    chosen = _named(source, key).name if key else single if single != found.cursor.name else None
    return Choice(found.cursor, by, chosen, found.why)


def serves(source: Source, column: Column) -> bool:
    """Whether a column can be read by: never NULL, and found by an index where the database needs one."""
    led = {names[0] for names in source.facts.indexes}
    return not column.nullable and (column.name in led or source.dialect not in INDEXES)


def text(source: Source, choice: Choice, start: date) -> str:
    """The declaration as YAML, with comments."""
    return (
        "\n".join([*_head(source), *_source(source, choice), *_windows(choice, start), *_tail(source, choice)]) + "\n"
    )


def _head(source: Source) -> Iterator[str]:
    comment = source.facts.comments.get("", "")
    said = " ".join(comment.split()) or f"Rows of {source.table}"
    yield f"export: {source.export}"
    yield f"description: {_scalar(said)}"
    yield "# owner: crm@example.com        # whom to ask; may stand in defaults.yaml"


def _source(source: Source, choice: Choice) -> Iterator[str]:
    yield "source:"
    yield f"  connector: {source.connector}"
    yield f"  table: {_scalar(source.table)}"
    if choice.cursor is None:
        yield f"  # No cursor: {choice.why}"
        return
    yield f"  # {choice.why}"
    yield "  cursor:"
    yield f"    by: {choice.by}"
    yield f"    column: {_scalar(choice.cursor.name)}"
    if choice.key and choice.by == "time":
        yield f"    key: {_scalar(choice.key)}"
    yield from _stamps(choice.cursor)
    if choice.cursor.nullable:
        yield "    nulls: error                # the column may be NULL: such a row stops the window; or exclude"


def _stamps(cursor: Column) -> Iterator[str]:
    if pa.types.is_timestamp(cursor.type) and cursor.type.tz is None:
        yield "    timezone: UTC               # CHECK: the column has no zone; say in which one its values are"
    yield "    stamped_by: application     # `database` if only the database sets the column: DEFAULT now(), a trigger,"
    yield "                                # an identity. Not if the application sends a value: rows would be lost"
    yield "    lag: 5m                     # longer than the longest time between stamping a row and committing it"


def _windows(choice: Choice, start: date) -> Iterator[str]:
    first = {"time": "the first window", "id": "the first key takes all rows that are there"}[choice.by]
    note = first if choice.cursor else "the first key; a snapshot has no history"
    yield f"partitions: {{every: day, start: {start}}}     # CHECK: {note}; timezone: where days are not UTC's"
    if choice.cursor is None:
        yield "mode: snapshot                # all rows, every time"


def _tail(source: Source, choice: Choice) -> Iterator[str]:
    personal = any(PERSONAL.search(each.name) for each in source.columns)
    yield "fields:" + (
        "                       # CHECK pii: it masks previews, not the files; leave out what is not needed"
        if personal
        else ""
    )
    for each in source.columns:
        pii = ", pii: true" if PERSONAL.search(each.name) else ""
        note = " ".join(source.facts.comments.get(each.name, "").split())
        yield f"  - {{from: {_scalar(each.name)}{pii}}}" + (f"    # {note}" if note else "")
    path = "{export}/{partition}/{export}_{partition}.csv"
    yield from ("deliver:", f"  - to: {source.store}", f'    path: "{path}"', "    format: {type: csv}")
    yield '# schedule: {daily: "06:00"}    # runs while `outgate ui` runs, once its switch is on'
    if choice.cursor is not None and choice.by == "id":
        yield "# By id only new rows are seen: a row that changes keeps its id."


def _suggested(source: Source) -> Choice:
    dated = [each for each in source.columns if pa.types.is_timestamp(each.type)]
    ready = sorted((each for each in dated if serves(source, each)), key=lambda each: each.type.tz is None)
    for pattern, what in ((CHANGED, "changed"), (CREATED, "made: changes to a row are not seen")):
        for each in ready:
            if pattern.search(each.name):
                return Choice(each, why=f"{each.name!r} seems to say when a row was {what}")
    passed = [each.name for each in dated if CHANGED.search(each.name) or CREATED.search(each.name)]
    unready = f"; {', '.join(map(repr, passed))} may be NULL or has no index" if passed else ""
    number = next((each for each in source.columns if (each.name,) == source.facts.key and _whole(each.type)), None)
    if number is not None:
        return Choice(number, "id", why=f"by the primary key{unready}")
    return Choice(None, why=f"no indexed NOT NULL time and no whole number as primary key{unready}")


def _named(source: Source, name: str) -> Column:
    for each in source.columns:
        if each.name == name:
            return each
    listed = ", ".join(each.name for each in source.columns)
    raise DeclarationError(f"{source.table!r} has no column {name!r} (it has: {listed})")


def _whole(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0))


def _dated(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _scalar(value: str) -> str:
    plain = PLAIN.fullmatch(value) and value.lower() not in RESERVED
    return value if plain else json.dumps(value, ensure_ascii=False)
