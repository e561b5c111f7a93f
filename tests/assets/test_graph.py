"""The asset graph as Dagster runs it: ranges, bad days, done windows, `again`, held and not yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipelines.definitions import build_definitions
from tests.small import EXPORT, ROWS_A_DAY, Small, day

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
ASSETS = ("extract", "transform", "load_folder")


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """A project with a ledger."""
    made = Small.make(tmp_path)
    made.home.create().close()
    return made


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that keeps nothing."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run(small: Small, instance: dg.DagsterInstance, first: str, last: str, **tags: str) -> dg.ExecuteInProcessResult:
    """One run over a range of windows, as a backfill starts it."""
    job = build_definitions(small.project, small.home).resolve_job_def("sales_job")
    return job.execute_in_process(instance=instance, tags={START: first, END: last} | tags, raise_on_error=False)


def materialized(instance: dg.DagsterInstance, asset: str = "load_folder") -> dict[str, dict[str, Any]]:
    """Metadata of the newest materialization of each partition."""
    records = instance.fetch_materializations(dg.AssetKey(["sales", asset]), limit=1000).records
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        event = record.asset_materialization
        assert event is not None
        assert event.partition is not None
        found.setdefault(event.partition, {key: value.value for key, value in event.metadata.items()})
    return found


def test_a_range_records_each_partitions_own_rows_and_bytes(small: Small, instance: dg.DagsterInstance) -> None:
    """Three windows in one run: every asset has all three, each with its own figures."""
    small.sql("DELETE FROM sales WHERE id IN (5, 6)")
    assert run(small, instance, day(0), day(2)).success
    for asset in ASSETS:
        rows = {key: metadata["rows"] for key, metadata in materialized(instance, asset).items()}
        assert rows == {day(0): ROWS_A_DAY, day(1): ROWS_A_DAY - 2, day(2): ROWS_A_DAY}, asset
    found = materialized(instance)
    sizes = {key: (small.root / f"out/sales/{key}/sales_{key}.csv").stat().st_size for key in found}
    assert {key: metadata["bytes"] for key, metadata in found.items()} == sizes
    assert found[day(1)]["destination"].endswith(f"out/sales/{day(1)}/sales_{day(1)}.csv")
    assert found[day(1)]["window"] == "2026-01-02 00:00:00 to 2026-01-03 00:00:00 UTC"


def test_a_bad_day_fails_alone(small: Small, instance: dg.DagsterInstance) -> None:
    """A foreign file in the way of one window: the others are delivered and recorded, the run names the bad one."""
    path = small.root / f"out/sales/{day(1)}/sales_{day(1)}.csv"
    path.parent.mkdir(parents=True)
    path.write_text("not ours")
    result = run(small, instance, day(0), day(3))
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert failure.step_failure_data.error is not None
    assert f"FAILED: 1 of 4 windows, 3 delivered. {day(1)}:" in str(failure.step_failure_data.user_failure_data)
    assert set(materialized(instance)) == {day(0), day(2), day(3)}
    assert path.read_text() == "not ours"
    path.unlink()
    assert run(small, instance, day(0), day(3)).success
    assert len(small.rows(day(1))) == ROWS_A_DAY


def test_a_done_window_stays_as_it_is_unless_again_is_asked_for(small: Small, instance: dg.DagsterInstance) -> None:
    """The source changed: a plain run does not look, `again` reads anew as generation 2."""
    run(small, instance, day(0), day(0))
    small.sql("UPDATE sales SET amount = 99 WHERE id = 0")
    assert run(small, instance, day(0), day(0)).success
    assert small.rows(day(0))[0]["amount"] == "0.00"
    assert run(small, instance, day(0), day(0), again="true").success
    assert small.rows(day(0))[0]["amount"] == "99.00"
    assert materialized(instance)[day(0)]["generation"] == 2


def test_the_launchpad_has_the_switch(small: Small, instance: dg.DagsterInstance) -> None:
    """`again: true` in the run config does what the tag does."""
    run(small, instance, day(0), day(0))
    job = build_definitions(small.project, small.home).resolve_job_def("sales_job")
    config = {"ops": {"sales": {"config": {"again": True}}}}
    assert job.execute_in_process(instance=instance, partition_key=day(0), run_config=config).success
    assert materialized(instance)[day(0)]["generation"] == 2


def test_not_yet_is_said_and_not_materialized(small: Small, instance: dg.DagsterInstance) -> None:
    """A window that the source has not left behind: no asset, no retry, a tag for whoever sends mails."""
    cadence = EXPORT.replace("every: day", "every: month").replace("2026-01-01}", "2026-01-01, chunk: 1}")
    small.declare(cadence.replace("stamped_by: database}", "stamped_by: application, lag: 5000d, wait: 0s}"))
    result = run(small, instance, "2026-01-01", "2026-01-01")
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    data = failure.step_failure_data.user_failure_data
    assert data is not None
    assert str(data.description).startswith("NOT YET: 1 of 1 windows, 0 delivered.")
    stored = instance.get_run_by_id(result.run_id)
    assert stored is not None
    assert stored.tags["outgate/held"] == "not yet"
    assert materialized(instance) == {}


def test_personal_data_is_masked_in_the_preview(small: Small, instance: dg.DagsterInstance) -> None:
    """By its name alone, as by its tag."""
    run(small, instance, day(0), day(0))
    preview = materialized(instance, "transform")[day(0)]["preview"]
    assert "buyer_email" in preview
    assert "Ann" not in preview
    assert "1.50" in preview


def test_the_graph_as_people_see_it(small: Small) -> None:
    """Groups, dependencies, owners, kinds, the schedule that is off, chunks of 60."""
    definitions = build_definitions(small.project, small.home)
    specs = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    assert set(specs) == {"shop/sales", "sales/extract", "sales/transform", "sales/load_folder"}
    assert [dep.asset_key.to_user_string() for dep in specs["sales/load_folder"].deps] == ["sales/transform"]
    assert [dep.asset_key.to_user_string() for dep in specs["sales/extract"].deps] == ["shop/sales"]
    assert specs["sales/extract"].owners == ["crm@example.com"]
    assert specs["sales/load_folder"].kinds == {"file", "csv"}
    assert {spec.group_name for spec in specs.values()} == {"sales", "sources"}
    [schedule] = (definitions.resolve_all_job_defs() and definitions.schedules) or []
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert schedule.cron_schedule == "0 6 * * *"
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    [step] = [part for part in definitions.assets or [] if isinstance(part, dg.AssetsDefinition)]
    assert step.backfill_policy is not None
    assert step.backfill_policy.max_partitions_per_run == 60


def test_a_wrong_declaration_leaves_the_others_alone(small: Small) -> None:
    """Dagster's UI stays up: what is wrong is logged with file and line."""
    small.declare("export: broken\nsource: 5\n", "broken")
    definitions = build_definitions(small.project, small.home)
    assert {job.name for job in definitions.resolve_all_job_defs()} >= {"sales_job"}


def after_a_late_row(small: Small, instance: dg.DagsterInstance, late: str, last: str) -> dict[str, dict[str, Any]]:
    """What is materialized when a row came late for day 0, and a run from day 2 to `last` has found it."""
    small.declare(EXPORT.replace("stamped_by: database", f"stamped_by: database, late: {late}, lookback: 9000d"))
    assert run(small, instance, day(0), day(1)).success
    small.sql("INSERT INTO sales VALUES (900, '2026-01-01 10:00Z', 'late', 1)")
    assert run(small, instance, day(2), last).success
    return materialized(instance)


def test_a_correction_is_recorded_with_its_own_window(small: Small, instance: dg.DagsterInstance) -> None:
    """A run that finds late rows in an older window materializes that partition anew, beside those it was asked for."""
    found = after_a_late_row(small, instance, "restate", day(2))
    assert {key: metadata["rows"] for key, metadata in found.items()} == {
        day(0): ROWS_A_DAY + 1, day(1): ROWS_A_DAY, day(2): ROWS_A_DAY,
    }  # fmt: skip
    assert (found[day(0)]["generation"], found[day(0)]["late rows"]) == (2, 1)
    assert "late rows" not in found[day(2)]


def test_carried_rows_are_told_with_the_window_that_has_them(small: Small, instance: dg.DagsterInstance) -> None:
    """Its metadata says how many came late for which partition; that partition is not materialized anew."""
    found = after_a_late_row(small, instance, "carry", day(3))
    assert [found[day(number)]["rows"] for number in range(4)] == [ROWS_A_DAY, ROWS_A_DAY, ROWS_A_DAY + 1, ROWS_A_DAY]
    assert found[day(2)]["late rows carried"] == {day(0): 1}
    assert found[day(0)]["generation"] == 1
