"""Cursors by id: ranges that are fixed once, touch and never overlap, and the lock under which that is done."""

from __future__ import annotations

from datetime import timedelta

import pytest

from resources.ledger import IdPosition, Ledger
from spec.errors import ConnectorError, LeaseLost
from tests.resources.ledger.windows import LONG, OVER, done, finish, leased, seal

NOW = timedelta(0)


def test_the_first_key_takes_the_whole_history(ledger: Ledger) -> None:
    """Nothing is fixed before it."""
    assert ledger.last_id("events", "2024-01-01") == IdPosition(None, skipped=False)


def test_a_range_begins_where_the_one_before_ended(ledger: Ledger) -> None:
    """The next key starts at the highest id fixed before it, whatever gaps there are between the keys."""
    ledger.fix_ids(leased(ledger, "2024-01-01"), None, 100)
    ledger.fix_ids(leased(ledger, "2024-01-03"), 100, 250)
    assert ledger.last_id("events", "2024-01-04") == IdPosition(250, skipped=False)
    assert ledger.last_id("events", "2024-01-02") == IdPosition(100, skipped=True)
    assert ledger.last_id("others", "2024-01-04") == IdPosition(None, skipped=False)


def test_a_range_is_fixed_once(ledger: Ledger) -> None:
    """A retry gets the range of the first attempt, however far the source has gone since."""
    assert ledger.fix_ids(leased(ledger), None, 100) == (None, 100)
    assert ledger.fix_ids(leased(ledger), None, 900) == (None, 100)
    window = ledger.window("events", "2024-01-01")
    assert window is not None
    assert (window.low_id, window.high_id) == (None, 100)


def test_a_new_generation_reads_the_same_range(ledger: Ledger) -> None:
    """Reading again is reading the same ids again."""
    lease = leased(ledger)
    ledger.fix_ids(lease, 5, 100)
    seal(ledger, lease)
    finish(ledger, lease)
    done(ledger, again="run-a")
    assert [(one.low_id, one.high_id) for one in ledger.history()] == [(5, 100), (5, 100)]


@pytest.mark.parametrize(("partition", "low"), [("2024-01-03", 50), ("2024-01-03", None), ("2024-01-01", 100)])
def test_ranges_never_overlap(ledger: Ledger, partition: str, low: int | None) -> None:
    """A worker that overslept the export's lock cannot fix what another key has taken meanwhile."""
    ledger.fix_ids(leased(ledger, "2024-01-02"), None, 100)
    late = leased(ledger, partition)
    with pytest.raises(LeaseLost, match="overlap"):
        ledger.fix_ids(late, low, 200)
    window = ledger.window("events", partition)
    assert window is not None
    assert window.high_id is None


def test_a_skipped_key_may_be_empty(ledger: Ledger) -> None:
    """Its ids have fallen to a later key."""
    ledger.fix_ids(leased(ledger, "2024-01-02"), None, 100)
    assert ledger.fix_ids(leased(ledger, "2024-01-01"), 0, 0) == (0, 0)
    assert ledger.last_id("events", "2024-01-03").low == 100


def test_the_exports_lock_keeps_others_out(ledger: Ledger) -> None:
    """While it is held nobody else gets it, and the error can be retried; other exports are not concerned."""
    with ledger.export_lock("events", "worker", LONG):
        with (
            pytest.raises(ConnectorError, match=r"'worker' .* is fixing its ids") as refused,
            ledger.export_lock("events", "rival", LONG, NOW),
        ):
            pytest.fail("two holders")
        assert refused.value.retriable
        with ledger.export_lock("others", "rival", LONG, NOW):
            pass
    with ledger.export_lock("events", "rival", LONG, NOW):
        pass


def test_the_exports_lock_ends_with_its_time(ledger: Ledger) -> None:
    """A dead holder is waited for no longer than its lease, and its late release takes nothing from the next."""
    dead = ledger.export_lock("events", "dead", OVER)
    first = dead.__enter__()
    with ledger.export_lock("events", "rival", LONG, NOW) as second:
        assert second == first + 1
        dead.__exit__(None, None, None)
        with pytest.raises(ConnectorError), ledger.export_lock("events", "third", LONG, NOW):
            pytest.fail("two holders")


def test_the_lock_of_a_dead_worker_is_free_at_once(ledger: Ledger) -> None:
    """Its five minutes are not waited for where it is known to be gone."""
    held = ledger.export_lock("events", "gone", LONG)
    held.__enter__()
    with pytest.raises(ConnectorError), ledger.export_lock("events", "rival", LONG, NOW):
        pass
    with ledger.export_lock("events", "rival", LONG, NOW, dead=lambda owner: owner == "gone") as fence:
        assert fence == 2
