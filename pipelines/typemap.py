"""The page of types, made from the connectors' own tables: `python -m pipelines.typemap` writes docs/types.md.

Which types are shown is said here; what becomes of each is asked of the connector's code. What a value does that does
not fit is on the connector's own page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import cast

import duckdb
import pyarrow as pa

from resources.databases import duckdb_types, mysql_types, oracle_types, postgres_types, sqlite_types, sqlserver_types
from resources.databases.base import Column
from spec.errors import RowsRefused

TARGET = Path(__file__).parent.parent / "docs/types.md"
HEAD = """\
<!-- Made by `python -m pipelines.typemap` from the connectors themselves; do not edit. -->
# Types

What a column of each database arrives as, in [Arrow](https://arrow.apache.org/docs/format/Columnar.html)'s words. It is
what `preview` shows, what parquet is written with, and what [csv and ndjson](concepts/formats.md) spell. Nothing
becomes a float, or loses a digit, on the way: what has no exact form is text, or stops the window by name.
`source.as_text: [column]` takes any column as the server's own text.
"""
TEXT, JSON = "text", "JSON text"
"""What a string column is called; a timestamp, decimal or list is called as Arrow does."""


@dataclass(frozen=True)
class Source:
    """A database's title, its page, the types that are shown and how the connector makes a column of one."""

    title: str
    page: str
    module: ModuleType
    column: Callable[[str], Column]
    declared: tuple[str, ...]


def _postgres(declared: str) -> Column:
    internal, _, shown = declared.partition("/")
    return postgres_types.column("v", internal, shown or internal, nullable=True, as_text=False)


def _oracle(declared: str) -> Column:
    kind, *measures = declared.partition("/")[0].replace("(", ",").rstrip(")").split(",")
    precision, scale = (int(each) for each in (measures if kind == "NUMBER" and measures else ("0", "-127")))
    name = f"DB_TYPE_{kind.replace(' ', '_')}"
    found = oracle_types.Described("v", name, None, precision or None, scale, nullable=True, json=kind == "JSON")
    return oracle_types.column(found, nullable=True, as_text=False)


def _named(module: ModuleType) -> Callable[[str], Column]:
    return lambda declared: cast("Column", module.column("v", declared.partition("/")[0], nullable=True, as_text=False))


def _duckdb(declared: str) -> Column:
    return duckdb_types.column("v", duckdb.sqltype(declared), nullable=True, as_text=False)


SOURCES = (
    Source("PostgreSQL", "postgres", postgres_types, _postgres, (
        "bool/boolean", "int2/smallint", "int4/integer", "int8/bigint", "float4/real",
        "float8/double precision", "numeric/numeric(18,4)", "numeric/numeric(38,10)", "numeric/numeric",
        "money", "text", "varchar/character varying(20)", "bpchar/character(5)", "bytea", "date",
        "time/time without time zone", "timetz/time with time zone", "timestamp/timestamp without time zone",
        "timestamptz/timestamp with time zone", "interval", "uuid", "json", "jsonb", "xml", "inet",
        "bit/bit(8)", "_int4/integer[]", "_text/text[]", "_timestamptz/timestamp with time zone[]",
        "_numeric/numeric[]", "int4range", "point", "tsvector", "hstore", "/an enum or domain of your own",
    )),
    Source("MySQL and MariaDB", "mysql", mysql_types, _named(mysql_types), (
        "tinyint", "tinyint unsigned", "smallint unsigned", "mediumint", "int", "int unsigned", "bigint",
        "bigint unsigned", "bit(8)", "year", "decimal(18,4)", "decimal(38,10)", "decimal(65,30)", "float",
        "double", "date", "time(6)", "datetime(6)", "timestamp(6)", "char(5)", "varchar(20)", "longtext",
        "enum", "set", "json", "uuid", "inet6", "binary(16)", "varbinary(20)", "longblob", "geometry", "point",
        "vector",
    )),
    Source("SQL Server", "sqlserver", sqlserver_types, _named(sqlserver_types), (
        "bit", "tinyint", "smallint", "int", "bigint", "decimal(18,4)", "decimal(38,10)", "money", "smallmoney",
        "real", "float", "date", "time(7)", "datetime", "datetime2(7)", "smalldatetime", "datetimeoffset(7)",
        "char(5)", "varchar(20)", "nvarchar(max)", "text", "ntext", "xml", "uniqueidentifier", "binary(16)",
        "varbinary(max)", "image", "timestamp/rowversion", "sql_variant", "hierarchyid", "geography",
    )),
    Source("Oracle", "oracle", oracle_types, _oracle, (
        "NUMBER(9,0)", "NUMBER(18,4)", "NUMBER(38,10)", "NUMBER", "BINARY FLOAT/BINARY_FLOAT",
        "BINARY DOUBLE/BINARY_DOUBLE", "DATE", "TIMESTAMP", "TIMESTAMP TZ/TIMESTAMP WITH TIME ZONE",
        "TIMESTAMP LTZ/TIMESTAMP WITH LOCAL TIME ZONE", "INTERVAL DS/INTERVAL DAY TO SECOND",
        "INTERVAL YM/INTERVAL YEAR TO MONTH", "CHAR", "VARCHAR/VARCHAR2", "NVARCHAR/NVARCHAR2", "CLOB", "NCLOB",
        "RAW", "LONG RAW", "BLOB", "JSON", "BOOLEAN", "ROWID", "BFILE", "OBJECT/an object type",
    )),
    Source("DuckDB", "duckdb", duckdb_types, _duckdb, (
        "BOOLEAN", "TINYINT", "INTEGER", "BIGINT", "UBIGINT", "HUGEINT", "DECIMAL(18,4)", "DECIMAL(38,10)",
        "FLOAT", "DOUBLE", "VARCHAR", "BLOB", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP_NS",
        "TIMESTAMP WITH TIME ZONE", "INTERVAL", "UUID", "JSON", "INTEGER[]", "STRUCT(a INTEGER)",
        "MAP(VARCHAR, INTEGER)", "BIT",
    )),
    Source("SQLite", "sqlite", sqlite_types, _named(sqlite_types), (
        "INTEGER", "BIGINT", "REAL", "TEXT", "VARCHAR(20)", "BLOB", "BOOLEAN", "DECIMAL(18,4)", "NUMERIC",
        "DATE", "TIME", "DATETIME", "TIMESTAMPTZ", "JSON", "",
    )),
)  # fmt: skip
REFUSALS: tuple[tuple[str, Callable[[Column], object]], ...] = (
    ("wire", lambda column: column),
    ("refuse_unlisted", lambda column: (column,)),
)
"""The functions by which a connector refuses a type, and what they are given."""


def text() -> str:
    """The whole page as Markdown."""
    return "\n".join([HEAD, *map(_section, SOURCES)])


def _section(source: Source) -> str:
    lines = [f"## [{source.title}](connectors/{source.page}.md)\n", "| declared as | arrives as |", "|---|---|"]
    for declared in source.declared:
        internal, _, shown = declared.partition("/")
        lines.append(f"| `{shown or internal or '(nothing)'}` | {_arrives(source, declared)} |")
    return "\n".join(lines) + "\n"


def _arrives(source: Source, declared: str) -> str:
    column = source.column(declared)
    try:
        for refuse, wanted in REFUSALS:
            if hasattr(source.module, refuse):
                getattr(source.module, refuse)(wanted(column))
    except RowsRefused:
        return "refused; `as_text` takes it"
    return JSON if column.json else _called(column.type)


def _called(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list of {_called(kind.value_type)}"
    return TEXT if pa.types.is_string(kind) else f"`{kind}`"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
