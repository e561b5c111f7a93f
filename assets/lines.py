"""Text formats as SQL: one expression a line, so that DuckDB writes the bytes and Arrow carries them.

What is enclosed, escaped or refused is said here; how a value is spelled in spelling.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assets.spelling import (
    Spelling,
    alphabet,
    json_key,
    json_value,
    literal,
    nested,
    numeric,
    quoted,
    spelled,
    spelling,
    text_value,
)  # fmt: skip
from spec.errors import DeclarationError
from spec.formats import Delimited, Json, Ndjson, Objects

Columns = Mapping[str, str]
"""Names and DuckDB types of the shaped result, in order."""

FORMULA = "=+-@\t\r\n"
"""What a text begins with that a spreadsheet takes for a formula (CWE-1236); an apostrophe before it makes it text."""


def line(form: Delimited | Objects, columns: Columns) -> str:
    """SQL for one line of a format, its line break included; in a JSON array the comma before it.

    The NULL of an only column is enclosed like an empty text: most readers skip an empty line, and a row would be lost.
    Cells are joined by one `concat`, at a third of the cost of as many `||`; no cell is NULL.
    """
    table = spelling(form)
    if isinstance(form, Ndjson | Json):
        first, last = (",\n{", "'}'") if isinstance(form, Json) else ("{", "'}' || chr(10)")
        leads = [first, *"," * (len(columns) - 1)]
        pairs = [
            f"{literal(lead + json_key(name))}, {json_value(kind, quoted(name), table)}"
            for lead, (name, kind) in zip(leads, columns.items(), strict=True)
        ]
        return f"concat({', '.join(pairs)}, {last})"
    only = len(columns) == 1
    cells = [_Cell(name, kind, form, table, only).sql() for name, kind in columns.items()]
    ending = " || ".join(f"chr({ord(each)})" for each in form.eol)
    return f"concat({f', {literal(form.special[0])}, '.join(cells)}, {ending})"


def header(form: Delimited | Objects, columns: Columns) -> bytes:
    """The bytes before the first line of every part. Raises DeclarationError for a name that the format cannot have."""
    if isinstance(form, Ndjson | Json):
        return b"[" if isinstance(form, Json) else b""
    mark = "\ufeff" if form.bom else ""
    names = form.special[0].join(_heading(name, form) for name in columns) + form.eol if form.header else ""
    try:
        return (mark + names).encode(form.encoding)
    except UnicodeEncodeError:
        message = f"a column name cannot be written in {form.encoding}; rename it with `to:`, or say `header: false`"
        raise DeclarationError(message) from None


def footer(form: Delimited | Objects) -> bytes:
    """The bytes after the last line of every part."""
    return b"\n]\n" if isinstance(form, Json) else b""


@dataclass(frozen=True)
class _Cell:
    """One column of a delimited line."""

    name: str
    kind: str
    form: Delimited
    table: Spelling
    only: bool

    @property
    def column(self) -> str:
        return quoted(self.name)

    @property
    def text(self) -> str:
        """The value's text, an apostrophe before it where a spreadsheet would compute it."""
        text = text_value(self.kind, self.column, self.table)
        if (
            not self.form.safe
            or nested(self.kind)
            or self.kind == "JSON"
            or (spelled(self.kind) and self.kind != "BLOB")
        ):
            return text
        return f"CASE WHEN left({text}, 1) IN ({_characters(FORMULA)}) THEN '''' || {text} ELSE {text} END"

    @property
    def plain(self) -> bool:
        """Whether no value of the type can be mistaken for anything, however the line is made."""
        mistaken = {*self.form.special, self.form.escape} & alphabet(self.form)
        null = self.form.null and set(self.form.null) <= alphabet(self.form)
        return spelled(self.kind) and self.kind != "BLOB" and not mistaken and not null

    def sql(self) -> str:
        if self.form.quoting == "none":
            return self._bare()
        always = self.form.quoting in {"all", "non_null"} or (
            self.form.quoting == "non_numeric" and not numeric(self.kind)
        )
        null = self._null()
        if always:
            return f"CASE WHEN {self.column} IS NULL THEN {null} {self._clash()}ELSE {self._wrapped()} END"
        if self.plain:
            return f"coalesce({self.text}, {null})"
        cases = f"WHEN {self.column} IS NULL THEN {null} WHEN {self._needs()} THEN {self._wrapped()}"
        return f"CASE {cases} ELSE {self.text} END"

    def _null(self) -> str:
        enclosed = self.form.quoting == "all" or (self.only and not self.form.null)
        return literal(self.form.special[1] + self.form.null + self.form.special[1] if enclosed else self.form.null)

    def _needs(self) -> str:
        """When a value is enclosed, where that is for the value to say."""
        marks = "".join(dict.fromkeys([*self.form.special, "\n", "\r", self.form.escape or ""]))
        empty = [] if nested(self.kind) else [f"{self.text} = ''"]  # JSON is never empty
        null = [f"{self.text} = {literal(self.form.null)}"] if self.form.null else []
        return " OR ".join([*empty, *null, *(f"contains({self.text}, {_character(each)})" for each in marks)])

    def _wrapped(self) -> str:
        mark = literal(self.form.special[1])
        return f"{mark} || {self.text if self.plain else self._escaped()} || {mark}"

    def _escaped(self) -> str:
        enclosure = self.form.special[1]
        if self.form.doubles:
            return f"replace({self.text}, {literal(enclosure)}, {literal(enclosure * 2)})"
        return _escaping(self.text, self.form.escape or "", enclosure)

    def _clash(self) -> str:
        """A text that would be read as the declared `null`, where both are enclosed."""
        if self.form.quoting != "all" or not self.form.null or self.plain:
            return ""
        return f"WHEN {self._escaped()} = {literal(self.form.null)} THEN {self._refused('is the text of `null`')} "

    def _bare(self) -> str:
        """Never enclosed: escaped where there is an escape, else what would break the line is refused."""
        null, marks = self.form.null, [*self.form.special, "\n", "\r"]
        text = (
            self.text
            if self.plain
            else _escaping(self.text, self.form.escape, *marks)
            if self.form.escape
            else self.text
        )
        nothing = self._refused("is NULL or empty, and an empty line would be lost") if self.only else literal(null)
        cases = [f"WHEN {self.column} IS NULL THEN {literal(null) if null else nothing}"]
        if not self.plain:
            cases += [f"WHEN {text} = {literal(null)} THEN {self._refused('is the text of `null`')}"] * bool(null)
            cases += [f"WHEN {text} = '' THEN {nothing}"] * self.only
        if not self.plain and not self.form.escape:
            breaks = " OR ".join(f"contains({text}, {_character(each)})" for each in (self.form.special[0], "\n", "\r"))
            cases.append(f"WHEN {breaks} THEN {self._refused('holds the delimiter or a line break')}")
        return f"CASE {' '.join(cases)} ELSE {text} END"

    def _refused(self, what: str) -> str:
        message = f"a value of column {self.name!r} {what}; say another `quoting:` or `null:`, or `escape:`"
        return f"error({literal(message)})"


def _escaping(text: str, escape: str, *marks: str) -> str:
    for mark in dict.fromkeys([escape, *marks]):  # the escape itself first: it stands before the others
        text = f"replace({text}, {_character(mark)}, {literal(escape)} || {_character(mark)})"
    return text


def _characters(text: str) -> str:
    return ", ".join(map(_character, text))


def _character(each: str) -> str:
    return f"chr({ord(each)})" if each in "\t\r\n" else literal(each)


def _heading(name: str, form: Delimited) -> str:
    """A column's name as a cell. Raises DeclarationError where it would have to be enclosed and must not be."""
    delimiter, enclosure = form.special
    text = f"'{name}" if form.safe and name[:1] and name[0] in FORMULA else name
    breaks = set(text) & {delimiter, enclosure, "\n", "\r", form.escape}
    if form.quoting == "none":
        if breaks - {enclosure}:
            message = (
                f"column name {name!r} holds what separates names; rename it with `to:`, or say another `quoting:`"
            )
            raise DeclarationError(message)
        return text
    if name and form.quoting == "minimal" and not breaks:
        return text
    inside = (form.escape or enclosure) + enclosure
    if not form.doubles and form.escape:
        text = text.replace(form.escape, form.escape * 2)
    return enclosure + text.replace(enclosure, inside) + enclosure
