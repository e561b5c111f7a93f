"""Text formats as SQL: one expression per value and one per line, so that DuckDB writes the bytes and Arrow carries
them.

How values are spelled (dates in ISO 8601 with a T, instants in UTC with a Z, NaN and Infinity by name, binary in
base64) is this table and nothing else. Wide decimals are text in JSON, where most readers would make floats of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from sqlglot import exp

from spec.delivery import Csv, Ndjson, Psv

Columns = Mapping[str, str]
"""Names and DuckDB types of the shaped result, in order."""

EXACT_IN_JSON = 15
_FLOAT = (
    "CASE WHEN isfinite({c}) THEN CAST({c} AS VARCHAR) WHEN isnan({c}) THEN 'NaN' "
    "WHEN {c} > 0 THEN 'Infinity' WHEN {c} < 0 THEN '-Infinity' END"
)
_PLAIN = "CAST({c} AS VARCHAR)"
_LOCAL_TIMES = frozenset({"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"})
_JSON = "CAST(to_json({c}) AS VARCHAR)"
_JSON_TEXT = "CAST(to_json(CAST({c} AS VARCHAR)) AS VARCHAR)"
_TEXT: Mapping[str, str] = {
    "FLOAT": _FLOAT,
    "DOUBLE": _FLOAT,
    **dict.fromkeys(_LOCAL_TIMES, "replace(CAST({c} AS VARCHAR), ' ', 'T')"),
    "TIMESTAMP WITH TIME ZONE": "replace(CAST(make_timestamp(epoch_us({c})) AS VARCHAR), ' ', 'T') || 'Z'",
    "BLOB": "to_base64({c})",
}
_BARE_IN_JSON = frozenset(
    {"BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
)
_TIMES = _LOCAL_TIMES | {"DATE", "TIME", "TIMESTAMP WITH TIME ZONE"}
_SPELLED = _BARE_IN_JSON | _TIMES | {"FLOAT", "DOUBLE", "HUGEINT", "UUID", "BLOB"}
"""Types whose text has no quote and no line break, and no other character than those of `_ALPHABET`."""
_ALPHABET = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-.:/=")


def text_value(kind: str, column: str) -> str:
    """SQL for a value of a DuckDB type as text, NULL staying NULL."""
    if _nested(kind):
        return _json(kind, column)
    return _TEXT.get(kind, _PLAIN).format(c=column)


def json_value(kind: str, column: str) -> str:
    """SQL for a value of a DuckDB type as JSON; NULL becomes `null`."""
    return f"coalesce({_json(kind, column)}, 'null')"


def _nested(kind: str) -> bool:
    return kind.endswith("]") or kind.startswith(("STRUCT(", "MAP("))


def _spelled(kind: str) -> bool:
    return kind in _SPELLED or (kind.startswith("DECIMAL(") and not _nested(kind))


def _json(kind: str, column: str) -> str:
    decimal = re.fullmatch(r"DECIMAL\((\d+),\s*\d+\)", kind)
    if kind in _BARE_IN_JSON or (decimal and int(decimal[1]) <= EXACT_IN_JSON):
        return _PLAIN.format(c=column)
    if _nested(kind):
        return _json_of_nested(kind, column)
    if kind == "JSON":
        return f"replace(replace(CAST({column} AS VARCHAR), chr(10), ' '), chr(13), ' ')"
    if kind in {"FLOAT", "DOUBLE"}:
        plain, spelled = _PLAIN.format(c=column), _FLOAT.format(c=column)
        return f"CASE WHEN isfinite({column}) THEN {plain} ELSE '\"' || {spelled} || '\"' END"
    if _spelled(kind):
        return f"'\"' || {text_value(kind, column)} || '\"'"
    return (_JSON if kind == "VARCHAR" else _JSON_TEXT).format(c=column)


def _json_of_nested(kind: str, column: str) -> str:
    """Written out to the innermost values, because DuckDB's own to_json spells NaN as no JSON reader takes it."""
    import duckdb

    one, parsed = f"x{len(kind)}", duckdb.sqltype(kind)
    children = {name: str(inner) for name, inner in parsed.children if isinstance(inner, duckdb.sqltypes.DuckDBPyType)}
    if parsed.id == "struct":
        names = ((_literal(_json_key(name)), inner, f"{column}.{quoted(name)}") for name, inner in children.items())
        members = " || ',' || ".join(f"{key} || {json_value(inner, member)}" for key, inner, member in names)
        return f"CASE WHEN {column} IS NOT NULL THEN '{{' || {members} || '}}' END"
    if parsed.id == "map":
        pair = f"to_json(CAST({one}.key AS VARCHAR)) || ':' || {json_value(children['value'], f'{one}.value')}"
        return f"'{{' || {_joined(f'map_entries({column})', one, pair)} || '}}'"
    items = f"CAST({column} AS {children['child']}[])"
    return f"'[' || {_joined(items, one, json_value(children['child'], one))} || ']'"


def _joined(items: str, one: str, each: str) -> str:
    return f"array_to_string(list_transform({items}, lambda {one}: {each}), ',')"


def line(form: Csv | Psv | Ndjson, columns: Columns) -> str:
    """SQL for one line of a format, its line break included.

    The NULL of an only column is enclosed like an empty text: most readers skip an empty line, and a row would be lost.
    Cells are joined by one `concat`, at a third of the cost of as many `||`; no cell is NULL.
    """
    if isinstance(form, Ndjson):
        leads = ["{", *"," * (len(columns) - 1)]
        pairs = [
            f"{_literal(lead + _json_key(name))}, {json_value(kind, quoted(name))}"
            for lead, (name, kind) in zip(leads, columns.items(), strict=True)
        ]
        return f"concat({', '.join(pairs)}, '}}' || chr(10))"
    dialect = _csv(form)
    nothing = _literal(dialect.enclosure * 2 if len(columns) == 1 else "")
    cells = [_cell(kind, quoted(name), dialect, nothing) for name, kind in columns.items()]
    return f"concat({f', {_literal(dialect.delimiter)}, '.join(cells)}, {_newline(dialect)})"


def header(form: Csv | Psv | Ndjson, columns: Columns) -> bytes:
    """The bytes before the first line of every part."""
    if isinstance(form, Ndjson) or not form.header:
        return b""
    dialect = _csv(form)
    cells = (_enclosed(name, dialect) for name in columns)
    return (dialect.delimiter.join(cells) + ("\r\n" if dialect.newline == "crlf" else "\n")).encode()


def _csv(form: Csv | Psv) -> Csv:
    return form if isinstance(form, Csv) else Csv(delimiter="|", header=form.header)


def _cell(kind: str, column: str, form: Csv, nothing: str) -> str:
    text = text_value(kind, column)
    if _spelled(kind) and kind != "BLOB" and not {form.delimiter, form.enclosure} & _ALPHABET:
        return f"coalesce({text}, {nothing})"
    mark, breaks = _literal(form.enclosure), (_literal(form.delimiter), _literal(form.enclosure), "chr(10)", "chr(13)")
    empty = [] if _nested(kind) else [f"{text} = ''"]  # JSON is never empty
    needs = " OR ".join([*empty, *(f"contains({text}, {each})" for each in breaks)])
    wrapped = f"{mark} || replace({text}, {mark}, {_literal(form.enclosure * 2)}) || {mark}"
    return f"CASE WHEN {column} IS NULL THEN {nothing} WHEN {needs} THEN {wrapped} ELSE {text} END"


def _enclosed(name: str, form: Csv) -> str:
    if name and not set(name) & {form.delimiter, form.enclosure, "\n", "\r"}:
        return name
    return form.enclosure + name.replace(form.enclosure, form.enclosure * 2) + form.enclosure


def _newline(form: Csv) -> str:
    return "chr(13) || chr(10)" if form.newline == "crlf" else "chr(10)"


def _json_key(name: str) -> str:
    return json.dumps(name, ensure_ascii=False) + ":"


def _literal(text: str) -> str:
    return exp.Literal.string(text).sql(dialect="duckdb")


def quoted(name: str) -> str:
    """A quoted DuckDB identifier."""
    return exp.to_identifier(name, quoted=True).sql(dialect="duckdb")
