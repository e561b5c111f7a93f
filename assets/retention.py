"""Retention: which sealed files of the spool nobody needs any more. What is at a destination is never touched here.

Removed files cost `redeliver` a new reading of the source; nothing else may need them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from resources.ledger import Window
from spec.base import seconds

BASES = 2
"""Windows of `mode: changes` that are kept, whatever their age: what comes next is compared with the newest."""
SWEPT = "2d"
"""How long windows are looked at for late rows where the declaration does not say."""


def removable(generations: Iterable[Window], now: datetime, age: timedelta) -> Iterator[Window]:
    """Those generations of one export's windows whose sealed files can go: delivered, by them or by a later one, longer
    ago than `age`, and needed by no later run.
    """
    every = sorted(generations, key=lambda each: (each.lo, each.generation))
    newest = {each.partition: each for each in every}
    bases = [each.partition for each in newest.values() if each.base is not None and each.state == "done"][-BASES:]
    for each in every:
        last = newest[each.partition]
        ended = last.finished_at if last.state == "done" else None
        if ended is None or ended > now - age or each.partition in bases:
            continue
        if each is last and each.hi + _lookback(each.declaration) > now:
            continue
        yield each


def _lookback(declaration: Mapping[str, Any]) -> timedelta:
    """How long a window of that declaration is looked at for late rows, by the keys that lie with its sealed files."""
    cursor = declaration.get("source", {}).get("cursor")
    return seconds(str(cursor.get("lookback", SWEPT))) if isinstance(cursor, dict) else timedelta()
