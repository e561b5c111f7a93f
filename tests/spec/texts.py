"""A right declaration to begin from, and how to break it in one place."""

from __future__ import annotations

from spec.document import read
from spec.reading import Declared, read_export

RIGHT = """\
export: loyalty_events
source:
  connector: db
  table: events
  cursor: {by: time, column: updated_at, key: id}
partitions: {every: day, start: 2024-01-01, timezone: Europe/Paris}
filters:
  any:
    - all:
        - {field: status, is: equals, value: active}
        - {field: created_at, is: after, value: "date:-30 days"}
fields:
  - {from: customer_id, to: local_id}
  - {from: gender, default: unknown, replace: {female: ladies}}
deliver:
  - to: folder
    path: "{export}/{partition}/x_{part}.csv.gz"
    format: {type: csv, delimiter: ";", compression: gzip, part_size: 200MB}
"""


def declared(text: str = RIGHT) -> Declared:
    """The declaration that a text makes."""
    return read_export(read(text, "x.yaml"))


def broken(old: str, new: str) -> str:
    """The right declaration with one part replaced."""
    assert old in RIGHT
    return RIGHT.replace(old, new, 1)
