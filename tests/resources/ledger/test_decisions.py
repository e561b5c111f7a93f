"""Superseding, redelivering and resolving: what they change, and when they are refused."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from resources.ledger import Lease, Ledger, Window
from spec.errors import DeclarationError, LeaseLost, LedgerError
from tests.resources.ledger.windows import LONG, NAMES, done, finish, leased, publish, seal, spec


def current(ledger: Ledger) -> Window:
    """The window that these tests are about."""
    found = ledger.window("events", "2024-01-01")
    assert found is not None
    return found


def unknown(ledger: Ledger) -> Lease:
    """A window whose first delivery was uploaded and then lost its answer; the lease is given back."""
    lease = leased(ledger)
    seal(ledger, lease)
    ledger.uploaded(lease, "partner", {("part", 0): "t"})
    ledger.fail(lease, "unknown", "answer lost", "partner")
    ledger.release(lease)
    return lease


def test_superseding_plans_the_next_generation(ledger: Ledger) -> None:
    """A lost spool costs a new read: same declaration, same ids, new keys, and the lease goes along."""
    lease = leased(ledger)
    ledger.fix_ids(lease, None, 50)
    seal(ledger, lease)
    following = ledger.supersede(lease, "the spool is gone", "worker", LONG, spec())
    old, new = ledger.history()
    assert (old.state, old.reached, old.detail) == ("failed", "sealed", "the spool is gone")
    assert (new.generation, new.reached, new.attempts) == (2, "planned", 1)
    assert (new.declaration, new.low_id, new.high_id) == (old.declaration, None, 50)
    assert [one.name for one in new.deliveries] == list(NAMES)
    seal(ledger, following)
    finish(ledger, following)
    assert ledger.states("events") == {"2024-01-01": "done"}


def test_a_superseded_generation_is_closed_to_its_worker(ledger: Ledger) -> None:
    """Whoever still holds the old generation's lease can write to neither of the two."""
    lease = leased(ledger)
    seal(ledger, lease)
    ledger.supersede(lease, "gone", "worker", LONG, spec())
    with pytest.raises(LeaseLost):
        ledger.uploaded(lease, "partner", {})


def test_only_a_sealed_generation_is_superseded(ledger: Ledger) -> None:
    """A planned one is simply read again."""
    with pytest.raises(LedgerError, match="only a sealed generation"):
        ledger.supersede(leased(ledger), "gone", "worker", LONG, spec())
    assert len(ledger.history()) == 1


@pytest.mark.parametrize(("published", "figures"), [(False, (0, 0)), (True, (0, 20))])
def test_superseding_ends_the_reservations(ledger: Ledger, published: bool, figures: tuple[int, int]) -> None:
    """What was reserved for delivery comes back, unless a delivery was made with it."""
    lease = leased(ledger)
    ledger.reserve("api", "2024-01", "rows", 100, 20, "k", window_id=lease.window_id, charge="delivery")
    seal(ledger, lease)
    if published:
        publish(ledger, lease, "partner")
    ledger.supersede(lease, "gone", "worker", LONG, spec())
    assert (ledger.quota()[0].reserved, ledger.quota()[0].committed) == figures


def test_a_superseded_run_is_not_read_a_third_time(ledger: Ledger) -> None:
    """The retry of a run with `again` whose generation was superseded finds the successor done."""
    done(ledger)
    lease = ledger.acquire(spec(), "worker", LONG, again="run-a").lease
    assert lease is not None
    seal(ledger, lease)
    following = ledger.supersede(lease, "gone", "worker", LONG, spec())
    seal(ledger, following)
    finish(ledger, following)
    assert ledger.acquire(spec(), "worker", LONG, again="run-a").lease is None


def test_a_redelivery_sends_the_same_bytes(ledger: Ledger) -> None:
    """One delivery goes back to sealed with its artifacts and key; the other stays done; the next run finishes it."""
    done(ledger)
    before = current(ledger)
    ledger.reopen("events", "2024-01-01", ["partner"], "anna")
    window = current(ledger)
    assert (window.state, window.finished_at) == ("sealed", None)
    partner, warehouse = window.deliveries
    assert (partner.reached, partner.attempt, partner.receipt, partner.key) == (
        "sealed",
        2,
        None,
        before.deliveries[0].key,
    )
    assert (partner.artifacts[0].token, partner.artifacts[0].sha256) == (None, "aa")
    assert warehouse == before.deliveries[1]
    finish(ledger, leased(ledger), ("partner",))
    assert current(ledger).state == "done"


def test_a_redelivery_cuts_off_older_workers(ledger: Ledger) -> None:
    """A worker that was there before can write no more."""
    lease = done(ledger)
    ledger.reopen("events", "2024-01-01", ["partner"], "anna")
    with pytest.raises(LeaseLost):
        ledger.uploaded(lease, "partner", {})


def test_a_redelivery_needs_sealed_bytes_and_no_worker(ledger: Ledger) -> None:
    """Refused for a window that never ran, that somebody works on, that is not sealed, and for a name it has not."""
    for prepare, message in (
        (lambda: None, "was never run"),
        (lambda: leased(ledger), "'worker' has events"),
        (lambda: ledger.release(leased(ledger)), "nothing sealed"),
    ):
        prepare()
        with pytest.raises(DeclarationError, match=message):
            ledger.reopen("events", "2024-01-01", ["partner"], "anna")
    done(ledger)
    with pytest.raises(DeclarationError, match="no delivery 'nobody'; it has 'partner', 'warehouse'"):
        ledger.reopen("events", "2024-01-01", ["partner", "nobody"], "anna")
    assert current(ledger).state == "done"


def test_a_redelivery_of_all_is_one_step(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that ends between two deliveries has reset neither; without names all that the window has are reset."""
    done(ledger)
    noted: list[str] = []

    def note(_conn: Connection, what: str, _place: object, **_more: object) -> None:
        noted.append(what)
        if len(noted) == len(NAMES):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "note", note)
        with pytest.raises(KeyboardInterrupt):
            ledger.reopen("events", "2024-01-01", [], "anna")
    assert {one.reached for one in current(ledger).deliveries} == {"done"}
    ledger.reopen("events", "2024-01-01", [], "anna")
    assert [(one.name, one.reached) for one in current(ledger).deliveries] == [(name, "sealed") for name in NAMES]


@pytest.mark.parametrize(("delivered", "reached", "attempt"), [(True, "published", 1), (False, "sealed", 2)])
def test_an_unknown_is_resolved_by_a_person(ledger: Ledger, delivered: bool, reached: str, attempt: int) -> None:
    """Delivered: the next run verifies and closes. Not delivered: it is sent again. Either way it is audited."""
    unknown(ledger)
    ledger.resolve("events", "2024-01-01", "partner", delivered, "anna")
    partner = current(ledger).deliveries[0]
    assert (partner.reached, partner.state, partner.attempt) == (reached, reached, attempt)
    assert current(ledger).state == "sealed"
    assert [(one.what, one.delivery, one.who) for one in ledger.events()][-1] == ("resolved", "partner", "anna")


def test_a_window_stays_unknown_while_one_delivery_is(ledger: Ledger) -> None:
    """Resolving one of two unknowns leaves the other to see."""
    lease = leased(ledger)
    seal(ledger, lease)
    for name in NAMES:
        ledger.fail(lease, "unknown", "answer lost", name)
    ledger.release(lease)
    ledger.resolve("events", "2024-01-01", "partner", delivered=True, who="anna")
    assert current(ledger).state == "unknown"


def test_only_an_unknown_is_resolved(ledger: Ledger) -> None:
    """Refused for any other state and while somebody works on it, and nothing changes."""
    lease = unknown(ledger)
    for name in ("warehouse", "nobody"):
        with pytest.raises(DeclarationError):
            ledger.resolve("events", "2024-01-01", name, delivered=True, who="anna")
    leased(ledger)
    with pytest.raises(DeclarationError, match="wait until that run has ended"):
        ledger.resolve("events", "2024-01-01", "partner", delivered=True, who="anna")
    assert current(ledger).deliveries[0].state == "unknown"
    with pytest.raises(LeaseLost):
        ledger.check(lease)
