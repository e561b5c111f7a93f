"""Text in another encoding than UTF-8: what it cannot hold is refused by its place, and never by its content.

Which encodings there are is said in spec/formats.py.
"""

from __future__ import annotations

import csv
from io import StringIO

import pyarrow as pa

from spec.errors import RowsRefused
from spec.formats import Delimited


def encoded(text: memoryview, batch: pa.RecordBatch, form: Delimited, names: tuple[str, ...], rows: int) -> bytes:
    """The text of a batch of lines, of which `rows` came before, as the format's bytes. Raises RowsRefused."""
    try:
        return str(text, "utf-8").encode(form.encoding)
    except UnicodeEncodeError:
        raise RowsRefused(_place(batch, form, names, rows)) from None


def _place(batch: pa.RecordBatch, form: Delimited, names: tuple[str, ...], rows: int) -> str:
    for number, line in enumerate(batch.column(0).to_pylist(), rows + 1):
        try:
            line.encode(form.encoding)
        except UnicodeEncodeError as error:
            column, character = _cell(line[: error.start], form)
            return (
                f"row {number} of the part, column {names[column]!r}: character {character} of the value is none of "
                f"{form.encoding}; say `encoding: utf-8`, or replace such characters in `transform:`"
            )
    message = "the batch has no such line"
    raise AssertionError(message)


def _cell(before: str, form: Delimited) -> tuple[int, int]:
    """The column, from 0, and the position in its value, from 1, of what follows the beginning of a line."""
    limit = csv.field_size_limit(max(csv.field_size_limit(), len(before) + 1))
    try:
        rows = csv.reader(
            StringIO(before, newline=""),
            delimiter=form.special[0],
            quotechar=form.special[1],
            quoting=csv.QUOTE_NONE if form.quoting == "none" else csv.QUOTE_MINIMAL,
            doublequote=form.doubles,
            escapechar=None if form.doubles else form.escape,
        )
        cells = next(rows, []) or [""]
    finally:
        csv.field_size_limit(limit)
    return len(cells) - 1, len(cells[-1]) + 1
