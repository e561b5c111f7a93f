"""A project: the folder of declarations with its connectors, defaults and environment, read and checked as a whole.

This is the only place that walks the folder. Opening the ledger and the spool is home.py's work.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from assets.plan import Plan, grid_of
from assets.relation import parse_select, relate, sql_text
from resources.databases.base import Database
from resources.pgp import Recipient, recipient
from resources.registry import Connectors
from resources.secrets import reveal
from resources.stores.base import Store
from spec.base import Model, Zone
from spec.document import Document, read
from spec.errors import DeclarationError, OutgateError
from spec.export import Owner, SqlTransform
from spec.partitions import Chunk
from spec.personal import Keyed
from spec.profiles import Profile
from spec.reading import Declared, read_export, validate
from spec.secrets import FromEnv, FromFile
from spec.source import SqlFile

CONNECTORS, DEFAULTS = "connectors", "defaults"


class PartitionDefaults(Model):
    """What `partitions:` of every export begins with."""

    timezone: Zone = "UTC"
    chunk: Chunk = 60


class ScheduleDefaults(Model):
    """What `schedule:` of every export that has one begins with."""

    timezone: Zone = "UTC"


class Defaults(Model):
    """defaults.yaml: what all exports of a folder share."""

    owner: Owner | None = None
    profile: Profile | None = None
    active: bool = False
    partitions: PartitionDefaults = PartitionDefaults()
    schedule: ScheduleDefaults = ScheduleDefaults()


@dataclass
class Project:
    """The declarations directly in `folder`; relative paths in connectors.yaml start at `root`."""

    folder: Path
    environment: str = ""
    problems: list[str] = field(default_factory=list)

    @classmethod
    def find(cls) -> Project:
        """The project that the environment names: OUTGATE_PIPELINES, else `pipelines/` in the current folder."""
        folder = Path(os.environ.get("OUTGATE_PIPELINES") or "pipelines")
        return cls(folder.absolute(), os.environ.get("OUTGATE_ENV", ""))

    @property
    def root(self) -> Path:
        """The folder above `pipelines/`, or a recipe's own folder."""
        return self.folder.parent if self.folder.name == "pipelines" else self.folder

    @cached_property
    def connectors(self) -> Connectors:
        """The connections of connectors.yaml, overlaid with those of the environment."""
        names = [CONNECTORS, *([f"{CONNECTORS}.{self.environment}"] if self.environment else [])]
        documents = [self._document(self.folder / f"{name}.yaml") for name in names]
        return Connectors([document for document in documents if document], self.root)

    @cached_property
    def exports(self) -> dict[str, Declared]:
        """The exports that could be read, by name; what is wrong with the others is in `problems`."""
        found: dict[str, Declared] = {}
        if not self.folder.is_dir():
            self.problems.append(
                f"{self._short(self.folder)}: there is no such folder; "
                "go to the project's folder, or make one with `outgate init`"
            )
        for path in sorted(self.folder.glob("*.yaml")):
            if path.name.split(".")[0] not in {CONNECTORS, DEFAULTS}:
                self._collect(path, found)
        self.problems[:] = dict.fromkeys([*self.problems, *_collisions(found.values())])  # defaults.yaml is everybody's
        return found

    def _collect(self, path: Path, found: dict[str, Declared]) -> None:
        try:
            declared = read_export(self._with_defaults(self._require(path)))
            self._check_references(declared)
        except DeclarationError as error:
            self.problems += error.problems
            return
        name = declared.export.export
        if name in found:
            self.problems.append(
                f"{declared.where('export')}: {name!r} is declared in {found[name].where('export')} too"
            )
        found[name] = declared

    def get(self, name: str) -> Declared:
        """The export of that name. Raises DeclarationError with what is wrong with it, or saying which there are."""
        declared = self.exports.get(name)
        missing = {f"{name}.yaml", *(self._short(self.folder / f"{each}.yaml") for each in (name, DEFAULTS))}
        files = {declared.document.name} if declared else missing
        said = [problem for problem in self.problems if problem.split(":")[0] in files]
        if declared and not said:
            return declared
        known = ", ".join(self.exports) or "none"
        raise DeclarationError(*(said or [f"there is no export {name!r}; declared are: {known}"]))

    def _with_defaults(self, document: Document) -> Document:
        data = dict(document.data)
        shared = self._defaults
        if shared is None:
            return document
        validate(Defaults, shared)
        for key, value in shared.data.items():
            if key == "schedule" and key not in data:
                continue
            data[key] = (
                value | data[key]
                if isinstance(value, dict) and isinstance(data.get(key), dict)
                else data.get(key, value)
            )
        return Document(document.name, data, document.lines)

    @cached_property
    def _defaults(self) -> Document | None:
        return self._document(self.folder / f"{DEFAULTS}.yaml")

    def _check_references(self, declared: Declared) -> None:
        export = declared.export
        names: list[tuple[str, tuple[str | int, ...], type[Any]]] = [
            (export.source.connector, ("source", "connector"), Database)
        ]
        names += [(each.to, ("deliver", number, "to"), Store) for number, each in enumerate(export.deliver)]
        for name, path, kind in names:
            self._check_connector(name, declared.where(*path), kind)
        for name, path in self._sql_files(declared):
            sql_text(self.folder, name, declared.where(*path))
        if isinstance(export.transform, SqlTransform):
            self.transform_sql(declared)
        grid_of(export)

    def _check_connector(self, name: str, place: str, kind: type[Database | Store]) -> None:
        from resources.registry import types

        if name not in self.connectors:
            raise DeclarationError(
                f"{place}: there is no connector {name!r}; declared are: {', '.join(self.connectors.names) or 'none'}"
            )
        model = types().get(self.connectors.kind(name))
        if model is not None and not issubclass(model, kind):
            what = "rows can be read from" if kind is Database else "files can be delivered to"
            raise DeclarationError(f"{place}: connector {name!r} ({self.connectors.kind(name)}) is not one that {what}")

    def _sql_files(self, declared: Declared) -> Iterable[tuple[str, tuple[str, ...]]]:
        source, transform = declared.export.source, declared.export.transform
        if isinstance(source.sql, SqlFile):
            yield source.sql.file, ("source", "sql")
        if isinstance(transform, SqlTransform) and isinstance(transform.sql, SqlFile):
            yield transform.sql.file, ("transform", "sql")

    def transform_sql(self, declared: Declared) -> str:
        """The declared DuckDB query over `extract`, parsed and rendered anew; "" when there is none."""
        transform = declared.export.transform
        if not isinstance(transform, SqlTransform):
            return ""
        place = declared.where("transform", "sql")
        text = sql_text(self.folder, transform.sql.file, place) if isinstance(transform.sql, SqlFile) else transform.sql
        return parse_select(text, "duckdb", place).sql(dialect="duckdb", comments=False)

    def planner(self, declared: Declared) -> Callable[[], Plan]:
        """What makes the plan of an export when it is needed: this is where the source is first spoken to."""

        def make() -> Plan:
            from assets.transform import rehearse

            export = declared.export
            database = self.connectors.get(export.source.connector)
            if not isinstance(database, Database):
                raise DeclarationError(f"{declared.where('source', 'connector')}: {database.type} is no database")
            texts = {
                name: sql_text(self.folder, name, declared.where(*path)) for name, path in self._sql_files(declared)
            }
            relation = relate(declared, database, texts)
            plan = Plan(
                declared, database, relation, grid_of(export), self.transform_sql(declared), folder=str(self.folder),
                keys=self.keys(declared), recipients=self.recipients(declared),
            )  # fmt: skip
            rehearse(plan)
            return plan

        return make

    def keys(self, declared: Declared) -> dict[str, bytes]:
        """The keys that fields are hashed with, by the field's name. Raises DeclarationError for a missing one."""
        found = {}
        for number, one in enumerate(declared.export.listed):
            if isinstance(one.pii, Keyed):
                key = one.pii.hash
                try:
                    secret = FromFile(file=str(self.root / key.file)) if isinstance(key, FromFile) else key
                    found[one.name] = reveal(secret).encode()
                except DeclarationError as error:
                    raise DeclarationError(f"{declared.where('fields', number, 'pii')}: {error}") from None
        return found

    def recipients(self, declared: Declared) -> dict[str, tuple[Recipient, ...]]:
        """Those whom files are encrypted for, by the delivery's label. Raises DeclarationError for unusable keys."""
        found: dict[str, tuple[Recipient, ...]] = {}
        problems = []
        for number, delivery in enumerate(declared.export.deliver):
            for place, key in enumerate(delivery.encrypt.pgp if delivery.encrypt else ()):
                try:
                    found[delivery.label] = (*found.get(delivery.label, ()), recipient(key, self.root))
                except DeclarationError as error:
                    problems.append(f"{declared.where('deliver', number, 'encrypt', 'pgp', place)}: {error}")
        if problems:
            raise DeclarationError(*problems)
        return found

    def check_connectors(self) -> list[str]:
        """Make every declared connector, so that missing secrets and wrong settings are seen; nothing is connected."""
        problems: list[str] = []
        for name in self.connectors.names:
            try:
                _reveal_all(self.connectors.get(name))
            except OutgateError as error:
                text = str(error)
                problems.append(
                    text if ".yaml:" in text else f"{self.connectors.where(name)}: connector {name!r}: {text}"
                )
        return problems

    def _document(self, path: Path) -> Document | None:
        return self._require(path) if path.is_file() else None

    def _require(self, path: Path) -> Document:
        name = self._short(path)
        try:
            return read(path.read_text(encoding="utf-8"), name)
        except UnicodeDecodeError:
            raise DeclarationError(f"{name}:1: the file is not UTF-8 text") from None
        except OSError as error:
            raise DeclarationError(f"{name}:1: the file cannot be read: {error.strerror}") from None

    def _short(self, path: Path) -> str:
        try:
            return path.relative_to(Path.cwd()).as_posix()
        except ValueError:
            return str(path)


def _reveal_all(connector: Any) -> None:
    for name in type(connector).model_fields:
        if isinstance(value := getattr(connector, name), FromEnv | FromFile):
            reveal(value)


def _collisions(exports: Iterable[Declared]) -> list[str]:
    """Two deliveries that would write the same names."""
    seen: dict[tuple[str, str], str] = {}
    problems = []
    for declared in exports:
        for number, delivery in enumerate(declared.export.deliver):
            path = delivery.path.replace("{export}", declared.export.export).strip("/")
            place = declared.where("deliver", number, "path")
            if other := seen.get((delivery.to, path)):
                said = f"to the same path of {delivery.to!r}; give one of them another path"
                problems += [f"{place}: {other} delivers {said}", f"{other}: {place} delivers {said}"]
            seen[delivery.to, path] = place
    return problems
