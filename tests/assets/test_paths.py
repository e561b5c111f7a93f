"""Names of files: what a path's variables stand for, and that two windows of one grid never come to one name."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from assets.seal import path_values
from assets.windows import Grid
from spec.export import Export
from spec.template import render, tells_windows_apart
from tests.assets.test_windows import PROVE, SPANS, around, moments
from tests.small import EXPORT, Small
from tests.spec.texts import declared

TEMPLATES = ("{partition}", "{datetime}", "{date}_{time}", "{time}{date}", "{date}", "{time}", "{export}_{generation}")
CADENCES = [*sorted(SPANS), "0 0,1,12 * * *", "30 2 * * *", "15 * * * *"]
NIGHT = datetime(2011, 12, 30, tzinfo=UTC)


@cache
def export(zone: str) -> Export:
    """An export in a zone; its own cadence does not matter here."""
    return declared().export.model_copy(
        update={"partitions": declared().export.partitions.model_copy(update={"timezone": zone})}
    )


def doubled(every: str, zone: str, moment: datetime) -> list[str]:
    """The names that two windows around a moment have in common, by a template that is said to tell them apart."""
    windows, one = around(every, zone, moment), export(zone)
    found = []
    for template in TEMPLATES:
        if tells_windows_apart(template, every):
            names = [render(template, path_values(one, window, 1)) for window in windows]
            found += [name for name in names if names.count(name) > 1]
    return found


@settings(max_examples=3000 if PROVE else 60, deadline=None)
@example(place=("Pacific/Apia", NIGHT), every="day")
@example(place=("America/Sao_Paulo", datetime(2018, 11, 4, tzinfo=UTC)), every="0 0,1,12 * * *")
@given(place=moments, every=st.sampled_from(CADENCES))
def test_no_two_windows_have_one_name(place: tuple[str, datetime], every: str) -> None:
    """Around a change of any zone's offset, for every cadence, by every variable that is said to differ."""
    assert doubled(every, *place) == []


def test_control_the_window_s_begin_is_no_name() -> None:
    """A day that never was begins when the next one does: by that instant both would have one name."""
    windows = around("day", "Pacific/Apia", NIGHT)
    begins = [window.lo for window in windows]
    assert len(begins) > len(set(begins))
    assert not tells_windows_apart("{date}", "hour")


def test_what_the_variables_stand_for() -> None:
    """Date and time are the key's, also where the clock skipped them; a repeated hour carries its offset."""
    day = Grid("day", date(2018, 1, 1), "America/Sao_Paulo").window("2018-11-04")
    hour = Grid("hour", date(2025, 11, 2), "America/New_York").window("2025-11-02-01:00-0500")
    found = [path_values(export("UTC"), window, 1) for window in (day, hour)]
    assert [(each["date"], each["time"], each["datetime"]) for each in found] == [
        ("2018-11-04", "000000", "20181104_000000"),
        ("2025-11-02", "010000-0500", "20251102_010000-0500"),
    ]


def test_a_manifest_is_each_window_s_own(tmp_path: Path) -> None:
    """Hours that share the folder of their day have a manifest each, called after their first part."""
    small = Small.make(tmp_path, EXPORT.replace("every: day", "every: hour").replace("{partition}/", "{date}/"))
    assert small.outgate("init").returncode == 0
    ended = small.outgate("backfill", "sales", "--from", "2026-01-01-00:00", "--to", "2026-01-01-01:00")
    assert ended.returncode == 0, ended.stderr
    assert sorted(path.name for path in (tmp_path / "out/sales/2026-01-01").iterdir()) == [
        f"sales_2026-01-01-0{hour}-00.csv{more}" for hour in (0, 1) for more in ("", "_manifest.json")
    ]
