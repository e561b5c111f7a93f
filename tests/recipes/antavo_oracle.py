"""What a partner should get of the recipe `antavo`, worked out in plain Python from the declarations and made-up rows.

The YAML is read by PyYAML, and every rule of filters, fields, aggregates and spelling is said here once more. Nothing
here uses the product.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from demo.antavo.tables import TABLES, Row

RECIPE = Path(__file__).parents[2] / "pipelines" / "recipes" / "antavo"
Line = tuple[str | None, ...]
"""A delivered row: the text of each cell, None where there is nothing."""


def _moved(day: date, months: int) -> date:
    """The same day of another month, its last one where it has no such day."""
    first = date(day.year + (day.month - 1 + months) // 12, (day.month - 1 + months) % 12 + 1, 1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return min(first + timedelta(days=day.day - 1), last)


DATES: dict[str, Callable[[date], date]] = {
    "date:now": lambda end: end,
    "date:today": lambda end: end,
    "date:-14 days": lambda end: end - timedelta(days=14),
    "date:+1 month": lambda end: _moved(end, 1),
    "date:-1 year": lambda end: _moved(end, -12),
    "date:first day of last month": lambda end: _moved(end.replace(day=1), -1),
    "date:first day of next month": lambda end: _moved(end.replace(day=1), 1),
    "date:first day of january last year": lambda end: date(end.year - 1, 1, 1),
}
"""The expressions of the recipe, as days seen from the midnight at which the window ends."""
KEEP_NULL = frozenset({"not_equals", "not_in", "not_contains", "empty"})
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "equals": lambda found, value: found == value,
    "not_equals": lambda found, value: found != value,
    "in": lambda found, value: found in value,
    "not_in": lambda found, value: found not in value,
    "less_than": lambda found, value: found < value,
    "at_most": lambda found, value: found <= value,
    "more_than": lambda found, value: found > value,
    "at_least": lambda found, value: found >= value,
    "before": lambda found, value: found < value,
    "after": lambda found, value: found > value,
    "on_or_after": lambda found, value: found >= value,
    "between": lambda found, value: value[0] <= found <= value[1],
    "contains": lambda found, value: value in found,
    "not_contains": lambda found, value: value not in found,
    "contains_any": lambda found, value: any(each in found for each in value),
    "contains_all": lambda found, value: all(each in found for each in value),
    "starts_with": lambda found, value: found.startswith(value),
    "ends_with": lambda found, value: found.endswith(value),
    "empty": lambda found, _: len(found) == 0 if isinstance(found, str | list) else False,
    "not_empty": lambda found, _: len(found) > 0 if isinstance(found, str | list) else True,
    "false": lambda found, _: found is False,
}
PATTERNS = {
    "yyyy-MM-dd": "%Y-%m-%d",
    "yyyy-MM-dd HH:mm:ss": "%Y-%m-%d %H:%M:%S",
    "yyyy-MM-dd HH:mm:ss.SSS": "%Y-%m-%d %H:%M:%S.%f",
    "dd/MM/yyyy HH:mm": "%d/%m/%Y %H:%M",
    "MM/dd/yyyy hh:mm a": "%m/%d/%Y %I:%M %p",
}
COMPUTED: dict[str, Callable[[Row], Decimal]] = {
    "points_left": lambda row: (row["points"] or Decimal("0.00")) - (row["used_points"] or Decimal("0.00")),
}


def _mapping(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return found


def declared(name: str) -> dict[str, Any]:
    """An export of the recipe with what defaults.yaml gives it."""
    found, shared = (_mapping(RECIPE / f"{each}.yaml") for each in (name, "defaults"))
    return shared | found | {"partitions": shared["partitions"] | found["partitions"]}


@dataclass(frozen=True)
class Oracle:
    """An export, as PyYAML reads it, over the rows of its table."""

    export: Mapping[str, Any]

    @property
    def table(self) -> str:
        """The name of its table."""
        return str(self.export["source"]["table"])

    @property
    def zone(self) -> ZoneInfo:
        """The zone of its windows."""
        return ZoneInfo(self.export["partitions"]["timezone"])

    @property
    def format(self) -> dict[str, Any]:
        """The format of its only delivery; PyYAML takes the key `null` for a null."""
        return {key or "null": value for key, value in self.export["deliver"][0]["format"].items()}

    @property
    def sets(self) -> list[list[dict[str, Any]]]:
        """The conditions of its filters, a list a set."""
        return [each["all"] for each in self.export.get("filters", {"any": []})["any"]]

    @property
    def fields(self) -> list[dict[str, Any]]:
        """Its fields; all columns where it says so."""
        said = self.export["fields"]
        return [{"from": each.name} for each in TABLES[self.table]] if said == "all" else list(said)

    @property
    def names(self) -> list[str]:
        """The names that the columns leave with."""
        return [str(each.get("to") or each["from"]) for each in self.fields]

    def kind(self, column: str) -> str:
        """The kind of a column of its table."""
        return next(each.kind for each in TABLES[self.table] if each.name == column)

    def window(self, rows: Sequence[Row], low: date, end: date) -> list[Row]:
        """The rows from one local midnight to another by the export's cursor; all of a snapshot."""
        cursor = self.export["source"].get("cursor")
        if self.export.get("mode") == "snapshot" or cursor["by"] == "id":
            return list(rows)
        return [row for row in rows if self.at(low) <= row[cursor["column"]] < self.at(end)]

    def at(self, day: date) -> datetime:
        """The instant of a day's midnight in its zone."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def kept(self, rows: Sequence[Row], end: date, sets: list[list[dict[str, Any]]] | None = None) -> list[Row]:
        """The rows that its filters leave, or other sets; `end` is the day at whose midnight the window ends."""
        sets = self.sets if sets is None else sets
        return [
            row for row in rows if not sets or any(all(self._holds(one, row, end) for one in each) for each in sets)
        ]

    def _holds(self, one: Mapping[str, Any], row: Row, end: date) -> bool:
        found, kind = row[one["field"]], self.kind(one["field"])
        if found is None:
            return one["is"] in KEEP_NULL
        value = one.get("value")
        many = [self._value(each, kind, end) for each in value] if isinstance(value, list) else None
        return OPERATORS[one["is"]](found, self._value(value, kind, end) if many is None else many)

    def _value(self, value: Any, kind: str, end: date) -> Any:
        if isinstance(value, str) and value.startswith("date:"):
            day = DATES[value](end)
            return day if kind == "day" else self.at(day)
        return Decimal(str(value)) if kind in {"money", "whole"} and value is not None else value

    def lines(self, rows: Sequence[Row]) -> list[Line]:
        """The kept rows as they should arrive."""
        if any("aggregate" in each for each in self.fields):
            return list(self._grouped(rows))
        return [tuple(self._text(each, *self.value(each, row)) for each in self.fields) for row in rows]

    def value(self, field: Mapping[str, Any], row: Row) -> tuple[Any, str]:
        """A field's value and kind: replaced, then filled."""
        if "expression" in field:
            return COMPUTED[field["to"]](row), "money"
        value, kind = row[field["from"]], self.kind(field["from"])
        if "replace" in field:
            kind, text = "text", None if value is None else str(value)
            value = field["replace"].get(text, text)
        if "default" in field and value in {None, ""}:
            value = Decimal(field["default"]).quantize(Decimal("0.01")) if kind == "money" else field["default"]
        return value, kind

    def _grouped(self, rows: Sequence[Row]) -> Iterator[Line]:
        """One line a group; a group is what its fields have in common as they leave."""
        groups: dict[Line, list[Row]] = {}
        by = [each for each in self.fields if each["aggregate"] == "group"]
        for row in rows:
            groups.setdefault(tuple(self._text(each, *self.value(each, row)) for each in by), []).append(row)
        for key, members in groups.items():
            left = iter(key)
            yield tuple(next(left) if each in by else self._aggregate(each, members) for each in self.fields)

    def _aggregate(self, field: Mapping[str, Any], rows: list[Row]) -> str | None:
        values = [row[field["from"]] for row in rows if row[field["from"]] is not None]
        if field["aggregate"] == "count":
            return str(len(rows))
        made = AGGREGATES[field["aggregate"]](values) if values else None
        return self._text(field, made, self.kind(field["from"]))

    def _text(self, field: Mapping[str, Any], value: Any, kind: str) -> str | None:
        """What a cell has of a value."""
        if value is None:
            return None
        if "format" in field:
            text: str = value.astimezone(self.zone).strftime(PATTERNS[field["format"]])
            return text[:-3] if field["format"].endswith("SSS") else text
        if isinstance(pii := field.get("pii"), str):
            digest = hashlib.sha256(str(value).strip().lower().encode()).hexdigest()
            return {"mask": "***", "hash": digest}[pii] if value else ""
        return spelled(value, kind, self.format.get("decimal", "."))


AGGREGATES: dict[str, Callable[[list[Any]], Any]] = {
    "sum": sum,
    "average": lambda values: (sum(values) / len(values)).quantize(Decimal("0.000001"), ROUND_HALF_UP),
    "min": min,
    "max": max,
}


def spelled(value: Any, kind: str, point: str = ".") -> str:
    """A value that is not NULL, as text."""
    if kind in {"list", "object"}:
        return document(value)
    if kind in {"moment", "stamp"}:
        return f"{value:%Y-%m-%dT%H:%M:%S.%f}".rstrip("0").rstrip(".") + "Z"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).replace(".", point) if isinstance(value, Decimal) else str(value)


def document(value: Any) -> str:
    """A list or an object as one text, whatever order and spaces a database gave it."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
