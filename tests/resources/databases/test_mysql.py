"""What is MySQL's and MariaDB's own: types and refusals. Sessions and errors are in test_mysql_sessions.py, who could
still commit in test_mysql_activity.py.
"""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import zip_longest
from typing import Any

import pyarrow as pa
import pytest
from pymysql.err import InternalError
from sqlglot import exp

from resources.databases import mysql_types
from resources.databases.base import Query
from resources.databases.mysql import MySQL
from resources.databases.mysql_wire import columns
from spec.errors import ConnectorError, RowsRefused
from tests.resources.databases.reading import query, relation, rows, table
from tests.resources.databases.subjects import MySQLSubject

NOON = datetime(2026, 3, 29, 12, 30, 59)  # noqa: DTZ001
NUMBERS: list[tuple[str, pa.DataType, list[Any]]] = [
    ("tinyint(1)", pa.int8(), [2, -128, 127, 0]),
    ("tinyint unsigned", pa.uint8(), [255]),
    ("smallint", pa.int16(), [-32768, 32767]),
    ("smallint unsigned", pa.uint16(), [65535]),
    ("mediumint", pa.int32(), [-8388608, 8388607]),
    ("mediumint unsigned", pa.uint32(), [16777215]),
    ("int", pa.int32(), [-2147483648, 2147483647]),
    ("int unsigned", pa.uint32(), [4294967295]),
    ("int(5) zerofill", pa.uint32(), [42]),
    ("bigint", pa.int64(), [-(2**63), 2**63 - 1]),
    ("bigint unsigned", pa.uint64(), [2**64 - 1, 0]),
    ("bit(1)", pa.uint64(), [0, 1]),
    ("bit(9)", pa.uint64(), [0, 256, 511]),
    ("bit(64)", pa.uint64(), [2**64 - 1]),
    ("year", pa.int16(), [1901, 2155, 0]),
    ("decimal(5,2)", pa.decimal128(5, 2), [Decimal("1.10"), Decimal("-999.99"), Decimal("0.00")]),
    ("decimal(9,2) unsigned", pa.decimal128(9, 2), [Decimal("9999999.99")]),
    ("decimal(38,0)", pa.decimal128(38, 0), [Decimal("9" * 38), Decimal("-" + "9" * 38)]),
    ("decimal(38,38)", pa.decimal128(38, 38), [Decimal("0." + "9" * 38), Decimal("-0." + "0" * 37 + "1")]),
    ("decimal(39,1)", pa.string(), ["9" * 38 + ".1"]),
    ("decimal(65,30)", pa.string(), ["-" + "9" * 35 + "." + "0" * 29 + "1"]),
    ("double", pa.float64(), [0.1, -1.7976931348623157e308, 5e-324, 2.0**53 + 2, 1 / 3]),
]
MOMENTS: list[tuple[str, pa.DataType, list[Any]]] = [
    ("date", pa.date32(), [date(1, 1, 1), date(1000, 1, 1), date(9999, 12, 31)]),
    *((f"datetime({n})", pa.timestamp("us"), [NOON.replace(microsecond=int("123456"[:n].ljust(6, "0")))]) for n in range(7)),
    *(
        (f"timestamp({n}) NULL", pa.timestamp("us", "UTC"), [NOON.replace(microsecond=int("123456"[:n].ljust(6, "0")), tzinfo=UTC)])
        for n in range(7)
    ),
    ("datetime(6)", pa.timestamp("us"), [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)]),  # noqa: DTZ001
    ("timestamp NULL", pa.timestamp("us", "UTC"), [datetime(2038, 1, 19, 3, 14, 7, tzinfo=UTC)]),
    ("time", pa.time64("us"), [time(0), time(23, 59, 59)]),
    ("time(3)", pa.time64("us"), [time(1, 2, 3, 4000)]),
]  # fmt: skip
TEXTS: list[tuple[str, pa.DataType, list[Any]]] = [
    ("char(5)", pa.string(), ["a", "", "🦀"]),
    ("varchar(9) COLLATE utf8mb4_bin", pa.string(), [" a ", "a\0b", "\r\n"]),
    ("varchar(9) CHARACTER SET latin1", pa.string(), ["é€", ""]),
    ("varchar(9) CHARACTER SET ascii", pa.string(), ["abc"]),
    ("varchar(9) CHARACTER SET big5", pa.string(), ["中文"]),
    ("varchar(9) CHARACTER SET ucs2", pa.string(), ["ñ積"]),
    ("varchar(9) CHARACTER SET utf16", pa.string(), ["🦀"]),
    ("text CHARACTER SET sjis", pa.string(), ["表ソ"]),
    ("longtext", pa.string(), ["x" * 250, "x" * 251, "é" * 32_768, "y" * 65_536]),
    ("enum('','a,b','ü')", pa.string(), ["", "a,b", "ü"]),
    ("set('x','y')", pa.string(), ["", "x,y"]),
    ("json", pa.string(), ['{"b": 1.10,  "a": [1, null]}']),
    ("uuid", pa.string(), ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    ("inet6", pa.string(), ["2001:db8::ff00:42:8329"]),
    ("blob", pa.binary(), [b"", b"\x00\xff", bytes(range(256))]),
    ("binary(4)", pa.binary(), [b"ab\x00\x00"]),
    ("varbinary(4)", pa.binary(), [b"\xff", b""]),
]
GROUPS = {"numbers": NUMBERS, "moments": MOMENTS, "texts": TEXTS}

AS_TEXT = [
    ("bigint unsigned", "18446744073709551615", "18446744073709551615"),
    ("int(5) zerofill", "42", "00042"),
    ("float", "0.1", "0.1"),
    ("float", "16777216", "16777216"),
    ("bit(9)", "b'100000001'", "257"),
    ("decimal(5,2)", "1.1", "1.10"),
    ("datetime(3)", "'2026-01-01 00:00:00'", "2026-01-01 00:00:00.000"),
    ("timestamp NULL", "'2026-01-01 00:00:00'", "2026-01-01 00:00:00"),
    ("blob", "X'00FF'", "0x00FF"),
    ("point", "POINT(1, 2.5)", "POINT(1 2.5)"),
    ("json", """'{"a": 1}'""", '{"a": 1}'),
]

REFUSED = [
    ("date", "'0000-00-00'"),
    ("date", "'2024-00-00'"),
    ("date", "'2024-12-00'"),
    ("date", "'2024-02-30'"),
    ("date", "'0000-01-01'"),
    ("datetime", "'0000-00-00 00:00:00'"),
    ("datetime(6)", "'2024-00-01 00:00:00.000000'"),
    ("datetime(3)", "'0000-06-01 00:00:00.000'"),
    ("timestamp NULL", "'0000-00-00 00:00:00'"),
    ("time", "'24:00:00'"),
    ("time", "'-00:00:01'"),
    ("time(6)", "'838:59:59.000000'"),
]


@pytest.mark.parametrize("group", GROUPS)
def test_values(mysql: MySQLSubject, group: str) -> None:
    """Every value of every type arrives as it was stored, and NULL stays NULL."""
    columns = {f"{number} {kind}": (kind, arrow, values) for number, (kind, arrow, values) in enumerate(GROUPS[group])}
    declared = ", ".join(f'"{name}" {kind}' for name, (kind, *_) in columns.items())
    stored = list(zip_longest(*(values for *_, values in columns.values()), [None] * 5))
    mysql.run(f"CREATE TABLE t ({declared}, id int PRIMARY KEY AUTO_INCREMENT)")
    mysql.run(f"INSERT INTO t VALUES ({', '.join('?' for _ in stored[0])})", stored)
    found = table(mysql.database, "t ORDER BY id").drop_columns(["id"])
    assert dict(zip(found.schema.names, found.schema.types, strict=True)) == {
        name: arrow for name, (_, arrow, _) in columns.items()
    }
    for name, (*_, values) in columns.items():
        assert found.column(name).to_pylist() == values + [None] * (5 - len(values)), name


def test_floats(mysql: MySQLSubject) -> None:
    """A float has all of its digits; the control: the server by itself prints six."""
    values = [struct.unpack("f", struct.pack("f", value))[0] for value in (0.1, 16777215, -3.4028235e38, 1e-38, 1 / 3)]
    mysql.run("CREATE TABLE t (id int, f float, g float(9,3))")
    mysql.run("INSERT INTO t VALUES (?, ?, ?)", [[number, value, 1.125] for number, value in enumerate(values)])
    found = table(mysql.database, "t ORDER BY id")
    assert found.column("f").type == pa.float32()
    assert found.column("f").to_pylist() == values
    assert set(found.column("g").to_pylist()) == {1.125}
    [(printed,)] = mysql.server.execute("SELECT CONCAT(f) FROM t WHERE id = 1", database=mysql.name)
    assert float(printed) != values[1]


def test_text_of_any_type(mysql: MySQLSubject) -> None:
    """Under `as_text` a column is the text that the server has for its values."""
    names = [f"v{number}" for number, _ in enumerate(AS_TEXT)]
    mysql.run(
        f"CREATE TABLE t ({', '.join(f'{name} {kind}' for name, (kind, *_) in zip(names, AS_TEXT, strict=True))})"
    )
    mysql.run(f"INSERT INTO t VALUES ({', '.join(value for _, value, _ in AS_TEXT)})")
    [found] = rows(mysql.database, "t", as_text=frozenset(names))
    assert list(found.values()) == [text for *_, text in AS_TEXT]


@pytest.mark.parametrize(("kind", "value"), REFUSED, ids=[" ".join(each) for each in REFUSED])
def test_refusals(mysql: MySQLSubject, kind: str, value: str) -> None:
    """A date or time that is none is refused by its column's name and its text; as text it passes."""
    mysql.run(f"CREATE TABLE t (id int, odd {kind})")
    with mysql.server.connect(mysql.name, init_command="SET sql_mode = 'ALLOW_INVALID_DATES'") as session:
        session.query(f"INSERT INTO t VALUES (1, NULL), (2, {value})")
    with pytest.raises(RowsRefused, match=r"column 'odd' .* add 'odd' to `source.as_text`"):
        rows(mysql.database, "t")
    assert rows(mysql.database, "t", as_text=frozenset({"odd"}))[1]["odd"] == value.strip("'")


def test_shapes_are_refused(mysql: MySQLSubject) -> None:
    """A geometry is refused with its name and the way out, only where it is read."""
    mysql.run("CREATE TABLE t (id int, place point)")
    with pytest.raises(RowsRefused, match=r"column 'place' is point.* add 'place' to `source.as_text`"):
        rows(mysql.database, "t")
    asked = query(mysql.database, "t")
    with mysql.database.snapshot() as snapshot:
        assert list(snapshot.read(Query(asked.relation, asked.columns[:1]))) == []


def test_text_without_a_form_in_utf8(mysql: MySQLSubject) -> None:
    """Text that the server would turn into `?` is refused; the control shows what it would have been."""
    mysql.run("CREATE TABLE t (id int, v varchar(9) CHARACTER SET big5)")
    mysql.run("INSERT INTO t VALUES (1, UNHEX('C8FE'))")
    assert mysql.server.execute("SELECT v FROM t", database=mysql.name) == (("?",),)
    with pytest.raises(RowsRefused, match=r"column 'v' .* no exact form in UTF-8"):
        rows(mysql.database, "t")
    mysql.run("UPDATE t SET v = '?'")
    assert rows(mysql.database, "t") == [{"id": 1, "v": "?"}]


def test_bytes_that_are_not_text() -> None:
    """Text that is not UTF-8 is refused, never mended."""
    column = mysql_types.column("v", "text", nullable=True, as_text=False)
    with pytest.raises(RowsRefused, match=r"column 'v' .* not UTF-8"):
        mysql_types.rebuilt(column, pa.array([b"fine", b"\xff"]))


def test_json_of_mysql() -> None:
    """MySQL's own type is JSON wherever it is read, unless it is asked for as text."""
    found = [mysql_types.column("v", "json", nullable=True, as_text=as_text) for as_text in (False, True)]
    assert [each.json for each in found] == [True, False]


@pytest.mark.parametrize("row", [b"\x01a\x03b", b"\x01a\xfd\x01", b"\x01a", b"\x01a\x01bc"])
def test_a_row_that_is_cut(row: bytes) -> None:
    """A row whose texts do not end where it does is refused before a byte of it is taken."""
    assert columns(bytearray(b"\x01a\x01b"), [0], [4], 2) == [pa.array([b"a"]), pa.array([b"b"])]
    with pytest.raises(InternalError, match="does not end where"):
        columns(bytearray(row), [0], [len(row)], 2)


@pytest.mark.parametrize("size", [0xFFFFFF - 4 - offset for offset in (1, 0, -1)] + [2 * 0xFFFFFF, 40_000_000])
def test_rows_of_many_packets(mysql: MySQLSubject, size: int) -> None:
    """A row that the protocol cuts in pieces of 16 MiB arrives whole, and the rows behind it."""
    text = f"(SELECT seq AS n, REPEAT('x', IF(seq = 2, {size}, 1)) AS s FROM seq_1_to_3) AS q"
    found = table(mysql.database, text)
    assert found.column("n").to_pylist() == [1, 2, 3]
    assert [len(value.as_buffer()) for chunk in found.column("s").chunks for value in chunk] == [1, size, 1]


def test_expressions(mysql: MySQLSubject) -> None:
    """The columns of a query have the types that the server describes."""
    mysql.run(
        "CREATE TABLE t (u uuid, b bigint unsigned, e enum('x'), j timestamp(6) NULL, k varchar(5) CHARACTER SET big5)"
    )
    text = (
        "(SELECT NULL AS n, 1 AS i, b, COUNT(*) AS c, 1.50 AS d, SUM(b) AS s, NOW(3) AS m, MAX(j) AS j, UNHEX('00') AS x,"
        " CONCAT(e, 'y') AS y, 0.5e0 AS f, CURDATE() AS t, e, u, k FROM t GROUP BY b) AS q"
    )
    found = {each.name: each for each in query(mysql.database, text).columns}
    assert {name: each.declared for name, each in found.items()} == {
        "n": "binary", "i": "int", "b": "bigint unsigned", "c": "bigint", "d": "decimal(3,2)", "s": "decimal(42,0)",
        "m": "datetime(3)", "j": "timestamp(6)", "x": "varbinary", "y": "varchar", "f": "double", "t": "date",
        "e": "enum", "u": "char", "k": "varchar character set big5",
    }  # fmt: skip
    assert found["s"].type == pa.string()
    assert found["j"].type == pa.timestamp("us", "UTC")


def test_declared_types(mysql: MySQLSubject) -> None:
    """A type is said without what changes no value: an integer's width, an enum's members."""
    mysql.run(
        "CREATE TABLE t (a int(7) unsigned, b enum('x)', 'y'), c varchar(7), d json, e text CHARACTER SET ucs2, f year)"
    )
    found = query(mysql.database, "t").columns
    said = ["int unsigned", "enum", "varchar(7)", "longtext", "text character set ucs2", "year"]
    assert [each.declared for each in found] == said
    assert [each.name for each in found if each.json] == ["d"]


def test_columns_that_are_hidden(mysql: MySQLSubject) -> None:
    """What `SELECT *` leaves out is no column; of a view none is called NOT NULL."""
    mysql.run("CREATE TABLE t (a int NOT NULL, b int INVISIBLE, c int AS (a + 1))")
    mysql.run("CREATE VIEW v AS SELECT t.a, o.a AS z FROM t LEFT JOIN t AS o ON o.a = t.c")
    assert [(each.name, each.nullable) for each in query(mysql.database, "t").columns] == [("a", False), ("c", True)]
    assert all(each.nullable for each in query(mysql.database, "v").columns)


def test_tables_of_another_database(mysql: MySQLSubject) -> None:
    """A table is found by its database and its name, JSON and all."""
    mysql.run("CREATE DATABASE test_s CHARACTER SET utf8mb4")
    mysql.run("CREATE TABLE test_s.t (id int PRIMARY KEY AUTO_INCREMENT, doc json)")
    mysql.run("""INSERT INTO test_s.t VALUES (1, '{"a": 1}')""")
    asked = query(mysql.database, "test_s.t")
    assert [each.json for each in asked.columns] == [False, True]
    assert rows(mysql.database, "test_s.t") == [{"id": 1, "doc": '{"a": 1}'}]
    assert mysql.database.sequential(relation(mysql.database, "test_s.t"), "id")


def test_two_columns_of_one_name(mysql: MySQLSubject) -> None:
    """A query with two columns of one name is refused before it is read."""
    with pytest.raises(ConnectorError, match="name of its own with AS"):
        query(mysql.database, "(SELECT 1 AS a, 2 AS a) AS q")


def test_comments_are_not_run(mysql: MySQLSubject) -> None:
    """What the server would run inside a comment is left out of the statement."""
    asked = relation(mysql.database, "(SELECT 1 AS a /*! , 2 AS b */ /*M! , 3 AS c */) AS q")
    assert [each.name for each in mysql.database.columns(asked)] == ["a"]


def test_facts_of_its_own(mysql: MySQLSubject) -> None:
    """Comments are told; indexes up to a prefix, without those that the server ignores; collations that pad are loose."""
    mysql.run(
        "CREATE TABLE t (a varchar(9) COLLATE utf8mb4_bin COMMENT 'it''s', b varchar(9) COLLATE utf8mb4_nopad_bin NOT NULL,"
        " c int, e enum('x'), f blob, UNIQUE (b(3)), INDEX (c, a(2)), INDEX (a) IGNORED, FULLTEXT (a)) COMMENT 'orders'"
    )
    found = mysql.database.facts(exp.table_("t", quoted=True))
    assert found.comments == {"": "orders", "a": "it's"}
    assert (found.key, set(found.indexes)) == ((), {("c",)})
    assert found.loose == {"a", "e"}


def test_the_other_name(mysql: MySQLSubject) -> None:
    """Under `type: mysql` the same server is read in the same way."""
    mysql.run("CREATE TABLE t (id int)")
    assert MySQL(**mysql.settings).tables() == mysql.database.tables() == ["t"]
