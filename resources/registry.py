"""Which connectors there are: every module in databases/, stores/ and apis/ that declares a `type`. There is no list
to edit.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache, reduce
from operator import or_
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, Field

from resources.connector import Connector
from resources.secrets import reveal
from spec.document import Document
from spec.errors import DeclarationError
from spec.reading import validate
from spec.secrets import FromEnv, FromFile, Secret

ROOMS = ("databases", "stores", "apis")


@cache
def types() -> dict[str, type[Connector]]:
    """Connector classes by their `type`."""
    found: dict[str, type[Connector]] = {}
    for room in ROOMS:
        folder = Path(__file__).parent / room
        for module in pkgutil.iter_modules([str(folder)]):
            for value in vars(importlib.import_module(f"resources.{room}.{module.name}")).values():
                if isinstance(value, type) and issubclass(value, Connector) and value.model_fields["type"].default:
                    found[value.model_fields["type"].default] = value
    return dict(sorted(found.items()))


def union() -> Any:
    """The discriminated union of all connectors, on `type`."""
    return Annotated[reduce(or_, types().values()), Field(discriminator="type")]


class Connectors:
    """The connections that connectors.yaml declares, each made when it is first asked for."""

    def __init__(self, documents: list[Document], folder: Path) -> None:
        """`documents`: later ones overlay earlier ones, by connector name; relative paths start at `folder`."""
        self._places = ", ".join(document.name for document in documents) or "connectors.yaml"
        self._declared = {name: (document, data) for document in documents for name, data in document.data.items()}
        self._folder = folder
        self._made: dict[str, Connector] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._declared

    @property
    def names(self) -> list[str]:
        """All declared names."""
        return sorted(self._declared)

    def where(self, name: str) -> str:
        """`file:line` of a connector."""
        return self._declared[name][0].where((name,))

    def kind(self, name: str) -> str:
        """The declared `type` of a connector, without making it."""
        data = self._declared[name][1]
        return str(data.get("type", "?")) if isinstance(data, dict) else "?"

    def get(self, name: str) -> Connector:
        """The connector of that name. Raises DeclarationError with file and line."""
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name: str) -> Connector:
        if name not in self._declared:
            raise DeclarationError(
                f"{self._places}: there is no connector {name!r}; declared are: {', '.join(self.names) or 'none'}; "
                "what was delivered to it can only be reached when it is declared again"
            )
        document, data = self._declared[name]
        kind = data.get("type") if isinstance(data, dict) else None
        if kind not in types():
            allowed = ", ".join(types())
            raise DeclarationError(
                f"{document.where((name, 'type'))}: connector {name!r} has type {kind!r}; allowed: {allowed}"
            )
        model = types()[kind]
        try:
            plain = {key: self._plain(value, key, model) for key, value in data.items()}
            return validate(model, document, plain, (name,))
        except DeclarationError as error:
            where = "" if error.problems[0].startswith(document.name) else f"{self.where(name)}: connector {name!r}: "
            raise DeclarationError(*(f"{where}{problem}" for problem in error.problems)) from None

    def _plain(self, value: Any, key: str, model: type[BaseModel]) -> Any:
        field = model.model_fields.get(key)
        if field and FromEnv in _members(field.annotation):
            if isinstance(value, dict) and set(value) == {"file"}:
                return {"file": str(self._folder / str(value["file"]))}
            if not isinstance(value, dict):
                said = f"`{key}` is a secret and never written down; say {{env: NAME}} or {{file: PATH}}"
                raise DeclarationError(said)
            return value
        if field and key == "path" and isinstance(value, str):
            return str(self._folder / value)
        return _referred(value) if isinstance(value, dict) and set(value) in ({"env"}, {"file"}) else value


def _members(annotation: Any) -> set[Any]:
    return {annotation} | {inner for each in get_args(annotation) for inner in _members(each)}


def _referred(value: dict[str, str]) -> str | int | bool:
    """A setting that is not secret but was given by reference: numbers and booleans are read as such."""
    secret: Secret = FromEnv(env=value["env"]) if "env" in value else FromFile(file=value["file"])
    text = reveal(secret)
    return int(text) if text.isdecimal() else {"true": True, "false": False}.get(text, text)
