"""What each setting of a format makes of a row, to the byte. That values survive it is shown in test_round_trips.py."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from spec.errors import DeclarationError, OutgateError, RowsRefused
from tests.assets.files import content, parts

ROW = (
    "SELECT 1 AS n, 'a,b' AS t, '' AS e, NULL::VARCHAR AS v, 1.50::DECIMAL(5,2) AS d, true AS b,"
    " TIMESTAMP '2024-02-29 13:04:05.000006' AS at"
)
AT = "2024-02-29T13:04:05.000006"
SPELLED = [
    ("type: csv", f'1,"a,b","",,1.50,true,{AT}\n'),
    ("type: csv, newline: crlf", f'1,"a,b","",,1.50,true,{AT}\r\n'),
    ("type: csv, newline: cr", f'1,"a,b","",,1.50,true,{AT}\r'),
    ("type: csv, delimiter: '~', enclosure: \"'\"", f"1~a,b~''~~1.50~true~{AT}\n"),
    ("type: csv, delimiter: '-'", '1-a,b-""--1.50-true-"' + AT + '"\n'),
    ("type: tsv", f'1\ta,b\t""\t\t1.50\ttrue\t{AT}\n'),
    ("type: psv", f'1|a,b|""||1.50|true|{AT}\n'),
    ("type: csv, quoting: all", f'"1","a,b","","","1.50","true","{AT}"\n'),
    ("type: csv, quoting: non_null", f'"1","a,b","",,"1.50","true","{AT}"\n'),
    ("type: csv, quoting: non_numeric", f'1,"a,b","",,1.50,"true","{AT}"\n'),
    ("type: psv, quoting: none", f"1|a,b|||1.50|true|{AT}\n"),
    ("type: csv, quoting: none, escape: '\\'", f"1,a\\,b,,,1.50,true,{AT}\n"),
    ("type: csv, null: '\\N'", f'1,"a,b","",\\N,1.50,true,{AT}\n'),
    ("type: csv, null: '1'", f'"1","a,b","",1,1.50,true,{AT}\n'),
    ("type: csv, quoting: all, null: '-'", f'"1","a,b","","-","1.50","true","{AT}"\n'),
    ("type: csv, decimal: ','", f'1,"a,b","",,"1,50",true,{AT}\n'),
    ("type: psv, decimal: ','", f'1|a,b|""||1,50|true|{AT}\n'),
    ("type: csv, booleans: {true: 'Y', false: 'N'}", f'1,"a,b","",,1.50,Y,{AT}\n'),
    ("type: csv, booleans: {true: '{yes}', false: '{c}'}", f'1,"a,b","",,1.50,{{yes}},{AT}\n'),
    ("type: csv, datetime: '%d.%m.%Y %H:%M:%S'", '1,"a,b","",,1.50,true,29.02.2024 13:04:05\n'),
    ("type: csv, datetime: '%Y%j, %I:%M:%S.%f %p'", '1,"a,b","",,1.50,true,"2024060, 01:04:05.000006 PM"\n'),
    ("type: csv, row_number: line", f'1,1,"a,b","",,1.50,true,{AT}\n'),
    ("type: ndjson", f'{{"n":1,"t":"a,b","e":"","v":null,"d":1.50,"b":true,"at":"{AT}"}}\n'),
    ("type: ndjson, datetime: '%Y-%m-%d %H:%M:%S'", '{"n":1,"t":"a,b","e":"","v":null,"d":1.50,"b":true,"at":"2024-02-29 13:04:05"}\n'),
    ("type: json", f'[\n{{"n":1,"t":"a,b","e":"","v":null,"d":1.50,"b":true,"at":"{AT}"}}\n]\n'),
]  # fmt: skip


@pytest.mark.parametrize(("form", "line"), SPELLED)
def test_one_row_to_the_byte(tmp_path: Path, form: str, line: str) -> None:
    """Each key does what its documentation says, and nothing else."""
    headless = "" if "json" in form else ", header: false"
    assert content(ROW, f"{{{form}{headless}}}", tmp_path).decode() == line


def test_a_higher_level_is_the_same_text_in_fewer_bytes(tmp_path: Path) -> None:
    """From the fastest to the smallest, and the same file each time."""
    sql, found = (
        "SELECT i, 'user' || i * 7919 % 100003 || '@example.com' AS t FROM range(50000) AS r (i) ORDER BY i",
        [],
    )
    for number, level in enumerate((1, 1, 6, 9)):
        form = f"{{type: psv, compression: gzip, compression_level: {level}}}"
        found.append(content(sql, form, tmp_path / str(number)))
    assert len({gzip.decompress(each) for each in found}) == 1
    assert found[0] == found[1]
    assert len(found[0]) > len(found[2]) > len(found[3])


def test_dates_by_a_pattern(tmp_path: Path) -> None:
    """Days and instants, the latter in UTC; nanoseconds are not cut where fractions are asked for."""
    sql = "SELECT DATE '0001-02-03' AS a, TIMESTAMPTZ '2024-01-01 00:30:00+01' AS b, TIMESTAMP_NS '2024-01-01 00:00:00.123456789' AS c"
    form = "{type: psv, header: false, date: '%d/%m/%Y', datetime: '%Y-%m-%d %H:%M:%S.%f'}"
    assert content(sql, form, tmp_path) == b"03/02/0001|2023-12-31 23:30:00.000000|2024-01-01 00:00:00.123456789\n"


@pytest.mark.parametrize("value", ["DATE '0044-03-15 (BC)'", "DATE 'infinity'", "DATE '10000-01-01'"])
def test_a_year_that_a_pattern_cannot_spell(tmp_path: Path, value: str) -> None:
    """The window stops; without a pattern the same value is delivered."""
    with pytest.raises(OutgateError, match="outside the years 1 to 9999"):
        content(f"SELECT {value} AS a", "{type: csv, date: '%Y-%m-%d'}", tmp_path / "pattern")
    assert content(f"SELECT {value} AS a", "{type: ndjson}", tmp_path / "iso")


HEADERS = [
    ("type: csv", b'a,"b,c"\n'),
    ("type: csv, bom: true", b'\xef\xbb\xbfa,"b,c"\n'),
    ("type: csv, bom: true, header: false", b"\xef\xbb\xbf"),
    ("type: csv, quoting: all, newline: crlf", b'"a","b,c"\r\n'),
    ("type: csv, quoting: none, escape: '\\', delimiter: ';'", b"a;b,c\n"),
    ("type: csv, row_number: row_number", b'row_number,a,"b,c"\n'),
    ("type: json", b"[\n]\n"),
]


@pytest.mark.parametrize(("form", "head"), HEADERS)
def test_a_file_without_rows(tmp_path: Path, form: str, head: bytes) -> None:
    """Its header is all there is, and a JSON array is still one."""
    assert content('SELECT 1 AS a, 2 AS "b,c" WHERE false', f"{{{form}}}", tmp_path) == head


@pytest.mark.parametrize(("value", "form"), [
    ("'a,b'", "type: csv, quoting: none"), ("'a' || chr(10)", "type: csv, quoting: none"),
    ("'a' || chr(13)", "type: tsv, quoting: none"), (r"'\N'", r"type: csv, quoting: none, null: '\N'"),
    ("'-'", "type: csv, quoting: all, null: '-'"),
])  # fmt: skip
def test_what_cannot_be_said_stops_the_window(tmp_path: Path, value: str, form: str) -> None:
    """A value that would become two cells, two rows or a NULL is refused by its column, and not shown."""
    with pytest.raises(OutgateError, match="a value of column 'secret' ") as refused:
        content(f"SELECT 1 AS n, {value} AS secret", f"{{{form}}}", tmp_path)
    assert "say another `quoting:`" in str(refused.value)


@pytest.mark.parametrize("value", ["''", "NULL"])
def test_an_empty_line_is_never_written(tmp_path: Path, value: str) -> None:
    """In a file of one column that encloses nothing, it would be a row that most readers skip."""
    with pytest.raises(OutgateError, match="an empty line would be lost"):
        content(f"SELECT {value}::VARCHAR AS a", "{type: csv, quoting: none}", tmp_path)


def test_a_name_that_nothing_may_enclose(tmp_path: Path) -> None:
    """A header that would have one column more is refused."""
    with pytest.raises(DeclarationError, match="column name 'a,b' holds what separates names"):
        content('SELECT 1 AS "a,b"', "{type: csv, quoting: none}", tmp_path)


def test_a_row_number_of_the_rows_own(tmp_path: Path) -> None:
    """Two columns of one name are refused at the key."""
    with pytest.raises(DeclarationError, match=r"x\.yaml:18: the rows have a column 'n' of their own"):
        content(ROW, "{type: csv, row_number: n}", tmp_path)


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx"]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_made_text_where_people_open_files(tmp_path: Path, text: str) -> None:
    """An apostrophe stands before them; for machines the file is exact."""
    sql = f"SELECT '{text}' AS t, -1 AS n"
    assert f"'{text}" in content(sql, "{type: csv, bom: true, header: false}", tmp_path).decode()
    assert f"'{text}" not in content(sql, "{type: csv, header: false}", tmp_path / "machine").decode()


def test_numbers_stay_numbers_where_people_open_files(tmp_path: Path) -> None:
    """A minus is no formula before a number; base64 and a header's name may be one."""
    sql = r"SELECT -1 AS n, -1.5::DECIMAL(4,1) AS d, 'x=1' AS t, '-1'::JSON AS j, '\xF8\x00\x00'::BLOB AS " + '"=b"'
    found = content(sql, "{type: csv, spreadsheet_safe: true}", tmp_path)
    assert found == b"n,d,t,j,'=b\n-1,-1.5,x=1,-1,'+AAA\n"


ENCODED = "SELECT i AS n, 'caf' || chr(233) AS t, 'a,' || chr(CASE WHEN i = 70 THEN 8364 ELSE 252 END) AS u FROM range(100) r(i) ORDER BY i"  # fmt: skip


def test_an_encoding_of_one_byte_a_character(tmp_path: Path) -> None:
    """Header and values are in it."""
    found = content(
        "SELECT 'caf' || chr(233) AS prix, chr(8364) AS " + '"prix €"', "{type: csv, encoding: windows-1252}", tmp_path
    )
    assert found == b"prix,prix \x80\ncaf\xe9,\x80\n"


@pytest.mark.parametrize("more", ["", ", quoting: all", ", escape: '\\'", ", quoting: none, delimiter: ';'"])
def test_a_character_that_the_encoding_does_not_have(tmp_path: Path, more: str) -> None:
    """Row, column and place are named, and the value is not shown."""
    with pytest.raises(RowsRefused) as refused:
        content(ENCODED, f"{{type: csv, encoding: iso-8859-1{more}}}", tmp_path)
    assert "row 71 of the part, column 'u': character 3 of the value is none of iso-8859-1" in str(refused.value)
    assert "€" not in str(refused.value)


def test_a_header_that_the_encoding_does_not_have(tmp_path: Path) -> None:
    """It is refused too, though no row holds such a character."""
    with pytest.raises(DeclarationError, match="a column name cannot be written in ascii"):
        content('SELECT 1 AS "é"', "{type: csv, encoding: ascii}", tmp_path)


@pytest.mark.parametrize(
    ("form", "rows"), [("type: csv", 7), ("type: json", 7), ("type: parquet", 7), ("type: csv", 5000)]
)
def test_parts_of_so_many_rows(tmp_path: Path, form: str, rows: int) -> None:
    """Each has that many, the last what is left, and each its own header; none is empty."""
    found = parts("SELECT i AS n FROM range(20000) r(i)", f"{{{form}, part_rows: {rows}}}", tmp_path)
    assert {part.rows for part in found[:-1]} == {rows}
    assert found[-1].rows == 20000 % rows or rows
    assert sum(part.rows for part in found) == 20000
    if form == "type: csv":
        assert all(part.path.read_bytes().startswith(b"n\n") for part in found)
        assert sorted(int(n) for part in found for n in part.path.read_text().split()[1:]) == list(range(20000))
    if form == "type: json":
        assert sorted(row["n"] for part in found for row in json.loads(part.path.read_text())) == list(range(20000))


def test_row_numbers_count_through_all_parts(tmp_path: Path) -> None:
    """From 1 to the number of rows, each once."""
    found = parts("SELECT i AS n FROM range(20000) r(i)", "{type: csv, row_number: line, part_rows: 999}", tmp_path)
    numbers = [int(line.split(",")[0]) for part in found for line in part.path.read_text().splitlines()[1:]]
    assert numbers == list(range(1, 20001))


def test_a_row_number_takes_no_column_away(tmp_path: Path) -> None:
    """Capitals do not count: the engine takes ID for id, and the number would take the value's place."""
    with pytest.raises(DeclarationError, match="the rows have a column 'ID' of their own"):
        content("SELECT 77 AS id", "{type: csv, row_number: ID}", tmp_path)
