"""`outgate tidy`: sealed files go when nobody needs them any more, and no earlier."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from resources.ledger import Ledger
from tests.journey.days import after
from tests.small import EXPORT, ROWS_A_DAY, Small, day

CHANGES = EXPORT.replace("  cursor: {by: time, column: sold_at, key: id, stamped_by: database}\n", "").replace(
    "partitions:", "mode: changes\nchanges: {key: [id]}\npartitions:"
)


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """A project with two delivered windows, the first of them twice, and one that is sealed and not delivered."""
    made = Small.make(tmp_path)
    made.home.create().close()
    assert all(each.good for each in made.journey().run([day(0), day(1)]))
    assert made.outgate("run", "sales", "--partition", day(0), "--again").returncode == 0
    (tmp_path / "out/sales" / day(2)).mkdir()
    (tmp_path / "out/sales" / day(2) / f"sales_{day(2)}.csv").write_text("somebody's")
    assert not next(iter(made.journey().run([day(2)]))).good
    return made


def kept(small: Small) -> list[str]:
    """Windows and generations that have sealed files in the spool."""
    folder = small.root / ".outgate/spool/sealed/sales"
    return sorted(path.relative_to(folder).as_posix().rpartition("-")[0] for path in folder.glob("*/g*"))


def later(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """Let the ledger's clock be so many days on."""
    now = Ledger.now
    monkeypatch.setattr(Ledger, "now", lambda self: now(self) + timedelta(days=days))


def test_old_files_go(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before their time, not on a dry run, and never those of a window that is not delivered."""
    everything = [f"{day(0)}/g1", f"{day(0)}/g2", f"{day(1)}/g1", f"{day(2)}/g1"]
    assert small.outgate("tidy").returncode == 0
    assert kept(small) == everything
    later(monkeypatch, 31)
    [row] = json.loads(small.outgate("tidy", "--dry-run", "--json").stdout)
    assert (row["windows"], kept(small)) == (3, everything)
    assert json.loads(small.outgate("tidy", "--json").stdout) == [row]
    assert kept(small) == [f"{day(2)}/g1"]
    assert json.loads(small.outgate("tidy", "--json").stdout) == []


def test_what_went_can_be_sent_again(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source is read anew; and nothing at the destination was touched before."""
    later(monkeypatch, 31)
    assert small.outgate("tidy").returncode == 0
    assert small.outgate("verify", "sales", "--partition", day(1)).returncode == 0
    shutil.rmtree(small.root / "out/sales" / day(1))
    assert small.outgate("redeliver", "sales", "--partition", day(1)).returncode == 0
    assert len(small.rows(day(1))) == ROWS_A_DAY


def test_what_late_rows_are_known_by_is_kept(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """While windows are looked at for them; generations that were replaced are of no use."""
    small.declare(EXPORT.replace("stamped_by: database", "stamped_by: database, lookback: 9000d"))
    assert small.outgate("run", "sales", "--partition", day(1), "--again").returncode == 0
    later(monkeypatch, 31)
    assert small.outgate("tidy").returncode == 0
    assert kept(small) == [f"{day(1)}/g2", f"{day(2)}/g1"]


def test_the_base_of_changes_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the newest two windows; the next one is compared with it, after any time."""
    small = Small.make(tmp_path, CHANGES)
    small.home.create().close()
    for number in range(4):
        with after(day(number)):
            assert all(each.good for each in small.journey().run([day(number)]))
    later(monkeypatch, 31)
    assert small.outgate("tidy").returncode == 0
    assert kept(small) == [f"{day(2)}/g1", f"{day(3)}/g1"]
    small.sql("DELETE FROM sales WHERE id = 1")
    with after(day(4)):
        [outcome] = small.journey().run([day(4)])
    assert (outcome.good, outcome.record and outcome.record.rows) == (True, 1)
