"""How values are spelled in text formats, as SQL: one expression a value, NULL staying NULL.

Dates in ISO 8601 with a T, instants in UTC with a Z, NaN and Infinity by name, binary in base64, and what a format
declares instead: this table and nothing else. Wide decimals are text in JSON, where most readers would make floats of
them. Cells and lines are made in lines.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from sqlglot import exp

from spec.formats import Csv, Delimited, Objects, Psv, Tsv

Spelling = Mapping[str, str]
"""SQL templates by DuckDB type, `{c}` being the value; a type that is not there is cast to text."""

EXACT_IN_JSON = 15
_FLOAT = (
    "CASE WHEN isfinite({c}) THEN CAST({c} AS VARCHAR) WHEN isnan({c}) THEN 'NaN' "
    "WHEN {c} > 0 THEN 'Infinity' WHEN {c} < 0 THEN '-Infinity' END"
)
_PLAIN = "CAST({c} AS VARCHAR)"
_LOCAL_TIMES = frozenset({"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"})
_INSTANT = "make_timestamp(epoch_us({c}))"
_JSON = "CAST(to_json({c}) AS VARCHAR)"
_JSON_TEXT = "CAST(to_json(CAST({c} AS VARCHAR)) AS VARCHAR)"
ISO: Spelling = {
    "FLOAT": _FLOAT,
    "DOUBLE": _FLOAT,
    **dict.fromkeys(_LOCAL_TIMES, "replace(CAST({c} AS VARCHAR), ' ', 'T')"),
    "TIMESTAMP WITH TIME ZONE": f"replace(CAST({_INSTANT} AS VARCHAR), ' ', 'T') || 'Z'",
    "BLOB": "to_base64({c})",
}
_BARE_IN_JSON = frozenset(
    {"BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
)
_TIMES = _LOCAL_TIMES | {"DATE", "TIME", "TIMESTAMP WITH TIME ZONE"}
_NUMBERS = (_BARE_IN_JSON - {"BOOLEAN"}) | {"FLOAT", "DOUBLE", "HUGEINT", "DECIMAL"}
_SPELLED = _NUMBERS | _TIMES | {"BOOLEAN", "UUID", "BLOB"}
"""Types whose text has no quote and no line break, and no other character than those of `alphabet`."""
_ALPHABET = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-.:/=")
_YEARS = (
    "CASE WHEN {value} BETWEEN {kind} '0001-01-01' AND {kind} '9999-12-31{last}' THEN strftime({value}, {pattern}) "
    "WHEN {{c}} IS NOT NULL THEN error('a date outside the years 1 to 9999 has no spelling by a pattern') END"
)


def spelling(form: Delimited | Objects) -> Spelling:
    """The table of a format: ISO unless it declares otherwise."""
    found = dict(ISO)
    if form.date:
        found["DATE"] = _YEARS.format(value="{c}", kind="DATE", last="", pattern=literal(form.date))
    if form.datetime:
        for kind in _LOCAL_TIMES | {"TIMESTAMP WITH TIME ZONE"}:
            value = _INSTANT if kind.endswith("ZONE") else "CAST({c} AS TIMESTAMP)"
            pattern = literal(form.datetime)
            found[kind] = _YEARS.format(value=value, kind="TIMESTAMP", last=" 23:59:59.999999", pattern=pattern)
        nanoseconds = literal(form.datetime.replace("%f", "%n"))  # their years are 1677 to 2262
        found["TIMESTAMP_NS"] = f"strftime({{c}}, {nanoseconds})"
    if isinstance(form, Csv | Psv | Tsv):
        found |= _words(form)
    return found


def _words(form: Delimited) -> Spelling:
    found = {}
    if form.decimal != ".":
        found = {kind: f"replace({ISO.get(kind, _PLAIN)}, '.', ',')" for kind in ("FLOAT", "DOUBLE", "DECIMAL")}
    true, false = form.booleans.true, form.booleans.false
    if (true, false) != ("true", "false"):
        one, other = (literal(each).replace("{", "{{").replace("}", "}}") for each in (true, false))
        found["BOOLEAN"] = f"CASE WHEN {{c}} THEN {one} WHEN NOT {{c}} THEN {other} END"
    return found


def alphabet(form: Delimited) -> frozenset[str]:
    """Every character that numbers, times, booleans and binary may have in a format."""
    return _ALPHABET | set(
        "".join([form.decimal, form.booleans.true, form.booleans.false, form.date or "", form.datetime or ""])
    )


def text_value(kind: str, column: str, table: Spelling = ISO) -> str:
    """SQL for a value of a DuckDB type as text, NULL staying NULL."""
    if nested(kind):
        return _json(kind, column, ISO)
    return table.get(_family(kind), _PLAIN).format(c=column)


def json_value(kind: str, column: str, table: Spelling = ISO) -> str:
    """SQL for a value of a DuckDB type as JSON; NULL becomes `null`."""
    return f"coalesce({_json(kind, column, table)}, 'null')"


def nested(kind: str) -> bool:
    """Whether it is a list, a structure or a map: JSON, in every text format."""
    return kind.endswith("]") or kind.startswith(("STRUCT(", "MAP("))


def numeric(kind: str) -> bool:
    """Whether it is a number."""
    return not nested(kind) and _family(kind) in _NUMBERS


def spelled(kind: str) -> bool:
    """Whether its text is made of the characters of `alphabet` only."""
    return not nested(kind) and _family(kind) in _SPELLED


def _family(kind: str) -> str:
    return "DECIMAL" if kind.startswith("DECIMAL(") else kind


def _json(kind: str, column: str, table: Spelling) -> str:
    decimal = re.fullmatch(r"DECIMAL\((\d+),\s*\d+\)", kind)
    if kind in _BARE_IN_JSON or (decimal and int(decimal[1]) <= EXACT_IN_JSON):
        return _PLAIN.format(c=column)
    if nested(kind):
        return _json_of_nested(kind, column, table)
    if kind == "JSON":
        return f"replace(replace(CAST({column} AS VARCHAR), chr(10), ' '), chr(13), ' ')"
    if kind in {"FLOAT", "DOUBLE"}:
        plain, words = _PLAIN.format(c=column), _FLOAT.format(c=column)
        return f"CASE WHEN isfinite({column}) THEN {plain} ELSE '\"' || {words} || '\"' END"
    if spelled(kind):
        return f"'\"' || {text_value(kind, column, table)} || '\"'"
    return (_JSON if kind == "VARCHAR" else _JSON_TEXT).format(c=column)


def _json_of_nested(kind: str, column: str, table: Spelling) -> str:
    """Written out to the innermost values, because DuckDB's own to_json spells NaN as no JSON reader takes it."""
    import duckdb

    one, parsed = f"x{len(kind)}", duckdb.sqltype(kind)
    children = {name: str(inner) for name, inner in parsed.children if isinstance(inner, duckdb.sqltypes.DuckDBPyType)}
    if parsed.id == "struct":
        names = ((literal(json_key(name)), inner, f"{column}.{quoted(name)}") for name, inner in children.items())
        members = " || ',' || ".join(f"{key} || {json_value(inner, member, table)}" for key, inner, member in names)
        return f"CASE WHEN {column} IS NOT NULL THEN '{{' || {members} || '}}' END"
    if parsed.id == "map":
        pair = f"to_json(CAST({one}.key AS VARCHAR)) || ':' || {json_value(children['value'], f'{one}.value', table)}"
        return f"'{{' || {_joined(f'map_entries({column})', one, pair)} || '}}'"
    items = f"CAST({column} AS {children['child']}[])"
    return f"'[' || {_joined(items, one, json_value(children['child'], one, table))} || ']'"


def _joined(items: str, one: str, each: str) -> str:
    return f"array_to_string(list_transform({items}, lambda {one}: {each}), ',')"


def json_key(name: str) -> str:
    """A member's name and colon."""
    return json.dumps(name, ensure_ascii=False) + ":"


def literal(text: str) -> str:
    """A DuckDB text literal."""
    return exp.Literal.string(text).sql(dialect="duckdb")


def quoted(name: str) -> str:
    """A quoted DuckDB identifier."""
    return exp.to_identifier(name, quoted=True).sql(dialect="duckdb")
