"""Rows survive: what two other libraries read from each format, in each way of quoting, equals what was written.

20,000 rows each, a million with OUTGATE_PROVE=1. What survives the whole journey from a database is in tests/journey/.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.assets.files import parts
from tests.assets.rows import ALPHABET, CANONICAL, HARD, NAMES, Row, of, table

ROWS = 20_000
BATCHES = 50 if os.environ.get("OUTGATE_PROVE") else 1
Form = dict[str, Any]
Reader = Callable[[Path, Form], Iterable[Row]]
SIGNS = {"csv": ",", "psv": "|", "tsv": "\t"}
NEWLINES = {"lf": "\n", "crlf": "\r\n", "cr": "\r"}


def sign(form: Form) -> str:
    """The delimiter."""
    return str(form.get("delimiter", SIGNS[form["type"]]))


def python(path: Path, form: Form) -> Iterable[Row]:
    """Python's csv, strictly."""
    bare = form.get("quoting") == "none"
    csv.field_size_limit(10**9)
    with path.open(newline="", encoding="utf-8") as file:
        found = csv.reader(
            file, strict=not bare, delimiter=sign(form), quotechar=form.get("enclosure", '"'),
            quoting=csv.QUOTE_NONE if bare else csv.QUOTE_MINIMAL, doublequote="escape" not in form, escapechar=form.get("escape"),
        )  # fmt: skip
        names = next(found)
        assert tuple(names) == NAMES
        yield from (tuple(line) for line in found)


def polars(path: Path, form: Form) -> Iterable[Row]:
    """Polars, every column as text."""
    frame = pl.read_csv(
        path, separator=sign(form), quote_char=None if form.get("quoting") == "none" else form.get("enclosure", '"'),
        infer_schema=False, null_values=form.get("null"), eol_char="\r" if form.get("newline") == "cr" else "\n",
    )  # fmt: skip
    assert tuple(frame.columns) == NAMES
    return frame.iter_rows()


def arrow(path: Path, form: Form) -> Iterable[Row]:
    """pyarrow, every column as text."""
    how = pa_csv.ParseOptions(
        delimiter=sign(form), quote_char=False if form.get("quoting") == "none" else form.get("enclosure", '"'),
        double_quote="escape" not in form, escape_char=form.get("escape", False), newlines_in_values=True,
    )  # fmt: skip
    types = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(NAMES, pa.string()), null_values=[form.get("null", "")], strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )  # fmt: skip
    found = pa_csv.read_csv(path, pa_csv.ReadOptions(block_size=1 << 26), how, types)
    assert tuple(found.column_names) == NAMES
    return zip(*(column.to_pylist() for column in found.columns), strict=True)


def python_json(path: Path, form: Form) -> Iterable[Row]:
    """Python's json; numbers as they are spelled."""
    text = path.read_bytes().decode("utf-8")
    objects = json.loads(text, parse_float=str) if form["type"] == "json" else (
        json.loads(line, parse_float=str) for line in text.split("\n")[:-1]
    )  # fmt: skip
    return (tuple(each[name] for name in NAMES) for each in objects)


JSON_TYPES = pa.schema([(name, {"n": pa.int64(), "whole": pa.int64(), "money": pa.decimal128(12, 2), "double": pa.float64(), "flag": pa.bool_()}.get(name, pa.string())) for name in NAMES])  # fmt: skip


def arrow_json(path: Path, form: Form) -> Iterable[Row]:
    """By pyarrow, a line an object: an array's too, once its brackets and commas are off."""
    if form["type"] == "json":
        lines = [line.removesuffix(b",") for line in path.read_bytes().split(b"\n")[1:-2]]
        path = path.with_suffix(".lines")
        path.write_bytes(b"\n".join(lines))
    how = pa_json.ParseOptions(explicit_schema=JSON_TYPES, unexpected_field_behavior="error")
    found = pa_json.read_json(path, pa_json.ReadOptions(block_size=1 << 26), how)
    return zip(*(found[name].to_pylist() for name in NAMES), strict=True)


def arrow_parquet(path: Path, _: Form) -> Iterable[Row]:
    """By pyarrow."""
    return zip(*(column.to_pylist() for column in pq.read_table(path).columns), strict=True)


def polars_parquet(path: Path, _: Form) -> Iterable[Row]:
    """By Polars."""
    return pl.read_parquet(path).iter_rows()


TEXT = (python, polars, arrow)
ESCAPED = (python, arrow)
FORMS: list[tuple[Form, tuple[Reader, ...]]] = [
    ({"type": "csv"}, TEXT),
    ({"type": "csv", "delimiter": ";", "newline": "crlf", "quoting": "non_null"}, TEXT),
    ({"type": "csv", "newline": "cr"}, ESCAPED),
    ({"type": "csv", "quoting": "all"}, TEXT),
    ({"type": "csv", "quoting": "non_numeric", "null": r"\N"}, TEXT),
    ({"type": "csv", "enclosure": "'", "delimiter": "\x01"}, TEXT),
    ({"type": "csv", "escape": "\\"}, ESCAPED),
    ({"type": "csv", "escape": "\\", "quoting": "non_null"}, ESCAPED),
    ({"type": "csv", "escape": "\\", "quoting": "none"}, (python,)),
    ({"type": "csv", "quoting": "none"}, TEXT),
    ({"type": "psv"}, TEXT),
    ({"type": "psv", "quoting": "all", "escape": "\\"}, ESCAPED),
    ({"type": "tsv"}, TEXT),
    ({"type": "tsv", "quoting": "none"}, TEXT),
    ({"type": "ndjson"}, (python_json, arrow_json)),
    ({"type": "json"}, (python_json, arrow_json)),
    ({"type": "parquet"}, (arrow_parquet, polars_parquet)),
]
FORM_IDS = [" ".join(map(repr, form.values())) for form, _ in FORMS]


def tame(form: Form) -> bool:
    """Whether a format can hold only texts that separate nothing."""
    return form.get("quoting") == "none" and "escape" not in form


def written(rows: pa.Table, form: Form, folder: Path) -> Path:
    """The only part."""
    folder.mkdir(parents=True)
    pq.write_table(rows, folder / "rows.parquet")
    (part,) = parts(
        f"SELECT * FROM read_parquet('{folder / 'rows.parquet'}')",
        yaml.safe_dump(form, default_flow_style=True, width=10**9).strip(),
        folder,
    )
    return part.path


def expected(rows: pa.Table) -> dict[int, Row]:
    """What was written, by number, in one form."""
    made = zip(*(rows[name].to_pylist() for name in NAMES), strict=True)
    return {each[0]: canonical(each) for each in made}


def canonical(values: Row) -> Row:
    """A row's values in one form; NULL is None."""
    return tuple(None if value is None else CANONICAL[name](value) for name, value in zip(NAMES, values, strict=True))


def same(true: Row, found: Row, form: Form, reader: Reader) -> bool:
    """Whether a row is what was written; where a format or a reader cannot tell NULL from a text, either is."""
    null = form.get("null", "")
    quoted = form.get("quoting") not in {"all", "none"} and (reader is arrow or (reader is polars and not null))
    if form["type"] in SIGNS and not quoted:
        true = tuple(None if value in {null, null.encode()} else value for value in true)
        found = tuple(None if value == null else value for value in found)
    return true == canonical(found)


def compare(rows: pa.Table, form: Form, readers: Iterable[Reader], path: Path) -> None:
    """By each reader every row is there once, and equal."""
    made = expected(rows)
    for reader in readers:
        true, count = dict(made), 0
        for found in reader(path, form):
            number = int(found[0])
            assert same(true.pop(number), found, form, reader), (reader, number, found)
            count += 1
        assert (true, count) == ({}, rows.num_rows)


@pytest.mark.parametrize(("form", "readers"), FORMS, ids=FORM_IDS)
def test_many_rows_survive(tmp_path: Path, form: Form, readers: tuple[Reader, ...]) -> None:
    """Each value of each row reads back equal, NULL as NULL wherever it can be told, and no row is lost or doubled."""
    for seed in range(BATCHES):
        rows, folder = table(ROWS, seed, tame=tame(form)), tmp_path / str(seed)
        compare(rows, form, readers, written(rows, form, folder))
        rmtree(folder)


TEXTS = st.none() | st.sampled_from(HARD) | st.text(st.sampled_from(ALPHABET), max_size=6) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8
)  # fmt: skip
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8)


@pytest.mark.parametrize(("form", "readers"), [each for each in FORMS if not tame(each[0])])
@given(texts=PAIRS)
@settings(max_examples=15, deadline=None)
def test_any_texts_survive(form: Form, readers: tuple[Reader, ...], texts: list[tuple[str | None, str | None]]) -> None:
    """The worst pairs of texts that can be found, in each way of quoting."""
    plain = table(len(texts), 1).to_pylist()
    made = ((number, *pair, *[plain[number][name] for name in NAMES[3:]]) for number, pair in enumerate(texts))
    rows = of(made)
    with TemporaryDirectory() as folder:
        compare(rows, form, readers, written(rows, form, Path(folder) / "rows"))


def test_a_loss_is_noticed(tmp_path: Path) -> None:
    """The control: one digit of one value, or one line less, and the comparison fails."""
    rows, form = table(100, 1), {"type": "csv"}
    path = written(rows, form, tmp_path / "rows")
    lines = path.read_bytes()
    for spoilt in (lines.replace(b"9007199254740993", b"9007199254740992", 1), lines[: lines.rindex(b"\n", 0, -1) + 1]):
        path.write_bytes(spoilt)
        with pytest.raises(AssertionError):
            compare(rows, form, [python], path)
