"""What one export comes to once its source was looked at: the declaration, the database, the relation and the grid of
windows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from assets.relation import Relation
from assets.windows import Grid, Window
from resources.databases.base import Column, Database
from spec.export import Export
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

    @property
    def export(self) -> Export:
        """The declaration itself."""
        return self.declared.export

    def is_first(self, window: Window) -> bool:
        """Whether a window is the first of the grid, or a span that begins with it."""
        return window.lo == self.grid.first.lo


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
