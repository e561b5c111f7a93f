"""The declaration of one export, and the rules that hold between its parts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Setting
from pydantic import model_validator

from spec.base import Identifier, Misplaced, Model, Name, like
from spec.changes import Changes
from spec.delivery import Delivery
from spec.fields import Field, together
from spec.filters import Filters
from spec.formats import ARCHIVES
from spec.partitions import Partitions, Schedule
from spec.profiles import DATED, Profile
from spec.source import Source, SqlFile
from spec.template import WINDOW, tells_windows_apart, variables

Owner = Annotated[str, like(r"^[^@\s]+@[^@\s]+$|^team:\S+$", "crm@example.com, or team:crm")]


class SqlTransform(Model):
    """A DuckDB SELECT over the table `extract`."""

    sql: SqlFile | str


class PolarsTransform(Model):
    """A Python function from LazyFrame to LazyFrame, named `module:function`."""

    polars: Annotated[str, like(r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", "transforms.sales:clean, a module and its function")]


class Export(Model):
    """One export: one source, one shape, one or more deliveries."""

    export: Name
    description: str = ""
    owner: Owner | None = None
    profile: Profile | None = None
    source: Source
    partitions: Partitions
    mode: Literal["incremental", "snapshot", "changes"] = "incremental"
    changes: Changes | None = None
    transform: SqlTransform | PolarsTransform | None = None
    filters: Filters | None = None
    fields: Literal["all"] | Annotated[list[Field], Setting(min_length=1)] = "all"
    unique: Annotated[list[Identifier], Setting(min_length=1)] | None = Setting(
        default=None, description="the columns, as they leave, that no two rows of a window have alike"
    )
    deliver: Annotated[list[Delivery], Setting(min_length=1)]
    schedule: Schedule | None = None
    active: bool = False

    @property
    def whole(self) -> bool:
        """Whether every window reads all rows of the source, as they are now."""
        return self.mode != "incremental"

    @property
    def listed(self) -> list[Field]:
        """The fields that were listed; empty for `all`."""
        return [] if self.fields == "all" else list(self.fields)

    @property
    def aggregated(self) -> bool:
        """Whether rows are grouped."""
        return any(field.aggregate for field in self.listed)

    @property
    def personal(self) -> list[str]:
        """The source columns whose values are in no text for people: those of tagged fields, and of telling names."""
        return list(dict.fromkeys(name for field in self.listed if field.personal for name in field.sources))

    @property
    def checks_rows(self) -> bool:
        """Whether rows are looked at before they leave."""
        return self.unique is not None or self.profile in DATED

    @model_validator(mode="after")
    def _rules(self) -> Export:
        for rule in RULES:
            rule(self)
        return self


def _needs_cursor(export: Export) -> None:
    if export.mode == "incremental" and export.source.cursor is None:
        message = "`mode: incremental` needs `source.cursor:`; without one say `mode: snapshot` or `mode: changes`"
        raise Misplaced(message, "source")


def _packs_need_a_key(export: Export) -> None:
    source, cursor = export.source, export.source.cursor
    if source.batch_rows is None:
        return
    if cursor is None or (cursor.by == "time" and cursor.key is None):
        message = "needs `cursor:` with a `key:`: a pack begins after the cursor and key of the one before"
        raise Misplaced(message, "source", "batch_rows")
    if cursor.nulls == "include":
        message = "cannot go on after a row without a cursor; say `nulls: error` or `nulls: exclude`"
        raise Misplaced(message, "source", "batch_rows")


def _carry_needs_a_key(export: Export) -> None:
    cursor = export.source.cursor
    if cursor is None or cursor.late != "carry":
        return
    if export.mode != "incremental":
        message = "`late: carry` is for `mode: incremental`: the other modes read all rows, so none comes late"
        raise Misplaced(message, "source", "cursor", "late")
    if cursor.by == "time" and cursor.key is None:
        message = "`late: carry` needs a `key:` in `cursor:`: without it nobody can tell which rows came late"
        raise Misplaced(message, "source", "cursor", "late")


def _aggregate_of_snapshot(export: Export) -> None:
    if export.aggregated and not export.whole:
        message = "aggregates need `mode: snapshot` or `changes`: else a row that changes is counted in two windows"
        raise Misplaced(message, "fields")


def _changes_have_a_key(export: Export) -> None:
    if (export.mode == "changes") != (export.changes is not None):
        message = "`mode: changes` and `changes:` belong together, as in `changes: {key: [customer_id]}`"
        raise Misplaced(message, "changes" if export.changes else "mode")
    if export.changes is None or not export.listed:
        return
    names = {field.name: field for field in export.listed if field.leaves}
    for number, name in enumerate(export.changes.key):
        if name not in names or names[name].pii == "mask":
            message = f"{name!r} is no field whose values leave; the key is of fields as they leave: {', '.join(names)}"
            raise Misplaced(message, "changes", "key", number)
    if export.changes.column.casefold() in map(str.casefold, names):
        message = f"a field is called {export.changes.column!r} already; say another `column:` for what became of a row"
        raise Misplaced(message, "changes")


def _operations_are_of_changes(export: Export) -> None:
    for number, delivery in enumerate(export.deliver):
        if "operation" in variables(delivery.path) and export.mode != "changes":
            message = "{operation} (added, changed, removed) is for `mode: changes`"
            raise Misplaced(message, "deliver", number, "path")


def _distinct_deliveries(export: Export) -> None:
    labels = [delivery.label for delivery in export.deliver]
    for number, delivery in enumerate(export.deliver):
        if delivery.label in labels[:number]:
            message = f"two deliveries are called {delivery.label!r}; give each a `name:`"
            raise Misplaced(message, "deliver", number, "name" if delivery.name else "to")


def _paths_tell_windows_apart(export: Export) -> None:
    for number, delivery in enumerate(export.deliver):
        used, place = variables(delivery.path), ("deliver", number, "path")
        if export.mode != "snapshot" and not used & WINDOW:
            message = f"the path of delivery {delivery.label!r} is the same for every window; use {{partition}} in it"
            raise Misplaced(message, *place)
        if (splits := delivery.format.splits) and "part" not in used:
            message = f"`{splits}` makes several files; use {{part}} in the path of delivery {delivery.label!r}"
            raise Misplaced(message, *place)
        if export.mode != "snapshot" and not tells_windows_apart(delivery.path, export.partitions.cadence):
            message = f"the path of delivery {delivery.label!r} repeats itself; use {{partition}} or {{datetime}} in it"
            raise Misplaced(message, *place)


def _archives_are_named_before_the_last_part(export: Export) -> None:
    for number, delivery in enumerate(export.deliver):
        if delivery.format.compression in ARCHIVES and "parts" in variables(delivery.path.rpartition("/")[2]):
            message = "an archive has its name inside, before the number of parts is known; use {part} without {parts}"
            raise Misplaced(message, "deliver", number, "path")


def _unique_by_what_leaves(export: Export) -> None:
    names = [field.name for field in export.listed if field.leaves]
    for number, name in enumerate(export.unique or () if names else ()):
        if name not in names:
            message = f"no field leaves as {name!r}; these do: {', '.join(names)}"
            raise Misplaced(message, "unique", number)


def _fields_together(export: Export) -> None:
    try:
        together(export.listed)
    except ValueError as error:
        raise Misplaced(str(error), "fields") from None


RULES = (
    _needs_cursor, _packs_need_a_key, _carry_needs_a_key, _aggregate_of_snapshot, _changes_have_a_key,
    _operations_are_of_changes, _distinct_deliveries, _paths_tell_windows_apart,
    _archives_are_named_before_the_last_part, _fields_together, _unique_by_what_leaves,
)  # fmt: skip
