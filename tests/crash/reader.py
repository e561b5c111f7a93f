"""A partner's reader: csv, gzip and json of the standard library, and every file that lies in the folder.

Nothing of the product is used here, and nothing is judged: that is checker.py's.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

from tests.crash.source import Row

Rows = Counter[Row]


@dataclass(frozen=True)
class Found:
    """What a partner's folder has of one window: the rows of all its data files, and all of its files by name."""

    rows: Rows
    files: dict[str, bytes]


def partner(folder: Path, export: str, key: str) -> Found:
    """The compressed CSV files of a window; an empty text and NULL cannot be told apart there."""
    files = {path.name: path.read_bytes() for path in sorted((folder / export / key).glob("*"))}
    seen = [data for name, data in files.items() if ".csv" in name and not name.startswith(".")]
    return Found(Counter(row for data in seen for row in _csv(data)), files)


def lake(folder: Path, export: str, key: str) -> Found:
    """The NDJSON files of a window."""
    files = {path.name: path.read_bytes() for path in sorted((folder / export).glob(f"*{key}*"))}
    seen = [data for name, data in files.items() if not name.startswith(".")]
    return Found(Counter(row for data in seen for row in _ndjson(data)), files)


READERS = {"partner": partner, "lake": lake}


def digest(data: bytes) -> str:
    """The sha256 in hex."""
    return sha256(data).hexdigest()


def _csv(data: bytes) -> list[Row]:
    text = io.StringIO(gzip.decompress(data).decode(), newline="")
    return [
        Row(int(row["id"]), _instant(row["updated_at"]), Decimal(row["amount"]), row["note"] or None)
        for row in csv.DictReader(text, delimiter=";", strict=True)
    ]


def _ndjson(data: bytes) -> list[Row]:
    found = [json.loads(line, parse_float=Decimal) for line in data.decode().split("\n")[:-1]]
    return [Row(row["id"], _instant(row["updated_at"]), Decimal(row["amount"]), row["note"]) for row in found]


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
