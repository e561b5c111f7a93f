"""From text to a checked model: pydantic's errors become one sentence each, with file, line, what was found and what
is allowed.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from spec import later, profiles
from spec.base import LOOKS, Misplaced
from spec.document import Document, Path
from spec.errors import DeclarationError
from spec.export import Export

M = TypeVar("M", bound=BaseModel)

_SAID = {
    "missing": "is missing",
    "bool_type": "must be true or false",
    "string_type": "must be text, in quotes",
    "int_type": "must be a whole number",
    "string_pattern_mismatch": "must look like {pattern}",
    "list_type": "must be a list",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
    "union_tag_not_found": "needs a `{discriminator}:`",
    "union_tag_invalid": "cannot have `{discriminator}: {tag}`; allowed: {expected_tags}",
}

_SAYS_ALL = {"missing", "value_error", "union_tag_invalid"}


@dataclass(frozen=True)
class Declared:
    """An export as it was read: the model, and the document that tells where each part of it stands."""

    export: Export
    document: Document

    def where(self, *path: str | int) -> str:
        """`file:line` of a part of the declaration."""
        return self.document.where(path)


def read_export(document: Document) -> Declared:
    """Check a document as an export. Raises DeclarationError with every problem found."""
    if waiting := [f"{document.where(path)}: {words}" for path, words in later.find(document.data)]:
        raise DeclarationError(*waiting)
    export = validate(Export, document, profiles.filled(document.data))
    if broken := [f"{document.where(path)}: {sentence}" for path, sentence in profiles.broken(export)]:
        raise DeclarationError(*broken)
    return Declared(export, document)


def validate(model: type[M], document: Document, data: Any = None, at: Path = ()) -> M:
    """Check plain data against a model, by JSON's rules (lists and dates are what they are in JSON)."""
    try:
        return model.model_validate_json(json.dumps(document.data if data is None else data))
    except ValidationError as error:
        found = [(_plain(item, document.data, at), item) for item in error.errors(include_url=False)]
        kept: dict[Path, list[ErrorDetails]] = {}
        for path, item in found:
            if not _outdone(path, item, found):
                kept.setdefault(path, []).append(item)
        problems = (explain(items, model, document, at, path) for path, items in kept.items())
        raise DeclarationError(*dict.fromkeys(problems)) from None


def _outdone(path: Path, error: ErrorDetails, found: list[tuple[Path, ErrorDetails]]) -> bool:
    """Of a union's branches the one that got furthest is what the writer meant; the others' complaints are noise."""
    deeper = any(len(other) > len(path) and other[: len(path)] == path for other, _ in found)
    return deeper and _is_branch(error["loc"])


def _is_branch(path: tuple[int | str, ...]) -> bool:
    return any(isinstance(part, str) and (part[:1].isupper() or "[" in part) for part in path)


def explain(errors: list[ErrorDetails], model: type[BaseModel], document: Document, at: Path, inside: Path) -> str:
    """One sentence for what pydantic says of one value, once for each branch of a union, at `inside` within `at`."""
    path = (*at, *inside)
    place, key = document.where(path), ".".join(str(part) for part in path) or "the declaration"
    known = [error for error in errors if error["type"] != "extra_forbidden"]
    if not known:
        return f"{place}: unknown key `{path[-1]}`{_nearest(str(path[-1]), errors[0], model)}"
    said = ", or ".join(dict.fromkeys(_says(error) for error in known))
    found = "" if any(error["type"] in _SAYS_ALL for error in known) else _found(document.data, path)
    return f"{place}: `{key}` {said}{found}"


def _says(error: ErrorDetails) -> str:
    said = _SAID.get(error["type"], error["msg"].removeprefix("Value error, ").removeprefix("Input "))
    for name, value in (error.get("ctx") or {}).items():
        value = LOOKS.get(value, value) if name == "pattern" else value  # noqa: PLW2901
        said = said.replace(f"{{{name}}}", str(value).strip("'") if name == "discriminator" else str(value))
    return said


def _plain(error: ErrorDetails, data: Any, at: Path) -> Path:
    """The error's path without the names of union branches, which are not in the document."""
    loc = error["loc"]
    for part in at:
        data = data[part] if isinstance(data, dict) else None
    path: list[int | str] = []
    for number, part in enumerate(loc):
        inside = (isinstance(data, dict) and part in data) or (isinstance(data, list) and isinstance(part, int))
        if inside:
            data = data[part]
        elif number < len(loc) - 1 or error["type"] != "missing":
            continue
        path.append(part)
    problem = (error.get("ctx") or {}).get("error")
    return (*path, *problem.path) if isinstance(problem, Misplaced) else tuple(path)


def _nearest(key: str, error: ErrorDetails, model: type[BaseModel]) -> str:
    allowed = sorted(keys_at(model, error["loc"][:-1]))
    near = difflib.get_close_matches(key, allowed, n=1)
    hint = f"; did you mean `{near[0]}`?" if near else ""
    return f"{hint} (allowed here: {', '.join(allowed)})" if allowed else hint


def keys_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> set[str]:
    """The keys that a model allows at a place inside it, found through its JSON Schema."""
    schema = model.model_json_schema()
    node: Any = schema
    for part in loc:
        node = _step(_resolve(node, schema), part, schema)
    nodes = [_resolve(each, schema) for each in _branches(_resolve(node, schema))]
    return {key for each in nodes for key in each.get("properties", {})}


def _resolve(node: Any, schema: dict[str, Any]) -> Any:
    while isinstance(node, dict) and "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return node if isinstance(node, dict) else {}


def _branches(node: dict[str, Any]) -> list[Any]:
    return [node, *node.get("anyOf", []), *node.get("oneOf", [])]


def _step(node: dict[str, Any], part: int | str, schema: dict[str, Any]) -> Any:
    for branch in (_resolve(each, schema) for each in _branches(node)):
        if isinstance(part, int) and "items" in branch:
            return branch["items"]
        if part in branch.get("properties", {}):
            return branch["properties"][part]
        mapping = branch.get("discriminator", {}).get("mapping", {})
        if part in mapping:
            return {"$ref": mapping[part]}
    return node


def _found(data: Any, path: Path) -> str:
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return ""
    return f", found {'null' if data is None else repr(data):.80}"
