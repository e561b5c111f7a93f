"""Delivered files read back by other hands than those that wrote them: Python's csv and json, DuckDB, pyarrow.

Each reader gives rows as dicts. What text has no type for stays text; numbers in JSON stay the text of the number.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

Row = dict[str, Any]
DIALECTS: dict[str, dict[str, Any]] = {"csv": {"delimiter": ";"}, "psv": {"delimiter": "|"}, "tsv": {"delimiter": "\t"}}


class Number(str):
    """A number as JSON spells it."""

    __slots__ = ()


def loads(text: str) -> Any:
    """JSON with every number kept as it is spelled; Python's own words for infinities are an error."""

    def refuse(word: str) -> Any:
        raise ValueError(f"{word} is no JSON")

    return json.loads(text, parse_float=Number, parse_int=Number, parse_constant=refuse)


def python_csv(path: Path) -> list[Row]:
    """By Python's csv module, strictly, and without DictReader, which skips lines; it knows no NULL, only ''."""
    with path.open(newline="", encoding="utf-8") as file:
        names, *lines = csv.reader(file, strict=True, **DIALECTS[path.suffix[1:]])
    return [dict(zip(names, line, strict=True)) for line in lines]


def duckdb_csv(path: Path) -> list[Row]:
    """By DuckDB, all as text: what is empty and not enclosed is NULL."""
    names = list(python_header(path))
    with duckdb.connect() as connection:
        found = connection.read_csv(
            str(path), sep=DIALECTS[path.suffix[1:]]["delimiter"], quotechar='"', escapechar='"', header=True,
            dtype=dict.fromkeys(names, "VARCHAR"), auto_detect=False, columns=dict.fromkeys(names, "VARCHAR"),
            strict_mode=True, parallel=False, allow_quoted_nulls=False,
        )  # fmt: skip
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def python_header(path: Path) -> list[str]:
    """The names in the first line."""
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file, strict=True, **DIALECTS[path.suffix[1:]]))


def ndjson(path: Path) -> list[Row]:
    """By Python's json, a line at a time; only LF ends a line."""
    text = path.read_bytes().decode("utf-8")
    return [loads(line) for line in text.split("\n")[:-1]]


def array(path: Path) -> list[Row]:
    """By Python's json, as one document."""
    rows: list[Row] = loads(path.read_bytes().decode("utf-8"))
    return rows


def parquet(path: Path) -> list[Row]:
    """By pyarrow."""
    rows: list[Row] = pq.read_table(path).to_pylist()
    return rows


READERS: dict[str, tuple[Callable[[Path], list[Row]], ...]] = {
    "csv": (duckdb_csv, python_csv),
    "psv": (duckdb_csv, python_csv),
    "tsv": (duckdb_csv, python_csv),
    "ndjson": (ndjson,),
    "json": (array,),
    "parquet": (parquet,),
}


def read(reader: Callable[[Path], list[Row]], paths: Iterable[Path]) -> list[Row]:
    """All rows of several files."""
    return [row for path in paths for row in reader(path)]
