"""What one export comes to once its source was looked at: the declaration, the database, the relation and the grid of
windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from assets.relation import Relation
from assets.windows import Grid, Window
from resources.databases.base import Column, Database
from resources.ledger import Ledger
from resources.ledger import Window as WindowRecord
from resources.pgp import Recipient
from spec.export import Export
from spec.partitions import Partitions
from spec.reading import Declared
from spec.source import IdCursor


@dataclass(frozen=True)
class Plan:
    """Everything about an export that its windows have in common; made once a run."""

    declared: Declared
    database: Database
    relation: Relation
    grid: Grid
    transform_sql: str = ""
    folder: str = field(default="", kw_only=True)
    nulls_in: str | None = field(default=None, kw_only=True)
    """The partition whose window took the rows without a cursor, where the ledger knows of one."""
    keys: Mapping[str, bytes] = field(default_factory=dict, kw_only=True, repr=False)
    """The key of each field that is hashed with one, by the field's name."""
    recipients: Mapping[str, tuple[Recipient, ...]] = field(default_factory=dict, kw_only=True)
    """Those whom the files of a delivery are encrypted for, by its label."""

    @property
    def export(self) -> Export:
        """The declaration itself."""
        return self.declared.export

    @property
    def nulls_window(self) -> Window | None:
        """The one window that has the rows without a cursor: the one that took them, else the first of the grid."""
        cursor = self.export.source.cursor
        if cursor is None or cursor.nulls != "include" or self.export.whole:
            return None
        return self.grid.window(self.nulls_in) if self.nulls_in else self.grid.first

    def takes_nulls(self, window: Window) -> bool:
        """Whether a window has the rows without a cursor."""
        holder = self.nulls_window
        return holder is not None and window.key == holder.key

    def reads_nulls(self, span: Window) -> bool:
        """Whether the window that has the rows without a cursor may be in a span."""
        holder = self.nulls_window
        return holder is not None and (span.key == holder.key or span.lo <= holder.lo < span.hi)


def nulls_in(ledger: Ledger, export: str) -> str | None:
    """The partition whose window took the rows without a cursor: written down, or the first of a declared history."""
    return ledger.nulls_in(export) or next((one.partition for one in ledger.history(export) if _took_nulls(one)), None)


def _took_nulls(record: WindowRecord) -> bool:
    """A ledger of version 1 or 2 wrote nothing down: there it was the window that its own declaration begins with."""
    declared: dict[str, Any] = record.declaration
    cursor = (declared.get("source") or {}).get("cursor") or {}
    if record.fingerprint is None or cursor.get("nulls") != "include":
        return False
    partitions = Partitions.model_validate(declared["partitions"])
    return Grid(partitions.cadence, partitions.first, partitions.timezone).first.key == record.partition


def grid_of(export: Export) -> Grid:
    """The grid that an export's partitions describe."""
    partitions = export.partitions
    return Grid(partitions.cadence, partitions.first, partitions.timezone)


def key_columns(plan: Plan) -> tuple[Column, ...]:
    """What tells a row from all others: its cursor and its key. () where rows cannot be told apart."""
    cursor = plan.export.source.cursor
    if cursor is None:
        return ()
    key = cursor.key or (cursor.column if isinstance(cursor, IdCursor) else None)
    by_name = {column.name: column for column in plan.relation.columns}
    return tuple(by_name[name] for name in dict.fromkeys((cursor.column, key))) if key else ()
