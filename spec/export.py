"""The declaration of one export, and the rules that hold between its parts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Setting
from pydantic import model_validator

from spec.base import Model, Name
from spec.delivery import Delivery
from spec.fields import Field, Fields
from spec.filters import Filters
from spec.partitions import Partitions, Schedule
from spec.source import Source, SqlFile
from spec.template import WINDOW, variables


class SqlTransform(Model):
    """A DuckDB SELECT over the table `extract`."""

    sql: SqlFile | str


class PolarsTransform(Model):
    """A Python function from LazyFrame to LazyFrame, named `module:function`."""

    polars: Annotated[str, Setting(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]


class Export(Model):
    """One export: one source, one shape, one or more deliveries."""

    export: Name
    description: str = ""
    owner: Annotated[str, Setting(pattern=r"^[^@\s]+@[^@\s]+$|^team:\S+$")] | None = None
    source: Source
    partitions: Partitions
    mode: Literal["incremental", "snapshot"] = "incremental"
    transform: SqlTransform | PolarsTransform | None = None
    filters: Filters | None = None
    fields: Literal["all"] | Annotated[list[Field], Setting(min_length=1)] = "all"
    deliver: Annotated[list[Delivery], Setting(min_length=1)]
    schedule: Schedule | None = None
    active: bool = False

    @property
    def listed(self) -> list[Field]:
        """The fields that were listed; empty for `all`."""
        return [] if self.fields == "all" else list(self.fields)

    @property
    def aggregated(self) -> bool:
        """Whether rows are grouped."""
        return any(field.aggregate for field in self.listed)

    @model_validator(mode="after")
    def _rules(self) -> Export:
        for rule in RULES:
            if problem := rule(self):
                raise ValueError(problem)
        if self.listed:
            Fields(items=self.listed)
        return self


def _needs_cursor(export: Export) -> str:
    if export.mode == "incremental" and export.source.cursor is None:
        return "`mode: incremental` needs `source.cursor:`; without a cursor only `mode: snapshot` can be exact"
    return ""


def _packs_need_a_key(export: Export) -> str:
    source, cursor = export.source, export.source.cursor
    if source.batch_rows is None:
        return ""
    if cursor is None or (cursor.by == "time" and cursor.key is None):
        return "`batch_rows` needs `cursor:` with a `key:`: a pack begins after the cursor and key of the one before"
    if cursor.nulls == "include":
        return "`batch_rows` cannot go on after a row without a cursor; say `nulls: error` or `nulls: exclude`"
    return ""


def _aggregate_of_snapshot(export: Export) -> str:
    if export.aggregated and export.mode != "snapshot":
        return "aggregates need `mode: snapshot`: a row whose cursor moves would be counted in two windows"
    return ""


def _distinct_deliveries(export: Export) -> str:
    labels = [delivery.label for delivery in export.deliver]
    twice = [label for label in labels if labels.count(label) > 1]
    return f"two deliveries are called {twice[0]!r}; give each a `name:`" if twice else ""


def _paths_tell_windows_apart(export: Export) -> str:
    for delivery in export.deliver:
        used = variables(delivery.path)
        if export.mode == "incremental" and not used & WINDOW:
            return f"the path of delivery {delivery.label!r} is the same for every window; use {{partition}} in it"
        if delivery.format.part_size and "part" not in used:
            return f"`part_size` makes several files; use {{part}} in the path of delivery {delivery.label!r}"
    return ""


def _coarse_variables(export: Export) -> str:
    daily = export.partitions.cadence in {"day", "week", "month"}
    for delivery in export.deliver if export.mode == "incremental" else []:
        used = variables(delivery.path) & WINDOW
        if used == {"time"} or (used == {"date"} and not daily):
            return f"the path of delivery {delivery.label!r} repeats itself; use {{partition}} or {{datetime}} in it"
    return ""


RULES = (
    _needs_cursor, _packs_need_a_key, _aggregate_of_snapshot, _distinct_deliveries, _paths_tell_windows_apart,
    _coarse_variables,
)  # fmt: skip
