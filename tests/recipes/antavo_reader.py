"""Files of the recipe `antavo` read back by Python's csv, json and zipfile, and once more by hand: csv knows no NULL."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.recipes.antavo_oracle import Line, Oracle, document

NEWLINES = {"lf": "\n", "crlf": "\r\n", "cr": "\r"}


def text_of(path: Path) -> str:
    """The text of a file; of an archive that of its only member, which is called like the archive without `.zip`."""
    if path.suffix != ".zip":
        return path.read_bytes().decode("utf-8")
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [path.stem]
        return archive.read(path.stem).decode("utf-8")


def received(path: Path, oracle: Oracle) -> list[Line]:
    """The rows of a delivered file, its header having been compared."""
    form, text = oracle.format, text_of(path)
    if form["type"] == "json":
        return [_members(each, oracle) for each in json.loads(text, parse_float=str, parse_int=str)]
    lines = list(cells(text, form))
    null = form.get("null", "")
    assert [[null if each is None else each for each in line] for line in lines] == python_csv(text, form)
    if form.get("header", True):
        assert lines.pop(0) == tuple(oracle.names)
    return [_documents(line, oracle) for line in lines]


def python_csv(text: str, form: Mapping[str, Any]) -> list[list[str]]:
    """By Python's csv module, strictly."""
    delimiter, enclosure = _special(form)
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=enclosure, strict=True))


def cells(text: str, form: Mapping[str, Any]) -> Iterator[Line]:
    """By hand: what is not enclosed and reads as NULL is None. A break of the format is an assertion."""
    delimiter, enclosure = map(re.escape, _special(form))
    end = NEWLINES[form.get("newline", "lf")]
    bare = f"[^{delimiter}{enclosure}\r\n]*"
    cell = re.compile(
        f"(?:{enclosure}((?:[^{enclosure}]|{enclosure * 2})*){enclosure}|({bare}))({delimiter}|{re.escape(end)})"
    )
    at, line = 0, list[str | None]()
    while at < len(text):
        match = cell.match(text, at)
        assert match, f"no cell begins with {text[at : at + 40]!r}"
        inside, plain, after = match.groups()
        whole = inside.replace(_special(form)[1] * 2, _special(form)[1]) if inside is not None else None
        line.append(whole if inside is not None else None if plain == form.get("null", "") else plain)
        if after == end:
            yield tuple(line)
            line = []
        at = match.end()
    assert line == []


def _special(form: Mapping[str, Any]) -> tuple[str, str]:
    return "|" if form["type"] == "psv" else form.get("delimiter", ","), form.get("enclosure", '"')


def _members(row: dict[str, Any], oracle: Oracle) -> Line:
    assert list(row) == oracle.names
    return tuple(str(each).lower() if isinstance(each, bool) else each for each in row.values())


def _documents(line: Line, oracle: Oracle) -> Line:
    """JSON inside a cell in one spelling."""
    kinds = ["text" if "expression" in each else oracle.kind(each["from"]) for each in oracle.fields]
    return tuple(
        document(json.loads(each)) if each is not None and kind in {"list", "object"} else each
        for each, kind in zip(line, kinds, strict=True)
    )
