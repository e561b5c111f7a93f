"""What is kept for an export as a whole: the grid of its partitions, who took the rows without a cursor, the switch.

The declaration is kept with each window; the lock on an export's ids is in ids.py.
"""

from __future__ import annotations

from sqlalchemy import select, update

from resources.ledger import rows
from resources.ledger.audit import Audit
from resources.ledger.schema import export as exports
from resources.ledger.schema import window
from spec.errors import DeclarationError


class Exports(Audit):
    """Grid, rows without a cursor, and switch."""

    def grid(self, export: str) -> str | None:
        """The grid that was recorded, None when none was."""
        with self.read() as conn:
            return conn.execute(select(exports.c.grid).where(exports.c.name == export)).scalar()

    def record_grid(self, export: str, grid: str) -> None:
        """Keep the partition grid. Raises DeclarationError when windows were planned on another one."""
        with self.write() as conn:
            known = rows.lock_export(conn, export)["grid"]
            if known == grid:
                return
            if known is not None and conn.execute(select(window.c.id).where(window.c.export == export)).first():
                raise DeclarationError(
                    f"{export}: its windows were planned on the grid {known!r}, and the declaration now says {grid!r}; "
                    "give the export a new name, or keep the grid"
                )
            conn.execute(update(exports).where(exports.c.name == export).values(grid=grid))
            self.note(conn, "grid", {"export": export}, detail=grid)

    def nulls_in(self, export: str) -> str | None:
        """The partition whose window took the rows without a cursor, None while none has."""
        with self.read() as conn:
            return conn.execute(select(exports.c.nulls_in).where(exports.c.name == export)).scalar()

    def active(self, export: str) -> bool | None:
        """The switch, None while nobody has touched it."""
        with self.read() as conn:
            return conn.execute(select(exports.c.active).where(exports.c.name == export)).scalar()

    def activate(self, export: str, active: bool, who: str) -> None:  # noqa: FBT001
        """Turn the export on or off."""
        with self.write() as conn:
            rows.lock_export(conn, export)
            conn.execute(update(exports).where(exports.c.name == export).values(active=active))
            self.note(conn, "activated" if active else "deactivated", {"export": export}, who=who)
