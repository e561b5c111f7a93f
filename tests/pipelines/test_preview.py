"""`outgate preview`: what it shows of a window, of any size, and that it leaves nothing behind."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from tests.small import EXPORT, ROWS_A_DAY, Small, day

MANY = 30_000
FORM = "type: csv, delimiter: ';', newline: crlf, bom: true, encoding: utf-8, compression: zip"


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """A project whose files have every mark that can be seen, in an archive."""
    made = Small.make(tmp_path, EXPORT.replace("type: csv", FORM))
    assert made.outgate("init").returncode == 0
    return made


def preview(small: Small, number: int = 0) -> str:
    """What it prints of a day."""
    ended = small.outgate("preview", "sales", "--partition", day(number))
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_lines_are_the_bytes_of_the_file(small: Small) -> None:
    """Byte order mark, delimiter, quoting and line breaks as they are delivered, but for personal data."""
    small.sql("UPDATE sales SET buyer_email = NULL WHERE id = 0")
    shown = preview(small)
    assert f"{ROWS_A_DAY} rows read\n" in shown
    assert small.outgate("run", "sales", "--partition", day(0)).returncode == 0
    [archive] = (small.root / "out").rglob("*.csv*")
    with zipfile.ZipFile(archive) as opened:
        lines = opened.read(opened.namelist()[0]).decode().splitlines(keepends=True)
    head = lines[0].replace("\ufeff", "\\ufeff").replace("\r\n", "\\r\\n")
    assert f"folder: sales/{day(0)}/sales_{day(0)}.csv begins with\n{head}\n" in shown
    assert f"{head}\n" + lines[1].replace("\r\n", "\\r\\n") in shown
    assert shown.count("***") == ROWS_A_DAY - 1


def test_a_large_window_is_not_read_whole(small: Small) -> None:
    """The first rows only; the control, a filter that leaves few of those, makes it read on."""
    small.sql(f"INSERT INTO sales SELECT 1000, sold_at, buyer_email, amount FROM sales, range({MANY}) WHERE id = 0")
    assert "the first 10,000 rows read, and all is of those" in preview(small)
    small.declare(EXPORT.replace("deliver:", "filters: {any: [{all: [{field: id, is: equals, value: 1}]}]}\ndeliver:"))
    assert f"{MANY + ROWS_A_DAY:,} rows read" in preview(small)


def test_a_value_that_cannot_be_converted(small: Small) -> None:
    """The error that a run would end with, without the value of a personal column."""
    small.declare(EXPORT.replace("deliver:", "fields: [{from: buyer_email, cast: integer}]\ndeliver:"))
    ended = small.outgate("preview", "sales", "--partition", day(0))
    assert ended.returncode == 1
    assert "the rows cannot be shown: column 'buyer_email' holds •••, which cannot be delivered" in ended.stderr
    assert "Ann" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(("path", "column"), [("{operation}", ""), ("all", "operation,")])
def test_changes_are_shown_as_the_first_delivery(small: Small, path: str, column: str) -> None:
    """With the column of the operation, where the file has it."""
    text = EXPORT.replace("partitions:", "mode: changes\nchanges: {key: [id]}\npartitions:").replace(
        "{export}_", f"{path}_"
    )
    small.declare(text)
    assert f".csv begins with\n{column}id,sold_at,buyer_email,amount\\n\n" in preview(small)


@pytest.mark.parametrize("form", ["parquet", "excel"])
def test_formats_without_lines(small: Small, form: str) -> None:
    """The table is shown all the same."""
    small.declare(EXPORT.replace("type: csv", f"type: {form}"))
    assert f"folder: sales/{day(0)}/sales_{day(0)}.csv: no text to show" in preview(small)


def test_as_json(small: Small) -> None:
    """For programs: the types of the columns too."""
    found = json.loads(small.outgate("preview", "sales", "--partition", day(0), "--json").stdout)
    assert (found["rows"], found["whole"], found["columns"]["id"]) == (ROWS_A_DAY, True, "BIGINT")
    assert len(found["files"]["folder"]["lines"]) == ROWS_A_DAY + 1


def test_nothing_is_left(small: Small) -> None:
    """No file is delivered or sealed, and the ledger knows of no window."""
    preview(small)
    assert not (small.root / "out").exists()
    assert json.loads(small.outgate("history", "sales", "--json").stdout) == []
