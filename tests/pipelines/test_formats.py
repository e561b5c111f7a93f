"""Formats by the command line: what `check` says of them, and that they are delivered, verified and sent again alike."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.small import EXPORT, ROWS_A_DAY, Small, day

FORMS = ["type: excel", "type: csv, compression: zip", "type: json", "type: tsv, quoting: all, compression: tgz"]


@pytest.mark.parametrize("form", FORMS)
def test_a_format_is_delivered(tmp_path: Path, form: str) -> None:
    """Previewed, run, verified and sent again: one part with all rows, and the same bytes each time."""
    small = Small.make(tmp_path, EXPORT.replace("type: csv", form))
    assert small.outgate("init").returncode == 0
    assert f"folder: sales/{day(0)}" in small.outgate("preview", "sales", "--partition", day(0)).stdout
    assert small.outgate("run", "sales", "--partition", day(0)).returncode == 0
    [entry] = small.history()
    assert (entry["state"], entry["rows"], len(entry["parts"])) == ("done", ROWS_A_DAY, 1)
    path = Path(entry["parts"][0]["location"])
    first = path.read_bytes()
    if "zip" in form:
        assert zipfile.ZipFile(path).namelist() == [f"sales_{day(0)}.csv"]
    path.unlink()
    assert small.outgate("redeliver", "sales", "--partition", day(0)).returncode == 0
    assert path.read_bytes() == first
    assert small.outgate("verify", "sales").returncode == 0


def test_check_advises_on_what_a_format_cannot_say(tmp_path: Path) -> None:
    """With the line, and without stopping anything."""
    small = Small.make(tmp_path, EXPORT.replace("type: csv", "type: csv, quoting: none"))
    ended = small.outgate("check")
    assert ended.returncode == 0
    assert "advice: pipelines/sales.yaml:11: nothing is enclosed or escaped" in ended.stdout
    small.declare(EXPORT)
    assert "advice" not in small.outgate("check").stdout
