"""An export's grid and switch, and the audit trail."""

from __future__ import annotations

import pytest

from resources.ledger import Ledger
from spec.errors import DeclarationError, LedgerError
from tests.resources.ledger.windows import LONG, done, leased, seal, spec


def test_the_grid_is_kept(ledger: Ledger) -> None:
    """It may be corrected while there is no window, and repeated for ever."""
    assert ledger.grid("events") is None
    for grid in ("day UTC", "day Europe/Paris"):
        ledger.record_grid("events", grid)
        assert ledger.grid("events") == grid
    leased(ledger)
    ledger.record_grid("events", "day Europe/Paris")


def test_the_grid_of_planned_windows_is_not_changed(ledger: Ledger) -> None:
    """Another zone or cadence would make windows that overlap: refused, with both grids and the way out."""
    ledger.record_grid("events", "day UTC")
    leased(ledger)
    with pytest.raises(DeclarationError, match=r"'day UTC'.*'hour UTC'; give the export a new name, or keep the grid"):
        ledger.record_grid("events", "hour UTC")
    assert ledger.grid("events") == "day UTC"


def test_one_window_takes_the_rows_without_a_cursor(ledger: Ledger) -> None:
    """Which one is written down by its seal; its later generations may have them again, and no other window."""
    assert ledger.nulls_in("events") is None
    first = leased(ledger, "2024-01-02")
    seal(ledger, first, takes_nulls=True)
    other = leased(ledger, "2024-01-01")
    with pytest.raises(LedgerError, match="'2024-01-02' took the rows without a cursor") as refused:
        seal(ledger, other, takes_nulls=True)
    assert refused.value.retriable
    found = ledger.window("events", "2024-01-01")
    assert (found and found.reached, ledger.nulls_in("events")) == ("planned", "2024-01-02")
    seal(ledger, other)
    again = ledger.supersede(first, "lost", "worker", LONG, spec())
    seal(ledger, again, takes_nulls=True)
    assert ledger.nulls_in("events") == "2024-01-02"


def test_the_switch_has_three_positions(ledger: Ledger) -> None:
    """Untouched, on and off; who turned it is in the trail."""
    found = [ledger.active("events")]
    for active in (True, False):
        ledger.activate("events", active, "anna")
        found.append(ledger.active("events"))
    assert found == [None, True, False]
    assert [(one.what, one.who) for one in ledger.events("events")] == [("activated", "anna"), ("deactivated", "anna")]


def test_every_step_leaves_one_event(ledger: Ledger) -> None:
    """The trail tells the journey of a window in order, with who did it."""
    done(ledger)
    ledger.event("mailed", export="events", partition="2024-01-01", detail="to the partner")
    assert [(one.what, one.delivery) for one in ledger.events("events", "2024-01-01")] == [
        ("leased", None),
        ("sealed", None),
        ("uploaded", "partner"),
        ("published", "partner"),
        ("done", "partner"),
        ("uploaded", "warehouse"),
        ("published", "warehouse"),
        ("done", "warehouse"),
        ("released", None),
        ("mailed", None),
    ]
    assert {one.who for one in ledger.events("events")} == {"worker", ""}


def test_events_are_those_of_their_place(ledger: Ledger) -> None:
    """One export or one partition at a time, with instants that do not go back."""
    seal(ledger, leased(ledger, "2024-01-01"))
    leased(ledger, "2024-01-02")
    assert [one.what for one in ledger.events("events", "2024-01-02")] == ["leased"]
    assert ledger.events("others") == []
    at = [one.at for one in ledger.events()]
    assert at == sorted(at)
    assert at[0] <= ledger.now() <= at[0] + LONG
