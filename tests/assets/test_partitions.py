"""Dagster's partitions: they are the grid's windows, or the declaration is refused."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from assets.partitions import refuse_other_keys
from pipelines.definitions import build_definitions
from spec.errors import DeclarationError
from tests.small import EXPORT, ROWS_A_DAY, Small, day

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
REFUSED = [
    ("{cron: '0 0,1,12 * * *'}", "Asia/Beirut"), ("{cron: 30 1 * * *}", "Europe/Dublin"),
    ("{cron: 30 2 * * *}", "Africa/Casablanca"), ("hour", "Australia/Lord_Howe"),
]  # fmt: skip
SHOWN = [
    ("day", "Asia/Beirut"), ("hour", "Europe/Dublin"), ("{cron: 0 6 * * *}", "Europe/Dublin"),
    ("{cron: 30 2 * * *}", "America/New_York"), ("day", "America/Havana"), ("{cron: '*/30 * * * *'}", "Europe/Paris"),
]  # fmt: skip


def declared(root: Path, every: str, zone: str) -> Small:
    """A project with one export on that grid."""
    return Small.make(root, EXPORT.replace("every: day, start", f"every: {every}, timezone: {zone}, start"))


@pytest.mark.parametrize(("every", "zone"), REFUSED)
def test_windows_that_dagster_would_not_show_are_refused(tmp_path: Path, every: str, zone: str) -> None:
    """By `check` and by `run` with the night and its windows; the UI shows the other exports."""
    small = declared(tmp_path, every, zone)
    small.declare(EXPORT.replace("export: sales", "export: other").replace("{export}", "other/{export}"), "other")
    assert small.outgate("init").returncode == 0
    for command in (("check",), ("run", "sales")):
        ended = small.outgate(*command)
        assert ended.returncode == 2
        assert "pipelines/sales.yaml:7: on 2026-" in ended.stderr
        assert f"the clock of {zone} is moved" in ended.stderr
    jobs = {job.name for job in build_definitions(small.project, small.home).resolve_all_job_defs()}
    assert "other_job" in jobs
    assert "sales_job" not in jobs


@pytest.mark.parametrize(("every", "zone"), SHOWN)
def test_other_windows_of_such_nights_are_shown(tmp_path: Path, every: str, zone: str) -> None:
    """A clock that is moved is no reason by itself."""
    small = declared(tmp_path, every, zone)
    refuse_other_keys(small.project.get("sales"))


def test_control_without_the_refusal_dagster_has_other_windows(tmp_path: Path) -> None:
    """What is refused is real: the message names the window that a backfill of the UI would pass over."""
    small = declared(tmp_path, "{cron: '0 0,1,12 * * *'}", "Asia/Beirut")
    with pytest.raises(DeclarationError, match=r"on 2026-03-29 .*2026-03-29-01:00"):
        refuse_other_keys(small.project.get("sales"))


def test_a_run_drives_the_windows_of_the_grid(tmp_path: Path) -> None:
    """Only the ends of a range are Dagster's; an asset that the sealed window does not have is left out."""
    small = Small.make(tmp_path)
    small.home.create().close()
    job = build_definitions(small.project, small.home).resolve_job_def("sales_job")
    with dg.DagsterInstance.ephemeral() as instance:
        assert job.execute_in_process(instance=instance, tags={START: day(0), END: day(2)}).success
        path = '"{export}/{partition}/{export}_{partition}.csv"'
        second = "  - {to: folder, name: again, path: '{export}_2/{partition}.csv', format: {type: csv}}\n"
        assert path in EXPORT
        small.declare(EXPORT.replace("schedule:", f"{second}schedule:"))
        job = build_definitions(small.project, small.home).resolve_job_def("sales_job")
        assert job.execute_in_process(instance=instance, tags={START: day(0), END: day(3)}).success
        found = {
            name: {
                event.asset_materialization.partition
                for event in instance.fetch_materializations(dg.AssetKey(["sales", name]), limit=99).records
                if event.asset_materialization
            }
            for name in ("load_folder", "load_again")
        }
    assert found == {"load_folder": {day(number) for number in range(4)}, "load_again": {day(3)}}
    assert [len(small.rows(day(number))) for number in range(4)] == [ROWS_A_DAY] * 4
