"""Who may write to a window: taking it, keeping it, losing it, and when there is a new generation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resources.ledger import Lease, Ledger
from spec.errors import DeclarationError, LeaseLost, LedgerError
from tests.resources.ledger.conftest import Place
from tests.resources.ledger.windows import DAY, LONG, OVER, done, finish, leased, publish, seal, spec


def test_a_new_window_is_planned_and_leased(ledger: Ledger) -> None:
    """The first acquire makes generation 1, with its deliveries, and hands it over."""
    acquired = ledger.acquire(spec(), "worker", LONG, run="r1")
    window = acquired.window
    assert acquired.lease == Lease(window.id, "events", "2024-01-01", 1, 1, "worker")
    assert (window.reached, window.state, window.attempts, window.run) == ("planned", "planned", 1, "r1")
    assert (window.lo, window.hi, window.declaration) == (DAY, DAY + timedelta(days=1), {"table": "events"})
    assert [(one.name, one.connector, one.reached) for one in window.deliveries] == [
        ("partner", "partner_connector", "planned"),
        ("warehouse", "warehouse_connector", "planned"),
    ]


def test_the_idempotency_key_is_made_of_names_only(ledger: Ledger) -> None:
    """It is the same on every host and for every attempt, and another one for each delivery and generation."""
    window = ledger.acquire(spec(), "worker", LONG).window
    assert window.deliveries[0].key == "055adf1b0661eebd408daf760b4e1b88"
    assert len({one.key for one in window.deliveries}) == 2


def test_a_taken_window_is_busy(ledger: Ledger) -> None:
    """A rival gets no lease, and is told who has it and until when."""
    leased(ledger)
    rival = ledger.acquire(spec(), "rival", LONG)
    assert rival.lease is None
    assert "'worker' has events/2024-01-01 generation 1 until 20" in rival.busy
    assert rival.window.fence == 1


def test_an_owner_takes_its_own_lease_anew(ledger: Ledger) -> None:
    """A restarted worker need not wait for itself, and its former life can write no more."""
    former = leased(ledger)
    again = leased(ledger)
    assert again.fence == former.fence + 1
    with pytest.raises(LeaseLost):
        ledger.check(former)


def test_the_lease_of_a_dead_owner_is_free(ledger: Ledger) -> None:
    """Who is known to be dead is not waited for, and could write no more if that were wrong."""
    former = leased(ledger)
    assert ledger.acquire(spec(), "rival", LONG, dead=lambda owner: owner != "worker").lease is None
    assert ledger.acquire(spec(), "rival", LONG, dead=lambda owner: owner == "worker").lease is not None
    with pytest.raises(LeaseLost):
        ledger.check(former)


def test_a_released_window_is_free(ledger: Ledger) -> None:
    """After release a rival gets it at once; releasing once more is silent, and so is releasing what was lost."""
    former = leased(ledger)
    ledger.release(former)
    ledger.release(former)
    rival = ledger.acquire(spec(), "rival", LONG)
    assert rival.lease is not None
    ledger.release(former)
    ledger.check(rival.lease)
    with pytest.raises(LeaseLost):
        ledger.renew(former, LONG)


def test_a_lease_ends_by_the_clock(tmp_path: Path) -> None:
    """It can be taken from the instant on at which it ends, not before; renewing it moves that instant."""
    now = [datetime(2024, 1, 1, 12, tzinfo=UTC)]
    ledger = Ledger.create(f"sqlite:///{tmp_path / 'l.db'}", tmp_path / "spool", clock=lambda: now[0])
    lease = ledger.acquire(spec(), "worker", timedelta(seconds=30)).lease
    assert lease is not None
    now[0] += timedelta(seconds=29)
    ledger.renew(lease, timedelta(seconds=30))
    now[0] += timedelta(seconds=30, microseconds=-1)
    assert ledger.acquire(spec(), "rival", LONG).lease is None
    now[0] += timedelta(microseconds=1)
    assert ledger.acquire(spec(), "rival", LONG).lease is not None
    ledger.close()


WRITES: dict[str, Callable[[Ledger, Lease], object]] = {
    "renew": lambda ledger, lease: ledger.renew(lease, LONG),
    "check": lambda ledger, lease: ledger.check(lease),
    "fix_ids": lambda ledger, lease: ledger.fix_ids(lease, None, 5),
    "seal": lambda ledger, lease: ledger.seal(lease, horizon={}, fingerprint="f", server="s", rows=0, artifacts=()),
    "uploaded": lambda ledger, lease: ledger.uploaded(lease, "partner", {}),
    "published": lambda ledger, lease: ledger.published(lease, "partner"),
    "restage": lambda ledger, lease: ledger.restage(lease, "partner", "why"),
    "close": lambda ledger, lease: ledger.close(lease, "partner", {}),
    "fail": lambda ledger, lease: ledger.fail(lease, "failed", "why"),
    "fail a delivery": lambda ledger, lease: ledger.fail(lease, "unknown", "why", "partner"),
    "supersede": lambda ledger, lease: ledger.supersede(lease, "why", "worker", LONG, spec()),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_worker_frozen_beyond_its_lease_changes_nothing(ledger: Ledger, write: str) -> None:
    """Once a rival took the expired lease, every write of the old holder raises LeaseLost and leaves no trace."""
    frozen = ledger.acquire(spec(), "frozen", OVER).lease
    assert frozen is not None
    assert ledger.acquire(spec(), "rival", LONG).lease is not None
    before = (ledger.history(), ledger.events())
    with pytest.raises(LeaseLost, match="'frozen' no longer holds it with fence 1"):
        WRITES[write](ledger, frozen)
    assert (ledger.history(), ledger.events()) == before


def test_a_done_window_is_left_alone(ledger: Ledger) -> None:
    """Without `again` there is no lease, nothing is busy, and nothing changes."""
    done(ledger)
    before = ledger.events()
    acquired = ledger.acquire(spec(), "worker", LONG)
    assert (acquired.lease, acquired.busy, acquired.window.state) == (None, "", "done")
    assert ledger.events() == before


def test_again_makes_one_generation_a_root_run(ledger: Ledger) -> None:
    """A run with `again` reads once more; its retries are the same generation; another run makes another one."""
    done(ledger)
    second = ledger.acquire(spec(), "worker", LONG, again="run-a")
    assert second.window.generation == 2
    retried = ledger.acquire(spec(), "worker", LONG, again="run-a").lease
    assert retried is not None
    assert (retried.generation, retried.fence) == (2, 2)
    seal(ledger, retried)
    finish(ledger, retried)
    assert ledger.acquire(spec(), "worker", LONG, again="run-a").lease is None
    assert ledger.acquire(spec(), "worker", LONG, again="run-b").window.generation == 3
    assert [one.generation for one in ledger.history()] == [1, 2, 3]


def test_again_on_a_half_done_window_finishes_it(ledger: Ledger) -> None:
    """What is not done is resumed, not doubled, and the retry of that run does not read it again."""
    ledger.release(leased(ledger))
    done(ledger, again="run-a")
    assert ledger.acquire(spec(), "worker", LONG, again="run-a").lease is None
    assert [one.generation for one in ledger.history()] == [1]


def test_a_generation_keeps_its_keys_apart(ledger: Ledger) -> None:
    """Idempotency keys of two generations differ, so a destination can tell them."""
    done(ledger)
    done(ledger, again="run-a")
    assert len({one.key for window in ledger.history() for one in window.deliveries}) == 4


def test_a_planned_window_takes_the_newest_declaration(ledger: Ledger) -> None:
    """Until it is sealed, each attempt freezes what is declared then, deliveries included."""
    leased(ledger)
    newer = replace(spec(names=("other",)), declaration={"table": "new"}, hi=DAY + timedelta(hours=25))
    window = ledger.acquire(newer, "worker", LONG).window
    assert (window.declaration, window.hi) == ({"table": "new"}, DAY + timedelta(hours=25))
    assert [one.name for one in window.deliveries] == ["other"]


def test_a_sealed_window_keeps_its_declaration(ledger: Ledger) -> None:
    """From the seal on an edited declaration changes nothing for this generation."""
    seal(ledger, leased(ledger))
    edited = replace(spec(names=("other",)), declaration={"table": "new"}, hi=DAY)
    window = ledger.acquire(edited, "worker", LONG).window
    assert window.declaration == {"table": "events"}
    assert window.hi == DAY + timedelta(days=1)
    assert [one.name for one in window.deliveries] == ["partner", "warehouse"]


def test_a_new_attempt_clears_how_the_last_one_ended(ledger: Ledger) -> None:
    """State goes back to what was reached, and so does a delivery that failed."""
    lease = leased(ledger)
    seal(ledger, lease)
    ledger.fail(lease, "failed", "no route", "partner")
    window = ledger.acquire(spec(), "worker", LONG).window
    assert (window.state, window.detail, window.attempts) == ("sealed", "", 2)
    assert (window.deliveries[0].state, window.deliveries[0].detail) == ("sealed", "")


def test_a_new_attempt_does_not_forget_an_unknown(ledger: Ledger) -> None:
    """A lost answer stays with the delivery until the destination was asked, even if the new attempt dies."""
    lease = leased(ledger)
    seal(ledger, lease)
    ledger.uploaded(lease, "partner", {})
    ledger.fail(lease, "unknown", "answer lost", "partner")
    acquired = ledger.acquire(spec(), "worker", LONG)
    assert acquired.window.state == "sealed"
    assert acquired.window.deliveries[0].state == "unknown"
    assert acquired.lease is not None
    publish(ledger, acquired.lease, "partner")
    assert ledger.history()[0].deliveries[0].state == "published"


def test_a_window_without_a_delivery_is_refused(ledger: Ledger) -> None:
    """It could never be done."""
    with pytest.raises(DeclarationError, match="deliver"):
        ledger.acquire(spec(names=()), "worker", LONG)
    assert ledger.history() == []


def test_a_naive_instant_is_refused(ledger: Ledger) -> None:
    """An instant without a zone is an error at the border, not a guess."""
    naive = replace(spec(), lo=datetime(2024, 1, 1))  # noqa: DTZ001  (that is the mistake)
    with pytest.raises(LedgerError, match="time zone"):
        ledger.acquire(naive, "worker", LONG)


def test_a_worker_frozen_in_a_transaction_gives_its_locks_back(place: Place, request: pytest.FixtureRequest) -> None:
    """PostgreSQL ends the transaction of a frozen worker, so that the others go on and it can commit no more."""
    if "postgres" not in request.node.name:
        pytest.skip("an SQLite ledger has one host, where a frozen process is seen and ended")
    ledger, rival = Ledger.create(place.url, place.spool), place.open()
    lease = ledger.acquire(spec(), "frozen", OVER).lease
    assert lease is not None
    with pytest.raises(LedgerError), ledger.write() as conn:  # noqa: PT012  (its end is what raises)
        ledger.note(conn, "frozen", {})
        conn.exec_driver_sql("UPDATE export SET grid = 'frozen'")
        assert conn.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar_one() == "30s"
        conn.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = '200ms'")  # nobody waits for 30 s here
        assert rival.acquire(spec(), "rival", LONG).lease is not None
    assert rival.grid("events") is None
    ledger.close()
    rival.close()
