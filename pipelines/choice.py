"""Which windows a command means when it is not told, or told only their ends."""

from __future__ import annotations

from datetime import UTC, datetime

from assets.plan import grid_of
from spec.errors import DeclarationError
from spec.reading import Declared


def newest_key(declared: Declared) -> str:
    """The newest window that has ended. Raises DeclarationError when none has."""
    key = grid_of(declared.export).newest(datetime.now(UTC))
    if key is None:
        export = declared.export
        raise DeclarationError(
            f"{declared.where('partitions')}: no window of {export.export} has ended yet; "
            f"the first begins at {export.partitions.start}"
        )
    return key


def chosen_keys(declared: Declared, first: str | None, last: str | None) -> list[str]:
    """The windows from `first` to `last`, both inclusive; the newest one where neither is given."""
    newest = newest_key(declared)
    return grid_of(declared.export).between(first or last or newest, last or newest)
