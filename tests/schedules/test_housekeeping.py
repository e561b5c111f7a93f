"""Runs whose process was killed, in Dagster's books. Their windows are the concern of tests/crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from pipelines.definitions import build_definitions
from pipelines.runs import instance_of
from schedules.housekeeping import dead_runs
from tests.small import ROWS_A_DAY, Small, day

KILLED = """\
import os, signal, sys
from resources.failpoint import install
from pipelines.definitions import build_definitions
from pipelines.home import Home
from pipelines.project import Project
from pipelines.runs import instance_of
def hook(name):
    if name == "journey.leased":
        os.kill(os.getpid(), signal.SIGKILL)
install(hook)
project = Project.find()
home = Home.find(project.root, project.environment)
with instance_of(home, project) as instance:
    job = build_definitions(project, home).resolve_job_def("sales_job")
    job.execute_in_process(instance=instance, partition_key=sys.argv[1])
"""
"""A run such as the UI starts: nobody has written down in which process it is."""


def statuses(instance: dg.DagsterInstance) -> list[str]:
    """The statuses of all runs, newest first."""
    return [run.status.value for run in instance.get_runs()]


def test_a_killed_run_is_ended(tmp_path: Path) -> None:
    """By the sensor, once; its window goes on in the next run. A run that is alive is let be."""
    small = Small.make(tmp_path)
    small.home.create().close()
    code = "import sys; sys.path.insert(0, sys.argv.pop(1))\n" + KILLED
    command = [sys.executable, "-c", code, str(Path(__file__).parents[2]), day(0)]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OUTGATE_")}
    killed = subprocess.run(command, cwd=tmp_path, env=kept, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with instance_of(small.home, small.project) as instance:
        assert statuses(instance) == ["STARTED"]
        with dg.build_sensor_context(instance=instance) as context:
            assert "ended" in str(dead_runs(context))
            assert statuses(instance) == ["FAILURE"]
            assert "no run has lost its process" in str(dead_runs(context))
        job = build_definitions(small.project, small.home).resolve_job_def("sales_job")
        assert job.execute_in_process(instance=instance, partition_key=day(0)).success
    assert len(small.rows(day(0))) == ROWS_A_DAY


@pytest.mark.parametrize("tags", [{}, {"outgate/owner": ""}, {"outgate/owner": "elsewhere:1:2:3"}])
def test_a_run_that_may_be_alive_is_let_be(tags: dict[str, str]) -> None:
    """One of another machine, or of nobody knows which process."""
    with dg.DagsterInstance.ephemeral() as instance, dg.build_sensor_context(instance=instance) as context:
        instance.create_run_for_job(_job, tags=tags, status=dg.DagsterRunStatus.STARTED)
        dead_runs(context)
        assert statuses(instance) == ["STARTED"]


@dg.job
def _job() -> None:
    """A run has to be one of something."""
