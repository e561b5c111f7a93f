"""A partner that takes files away: only what was certainly published may be missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources import failpoint
from tests.small import EXPORT, ROWS_A_DAY, Small, day

COLLECTS = EXPORT.replace(
    "    format: {type: csv}\n", "    format: {type: csv}\n    collects: true\n    manifest: false\n"
)


class Died(BaseException):
    """The end of a worker, at a failpoint."""


def die_at(small: Small, name: str) -> None:
    """Run the first day up to a failpoint."""

    def hook(point: str) -> None:
        if point == name:
            raise Died

    failpoint.install(hook)
    try:
        with pytest.raises(Died):
            list(small.journey().run([day(0)]))
    finally:
        failpoint.install(None)


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """A project whose partner collects."""
    made = Small.make(tmp_path, COLLECTS)
    made.home.create().close()
    return made


def test_staged_files_that_vanish_are_staged_again(small: Small) -> None:
    """They were never published, so nobody collected them: the window is not done without them."""
    die_at(small, "ledger.uploaded.after")
    for path in (small.root / "out").rglob(".*.part"):
        path.unlink()
    [outcome] = small.journey().run([day(0)])
    assert outcome.good, outcome.detail
    assert len(small.rows(day(0))) == ROWS_A_DAY


def test_a_published_file_that_is_gone_was_collected(small: Small) -> None:
    """It is not written a second time."""
    die_at(small, "load.published_one")
    file = small.root / f"out/sales/{day(0)}/sales_{day(0)}.csv"
    file.unlink()
    [outcome] = small.journey().run([day(0)])
    assert outcome.good, outcome.detail
    assert not file.exists()
