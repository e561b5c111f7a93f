"""Look-ups: what is where, which generation counts, and that they stay cheap."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from resources.ledger import Ledger
from tests.resources.ledger.windows import LONG, done, leased, part, publish, seal, spec


def test_nothing_is_found_before_anything_ran(ledger: Ledger) -> None:
    """Every look-up has an answer for an export that the ledger does not know."""
    assert ledger.window("events", "2024-01-01") is None
    assert (ledger.windows("events"), ledger.states("events"), ledger.history()) == ([], {}, [])
    assert (ledger.last_written("c", "n"), ledger.last_fingerprint("events")) == (None, None)


def test_windows_shows_current_generations_only(ledger: Ledger) -> None:
    """Newest first or oldest first; history has the older generations as well."""
    done(ledger, "2024-01-01")
    done(ledger, "2024-01-02")
    done(ledger, "2024-01-01", again="run-a")
    leased(ledger, "2024-01-03")
    found = [(one.partition, one.generation) for one in ledger.windows("events")]
    assert found == [("2024-01-03", 1), ("2024-01-02", 1), ("2024-01-01", 2)]
    assert ledger.windows("events", newest_first=False) == ledger.windows("events")[::-1]
    assert ledger.states("events") == {"2024-01-01": "done", "2024-01-02": "done", "2024-01-03": "planned"}
    assert [one.generation for one in ledger.history("events", "2024-01-01")] == [1, 2]
    assert len(ledger.history()) == 4
    assert ledger.history("others") == []


def test_partition_keys_sort_as_text(ledger: Ledger) -> None:
    """Hours and days come in the order of their characters on every database, whatever its language."""
    keys = ["2024-01-31-02:05", "2024-01-31-14:05", "2024-01-31", "2024-02-01-00:00"]
    for key in keys:
        leased(ledger, key)
    assert list(ledger.states("events")) == sorted(keys)


@pytest.mark.parametrize("count", [1, 40])
def test_the_number_of_queries_does_not_grow(ledger: Ledger, count: int) -> None:
    """Three queries, however many windows there are."""
    for number in range(count):
        seal(ledger, leased(ledger, f"2024-{number:05}"))
    statements: list[str] = []

    def counted(_c: object, _u: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT"):
            statements.append(statement)

    event.listen(ledger._reading, "before_cursor_execute", counted)
    assert len(ledger.windows("events")) == count
    event.remove(ledger._reading, "before_cursor_execute", counted)
    assert len(statements) == 3


def test_last_written_is_what_stands_at_the_destination(ledger: Ledger) -> None:
    """The newest publication under that connector and name counts, from whichever window it came."""
    done(ledger, "2024-01-01", part("partner", name="x.csv", sha256="one"))
    done(ledger, "2024-01-02", part("partner", name="x.csv", sha256="two"))
    assert ledger.last_written("partner_connector", "x.csv") == "two"
    assert ledger.last_written("warehouse_connector", "x.csv") is None
    done(ledger, "2024-01-01", part("partner", name="x.csv", sha256="three"), again="run-a")
    assert ledger.last_written("partner_connector", "x.csv") == "three"


def test_what_was_not_published_was_not_written(ledger: Ledger) -> None:
    """Staged bytes stand under no name yet; a redelivery does not take away what stands there."""
    lease = leased(ledger)
    seal(ledger, lease, part("partner", name="x.csv"), part("warehouse"))
    ledger.uploaded(lease, "partner", {("part", 0): "t"})
    assert ledger.last_written("partner_connector", "x.csv") is None
    ledger.published(lease, "partner")
    ledger.release(lease)
    assert ledger.last_written("partner_connector", "x.csv") == "aa"
    ledger.reopen("events", "2024-01-01", "partner", "anna")
    assert ledger.last_written("partner_connector", "x.csv") == "aa"


def test_the_previous_generation_tells_what_to_remove(ledger: Ledger) -> None:
    """For each delivery, the artifacts of its newest older generation that was published."""
    first = (part("partner", 0), part("partner", 1), part("warehouse", 0, sha256="w1"))
    done(ledger, "2024-01-01", *first)
    second = ledger.acquire(spec(), "worker", LONG, again="run-a").lease
    assert second is not None
    assert {one.name for one in ledger.previous_generation(second)} == {"0.csv", "1.csv"}
    seal(ledger, second, part("partner", 0, sha256="p2"), part("warehouse", 0, sha256="w2"))
    publish(ledger, second, "partner")
    third = ledger.supersede(second, "gone", "worker", LONG)
    assert [(one.delivery, one.sha256) for one in ledger.previous_generation(third)] == [
        ("partner", "p2"),
        ("warehouse", "w1"),
    ]


def test_the_first_generation_has_none_before_it(ledger: Ledger) -> None:
    """Neither its own artifacts nor those of another window are its predecessors."""
    done(ledger, "2024-01-01")
    lease = leased(ledger, "2024-01-02")
    seal(ledger, lease)
    publish(ledger, lease, "partner")
    assert ledger.previous_generation(lease) == ()


def test_last_fingerprint_is_that_of_the_last_seal(ledger: Ledger) -> None:
    """The newest seal counts, not the newest key: a backfill sees the source as it is now."""
    seal(ledger, leased(ledger, "2024-01-02"), fingerprint="f2")
    seal(ledger, leased(ledger, "2024-01-01"), fingerprint="f1")
    leased(ledger, "2024-01-03")
    assert ledger.last_fingerprint("events") == ("f1", "2024-01-01")
