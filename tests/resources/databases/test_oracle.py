"""Oracle without a server: what is asked of it, what is made of its answers, how it is dialled, what errors mean.

No statement of these tests is run by an Oracle. The conformance suite does that where a URL names one.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlglot
from pydantic import ValidationError
from sqlglot import exp

from resources.databases import oracle as module
from resources.databases import oracle_catalog as catalog
from resources.databases import oracle_types as types
from resources.databases.base import Column, Query
from resources.databases.chunks import numbered
from resources.databases.oracle import Oracle
from resources.databases.oracle_errors import failure
from resources.databases.oracle_sql import rendered
from resources.databases.oracle_types import Described
from spec.errors import ConnectorError, RowsRefused
from tests.resources.databases.subjects import PASSWORD_VARIABLE
from tests.servers.postgres import PASSWORD
from tests.servers.tds import certificate, doorstep

SETTINGS: dict[str, Any] = {
    "host": "127.0.0.1",
    "service_name": "shop",
    "user": "outgate",
    "password": {"env": PASSWORD_VARIABLE},
    "connect_timeout": 5,
}
MOMENT, UTC, TEXT = pa.timestamp("us"), pa.timestamp("us", tz="UTC"), pa.string()
NUMBERS: list[tuple[int | None, int | None, str, pa.DataType]] = [
    (10, 2, "NUMBER(10,2)", pa.decimal128(10, 2)),
    (18, 0, "NUMBER(18,0)", pa.int64()),
    (19, 0, "NUMBER(19,0)", pa.decimal128(19, 0)),
    (38, 38, "NUMBER(38,38)", pa.decimal128(38, 38)),
    (0, 2, "NUMBER(38,2)", pa.decimal128(38, 2)),
    (5, -2, "NUMBER(5,-2)", pa.int64()),
    (38, -2, "NUMBER(38,-2)", TEXT),
    (2, 5, "NUMBER(2,5)", pa.decimal128(5, 5)),
    (5, 40, "NUMBER(5,40)", TEXT),
    (0, -127, "NUMBER", TEXT),
    (None, None, "NUMBER", TEXT),
    (126, -127, "FLOAT(126)", TEXT),
]
TYPES: list[tuple[str, str, pa.DataType]] = [
    ("BINARY_FLOAT", "BINARY_FLOAT", pa.float32()),
    ("BINARY_DOUBLE", "BINARY_DOUBLE", pa.float64()),
    ("BOOLEAN", "BOOLEAN", pa.bool_()),
    ("VARCHAR", "VARCHAR2(30)", TEXT),
    ("NVARCHAR", "NVARCHAR2(30)", TEXT),
    ("CHAR", "CHAR(30)", TEXT),
    ("NCHAR", "NCHAR(30)", TEXT),
    ("CLOB", "CLOB", TEXT),
    ("NCLOB", "NCLOB", TEXT),
    ("LONG", "LONG", TEXT),
    ("ROWID", "ROWID", TEXT),
    ("XMLTYPE", "XMLTYPE", TEXT),
    ("INTERVAL_YM", "INTERVAL YEAR TO MONTH", TEXT),
    ("INTERVAL_DS", "INTERVAL DAY TO SECOND", TEXT),
    ("DATE", "DATE", MOMENT),
    ("TIMESTAMP", "TIMESTAMP(9)", MOMENT),
    ("TIMESTAMP_TZ", "TIMESTAMP(9) WITH TIME ZONE", UTC),
    ("TIMESTAMP_LTZ", "TIMESTAMP(9) WITH LOCAL TIME ZONE", UTC),
    ("RAW", "RAW(30)", pa.binary()),
]


def described(kind: str, precision: int | None = None, scale: int | None = None, name: str = "V") -> Described:
    """A result column as the driver describes it."""
    return Described(name, f"DB_TYPE_{kind}", 30, precision, scale, nullable=True)


def column(kind: str, scale: int | None = 9, name: str = "V", *, as_text: bool = False) -> Column:
    """A column of one of the driver's types."""
    return types.column(described(kind, 0, scale, name), nullable=True, as_text=as_text)


def statement(*where: exp.Expr, columns: tuple[Column, ...], **more: Any) -> str:
    """The SQL of a query of a table."""
    query = Query(exp.table_("EVENTS", db="CRM", quoted=True), columns, where, **more)
    return rendered(query.select(*numbered(map(types.wire, columns))), columns)


def database(**changes: Any) -> Oracle:
    """A connector."""
    return Oracle(**SETTINGS | changes)


@pytest.mark.parametrize(("precision", "scale", "declared", "kind"), NUMBERS)
def test_numbers(precision: int | None, scale: int | None, declared: str, kind: pa.DataType) -> None:
    """A NUMBER of a declared precision is exact, of a negative scale as well; any other is its text."""
    found = types.column(described("NUMBER", precision, scale), nullable=True, as_text=False)
    assert (found.declared, found.type) == (declared, kind)


@pytest.mark.parametrize(("kind", "declared", "arrow"), TYPES, ids=[kind for kind, *_ in TYPES])
def test_types(kind: str, declared: str, arrow: pa.DataType) -> None:
    """Every type has an Arrow type, a form in which it travels and a text, both of them Oracle's SQL."""
    assert (column(kind).declared, column(kind).type) == (declared, arrow)
    assert column(kind, as_text=True).type == TEXT
    for each in (column(kind), column(kind, as_text=True)):
        text = exp.select(types.wire(each)).from_("T").sql("oracle")
        assert sqlglot.parse_one(text, dialect="oracle").find(exp.Column)


def test_every_type_of_the_driver_is_known_or_refused() -> None:
    """Whatever the driver may describe has a row in the table, or is refused by its column's name."""
    import oracledb

    names = {name for name in dir(oracledb) if name.startswith("DB_TYPE_")}
    assert set(types.NAMES) <= names
    assert set(types.NAMES.values()) <= set(types.KINDS)
    for name in names - set(types.NAMES):
        odd = column(name.removeprefix("DB_TYPE_"))
        with pytest.raises(RowsRefused, match=r"column 'V' .*has no text of its own"):
            types.wire(odd)


def test_json() -> None:
    """JSON is the server's text of it, of any length: cut or unreadable ones are errors, not NULL."""
    found = types.column(
        Described("V", "DB_TYPE_JSON", None, None, None, nullable=True, json=True), nullable=True, as_text=False
    )
    assert (found.type, found.json) == (TEXT, True)
    assert types.wire(found).sql("oracle") == 'JSON_SERIALIZE("V" RETURNING CLOB ERROR ON ERROR)'


def test_number_answers() -> None:
    """The driver's text of a number becomes it to the last digit; of any scale, it stays text."""
    big = "-" + "9" * 26 + "." + "9" * 12
    for precision, scale, texts in ((38, 12, [big, "0.000000000001", None]), (18, 0, ["999999999999999999", "0"])):
        found = types.column(described("NUMBER", precision, scale), nullable=True, as_text=False)
        expected = [None if text is None else Decimal(text) for text in texts]
        assert [
            None if value is None else Decimal(value) for value in types.rebuilt(found, texts).to_pylist()
        ] == expected
    plain = types.column(described("NUMBER"), nullable=True, as_text=False)
    assert types.rebuilt(plain, ["0.1", "1" * 40, None]).to_pylist() == ["0.1", "1" * 40, None]


def test_moments() -> None:
    """The server's text of a date or timestamp becomes it, to the microsecond, in all years of our era."""
    texts = [" 0001-01-01 00:00:00.000000000", " 9999-12-31 23:59:59.999999000", None]
    found = types.rebuilt(column("TIMESTAMP"), texts)
    assert found.cast(TEXT).to_pylist() == ["0001-01-01 00:00:00.000000", "9999-12-31 23:59:59.999999", None]
    dates = types.rebuilt(column("DATE"), [" 2026-03-29 01:59:59"])
    assert dates.cast(TEXT).to_pylist() == ["2026-03-29 01:59:59.000000"]
    assert types.rebuilt(column("TIMESTAMP_TZ"), texts[:1]).type == UTC
    assert types.rebuilt(column("DATE"), []).type == types.rebuilt(column("DATE"), [None]).type == MOMENT


@pytest.mark.parametrize(
    ("text", "why"),
    [(" 2026-01-01 00:00:00.000000001", "fraction of a microsecond"), ("-4712-01-01 00:00:00.000000000", "before the year 1")],
)  # fmt: skip
def test_moments_that_are_refused(text: str, why: str) -> None:
    """Nanoseconds are never cut off, and no year is bent: the column is named, with the way to have its text."""
    with pytest.raises(RowsRefused, match=rf"column 'V' .*{why}.*add 'V' to `source.as_text`"):
        types.rebuilt(column("TIMESTAMP"), [" 2026-01-01 00:00:00.000000000", None, text])


def test_forms() -> None:
    """Dates are formatted by the server, zones turned to UTC there, and text is of the stored precision."""
    wires = {kind: types.wire(column(kind)).sql("oracle") for kind in ("DATE", "TIMESTAMP_TZ", "NUMBER", "CLOB")}
    assert wires == {
        "DATE": "TO_CHAR(\"V\", 'SYYYY-MM-DD HH24:MI:SS')",
        "TIMESTAMP_TZ": "TO_CHAR(SYS_EXTRACT_UTC(\"V\"), 'SYYYY-MM-DD HH24:MI:SS.FF9')",
        "NUMBER": '"V"',
        "CLOB": '"V"',
    }
    text = types.wire(column("TIMESTAMP", as_text=True)).sql("oracle")
    assert text == "LTRIM(TO_CHAR(\"V\", 'SYYYY-MM-DD HH24:MI:SS.FF'))"
    with pytest.raises(RowsRefused, match="no text of its own"):
        types.wire(column("BLOB", as_text=True))


def test_a_query() -> None:
    """Moments do not depend on the session, FALSE is a comparison, the limit is FETCH FIRST, names are quoted."""
    at = exp.column("AT", quoted=True)
    low = exp.cast(exp.Literal.string("2026-01-01 01:00:00+01:00"), "timestamptz")
    where = (exp.GTE(this=at, expression=low), exp.or_(exp.false(), exp.Is(this=at.copy(), expression=exp.null())))
    text = statement(*where, columns=(column("NUMBER", 0, 'we"ird; --'),), order=('we"ird; --',), limit=7)
    assert text == (
        'SELECT "we""ird; --" AS "outgate_0" FROM "CRM"."EVENTS" WHERE "AT" >='
        " TO_TIMESTAMP_TZ('2026-01-01 00:00:00.000000 +00:00', 'YYYY-MM-DD HH24:MI:SS.FF6 TZH:TZM')"
        ' AND ((1 = 0) OR "AT" IS NULL) ORDER BY "we""ird; --" FETCH FIRST 7 ROWS ONLY'
    )
    assert sqlglot.parse_one(text, dialect="oracle")


@pytest.mark.parametrize(
    ("kind", "text", "literal"),
    [
        ("DATE", "2026-01-01 00:00:00", "TO_DATE('2026-01-01 00:00:00', 'YYYY-MM-DD HH24:MI:SS')"),
        ("DATE", "2026-01-01 00:00:00.000001", "TO_TIMESTAMP('2026-01-01 00:00:00.000001', 'YYYY-MM-DD HH24:MI:SS.FF6')"),
        ("TIMESTAMP", "0001-01-01 00:00:00", "TO_TIMESTAMP('0001-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.FF6')"),
    ],
)  # fmt: skip
def test_dates_are_compared_with_dates(kind: str, text: str, literal: str) -> None:
    """A DATE beside a TIMESTAMP would be converted row by row; only a fraction makes that necessary."""
    condition = exp.LT(this=exp.column("V", quoted=True), expression=exp.cast(exp.Literal.string(text), "timestamp"))
    assert statement(condition, columns=(column(kind),)).endswith(f'WHERE "V" < {literal}')


@pytest.mark.parametrize("value", ["O'Neil", "né", "🦀", "\\", ":name", "%s", "--", "/*", '"', "a\\\nb"])
def test_literals(value: str) -> None:
    """A literal is one literal, and means the text."""
    text = statement(exp.column("V", quoted=True).eq(exp.Literal.string(value)), columns=(column("VARCHAR"),))
    [found] = sqlglot.parse_one(text, dialect="oracle").find_all(exp.Literal)
    assert found.name == value


def test_a_query_of_the_users_own() -> None:
    """Literals of dates inside it do not depend on the session either, and WITH stays where it was."""
    inner = sqlglot.parse_one(
        "WITH a AS (SELECT id FROM t WHERE d > DATE '2026-01-01' OR d < TIMESTAMP '2025-01-01 00:00:00') SELECT id FROM a FETCH FIRST 5 ROWS ONLY",
        dialect="oracle",
    )
    source = exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier("source")))
    text = rendered(exp.select("*").from_(source).where(exp.false()))
    assert text == (
        "SELECT * FROM (WITH a AS (SELECT id FROM t WHERE d > TO_DATE('2026-01-01', 'YYYY-MM-DD')"
        " OR d < TO_TIMESTAMP('2025-01-01 00:00:00', 'YYYY-MM-DD HH24:MI:SS.FF6'))"
        " SELECT id FROM a FETCH FIRST 5 ROWS ONLY) source WHERE (1 = 0)"
    )


def test_the_catalogues_statements() -> None:
    """Every fixed statement is Oracle's SQL, and only reads."""
    texts = {name: value for name, value in vars(catalog).items() if name.isupper() and isinstance(value, str)}
    assert len(texts) > 9
    for name, text in texts.items():
        assert isinstance(sqlglot.parse_one(text, dialect="oracle"), exp.Query), name


def test_names_in_the_dictionary() -> None:
    """A quoted name is kept as it is; a bare one is kept in capitals."""
    assert catalog.stored(exp.to_identifier("events", quoted=True)) == "events"
    assert catalog.stored(exp.to_identifier("events")) == "EVENTS"
    assert catalog.stored(None) is None


@pytest.mark.parametrize(("text", "minutes"), [("+00:00", 0), ("-03:30", -210), ("+05:45", 345)])
def test_offsets(text: str, minutes: int) -> None:
    """What the server's clock adds to UTC."""
    assert catalog._offset(text) == timedelta(minutes=minutes)


def test_how_it_is_dialled() -> None:
    """TLS with the usual port unless it is waived; the driver takes every argument."""
    import oracledb

    found = database(wallet_location="/w", ssl_server_cert_dn="CN=db").arguments
    assert (found["protocol"], found["port"], found["ssl_server_dn_match"]) == ("tcps", 2484, True)
    assert database(protocol="tcp").arguments["port"] == 1521
    assert database(protocol="tcp", port=1599).arguments["port"] == 1599
    known = oracledb.ConnectParams(**found)
    assert (known.host, known.wallet_location, known.ssl_server_cert_dn) == ("127.0.0.1", "/w", "CN=db")
    assert (known.program, known.tcp_connect_timeout, known.retry_count) == ("outgate", 5.0, 0)
    assert module.READ_ONLY == "SET TRANSACTION READ ONLY"
    assert all(each.startswith("ALTER SESSION SET ") for each in module.SESSION)


def test_settings_that_cannot_be() -> None:
    """A password that is written down, and a protocol that is none, are refused."""
    for wrong in ({"password": "written down"}, {"wallet_password": "written down"}, {"protocol": "http"}):
        with pytest.raises(ValidationError):
            database(**wrong)


def test_certificates_are_verified(tmp_path: Path) -> None:
    """Nothing is sent to a server whose certificate is unknown or bears another name, unless the name is waived."""
    mine, other = certificate(tmp_path, "localhost"), certificate(tmp_path, "other.example")
    wallets = {pem: tmp_path / f"{pem.stem}-wallet" for pem in (mine, other)}
    for pem, folder in wallets.items():
        folder.mkdir()
        (folder / "ewallet.pem").write_text(pem.with_suffix(".crt").read_text())
    cases: list[tuple[Path, dict[str, Any], int]] = [
        (mine, {}, 0),
        (mine, {"wallet_location": str(wallets[mine])}, 1),
        (other, {"wallet_location": str(wallets[other])}, 0),
        (other, {"wallet_location": str(wallets[other]), "ssl_server_dn_match": False}, 1),
    ]
    for pem, changes, packets in cases:
        with doorstep(pem, strict=True) as door:
            [problem] = database(host="localhost", port=door.port, **changes).check()
        assert len(door.packets) == packets, (changes, problem)
        assert ("TLS was not accepted" in problem) == (packets == 0), problem
        assert PASSWORD not in problem


@pytest.mark.parametrize(
    ("changes", "advice"),
    [({"port": 1}, "nothing listens"), ({"host": "nowhere.invalid"}, "check `host`"), ({"port": 1, "protocol": "tcp"}, "nothing listens")],
)  # fmt: skip
def test_nobody_there(changes: dict[str, Any], advice: str) -> None:
    """Every question is an error that may be retried, with advice and without the password."""
    for ask in (Oracle.tables, Oracle.activity):
        with pytest.raises(ConnectorError, match=advice) as error:
            ask(database(**changes))
        assert error.value.retriable
        assert PASSWORD not in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(ConnectorError, match=advice), database(**changes).snapshot():
        pass
    assert PASSWORD not in repr(database(**changes))


ERRORS = [
    ("ORA-00028: your session has been killed", True, "killed"),
    ("ORA-01555: snapshot too old: rollback segment number 3", True, "UNDO_RETENTION"),
    ("ORA-03113: end-of-file on communication channel", True, "lost"),
    ("ORA-12541: TNS:no listener", True, "nothing listens"),
    ("ORA-01017: invalid username/password; logon denied", False, "check `user`"),
    ("ORA-00942: table or view does not exist\nHelp: https://docs.oracle.com/error-help/db/ora-00942/", False, "capitals"),
    ("DPY-4024: call timeout of 1000 ms exceeded", True, "statement_timeout"),
    ('DPY-6001: Service "x" is not registered with the listener', True, "service_name"),
    ("ORA-20001: certificate of the user's own", False, ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "retriable", "advice"), ERRORS, ids=[text[:9] for text, *_ in ERRORS])
def test_errors(text: str, retriable: bool, advice: str) -> None:
    """By code: whether to try again, and what to do."""
    error = failure(text, "db:2484/shop as 'outgate'", recoverable=False)
    assert (error.retriable, "https" in str(error), "\n" in str(error)) == (retriable, False, False)
    assert str(error).endswith("'") or advice in str(error).rpartition("': ")[2]
    assert advice in str(error)


def test_an_unknown_error_is_as_recoverable_as_the_driver_says() -> None:
    """The driver knows which sessions are dead."""
    for recoverable in (True, False):
        assert failure("ORA-99999: new", "db", recoverable=recoverable).retriable == recoverable


def test_a_driver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check names the package to install."""
    monkeypatch.setitem(sys.modules, "oracledb", None)
    [problem] = database().check()
    assert "pip install '.[oracle]'" in problem


def test_the_driver_waits() -> None:
    """The connector's module does not load the driver."""
    code = "import resources.databases.oracle, sys; print('oracledb' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]
    )
    assert done.stdout.strip() == "False"
