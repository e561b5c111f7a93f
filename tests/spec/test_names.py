"""Path templates, durations, sizes and date expressions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spec.base import seconds, size
from spec.dates import evaluate
from spec.template import MAX_BYTES, VARIABLES, check_path, check_template, render


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(VARIABLES)), st.text(max_size=80), min_size=len(VARIABLES)))
def test_no_value_leads_out_of_the_folder(values: dict[str, str]) -> None:
    """Whatever stands in a variable, the rendered path stays below its store and keeps its depth."""
    try:
        path = render("/in/{export}/{partition}/{tenant}_{part}.csv", values)
    except ValueError:
        return
    parts = PurePosixPath(path).parts
    assert parts[0] == "in"
    assert len(parts) == 4
    assert ".." not in parts
    assert all(len(part.encode()) <= MAX_BYTES and part[0] not in "-~" for part in parts)


@pytest.mark.parametrize(
    "path", ["a/../b", "a//b", "-x", "con", "nul.txt", "a\x00b", "a\u202eb", "x" * 201, "a:b", "a.", "..", "~/x"]
)
def test_names_that_file_systems_refuse_are_refused(path: str) -> None:
    """On every system, not only on this one."""
    with pytest.raises(ValueError, match="cannot be a path here"):
        check_path(path)


def test_braces_must_be_variables() -> None:
    """A template has no expressions."""
    for template in ("{a.b}", "{export", "{{export}}", "{part:03d}"):
        with pytest.raises(ValueError, match=r"unknown variable|brace"):
            check_template(template)


def test_durations_and_sizes() -> None:
    """A whole number and a unit."""
    assert seconds("5m") == timedelta(minutes=5)
    assert size("64MiB") == 64 * 1024 * 1024
    for text in ("5", "m", "-5m", "1.5h", "5 m"):
        with pytest.raises(ValueError, match="is not a duration"):
            seconds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("date:now", "2026-03-29T14:30:00+02:00"),
        ("date:today", "2026-03-29T00:00:00+01:00"),
        ("date:yesterday", "2026-03-28T00:00:00+01:00"),
        ("date:today -7 days", "2026-03-22T00:00:00+01:00"),
        ("date:-1 month", "2026-02-28T14:30:00+01:00"),
        ("date:first day of last month", "2026-02-01T00:00:00+01:00"),
        ("date:last day of this month", "2026-03-31T00:00:00+02:00"),
        ("date:today +2 hours", "2026-03-29T03:00:00+02:00"),
        ("date:+1 year -2 weeks", "2027-03-15T14:30:00+01:00"),
    ],
)
def test_date_expressions_on_the_day_the_clocks_change(text: str, expected: str) -> None:
    """Day words mean midnight in the export's zone."""
    now = datetime(2026, 3, 29, 12, 30, tzinfo=UTC)
    assert evaluate(text, now, "Europe/Paris").isoformat() == expected
