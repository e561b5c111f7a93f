"""The command line on a ledger in PostgreSQL, as several hosts share it: the whole way, a kill in the middle included."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.runs import instance_of
from tests.small import ROWS_A_DAY, Small, day

POINTS = ("extract.written", "local.publish.renamed", "ledger.close.before")
KILLED = """\
import os, signal, sys
from resources.failpoint import install
from pipelines.cli import main
left, point = [2], sys.argv[1]
def hook(name):
    left[0] -= name == point
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
install(hook)
sys.argv = ["outgate", *sys.argv[2:]]
main()
"""


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_backfill_goes_on(tmp_path: Path, postgres_url: str, point: str) -> None:
    """Killed in its second window (or chunk), started again: every row once, in the first generation, and then nothing."""
    small, there = Small.make(tmp_path), {"OUTGATE_LEDGER": postgres_url}
    text = (tmp_path / "pipelines/sales.yaml").read_text(encoding="utf-8")
    small.declare(text.replace("start: 2026-01-01}", "start: 2026-01-01, chunk: 2}"))
    assert small.process("init", **there).returncode == 0
    backfill = ("backfill", "sales", "--from", day(0), "--to", day(3))
    command = [sys.executable, "-c", KILLED, point, *backfill]
    killed = subprocess.run(command, cwd=tmp_path, env=os.environ | there, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert small.process(*backfill, **there).returncode == 0
    assert [len(small.rows(day(number))) for number in range(4)] == [ROWS_A_DAY] * 4
    assert "nothing to do" in small.process(*backfill, **there).stdout
    assert "4 of 4 deliveries are as the receipts say" in small.process("verify", "sales", **there).stdout
    with instance_of(small.home, small.project) as instance:
        assert {run.status.value for run in instance.get_runs()} == {"FAILURE", "SUCCESS"}
    assert '"generation": 2' not in small.process("history", "--json", **there).stdout
