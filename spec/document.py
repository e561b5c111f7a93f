"""The strict YAML reader: text in, plain data with the line of every value out, or an error that says where.

Refused: duplicate keys, aliases and anchors, tags, several documents, files over 1 MB, nesting over 40 levels. Only
what the YAML 1.2 core schema calls null, true, false, a whole number or a decimal is one; `NO`, `12:30` and dates
stay text, and so does a number of more digits than a float or 64 bits carry. What the data means is not decided here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml

from spec.errors import DeclarationError

LIMIT = 1_000_000
DEPTH = 40
Path = tuple[str | int, ...]
_HALF = re.compile("[\ud800-\udfff]")
"""A surrogate alone, which an escape can write down and no file can hold."""


def _decimal(text: str) -> float | str:
    """A float only where it is the very number that was written."""
    found = float(text)
    return found if math.isfinite(found) and Decimal(repr(found)) == Decimal(text) else text


_SCALARS = (
    (re.compile(r"~|null|Null|NULL|"), lambda _: None),
    (re.compile(r"true|True|TRUE"), lambda _: True),
    (re.compile(r"false|False|FALSE"), lambda _: False),
    (re.compile(r"[-+]?(0|[1-9][0-9]{0,18})"), int),
    (re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]{1,3})?"), _decimal),
)


@dataclass(frozen=True)
class Document:
    """One file's data and where each part of it stands."""

    name: str
    data: dict[str, Any]
    lines: Mapping[Path, int] = field(default_factory=dict)

    def where(self, path: Path = ()) -> str:
        """`file:line` of a value, or of the nearest thing around it that was written down."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.name}:{self.lines.get(path, 1)}"


def read(text: str, name: str) -> Document:
    """Read one YAML mapping. Raises DeclarationError with file and line."""
    if len(text.encode()) > LIMIT:
        raise DeclarationError(f"{name}:1: the file is larger than 1 MB, which no declaration needs")
    try:
        _refuse_extras(text, name)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise DeclarationError(_syntax(error, name)) from None
    lines: dict[Path, int] = {}
    data = {} if node is None else _value(node, (), lines, name)
    if not isinstance(data, dict):
        raise DeclarationError(f"{name}:1: expected `key: value` lines, found {type(data).__name__} {data!r:.60}")
    return Document(name, data, lines)


def _refuse_extras(text: str, name: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH:
            raise DeclarationError(f"{name}:{_line(event.start_mark)}: nested deeper than {DEPTH} levels")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise DeclarationError(
                f"{name}:{_line(event.start_mark)}: aliases and anchors (& and *) are not read; "
                "write the value out, or share it in defaults.yaml"
            )
        if isinstance(event, yaml.ScalarEvent) and _HALF.search(event.value):
            where = f"{name}:{_line(event.start_mark)}"
            raise DeclarationError(f"{where}: half of a character; write it whole, and not as \\ud8.. or \\udc..")
        if tag := getattr(event, "tag", None):
            raise DeclarationError(f"{name}:{_line(event.start_mark)}: tags such as {tag!r} are not read")


def _line(mark: Any) -> int:
    return mark.line + 1 if mark else 1


def _syntax(error: Exception, name: str) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "the text cannot be read as YAML (nested too deeply?)"
    hint = "; tabs do not indent in YAML, use spaces" if "\\t" in problem else ""
    return f"{name}:{_line(mark)}: not valid YAML: {problem}{hint}"


def _value(node: yaml.Node, path: Path, lines: dict[Path, int], name: str) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines, name)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, number), lines, name) for number, item in enumerate(node.value)]
    return _scalar(node)


def _mapping(node: yaml.MappingNode, path: Path, lines: dict[Path, int], name: str) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key in data:
            first = lines[(*path, key)]
            raise DeclarationError(f"{name}:{line}: `{key}` is written twice (first in line {first}); keep one of them")
        lines[(*path, key)] = line
        data[key] = _value(value_node, (*path, key), lines, name)
    return data


def _scalar(node: yaml.Node) -> Any:
    text = node.value
    if getattr(node, "style", None):  # quoted or block text is text
        return text
    for pattern, convert in _SCALARS:
        if pattern.fullmatch(text):
            return convert(text)
    return text
