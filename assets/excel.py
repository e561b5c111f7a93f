"""Workbooks for people: one sheet of typed cells, and never a formula.

A number that a spreadsheet would round, a time finer than a millisecond, and a day before March 1900 are text; what no
cell can hold is refused. What a value's text is, is said in spelling.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.spelling import numeric, quoted, text_value
from spec.errors import DeclarationError, RowsRefused

if TYPE_CHECKING:
    import pyarrow as pa
    from xlsxwriter.worksheet import Worksheet

ROWS, COLUMNS, UNITS = 1_048_576, 16_384, 32_767
"""What a sheet can have of rows (its header is one) and columns, and a cell of UTF-16 units."""
DIGITS = 15
"""Significant digits that a spreadsheet keeps of a number."""
FIRST_DAY = date(1900, 3, 1)
"""Before it spreadsheets disagree about which day is which: one of them has a 29 February 1900."""
MILLISECOND = 1000
_STYLES = {"day": "yyyy-mm-dd", "second": "yyyy-mm-dd hh:mm:ss", "millisecond": "yyyy-mm-dd hh:mm:ss.000"}
_TIMES = frozenset({"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS"})
_INSTANT = "TIMESTAMP WITH TIME ZONE"


def cells(columns: Mapping[str, str]) -> str:
    """SQL for the columns as a sheet takes them: numbers, booleans, days and times typed (in UTC), all else as text."""
    return ", ".join(f"{_cell(kind, quoted(name))} AS {quoted(name)}" for name, kind in columns.items())


def _cell(kind: str, column: str) -> str:
    if kind == _INSTANT:
        return f"make_timestamp(epoch_us({column}))"
    if kind == "HUGEINT":
        return text_value(kind, column)
    return column if numeric(kind) or kind in {"BOOLEAN", "DATE", *_TIMES} else text_value(kind, column)


class ExcelSink:
    """Rows of one sheet, written to a file beside the part: a workbook is put together at its end."""

    _sheet: Any = None
    held = 0

    def __init__(self, path: Path, names: tuple[str, ...], *, header: bool) -> None:
        from xlsxwriter import Workbook

        if len(names) > COLUMNS:
            message = f"the rows have {len(names)} columns, and a sheet has {COLUMNS:,}; list fewer `fields:`"
            raise DeclarationError(message)
        self._book = Workbook(str(path), {"constant_memory": True, "tmpdir": str(path.parent)})
        self._book.fileclosed = True  # until it ends: one that is left unfinished is not to write itself when it goes
        self._book.use_zip64()  # where it is needed
        self._book.set_properties({"created": datetime(1980, 1, 1)})  # noqa: DTZ001  (nobody's clock)
        self._sheet = self._book.add_worksheet(worksheet_class=_sheet())
        self._styles = {name: self._book.add_format({"num_format": style}) for name, style in _STYLES.items()}
        self._writers: dict[type, Callable[[int, Any], None]] = {
            str: self._text, bool: self._flag, int: self._whole, float: self._float, Decimal: self._decimal,
            date: self._day, datetime: self._moment,
        }  # fmt: skip
        self._names, self._row, self._first = names, 0, 0
        if header:
            self._line(names)
            self._first = 1

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows. Raises RowsRefused for the first that a sheet cannot have."""
        for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            self._line(values)

    def close(self) -> None:
        """Put the workbook together."""
        from xlsxwriter.exceptions import FileCreateError

        self._book.fileclosed = False
        try:
            self._book.close()
        except FileCreateError as error:
            raise error.args[0] from None  # the OSError, as of a full disk

    def __del__(self) -> None:
        """Do not leak the handle when writing failed."""
        if self._sheet is not None:
            self._sheet.row_data_fh.close()

    def _line(self, values: tuple[Any, ...]) -> None:
        if self._row >= ROWS:
            message = f"a sheet has {ROWS:,} rows, its header included, and there are more; say `part_rows:`, or csv"
            raise RowsRefused(message)
        for column, value in enumerate(values):
            if value is not None:
                self._writers[type(value)](column, value)
        self._row += 1

    def _text(self, column: int, value: str) -> None:
        if len(value) > UNITS // 2 and len(value.encode("utf-16-le")) // 2 > UNITS:
            message = (
                f"row {self._row - self._first + 1} of the part, column {self._names[column]!r}: a cell holds "
                f"{UNITS:,} characters, and the value has more; leave it out, or deliver csv"
            )
            raise RowsRefused(message)
        self._sheet.write_string(self._row, column, value)

    def _flag(self, column: int, value: bool) -> None:  # noqa: FBT001
        self._sheet.write_boolean(self._row, column, value)

    def _whole(self, column: int, value: int) -> None:
        if abs(value) < 10**DIGITS:
            self._sheet.write_number(self._row, column, value)
        else:
            self._text(column, str(value))

    def _decimal(self, column: int, value: Decimal) -> None:
        text = f"{value:f}"  # never an operation of decimals: each would round to the 28 digits of its context
        whole, _, fraction = text.lstrip("-").partition(".")
        if len((whole + fraction.rstrip("0")).lstrip("0")) <= DIGITS:
            self._sheet.write_number(self._row, column, float(value))
        else:
            self._text(column, text)

    def _float(self, column: int, value: float) -> None:
        if math.isfinite(value):
            self._sheet.write_number(self._row, column, value)
        else:
            self._text(column, {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN"))

    def _day(self, column: int, value: date) -> None:
        self._dated(column, value, "day")

    def _moment(self, column: int, value: datetime) -> None:
        self._dated(column, value, "millisecond" if value.microsecond else "second")

    def _dated(self, column: int, value: date, style: str) -> None:
        day = value.date() if isinstance(value, datetime) else value
        if day < FIRST_DAY or (isinstance(value, datetime) and value.microsecond % MILLISECOND):
            self._text(column, value.isoformat())
        else:
            self._sheet.write_datetime(self._row, column, value, self._styles[style])


def _sheet() -> type[Worksheet]:
    """A sheet that never takes a text for markup, and writes a number with all its digits."""
    from xlsxwriter.worksheet import Worksheet

    class Sheet(Worksheet):  # type: ignore[misc]
        def _xml_rich_inline_string(self, string: str, attributes: list[tuple[str, Any]] | None = None) -> None:
            self._xml_inline_string(string, True, attributes or [])

        def _xml_number_element(self, number: float, attributes: list[tuple[str, Any]] | None = None) -> None:
            attr = "".join(f' {key}="{value}"' for key, value in attributes or [])
            self.fh.write(f"<c{attr}><v>{number!r}</v></c>")

    return Sheet
