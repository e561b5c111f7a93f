"""What the catalogue of MySQL and MariaDB says: columns, tables, keys and indexes, and which ids come one by one.

Fixed statements with bound parameters, on a session that somebody else opened. Who could still commit rows is in
mysql_activity.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import groupby, takewhile
from operator import itemgetter
from typing import Any

from sqlglot import exp

from resources.databases import mysql_types
from resources.databases.base import Column, Facts
from resources.databases.mysql_session import MARIADB, flavour, one, rows
from resources.databases.mysql_wire import Rows

TABLES = """
SELECT IF(table_schema = DATABASE(), table_name, CONCAT(table_schema, '.', table_name)) AS name
FROM information_schema.tables
WHERE table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')
  AND table_type IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')
ORDER BY table_schema <> DATABASE(), 1
"""
KIND = """
SELECT table_type = 'VIEW', IF(table_type = 'VIEW', '', table_comment), coalesce(engine, '')
FROM information_schema.tables WHERE table_schema = coalesce(%s, DATABASE()) AND table_name = %s
ORDER BY BINARY table_name = %s DESC LIMIT 1
"""
JSON = """
SELECT check_clause FROM information_schema.check_constraints
WHERE constraint_schema = coalesce(%s, DATABASE()) AND table_name = %s
"""
# Several writers that each take every n-th id do not take them in order.
STEPS = "SELECT @@global.auto_increment_increment"

CODES: Mapping[int, str] = {
    0: "decimal", 246: "decimal", 1: "tinyint", 2: "smallint", 9: "mediumint", 3: "int", 8: "bigint", 4: "float",
    5: "double", 6: "null", 7: "timestamp", 10: "date", 14: "date", 11: "time", 12: "datetime", 13: "year", 16: "bit",
    15: "varchar", 253: "varchar", 254: "char", 249: "text", 250: "text", 251: "text", 252: "text", 247: "enum",
    248: "set", 245: "json", 255: "geometry", 242: "vector",
}  # fmt: skip
"""Declared types by the protocol's number, where no table can be asked."""
FLAGS = {0x100: "enum", 0x800: "set"}
UNSIGNED, BINARY_CHARSET, MOST_FRACTION = 0x20, 63, 6
BINARY = {"varchar": "varbinary", "char": "binary", "text": "blob"}

LISTED = re.compile(r"(enum|set)\(.*", re.DOTALL)
WIDTH = re.compile(r"^((?:tiny|small|medium|big)?int|year)\(\d+\)")
COMMENT = re.compile(r" */\*.*?\*/")
EXACT_CHARSETS = frozenset({"utf8mb4", "utf8mb3", "utf8", "latin1"})
"""Character sets of which every text has its exact form in UTF-8, whatever bytes were put into it."""
SORTED = re.compile(r"_nopad_bin$|_0900_bin$")
"""Collations by code point that tell 'a' from 'a ': other binary ones leave spaces at the end out of account."""
UNSORTED = frozenset({"enum", "set", "uuid", "inet4", "inet6"})
"""Types whose texts are not sorted as texts."""


def columns(session: Any, relation: exp.Expr, as_text: frozenset[str]) -> tuple[Column, ...]:
    """The columns of a table or subquery. NOT NULL is only known of a base table's own."""
    if not isinstance(relation, exp.Table):
        return tuple(
            mysql_types.column(name, declared, nullable=True, as_text=name in as_text)
            for name, declared in _described(session, relation)
        )
    is_view, *_ = _kind(session, relation) or (True,)
    json = _json(session, relation)
    return tuple(
        mysql_types.column(
            each["Field"], declared(each["Type"], each["Collation"]),
            nullable=bool(is_view) or each["Null"] == "YES", as_text=each["Field"] in as_text,
            json=each["Field"] in json,
        )
        for each in _listed(session, relation)
    )  # fmt: skip


def declared(kind: str, collation: str | None) -> str:
    """A column's type without what changes nothing: the width of integers, the members of an enum, comments.

    The character set is said where it is not one whose texts are all exact in UTF-8.
    """
    plain = WIDTH.sub(r"\1", LISTED.sub(r"\1", COMMENT.sub("", kind)))
    charset = (collation or "utf8mb4").partition("_")[0]
    return plain if charset in EXACT_CHARSETS else f"{plain} character set {charset}"


def sequential(session: Any, table: exp.Table, column: str) -> bool:
    """Whether it is an AUTO_INCREMENT column of an InnoDB table, on a server that counts by one."""
    kind = _kind(session, table)
    counted = any(each["Field"] == column and "auto_increment" in each["Extra"] for each in _listed(session, table))
    return kind is not None and kind[2] == "InnoDB" and counted and one(session, STEPS) == 1


def facts(session: Any, table: exp.Table) -> Facts:
    """Key, indexes, comments and collations. Raises the driver's error when there is no such table."""
    listed = _listed(session, table)
    is_view, comment, _ = _kind(session, table) or (False, "", "")
    indexes = _indexes(session, table)
    keys = [names for names, unique, _ in indexes if unique]
    said = {"": comment} | {each["Field"]: each["Comment"] for each in listed}
    return Facts(
        key=keys[0] if keys else (),
        indexes=tuple(dict.fromkeys(names for names, _, ranged in indexes if ranged and names)),
        comments={name: text for name, text in said.items() if text},
        loose=frozenset(each["Field"] for each in listed if _loose(each)),
        is_view=bool(is_view),
    )


def _indexes(session: Any, table: exp.Table) -> list[tuple[tuple[str, ...], bool, bool]]:
    """Of each index, the primary key's first: its columns up to the first expression or prefix, whether these tell all
    rows apart, and whether it serves a range.
    """
    found = []
    for _, parts in groupby(_dicts(session, f"SHOW INDEX FROM {_named(table)}"), key=itemgetter("Key_name")):
        every = list(parts)
        whole = tuple(takewhile(lambda each: each["Column_name"] and not each["Sub_part"], every))
        complete = len(whole) == len(every) and not any(each["Non_unique"] or each["Null"] for each in every)
        hidden = every[0].get("Ignored") == "YES" or every[0].get("Visible") == "NO"
        names = tuple(each["Column_name"] for each in whole)
        found.append((names, complete, every[0]["Index_type"] == "BTREE" and not hidden))
    return found


def _loose(listed: Mapping[str, Any]) -> bool:
    collation = listed["Collation"]
    plain = declared(listed["Type"], None)
    return plain in UNSORTED or (collation is not None and not SORTED.search(collation))


def _listed(session: Any, table: exp.Table) -> list[dict[str, Any]]:
    """What the server lists of each column that `SELECT *` would show."""
    found = _dicts(session, f"SHOW FULL COLUMNS FROM {_named(table)}")
    return [each for each in found if "INVISIBLE" not in each["Extra"]]


def _kind(session: Any, table: exp.Table) -> tuple[Any, ...] | None:
    found = rows(session, KIND, (table.db or None, table.name, table.name))
    return found[0] if found else None


def _json(session: Any, table: exp.Table) -> frozenset[str]:
    """The columns that MariaDB declares as text and checks to be JSON; MySQL has a type for them."""
    if flavour(session) is not MARIADB:
        return frozenset()
    clauses = [clause for (clause,) in rows(session, JSON, (table.db or None, table.name))]
    found = [re.fullmatch(r"json_valid\(`(.+)`\)", clause, re.DOTALL) for clause in clauses]
    return frozenset(match[1].replace("``", "`") for match in found if match)


def _described(session: Any, relation: exp.Expr) -> list[tuple[str, str]]:
    """Names and declared types of a subquery's columns, as the protocol describes them."""
    rows(session, "SET character_set_results = NULL")  # else all texts are described as the session's
    asked = Rows(session, exp.select("*").from_(relation.copy()).limit(0).sql("mysql", comments=False))
    list(asked.texts())
    return [(field.name, _spelled(field)) for field in asked.fields]


def _spelled(field: Any) -> str:
    kind = next((name for flag, name in FLAGS.items() if field.flags & flag), CODES.get(field.type_code, "unknown"))
    if kind in BINARY:
        return BINARY[kind] if field.charsetnr == BINARY_CHARSET else declared(kind, _charset(field.charsetnr))
    if kind == "decimal":
        sign = 0 if field.flags & UNSIGNED else 1
        return f"decimal({field.length - sign - (1 if field.scale else 0)},{field.scale})"
    if kind in {"time", "datetime", "timestamp"} and 0 < field.scale <= MOST_FRACTION:
        return f"{kind}({field.scale})"
    return f"{kind} unsigned" if field.flags & UNSIGNED and f"{kind} unsigned" in mysql_types.TYPES else kind


def _charset(number: int) -> str:
    """The character set of a collation's number; those that the driver does not know are all Unicode."""
    from pymysql.charset import charset_by_id

    try:
        return f"{charset_by_id(number).name}_"
    except KeyError:
        return "utf8mb4_"


def _named(table: exp.Table) -> str:
    return exp.Table(this=table.this.copy(), db=table.args.get("db"), catalog=table.args.get("catalog")).sql("mysql")


def _dicts(session: Any, statement: str) -> list[dict[str, Any]]:
    from pymysql.cursors import DictCursor

    with session.cursor(DictCursor) as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())
