"""Workbooks as two other libraries read them, openpyxl and calamine: typed cells, no formula, and nothing cut."""

from __future__ import annotations

import random
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import fastexcel
import openpyxl
import pyarrow.parquet as pq
import pytest
from openpyxl.utils.escape import unescape

from assets import excel
from spec.errors import DeclarationError, RowsRefused
from tests.assets.files import content, parts
from tests.assets.rows import ALPHABET, NAMES, table

Rows = list[tuple[Any, ...]]


def by_openpyxl(path: Path) -> Rows:
    """All cells of the only sheet."""
    with path.open("rb") as file:
        book = openpyxl.load_workbook(file)
        (sheet,) = book.worksheets
        assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "n", "b", "d", "inlineStr"}
        rows = sheet.iter_rows(values_only=True)
        return [tuple(unescape(cell) if isinstance(cell, str) else cell for cell in row) for row in rows]


def by_calamine(path: Path) -> Rows:
    """All cells of the only sheet, each as text."""
    found = fastexcel.read_excel(path.read_bytes())
    sheet = found.load_sheet(0, header_row=None, dtypes="string", skip_whitespace_tail_rows=False)
    return list(sheet.to_polars().rows())


def workbook(sql: str, folder: Path, more: str = "") -> Path:
    """The only part that a query's rows make."""
    (part,) = parts(sql, f"{{type: excel{more}}}", folder)
    return part.path


CELLS = [
    ("1::INTEGER", 1), ("999999999999999", 999999999999999), ("9007199254740993", "9007199254740993"),
    ("9223372036854775807", "9223372036854775807"), ("170141183460469231731687303715884105727::HUGEINT", "170141183460469231731687303715884105727"),
    ("1.50::DECIMAL(5,2)", 1.5), ("1234567890123.45::DECIMAL(20,2)", 1234567890123.45), ("1234567890123.456::DECIMAL(20,3)", "1234567890123.456"),
    ("0.1::DOUBLE", 0.1), ("0.30000000000000004::DOUBLE", 0.30000000000000004), ("'nan'::DOUBLE", "NaN"), ("'-inf'::DOUBLE", "-Infinity"),
    ("true", True), ("false", False), ("''", ""), ("'=1+1'", "=1+1"), ("'{=1+1}'", "{=1+1}"), ("'http://a.example/'", "http://a.example/"),
    ("' both '", " both "), ("'a' || chr(10) || 'b'", "a\nb"), ("'007'", "007"), ("'<r>x</r>'", "<r>x</r>"), ("'<r><f>1+1</f></r>'", "<r><f>1+1</f></r>"),
    ("DATE '2024-02-29'", datetime(2024, 2, 29)), ("DATE '1900-02-28'", "1900-02-28"), ("DATE '0001-01-01'", "0001-01-01"),  # noqa: DTZ001
    ("TIMESTAMP '2024-02-29 23:59:59.999'", datetime(2024, 2, 29, 23, 59, 59, 999000)),  # noqa: DTZ001
    ("TIMESTAMP '2024-02-29 23:59:59.999999'", "2024-02-29T23:59:59.999999"),
    ("TIMESTAMPTZ '2024-01-01 00:30:00+01'", datetime(2023, 12, 31, 23, 30)),  # noqa: DTZ001
    ("[1, NULL]", "[1,null]"), ("'ab'::BLOB", "YWI="), ("TIME '10:00:00'", "10:00:00"),
    ("10000000000.000000000000000001::DECIMAL(38,18)", "10000000000.000000000000000001"),
    ("-99999999999.999999999999999999::DECIMAL(38,18)", "-99999999999.999999999999999999"),
    ("144000000000000000000000::DECIMAL(38,0)", "144000000000000000000000"), ("-1.5::DECIMAL(38,18)", -1.5),
]  # fmt: skip


@pytest.mark.parametrize(("value", "cell"), CELLS)
def test_one_cell(tmp_path: Path, value: str, cell: Any) -> None:
    """Typed where a spreadsheet holds it exactly, else text; never a formula, a link or markup."""
    found = by_openpyxl(workbook(f"SELECT {value} AS a, 1 AS b, NULL::VARCHAR AS c", tmp_path))
    assert found == [("a", "b", "c"), (cell, 1, None)]
    assert type(found[1][0]) is type(cell)


def test_no_header(tmp_path: Path) -> None:
    """The first row is a row."""
    assert by_openpyxl(workbook("SELECT 1 AS a", tmp_path, ", header: false")) == [(1,)]


def test_hostile_texts_are_cells_of_text(tmp_path: Path) -> None:
    """Ten thousand beginnings of formulas, fields and markup: not one `<f>` is in the sheet, and all texts are there."""
    dice = random.Random(1)
    beginnings = ["=", "+", "-", "@", "\t=", "<r>", "<f>", "</t></is></c><c><f>1</f>", "{=", "'=", "=cmd|' /C calc'!A0"]
    texts = [
        dice.choice(beginnings) + "".join(dice.choices(ALPHABET, k=4)) + dice.choice(["", "</r>"])
        for _ in range(10_000)
    ]
    rows = table(10_000, 1).set_column(1, "one", [texts])
    pq.write_table(rows.select(["n", "one"]), tmp_path / "rows.parquet")
    path = workbook(f"SELECT * FROM read_parquet('{tmp_path / 'rows.parquet'}')", tmp_path)
    sheet = zipfile.ZipFile(path).read("xl/worksheets/sheet1.xml")
    assert b"<f" not in sheet
    assert b"hyperlink" not in sheet
    assert sheet.count(b'<c r="B') == 10_001
    read = {int(number): text for number, text in by_calamine(path)[1:]}
    assert {number: shown(text) for number, text in enumerate(texts)} == {
        number: shown(text) for number, text in read.items()
    }


def shown(text: str | None) -> str:
    """A text without what a reader of workbooks changes: control characters have a spelling of their own there."""
    return "".join(each for each in text or "" if each.isprintable() and each not in "_x01D")


def test_rows_survive(tmp_path: Path) -> None:
    """Two thousand rows of every type: numbers equal, texts equal, and NULL an empty cell, by both readers."""
    rows = table(2000, 1)
    pq.write_table(rows, tmp_path / "rows.parquet")
    path = workbook(f"SELECT * FROM read_parquet('{tmp_path / 'rows.parquet'}')", tmp_path)
    found, other = by_openpyxl(path), by_calamine(path)
    assert found[0] == other[0] == NAMES
    true = {each["n"]: each for each in rows.to_pylist()}
    assert len(found) == len(other) == len(true) + 1
    for line in found[1:]:
        row = true.pop(line[0])
        for name, cell in zip(NAMES, line, strict=True):
            assert alike(row[name], cell), (name, row[name], cell)
    assert not true


def alike(value: Any, cell: Any) -> bool:
    """Whether a cell is the value: as its type, or as the text of it."""
    if value is None:
        return cell is None
    if isinstance(value, str):
        return bool(value == cell)
    if isinstance(value, bytes):
        return isinstance(cell, str)
    if isinstance(value, datetime | date):
        read = cell.isoformat() if isinstance(cell, datetime) else cell
        return bool(
            read[:26] == value.isoformat().replace("+00:00", "")[:26] or read == f"{value.isoformat()}T00:00:00"
        )
    return bool(type(value)(str(cell)) == value) if not isinstance(value, bool | float) else bool(cell == value)


def test_the_same_rows_make_the_same_bytes(tmp_path: Path) -> None:
    """No clock and no name of a person or machine is in a workbook."""
    once, again = (content("SELECT 1 AS a, 'x' AS b", "{type: excel}", tmp_path / name) for name in ("one", "two"))
    assert once == again
    assert b"1980-01-01" in zipfile.ZipFile(tmp_path / "one/parts/1").read("docProps/core.xml")
    assert [path.name for path in (tmp_path / "one/parts").iterdir()] == ["1"]


@pytest.mark.parametrize("text", ["repeat('x', 32768)", "repeat(chr(128512), 16384)"])
def test_a_text_that_no_cell_holds(tmp_path: Path, text: str) -> None:
    """It is refused by row and column, not cut; one character less is delivered."""
    with pytest.raises(RowsRefused, match="row 1 of the part, column 'b': a cell holds 32,767 characters"):
        workbook(f"SELECT 1 AS a, {text} AS b", tmp_path / "long")
    shorter = by_openpyxl(workbook(f"SELECT 1 AS a, substr({text}, 2) AS b", tmp_path / "short"))
    assert len(shorter[1][1].encode("utf-16-le")) // 2 in {32_767, 32_766}


def test_more_rows_than_a_sheet_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are refused with the way out, which works."""
    monkeypatch.setattr(excel, "ROWS", 1000)
    sql = "SELECT i AS n FROM range(2000) r(i)"
    with pytest.raises(
        RowsRefused, match="a sheet has 1,000 rows, its header included, and there are more; say `part_rows:`"
    ):
        workbook(sql, tmp_path / "all")
    found = parts(sql, "{type: excel, part_rows: 999}", tmp_path / "parts")
    assert [part.rows for part in found] == [999, 999, 2]
    assert sorted(row[0] for part in found for row in by_openpyxl(part.path)[1:]) == list(range(2000))


def test_more_columns_than_a_sheet_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are refused before a row is written."""
    monkeypatch.setattr(excel, "COLUMNS", 2)
    with pytest.raises(DeclarationError, match="the rows have 3 columns, and a sheet has 2"):
        workbook("SELECT 1 AS a, 2 AS b, 3 AS c", tmp_path)
    assert excel.ROWS == 1_048_576
