"""Files that people open: ten thousand hostile texts in LibreOffice, none of which is computed."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.assets.files import parts
from tests.servers.office import formulas

MANY = 10_000
BEGINNINGS = (
    "=",
    "+",
    "-",
    "@",
    "\t=",
    "\r=",
    "\n=",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://a.example")',
    "{=",
    "'=",
)
ENDINGS = ("1+1", "SUM(A1:A9)", "", "a\nb", '"', ";", ",", "A1")
SAFE = "type: csv, spreadsheet_safe: true"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A query for numbers and hostile texts."""
    dice = random.Random(3)
    texts = [dice.choice(BEGINNINGS) + dice.choice(ENDINGS) + str(number) for number in range(MANY)]
    path = tmp_path_factory.mktemp("hostile") / "rows.parquet"
    pq.write_table(pa.table({"n": pa.array(range(-MANY // 2, MANY // 2)), "text": texts}), path)
    return f"SELECT * FROM read_parquet('{path}')"


@pytest.mark.parametrize(("form", "ending"), [(SAFE, "csv"), ("type: excel", "xlsx"), (f"{SAFE}, bom: true", "csv")])
def test_nothing_is_computed(tmp_path: Path, rows: str, form: str, ending: str) -> None:
    """In csv that is made for people, and in workbooks; all rows are there."""
    found, count = _opened(tmp_path, rows, form, ending)
    assert found == []
    assert count >= MANY


def test_the_control(tmp_path: Path, rows: str) -> None:
    """Csv for machines, opened by a person: thousands of texts are computed."""
    found, _ = _opened(tmp_path, rows, "type: csv", "csv")
    assert len(found) > MANY // 10


def _opened(folder: Path, rows: str, form: str, ending: str) -> tuple[list[str], int]:
    (part,) = parts(rows, f"{{{form}}}", folder)
    named = folder / f"opened.{ending}"
    part.path.rename(named)
    return formulas(named, folder)
