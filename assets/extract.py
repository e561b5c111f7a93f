"""Extract: the rows of one or more windows, in one snapshot of the source, as checked batches.

A chunk of neighbouring windows may share one reading; each window is cut out of it later by the same bounds that the
source was asked with. Which windows are read together is the journey's decision; shaping is transform's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from assets.bounds import before, between_ids, bound, inside
from assets.horizon import Horizon
from assets.packs import packs
from assets.plan import Plan, key_columns
from assets.pushed import pushed
from assets.relation import Relation
from assets.windows import Window
from resources.databases.base import Column, Query, Snapshot
from resources.failpoint import reach
from spec.errors import RowsRefused, SourceChanged
from spec.reading import Declared
from spec.source import TimeCursor

if TYPE_CHECKING:
    from assets.carry import Carry
    from assets.stream import Stream

SPELLED: tuple[tuple[str, Callable[[pa.Array], pa.Array]], ...] = (
    (r"(n?char|character|bpchar)(\(\d+\))?", partial(pc.utf8_rtrim, characters=" ")),
    (r"uuid|uniqueidentifier", pc.utf8_lower),
)
"""Types of the same value in several spellings, and what makes one of them: padding and capitals that are no data."""
Progress = Callable[[int, int], None]
"""Told rows and bytes of each batch."""


@dataclass(frozen=True)
class Ids:
    """The range of an id window: `low < id <= high`; `high` None means that there are no rows at all."""

    low: int | None
    high: int | None


@dataclass(frozen=True)
class Reading:
    """One reading: where its rows are, what they look like, and what is known about the moment of it.

    Finished, `rows` of them are in the file of `path`; still to come out of the `stream`, that file is never written.
    `carry` says which rows of a window belong to others, and which of others to it.
    """

    path: Path
    columns: tuple[Column, ...]
    horizon: Horizon
    rows: int = 0
    stream: Stream | None = None
    carry: Carry | None = None

    @property
    def fingerprint(self) -> str:
        """The columns and their declared types as JSON, to notice a source that changed."""
        return json.dumps({column.name: column.declared for column in self.columns}, sort_keys=True)


def checked(plan: Plan, span: Window, ids: Ids | None, also: Sequence[Query] = ()) -> Generator[pa.RecordBatch]:
    """The rows of `span` as the source sends them, in one snapshot, each batch checked before it is yielded.

    Rows of the same columns that `also` asks for come after them.

    Raises RowsRefused and ConnectorError, in the middle too: what was made of the batches before is worth nothing then.
    """
    query = query_of(plan, span, ids)
    schema = arrow_schema(query.columns)
    with plan.database.snapshot() as snapshot:
        reach("extract.snapshot")
        _refuse_null_cursors(snapshot, plan, query)
        for batch in chain.from_iterable(_batches(snapshot, each, plan) for each in (query, *also)):
            _refuse_other_tenants(batch, plan.relation)
            yield pa.record_batch(batch.columns, schema=schema)


def first(plan: Plan, span: Window, ids: Ids | None, most: int) -> Generator[pa.RecordBatch]:
    """The first rows of `span`, as `checked` yields them; nobody counts how many there are, or have no cursor.

    Raises RowsRefused and ConnectorError.
    """
    query = replace(query_of(plan, span, ids), limit=most)
    schema = arrow_schema(query.columns)
    with plan.database.snapshot() as snapshot:
        for batch in snapshot.read(query):
            _refuse_other_tenants(batch, plan.relation)
            yield pa.record_batch(batch.columns, schema=schema)


def cut(plan: Plan, window: Window, ids: Ids | None) -> list[exp.Expr]:
    """The conditions that make a row belong to a window: the source is asked with them, and the extract is cut by
    them.
    """
    return _conditions(plan, window, ids, nulls=plan.takes_nulls(window))


def _conditions(plan: Plan, window: Window, ids: Ids | None, *, nulls: bool) -> list[exp.Expr]:
    cursor, source = plan.relation.cursor, plan.export.source.cursor
    if cursor is None or source is None or plan.export.whole:
        return []
    if ids is not None:
        parts: list[exp.Expr] = [exp.false()] if ids.high is None else between_ids(cursor, ids.low, ids.high)
    else:
        parts = inside(cursor, window, plan.declared)
    if nulls:
        blank = exp.Is(this=exp.column(cursor.name, quoted=True), expression=exp.null())
        return [exp.or_(exp.and_(*parts), blank)]
    return parts


def query_of(plan: Plan, span: Window, ids: Ids | None) -> Query:
    """What the source is asked for, as a tree whose values are literals."""
    relation, tree = plan.relation, plan.relation.tree
    if relation.places and ids is not None:
        tree = relation.between(ids.low, ids.high)
    elif relation.places and relation.cursor is not None:
        edges = (span.lo, span.hi, before(relation.cursor, span.lo))
        tree = relation.bind(*(bound(relation.cursor, edge, plan.declared) for edge in edges))
    conditions = _conditions(plan, span, ids, nulls=plan.reads_nulls(span))
    return Query(tree, relation.columns, (*_tenant(relation), *conditions, *pushed(plan, span)))


def _tenant(relation: Relation) -> tuple[exp.Expr, ...]:
    if relation.tenant is None:
        return ()
    column, value = relation.tenant
    return (exp.EQ(this=exp.column(column.name, quoted=True), expression=exp.convert(value)),)


def _refuse_null_cursors(snapshot: Snapshot, plan: Plan, query: Query) -> None:
    declared, relation = plan.declared, plan.relation
    cursor, source = relation.cursor, plan.export.source.cursor
    if cursor is None or source is None or plan.export.whole:
        return
    if source.nulls != "error" or not cursor.nullable:
        return
    blank = exp.Is(this=exp.column(cursor.name, quoted=True), expression=exp.null())
    if count := snapshot.count(Query(query.relation, query.columns, (*_tenant(relation), blank))):
        place = declared.where("source", "cursor", "column")
        ways = ["`nulls: exclude` (leave them out)"]
        ways += ["`nulls: include` (with the first window)"] if isinstance(source, TimeCursor) else []
        message = (
            f"{place}: {count} rows have no value in cursor {cursor.name!r}, so they belong to no window; "
            f"fill them in, or say {' or '.join(ways)} in `cursor:`"
        )
        raise RowsRefused(message)


def _batches(snapshot: Snapshot, query: Query, plan: Plan) -> Iterator[pa.RecordBatch]:
    size = plan.export.source.batch_rows
    if size is None:
        return snapshot.read(query)
    return packs(snapshot, query, key_columns(plan), size, dialect=plan.database.dialect)


def arrow_schema(columns: tuple[Column, ...]) -> pa.Schema:
    """The Arrow schema of a reading."""
    return pa.schema([pa.field(column.name, column.type) for column in columns])


def _refuse_other_tenants(batch: pa.RecordBatch, relation: Relation) -> None:
    if relation.tenant is None:
        return
    column, value = relation.tenant
    found = batch.column(batch.schema.get_field_index(column.name))
    same = next((same for kind, same in SPELLED if re.fullmatch(kind, column.declared.lower())), None)
    wanted = pa.array([value]).cast(found.type)
    found, wanted = (same(found), same(wanted)) if same else (found, wanted)
    if not pc.all(pc.equal(found, wanted[0]), skip_nulls=False).as_py():
        message = (
            f"the source returned a row whose tenant column {column.name!r} ({column.declared}) is not exactly "
            f"{value!r}, as it would for a collation that ignores case; nothing was delivered"
        )
        raise RowsRefused(message)


def refuse_changes(before: tuple[str, str] | None, reading: Reading, declared: Declared) -> None:
    """Compare with the fingerprint of the last sealed window. Raises SourceChanged naming each column."""
    if before is None or before[0] == reading.fingerprint:
        return
    old, now = json.loads(before[0]), json.loads(reading.fingerprint)
    changed = [f"{name!r} was {old[name]} and is {kind}" for name, kind in now.items() if old.get(name, kind) != kind]
    gone = [
        f"{name!r} ({kind}) is gone"
        for name, kind in old.items()
        if name not in now and declared.export.fields == "all"
    ]
    if changed or gone:
        message = (
            f"{declared.where('source')}: the source changed since window {before[1]}: {'; '.join(changed + gone)}. "
            "Nothing was delivered. If the partner can take it, run it with --accept-columns"
        )
        raise SourceChanged(message)
