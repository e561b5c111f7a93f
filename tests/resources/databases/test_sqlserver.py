"""SQL Server without a server: what is asked of it, what is made of its answers, how it is dialled, what errors mean.

No statement of these tests is run by a SQL Server. The conformance suite does that where a URL names one.
"""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlglot
from pydantic import ValidationError
from sqlglot import exp

from resources.databases import sqlserver_catalog as catalog
from resources.databases import sqlserver_types as types
from resources.databases.base import Column, Query
from resources.databases.sqlserver import SqlServer
from resources.databases.sqlserver_errors import failure, said
from resources.databases.sqlserver_sql import literal, named, not_before, rendered
from spec.errors import ConnectorError, DeclarationError, RowsRefused
from tests.resources.databases.subjects import PASSWORD_VARIABLE
from tests.servers.postgres import PASSWORD
from tests.servers.tds import LOGIN7, PRELOGIN, certificate, doorstep

SETTINGS: dict[str, Any] = {
    "host": "127.0.0.1",
    "database": "shop",
    "user": "outgate",
    "password": {"env": PASSWORD_VARIABLE},
    "connect_timeout": 5,
}
MOMENT, UTC = pa.timestamp("us"), pa.timestamp("us", tz="UTC")
TYPES: list[tuple[str, pa.DataType]] = [
    ("bit", pa.bool_()), ("tinyint", pa.int16()), ("smallint", pa.int16()), ("int", pa.int32()),
    ("bigint", pa.int64()), ("timestamp", pa.int64()), ("real", pa.float32()), ("float", pa.float64()),
    ("decimal(38,38)", pa.decimal128(38, 38)), ("numeric(5,0)", pa.decimal128(5, 0)),
    ("money", pa.decimal128(19, 4)), ("smallmoney", pa.decimal128(10, 4)), ("date", pa.date32()),
    ("time(7)", pa.time64("us")), ("datetime", MOMENT), ("smalldatetime", MOMENT), ("datetime2(7)", MOMENT),
    ("datetimeoffset(7)", UTC), ("binary(8)", pa.binary()), ("varbinary(max)", pa.binary()), ("image", pa.binary()),
    ("char(3)", pa.string()), ("varchar(8000)", pa.string()), ("nvarchar(max)", pa.string()), ("text", pa.string()),
    ("ntext", pa.string()), ("uniqueidentifier", pa.string()), ("xml", pa.string()), ("geography", pa.string()),
    ("hierarchyid", pa.string()), ("json", pa.string()), ("vector(3)", pa.string()),
]  # fmt: skip
ANSWERS: list[tuple[str, list[Any], list[str | None] | None]] = [
    ("bit", [1, 0, None], ["true", "false", None]),
    ("bigint", [2**63 - 1, -(2**63)], ["9223372036854775807", "-9223372036854775808"]),
    ("timestamp", [2001], ["2001"]),
    ("decimal(38,10)", [b"-9999999999999999999999999999.9999999999"], ["-9999999999999999999999999999.9999999999"]),
    ("money", [b"-922337203685477.5808", b"0.0001"], ["-922337203685477.5808", "0.0001"]),
    ("float", [0.1, float("-1.7976931348623157e308")], ["0.1", "-1.7976931348623157e+308"]),
    ("date", [-719162, 0, 2932896], ["0001-01-01", "1970-01-01", "9999-12-31"]),
    ("datetime2(7)", [17430911999999990, -10, None], ["2025-03-27 15:59:59.999999", "1969-12-31 23:59:59.999999", None]),
    ("datetime", [9970000, 30000], ["1970-01-01 00:00:00.997000", "1970-01-01 00:00:00.003000"]),
    ("datetimeoffset(0)", [0], ["1970-01-01 00:00:00.000000Z"]),
    ("time(7)", [863999999990, 0], ["23:59:59.999999", "00:00:00.000000"]),
    ("varbinary(max)", [b"", b"\x00\xff", None], None),
    ("nvarchar(20)", ["crab 🦀\r\n'".encode("utf-16-le"), b"", None], ["crab 🦀\r\n'", "", None]),
]  # fmt: skip


def column(declared: str, name: str = "v", *, as_text: bool = False) -> Column:
    """A column of a declared type."""
    return types.column(name, declared, nullable=True, as_text=as_text)


def statement(*where: exp.Expr, columns: tuple[Column, ...] = (column("int", "id"),), **more: Any) -> str:
    """The SQL of a query of a table."""
    query = Query(exp.table_("events", db="crm", quoted=True), columns, where, **more)
    return SqlServer(**SETTINGS).rendered(query, *map(types.wire, columns))


def database(**changes: Any) -> SqlServer:
    """A connector."""
    return SqlServer(**SETTINGS | changes)


@pytest.mark.parametrize(("declared", "kind"), TYPES, ids=[declared for declared, _ in TYPES])
def test_types(declared: str, kind: pa.DataType) -> None:
    """Every type has an Arrow type, a form in which it travels and a text, both of them T-SQL."""
    found = column(declared)
    assert (found.type, found.declared, found.json) == (kind, declared, declared == "json")
    for each in (found, column(declared, as_text=True)):
        text = exp.select(types.wire(each)).from_("t").sql("tsql")
        assert sqlglot.parse_one(text, dialect="tsql").find(exp.Column)
    assert column(declared, as_text=True).type == pa.string()


@pytest.mark.parametrize(("declared", "values", "texts"), ANSWERS, ids=[declared for declared, *_ in ANSWERS])
def test_answers(declared: str, values: list[Any], texts: list[str | None] | None) -> None:
    """What the driver hands out for the asked form is rebuilt to the last digit, NULL and '' apart."""
    found = types.rebuilt(column(declared), values)
    assert found.type == column(declared).type
    shown = found.to_pylist() if texts is None else found.cast(pa.string()).to_pylist()
    assert shown == (values if texts is None else texts)


@pytest.mark.parametrize("declared", ["datetime2(7)", "datetimeoffset(7)", "time(7)"])
def test_less_than_a_microsecond_is_refused(declared: str) -> None:
    """100 ns are never cut off: the column is named, with the way to have its text."""
    with pytest.raises(RowsRefused, match=r"column 'v' .*fraction of a microsecond.*add 'v' to `source.as_text`"):
        types.rebuilt(column(declared), [10, None, 11])


def test_half_a_character_is_refused() -> None:
    """A lone surrogate is no text, and no question mark."""
    with pytest.raises(RowsRefused, match=r"column 'v' .*not Unicode"):
        types.rebuilt(column("nvarchar(5)"), ["é".encode("utf-16-le"), b"\x3e\xd8"])


def test_a_variant_is_refused() -> None:
    """A type that changes from row to row has no form of its own; the way out is a CAST."""
    with pytest.raises(RowsRefused, match=r"'v' is a sql_variant.*CAST"):
        types.wire(column("sql_variant"))


def test_forms() -> None:
    """Numbers with a fraction, dates and texts are converted by the server, to whole numbers and bytes."""
    wires = {each: types.wire(column(each)).sql("tsql") for each in ("decimal(9,2)", "money", "date", "timestamp")}
    assert wires == {
        "decimal(9,2)": "CAST(CAST([v] AS VARCHAR(41)) AS VARBINARY(41))",
        "money": "CAST(CAST(CAST([v] AS NUMERIC(19, 4)) AS VARCHAR(41)) AS VARBINARY(41))",
        "date": "DATEDIFF(DAY, CAST('1970-01-01' AS DATE), [v])",
        "timestamp": "CAST([v] AS BIGINT)",
    }
    assert "DATEPART(NANOSECOND, [v]) % 1000" in types.wire(column("datetime2(7)")).sql("tsql")
    assert "SWITCHOFFSET([v], '+00:00')" in types.wire(column("datetimeoffset(7)")).sql("tsql")
    assert "CONVERT(NVARCHAR(MAX), [v], 2)" in types.wire(column("money", as_text=True)).sql("tsql")
    assert "CONVERT(NVARCHAR(MAX), [v], 3)" in types.wire(column("float", as_text=True)).sql("tsql")


@pytest.mark.parametrize("value", ["", "O'Neil", "né", "🦀", "\\", "%s", "{x}", "--", "/*", "]", '"', "\u202e"])
def test_literals(value: str) -> None:
    """A literal is one literal, and means the text; what is not ASCII has its N."""
    [found] = sqlglot.parse_one(f"SELECT {literal(value)}", dialect="tsql").expressions
    assert (type(found), found.name) == (exp.National, value)
    assert ("N'" in statement(exp.column("v", quoted=True).eq(exp.Literal.string(value)))) == (
        not value.isascii() or value == "\\"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [("a\\\nb", "(N'a\\' + N'\nb')"), ("a\\\r\n", "(N'a\\' + N'\r\n')"), ("a\x00b", "(N'a' + NCHAR(0) + N'b')"), ("\x00", "NCHAR(0)")],
)  # fmt: skip
def test_literals_that_must_be_cut(value: str, text: str) -> None:
    """A backslash at a line's end is swallowed with it, and a NUL ends the statement: neither is written as it is."""
    assert literal(value) == text


def test_a_query() -> None:
    """Names are quoted, conditions are literals, the limit is TOP, and no name of the result is one of the table's."""
    where = (
        exp.GTE(this=exp.column("at", quoted=True), expression=exp.cast(exp.Literal.string("2026-01-01 00:00:00+00:00"), "timestamptz")),
        exp.or_(exp.false(), exp.Is(this=exp.column("at", quoted=True), expression=exp.null())),
    )  # fmt: skip
    text = statement(*where, columns=(column("int", "we]ird; --"),), order=("we]ird; --",), limit=7)
    assert text == (
        "SELECT TOP 7 CAST([we]]ird; --] AS BIGINT) FROM [crm].[events] WHERE [at] >="
        " CAST('2026-01-01 00:00:00+00:00' AS DATETIMEOFFSET) AND ((1 = 0) OR [at] IS NULL) ORDER BY [we]]ird; --]"
    )


def test_a_query_of_the_users_own() -> None:
    """WITH is written before the outer SELECT, where T-SQL wants it, and the condition stays outside."""
    inner = sqlglot.parse_one("WITH a AS (SELECT id FROM t) SELECT id FROM a", dialect="tsql")
    source = exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier("source")))
    query = Query(source, (column("int", "id"),), (exp.column("id", quoted=True) > 5,))
    text = SqlServer(**SETTINGS | {"schema": "crm"}).rendered(query)
    assert text == (
        "WITH a AS (SELECT id AS id FROM [crm].t) SELECT [id] FROM (SELECT id AS id FROM a) AS source WHERE [id] > 5"
    )


def test_rowversions_are_compared_as_eight_bytes() -> None:
    """A number is made eight bytes of; beside an int, only the last four of a rowversion would count."""
    version = column("timestamp", "version")
    low = exp.GT(this=exp.column("version", quoted=True), expression=exp.convert(2**40))
    assert "[version] > CAST(CAST(1099511627776 AS BIGINT) AS BINARY(8))" in statement(low, columns=(version,))
    below = exp.GT(this=exp.column("version", quoted=True), expression=exp.convert(-1))
    assert "CAST([version] AS BIGINT) > -1" in statement(below, columns=(version,))
    assert not_before("version", "2001").sql("tsql") == "[version] >= CAST(CAST(2001 AS BIGINT) AS BINARY(8))"


@pytest.mark.parametrize(("second", "made"), [("00.003000", True), ("59.997000", True), ("00", True), ("00.004000", False), ("00.003001", False)])  # fmt: skip
def test_datetimes_are_compared_as_ticks(second: str, made: bool) -> None:
    """What was read as .003 s is the tick that it was; a moment that no `datetime` can be is compared as it is."""
    moment = exp.cast(exp.Literal.string(f"2026-01-01 00:00:{second}"), "timestamp")
    condition = exp.EQ(this=exp.column("at", quoted=True), expression=moment)
    text = statement(condition, columns=(column("datetime", "at"),))
    assert (" AS DATETIME2(3)) AS DATETIME)" in text.partition("WHERE")[2]) == made
    assert "DATETIME)" not in statement(condition, columns=(column("datetime2(7)", "at"),)).partition("WHERE")[2]


def test_the_catalogues_statements() -> None:
    """Every fixed statement is T-SQL, also with a hostile name in it, and every column of its result has a name."""
    table = named(exp.table_("o'; DROP--", db="a]b", quoted=True), None)
    texts = {name: value for name, value in vars(catalog).items() if name.isupper() and isinstance(value, str)}
    texts |= {f"BLIND {number}": question for number, (question, _) in enumerate(catalog.BLIND)}
    assert len(texts) > 15
    for name, text in texts.items():
        filled = text.format(table=table, column=literal("x'y"), schema=literal("s"), statement=literal("SELECT 'a'"))
        tree = sqlglot.parse_one(filled, dialect="tsql")
        assert isinstance(tree, exp.Query)
        assert all(tree.named_selects), name
        assert len(set(tree.named_selects)) == len(tree.selects), name


def test_names_in_the_catalogue() -> None:
    """A table is found by its quoted name, in the connector's schema where it has none of its own."""
    assert named(exp.table_("a'b]", quoted=True), "crm") == "N'[crm].[a''b]]]'"
    assert named(exp.table_("t", db="s", quoted=True), "crm") == "N'[s].[t]'"


def test_how_it_is_dialled(tmp_path: Path) -> None:
    """Settings become FreeTDS's own words; the password is not among them."""
    made = certificate(tmp_path, "localhost")
    dial = database(encrypt="strict", ca_file=str(made), host_name_in_certificate="db.x", statement_timeout="2m").dial
    lines = dict(line.strip().split(" = ") for line in dial.file.splitlines()[1:])
    assert lines == {
        "tds version": "7.4", "client charset": "UTF-8", "encryption": "strict", "connect timeout": "5",
        "timeout": "120", "ca file": str(made), "check certificate hostname": "yes", "certificate hostname": "db.x",
    }  # fmt: skip
    assert "ca file" not in database(trust_server_certificate=True).dial.file
    assert "ca file" in database().dial.file
    assert database(host="::1").dial.server == "[::1]:1433"


def test_settings_that_cannot_be() -> None:
    """`strict` without verification, a file that is not there, and a password that is written down are refused."""
    with pytest.raises(ValidationError, match="always verifies"):
        database(encrypt="strict", trust_server_certificate=True)
    with pytest.raises(ValidationError):
        database(password="written down")
    with pytest.raises(DeclarationError, match="`ca_file`"):
        _ = database(ca_file="/not/there.pem").dial.file
    with pytest.raises(DeclarationError, match="more than one line"):
        _ = database(host_name_in_certificate="a\nca file = b").dial.file


@pytest.mark.parametrize(("encrypt", "first"), [("strict", PRELOGIN), ("mandatory", LOGIN7)])
def test_certificates_are_verified(encrypt: str, first: int, tmp_path: Path) -> None:
    """The login is only sent to a server whose certificate is known and bears its name, or where that is waived."""
    mine, other = certificate(tmp_path, "localhost"), certificate(tmp_path, "other.example")
    own = {"ca_file": str(other), "host_name_in_certificate": "other.example"}
    cases: list[tuple[Path, dict[str, Any], list[int]]] = [
        (mine, {}, []),
        (mine, {"ca_file": str(mine)}, [first]),
        (other, {"ca_file": str(other)}, []),
        (other, own, [first]),
    ]
    cases += [(mine, {"trust_server_certificate": True}, [first])] if encrypt == "mandatory" else []
    for pem, changes, packets in cases:
        with doorstep(pem, strict=encrypt == "strict") as door:
            [problem] = database(host="localhost", port=door.port, encrypt=encrypt, **changes).check()
        assert door.packets == packets, changes
        assert PASSWORD not in problem


@pytest.mark.parametrize(("encrypt", "packets"), [("mandatory", []), ("optional", [LOGIN7])])
def test_a_server_without_encryption(encrypt: str, packets: list[int], tmp_path: Path) -> None:
    """It is sent no login, unless encryption is `optional`."""
    with doorstep(certificate(tmp_path, "localhost"), encrypts=False) as door:
        database(host="localhost", port=door.port, encrypt=encrypt).check()
    assert door.packets == packets


@pytest.mark.parametrize(("changes", "advice"), [({"port": 1}, "nothing listens"), ({"host": "nowhere.invalid"}, "check `host`"), ({"host": "::1", "port": 1}, "nothing listens")])  # fmt: skip
def test_nobody_there(changes: dict[str, Any], advice: str) -> None:
    """Every question is an error that may be retried, with advice and without the password."""
    for ask in (SqlServer.tables, SqlServer.activity):
        with pytest.raises(ConnectorError, match=advice) as error:
            ask(database(**changes))
        assert error.value.retriable
        assert PASSWORD not in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(ConnectorError, match=advice), database(**changes).snapshot():
        pass
    assert PASSWORD not in repr(database(**changes))


ERRORS = [
    (1205, "Transaction was deadlocked", True, "deadlock"),
    (3960, "Snapshot isolation transaction aborted due to update conflict", True, "snapshot"),
    (3952, "snapshot isolation is not allowed in this database", False, "ALLOW_SNAPSHOT_ISOLATION ON"),
    (4060, "Cannot open database", False, "check `database`"),
    (18456, "Login failed for user 'outgate'.", False, "check `user`"),
    (208, "Invalid object name 'x'.", False, "check the table's name"),
    (229, "The SELECT permission was denied", False, "GRANT SELECT"),
    (
        20003,
        "DB-Lib error message 20003, severity 6:\nAdaptive Server connection timed out\n",
        True,
        "statement_timeout",
    ),
    (20047, "DB-Lib error message 20047, severity 9:\nDBPROCESS is dead or not enabled\n", True, "lost"),
    (50000, "an error of the user's own", False, ""),
]


@pytest.mark.parametrize(("number", "text", "retriable", "advice"), ERRORS, ids=[str(number) for number, *_ in ERRORS])
def test_errors(number: int, text: str, retriable: bool, advice: str) -> None:
    """By number: whether to try again, and what to do."""
    error = failure(number, text, "db:1433/shop as 'outgate'")
    assert error.retriable == retriable
    assert advice in str(error)
    assert "DB-Lib" not in str(error)


def test_what_the_driver_says() -> None:
    """Number and text are found in both forms of its exceptions, and only the server's sentence is shown."""
    words = b"Invalid object name 'x'.DB-Lib error message 20018, severity 16:\nGeneral SQL Server error: Check messages from the SQL Server\n"
    for error in (Exception((208, words)), Exception(208, words)):
        assert said(error)[0] == 208
    refused = (
        b"DB-Lib error message 20018, severity 14:\nGeneral SQL Server error: Check messages from the SQL Server\n"
    )
    assert said(Exception((18456, refused)))[0] == 20018
    assert said(Exception((18456, b"Unknown error")))[0] == 20009
    assert "said \"Invalid object name 'x'\" (208)" in str(failure(*said(Exception((208, words))), "db"))


def test_a_driver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check names the package to install."""
    monkeypatch.setitem(sys.modules, "pymssql", None)
    [problem] = database().check()
    assert "pip install '.[sqlserver]'" in problem


def test_the_driver_waits() -> None:
    """The connector's module does not load the driver."""
    code = "import resources.databases.sqlserver, sys; print('pymssql' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]
    )
    assert done.stdout.strip() == "False"


def test_a_decimal_of_the_whole_width() -> None:
    """38 digits, at both ends of the scale."""
    for scale in (0, 38):
        text = f"-{'9' * 38}" if scale == 0 else f"-0.{'9' * 38}"
        found = types.rebuilt(column(f"decimal(38,{scale})"), [text.encode()])
        assert found.to_pylist() == [Decimal(text)]
    assert rendered(exp.select("1")) == "SELECT 1"
