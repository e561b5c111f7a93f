"""Wrong declarations and what is said about them."""

from __future__ import annotations

import pytest

from spec.document import read
from spec.errors import DeclarationError
from spec.reading import read_export
from tests.spec.texts import RIGHT, broken, declared

FIELDS = RIGHT[RIGHT.index("fields:") : RIGHT.index("deliver:")]
WRONG = [
    ("every: day", "every: dy", "x.yaml:6: `partitions.every` should be 'hour', 'day', 'week' or 'month', or must"),
    ("column: updated_at", "colum: updated_at", "unknown key `colum`; did you mean `column`?"),
    ("is: equals", "is: equal", "x.yaml:10: `filters.any.0.all.0.is` should be 'equals', "),
    ("export: loyalty_events", "export: Loyalty", "x.yaml:1: `export` must look like loyalty_events: lower case"),
    ("deliver:", 'schedule: {daily: "6:00"}\ndeliver:', "x.yaml:15: `schedule.daily` must look like 06:00: hours"),
    (FIELDS, "fields: []\n", "x.yaml:12: `fields` should be 'all', or must not be empty, found []"),
    ("table: events", "table: ''", "`source.table` must not be empty"),
    ("Europe/Paris", "Europe/Pari", "'Europe/Pari' is not a time zone; use an IANA name"),
    ("{partition}", "{partitio}", "x.yaml:17: `deliver.0.path` unknown variable {partitio}; a path knows {date}"),
    (
        "delimiter",
        "delimter",
        "x.yaml:18: unknown key `delimter`; did you mean `delimiter`? (allowed here: bom",
    ),
    ("deliver:", "mode: changes\ndeliver:", "x.yaml:15: `mode` `mode: changes` and `changes:` belong together, as in"),
    ("deliver:", "changes: {key: [local_id]}\ndeliver:", "x.yaml:15: `changes` `mode: changes` and `changes:` belong"),
    ("deliver:", "mode: changes\nchanges: {key: [nr]}\ndeliver:", "x.yaml:16: `changes.key.0` 'nr' is no field"),
    ("deliver:", "changes: {key: [a, A]}\nmode: changes\ndeliver:", "x.yaml:15: `changes.key` names a field twice"),
    ("{partition}", "{partition}/{operation}", "{operation} (added, changed, removed) is for `mode: changes`"),
    ("type: csv", "type: cvs", "x.yaml:18: `deliver.0.format` cannot have `type: cvs`; allowed: 'csv', 'psv'"),
    ("200MB", "200", "`deliver.0.format.part_size` must be text, in quotes, found 200"),
    ("part_size: 200MB", "'null': NULL", "`deliver.0.format.null` must be text, in quotes, found null"),
    ("200MB", "200 megs", "'200 megs' is not a size; write a whole number and one of KB"),
    ("  table: events\n", "", "x.yaml:2: `source` say either `table:` or `sql:`"),
    ("by: time", "by: date", "x.yaml:5: `source.cursor` cannot have `by: date`; allowed: 'time', 'id'"),
    ("from: gender", "frm: gender", "x.yaml:14: unknown key `frm`; did you mean `from`?"),
    ("date:-30 days", "date:30 dys", "x.yaml:11: `filters.any.0.all.1` 'date:30 dys' is not a date expression"),
    ("deliver:", "checks: {}\ndeliver:", "x.yaml:15: `checks` is not available yet in this release"),
    ("deliver:", "partitionz: {}\ndeliver:", "x.yaml:15: unknown key `partitionz`; did you mean `partitions`?"),
    ("x_{part}.csv.gz", "../../x_{part}", "'{export}/{partition}/../../x_{part}' cannot be a path"),
    ("{partition}/x_", "x_", "is the same for every window; use {partition} in it"),
    ("x_{part}", "x", "`part_size` makes several files; use {part}"),
    ("{from: customer_id, to: local_id}", "{from: customer_id, to: gender}", "two fields leave as 'gender'"),
    ("to: local_id}", "to: local_id, aggregate: sum}", "aggregates need `mode: snapshot`"),
    (
        "column: updated_at, key: id}",
        "column: updated_at, late: carry}",
        "x.yaml:5: `source.cursor.late` `late: carry` needs a `key:`",
    ),
    ("key: id}", "key: id, late: carry}\nmode: snapshot", "`late: carry` is for `mode: incremental`"),
    ("  cursor: {by: time, column: updated_at, key: id}\n", "", "`mode: incremental` needs `source.cursor:`"),
    ('delimiter: ";"', "delimiter: '\"'", "`delimiter` and `enclosure` must differ"),
    ("start: 2024-01-01", "start: 2024-13-01", "'2024-13-01' is not a date"),
    ("value: active", "value: [a, b]", "`is: equals` takes one value, found ['a', 'b']"),
    ("  - to: folder\n    path", "  - path", "`deliver.0.to` is missing"),
]


def test_the_right_one_is_right() -> None:
    """What the wrong ones are made from can be read."""
    assert declared().export.source.table == "events"


@pytest.mark.parametrize(("old", "new", "said"), WRONG, ids=[f"{old} -> {new}"[:40] for old, new, _ in WRONG])
def test_one_mistake_is_said_once_with_its_place(old: str, new: str, said: str) -> None:
    """The message has file, line, what was found and what is allowed."""
    with pytest.raises(DeclarationError) as caught:
        read_export(read(broken(old, new), "x.yaml"))
    assert said in str(caught.value)
    assert all(problem.startswith("x.yaml:") for problem in caught.value.problems)


@pytest.mark.parametrize("wrong", ["every: dy", "every: 5", "every: [day]"])
def test_a_value_that_could_be_several_things_is_one_mistake(wrong: str) -> None:
    """What each of them would have to be is said in one line."""
    with pytest.raises(DeclarationError) as caught:
        read_export(read(broken("every: day", wrong), "x.yaml"))
    assert len(caught.value.problems) == 1


def test_a_rule_between_parts_has_the_line_of_the_part() -> None:
    """A second delivery of one name is where it is written, not in line 1."""
    twice = RIGHT + RIGHT[RIGHT.index("  - to: folder") :]
    named = RIGHT.replace("- to: folder", "- to: folder\n    name: a")
    named += named[named.index("  - to: folder") :]
    for text, said in ((twice, "x.yaml:19: `deliver.1.to` two"), (named, "x.yaml:21: `deliver.1.name` two")):
        with pytest.raises(DeclarationError) as caught:
            read_export(read(text, "x.yaml"))
        assert str(caught.value).startswith(f"{said} deliveries are called")


def test_all_mistakes_are_said_at_once() -> None:
    """Nobody wants to mend one at a time."""
    text = broken("every: day", "every: dy").replace("delimiter", "delimter")
    with pytest.raises(DeclarationError) as caught:
        read_export(read(text, "x.yaml"))
    assert len(caught.value.problems) >= 2


def test_aggregation_has_its_rules() -> None:
    """All or none, and at least one group."""
    snapshot = RIGHT.replace("partitions:", "mode: snapshot\npartitions:")
    for fields, said in (
        ("{from: a, aggregate: sum}\n  - {from: b}", "give 'b' an `aggregate:`"),
        ("{from: a, aggregate: sum}\n  - {from: b, aggregate: count}", "at least one field with `aggregate: group`"),
    ):
        text = (
            snapshot[: snapshot.index("fields:")] + f"fields:\n  - {fields}\n" + snapshot[snapshot.index("deliver:") :]
        )
        with pytest.raises(DeclarationError, match=said):
            read_export(read(text, "x.yaml"))
