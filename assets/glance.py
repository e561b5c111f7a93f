"""A glance at a window for `outgate preview`: its first rows, shaped, and the first lines of its files, byte by byte.

Nothing is sealed and nothing is delivered. Of a large window only the first rows are read, so groups and sums are of
those; personal data is masked in the lines as it is in the table.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.parquet as pq

from assets.changes import of
from assets.extract import Ids, Reading, arrow_schema, first
from assets.horizon import look
from assets.outcome import hidden, masked_preview
from assets.plan import Plan
from assets.seal import path_values
from assets.spelling import quoted
from assets.stream import counted
from assets.transform import Shaped, engine, refused, shape, write
from assets.windows import Window
from spec.changes import OPERATIONS
from spec.delivery import Delivery
from spec.formats import Csv, Json, Ndjson, Psv, Tsv
from spec.template import render, variables

STEPS = (10_000, 1_000_000)
"""How many rows are read; more only where the filters leave fewer than ten of them."""
ROWS, LINES = 10, 5


@dataclass(frozen=True)
class Glance:
    """`rows` were read, which are `whole` or only the first; `table` is Markdown; `files` are by delivery."""

    rows: int
    whole: bool
    columns: Mapping[str, str]
    table: str
    files: Mapping[str, Sample]


@dataclass(frozen=True)
class Sample:
    """The name of a delivery's first file, and its first lines before compression; () where the format has no lines."""

    name: str
    lines: tuple[str, ...]


def glance(plan: Plan, window: Window, ids: Ids | None, folder: Path) -> Glance:
    """Read, shape and write the first rows of a window into `folder`. Raises RowsRefused and DeclarationError."""
    horizon = look(plan.database, plan.export.source.cursor)
    for most in STEPS:
        place = folder / str(most)
        place.mkdir()
        rows = _read(plan, window, ids, place / "extract.parquet", most)
        reading = Reading(place / "extract.parquet", plan.relation.columns, horizon, rows)
        with engine(place) as connection:
            shaped = _added(plan, shape(connection, plan, reading, window, ids))
            with refused(plan, "the rows cannot be shown"):
                enough = len(shaped.preview(ROWS)) == ROWS
                if rows < most or enough or most == STEPS[-1]:
                    return _seen(plan, window, shaped, place, rows, whole=rows < most)
    raise AssertionError(STEPS)


def _added(plan: Plan, shaped: Shaped) -> Shaped:
    """In `mode: changes` the rows as their first delivery has them."""
    if plan.export.changes is None:
        return shaped
    name = plan.export.changes.column
    return replace(
        shaped,
        sql=f"SELECT 'added' AS {quoted(name)}, * FROM ({shaped.sql})",
        columns={name: "VARCHAR"} | shaped.columns,
    )


def _read(plan: Plan, window: Window, ids: Ids | None, path: Path, most: int) -> int:
    rows = 0
    schema = arrow_schema(plan.relation.columns)
    with pq.ParquetWriter(path, schema, write_statistics=counted(schema)) as writer:
        for batch in first(plan, window, ids, most):
            rows += batch.num_rows
            writer.write_batch(batch)
    return rows


def _seen(plan: Plan, window: Window, shaped: Shaped, folder: Path, rows: int, *, whole: bool) -> Glance:
    values = path_values(plan.export, window, 1) | {"part": "001", "parts": 1, "operation": OPERATIONS[0]}
    masked = _masked(plan, shaped)
    files = {
        each.label: Sample(render(each.path, values), _lines(plan, each, masked, folder / f"to-{each.label}", values))
        for each in plan.export.deliver
    }
    return Glance(rows, whole, shaped.columns, masked_preview(shaped, plan.export), files)


def _masked(plan: Plan, shaped: Shaped) -> Shaped:
    """A few rows; personal data as text that says that there is some."""
    hide = hidden(shaped.columns, plan.export)
    cells = (
        f"CASE WHEN {quoted(name)} IS NOT NULL THEN '***' END AS {quoted(name)}" if name in hide else quoted(name)
        for name in shaped.columns
    )
    columns = {name: "VARCHAR" if name in hide else kind for name, kind in shaped.columns.items()}
    return replace(shaped, sql=f"SELECT {', '.join(cells)} FROM ({shaped.sql}) LIMIT {LINES}", columns=columns)


def _lines(
    plan: Plan, delivery: Delivery, shaped: Shaped, folder: Path, values: Mapping[str, object]
) -> tuple[str, ...]:
    form = delivery.format
    if not isinstance(form, Csv | Psv | Tsv | Ndjson | Json):
        return ()
    plain = form.model_copy(update={"compression": "none", "part_size": None, "part_rows": None})
    if plan.export.changes and "operation" in variables(delivery.path):
        shaped = of(shaped, plan.export.changes.column, OPERATIONS[0])
    [part] = write(shaped, delivery.model_copy(update={"format": plain, "encrypt": None}), folder, plan, values)
    text = part.path.read_bytes().decode(getattr(form, "encoding", "utf-8"))
    ending = "\n" if isinstance(form, Ndjson | Json) else form.eol
    lines = [line + ending for line in text.split(ending)]
    return tuple(map(_visible, [*lines[:-1], lines[-1].removesuffix(ending)]))[: LINES + 1]


def _visible(text: str) -> str:
    """Control characters by their escapes, so that line breaks, tabs and byte order marks can be seen."""
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in {"Cc", "Cf"} else char for char in text
    )
