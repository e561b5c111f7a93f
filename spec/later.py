"""Keys of the language that this release knows and does not build yet. A key that is in neither place is unknown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from spec.document import Path

WORDS = "not available yet in this release"

_KEYS: tuple[tuple[str, ...], ...] = (
    ("deliver_by",), ("checks",), ("notify",), ("transform", "python"),
    ("source", "payload"), ("source", "path"), ("source", "immutable"),
    ("source", "cursor", "immutable"),
    ("schedule", "once"), ("schedule", "at"), ("schedule", "hourly"), ("schedule", "weekly"), ("schedule", "monthly"),
    ("schedule", "cron"),
    ("deliver", "*", "table"), ("deliver", "*", "write"), ("deliver", "*", "key"), ("deliver", "*", "newer_by"),
    ("deliver", "*", "columns"), ("deliver", "*", "on_exists"),
)  # fmt: skip


def find(data: Any) -> Iterator[tuple[Path, str]]:
    """Yield the place and the words for each part of a declaration that is known and not built yet."""
    for pattern in _KEYS:
        for path, _ in _walk(data, pattern, ()):
            yield path, f"`{path[-1]}` is {WORDS}"


def _walk(data: Any, pattern: tuple[str, ...], path: Path) -> Iterator[tuple[Path, Any]]:
    if not pattern:
        yield path, data
    elif pattern[0] == "*" and isinstance(data, list):
        for number, item in enumerate(data):
            yield from _walk(item, pattern[1:], (*path, number))
    elif isinstance(data, dict) and pattern[0] in data:
        yield from _walk(data[pattern[0]], pattern[1:], (*path, pattern[0]))
