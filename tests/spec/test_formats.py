"""The rules of `format:` are errors when the declaration is read, each at its line and with what is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from spec.errors import DeclarationError
from spec.formats import Csv
from tests.spec.texts import broken, declared

FORMAT = '{type: csv, delimiter: ";", compression: gzip, part_size: 200MB}'


def form(text: str) -> Any:
    """The format that a declaration makes of a text."""
    return declared(broken(FORMAT, text)).export.deliver[0].format


@pytest.mark.parametrize("kind", ["psv", "tsv", "ndjson", "json", "parquet"])
@pytest.mark.parametrize("key", ["delimiter: ','", "enclosure: '\"'", "newline: lf"])
def test_delimiter_enclosure_and_newline_are_for_csv_alone(kind: str, key: str) -> None:
    """The export form's rule: elsewhere they are unknown, whatever their value."""
    with pytest.raises(DeclarationError, match=f"x.yaml:18: unknown key `{key.partition(':')[0]}`"):
        form(f"{{type: {kind}, {key}}}")


WRONG = [
    ("type: csv, delimiter: ';;'", "delimiter` "),
    ("type: csv, delimiter: '\"'", "must differ"),
    ('type: csv, delimiter: "\\n"', "neither may be a line break"),
    ("type: csv, newline: cf", "newline` "),
    ("type: csv, quoting: some", "'minimal', 'all', 'non_null', 'non_numeric' or 'none'"),
    ("type: csv, compression_level: 9", "is for `compression: gzip`, found 'none'"),
    ("type: csv, compression: gzip, compression_level: 4", "should be 1, 6 or 9"),
    ("type: csv, escape: ','", "escape` must not be the delimiter or a line break"),
    ("type: csv, null: 'a,b'", "null` must not hold the delimiter"),
    ("type: tsv, null: 'true'", "`null` must differ"),
    ("type: psv, booleans: {true: 'y|', false: n}", "booleans` must not hold the delimiter"),
    ("type: psv, booleans: {true: x, false: x}", "true, false and `null` must differ"),
    ("type: csv, encoding: utf-16", "encoding` "),
    ("type: csv, encoding: ascii, delimiter: '§'", "encoding` ascii has no '§'"),
    ("type: csv, encoding: windows-1252, bom: true", "a byte order mark is for `encoding: utf-8`"),
    ("type: csv, decimal: ';'", "decimal` "),
    ("type: csv, date: '%d/%m/%y'", "%y is not known; allowed are %Y, %m, %d, %j"),
    ("type: csv, date: '%Y-%m'", "does not tell all days apart"),
    ("type: json, datetime: '%Y-%m-%d %H:%M'", "does not tell all seconds apart"),
    ("type: json, datetime: '%Y-%m-%d\"%H:%M:%S'", "between the % parts only"),
    ("type: csv, row_number: 'a b'", "row_number` must look like"),
    ("type: csv, part_rows: 0", "part_rows` "),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_a_format_that_cannot_be(text: str, said: str) -> None:
    """It is refused with its line before anything runs."""
    with pytest.raises(DeclarationError) as refused:
        form(f"{{{text}}}")
    assert str(refused.value).startswith("x.yaml:18: ")
    assert said in str(refused.value)


def test_several_parts_need_their_number() -> None:
    """`part_rows` makes several files, which one path cannot name."""
    text = broken("x_{part}.csv.gz", "x.csv.gz").replace("part_size: 200MB", "part_rows: 1000")
    with pytest.raises(DeclarationError, match=r"`part_rows` makes several files; use \{part\}"):
        declared(text)


ADVICE = [
    ({}, []),
    ({"quoting": "non_null"}, []),
    ({"quoting": "all"}, ["NULL and an empty text are written alike"]),
    ({"quoting": "all", "null": r"\N"}, []),
    ({"quoting": "none"}, ["nothing is enclosed", "are written alike"]),
    ({"quoting": "none", "escape": "\\", "null": r"\N"}, []),
    ({"datetime": "%Y-%m-%d %H:%M:%S"}, ["fractions of a second are left out"]),
    ({"datetime": "%Y-%m-%d %H:%M:%S.%f"}, []),
]


@pytest.mark.parametrize(("settings", "said"), ADVICE)
def test_what_a_format_cannot_say_is_said_at_check(settings: dict[str, Any], said: list[str]) -> None:
    """A loss that a declaration asks for is named, and nothing else is."""
    found = [sentence for _, sentence in Csv(**settings).advice()]
    assert len(found) == len(said)
    assert all(part in sentence for part, sentence in zip(said, found, strict=True))


@pytest.mark.parametrize(("settings", "safe"), [
    ({}, False), ({"bom": True}, True), ({"spreadsheet_safe": True}, True), ({"bom": True, "spreadsheet_safe": False}, False),
])  # fmt: skip
def test_files_that_people_open_are_safe_by_default(settings: dict[str, Any], safe: bool) -> None:
    """A byte order mark says that a spreadsheet opens the file."""
    assert Csv(**settings).safe is safe
