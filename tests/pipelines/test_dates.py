"""What `date:` meant is in the receipts, and a retry means the same."""

from __future__ import annotations

import json
from pathlib import Path

from tests.small import EXPORT, Small, day


def test_the_moments_are_in_the_manifest_and_in_the_history(tmp_path: Path) -> None:
    """Relative to the window's end, however late it runs; an export without them has no such key."""
    condition = '{field: sold_at, is: on_or_after, value: "date:-12 hours"}'
    small = Small.make(tmp_path)
    small.declare(EXPORT.replace("deliver:", f"filters: {{any: [{{all: [{condition}]}}]}}\ndeliver:", 1))
    small.declare(EXPORT.replace("export: sales", "export: plain", 1), "plain")
    assert small.outgate("init").returncode == 0
    for export in ("sales", "plain"):
        assert small.outgate("run", export, "--partition", day(0)).returncode == 0
    found = json.loads(small.outgate("history", "--json").stdout)
    meant = {"date:-12 hours": "2026-01-01T12:00:00+00:00"}
    assert {entry["export"]: entry.get("dates") for entry in found} == {"sales": meant, "plain": None}
    manifests = [json.loads(path.read_text(encoding="utf-8")) for path in (tmp_path / "out").rglob("*_manifest.json")]
    assert {each["export"]: each.get("dates") for each in manifests} == {"sales": meant, "plain": None}
    assert len(small.rows(day(0))) == 2
