"""Rules for rows by the command line: a window that breaks one is not sealed, and the others are delivered."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.small import EXPORT, ROWS_A_DAY, Small, day

UNIQUE = EXPORT.replace("deliver:", "unique: [id]\ndeliver:")
OPTIMOVE = UNIQUE.replace("unique:", "profile: optimove\nunique:").replace("type: csv", "type: csv, part_size: 200MB")
OPTIMOVE = OPTIMOVE.replace("{partition}.csv", "{partition}_{part}.csv.gz")


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """A project after `outgate init`, with one row of the second day twice."""
    made = Small.make(tmp_path, UNIQUE)
    assert made.outgate("init").returncode == 0
    made.sql(f"INSERT INTO sales SELECT * FROM sales WHERE id = {ROWS_A_DAY}")
    return made


def test_a_window_that_breaks_a_rule(small: Small) -> None:
    """It fails before the seal, alone, with a number and an example; mended at the source, it is delivered."""
    ended = small.outgate("backfill", "sales", "--from", day(0), "--to", day(2))
    assert ended.returncode == 1
    states = {entry["partition"]: (entry["state"], entry["detail"]) for entry in small.history()}
    assert [states[day(number)][0] for number in range(3)] == ["done", "failed", "done"]
    said = f"pipelines/sales.yaml:8: the window holds 2 rows that are not the only ones with their 'id', such as '{ROWS_A_DAY}'. Nothing was delivered"
    assert said in states[day(1)][1]
    assert not list((small.root / "out").rglob(f"*{day(1)}*.csv"))
    assert not [path for path in (small.home.spool_folder / "sealed" / "sales" / day(1)).rglob("*") if path.is_file()]
    small.sql(f"DELETE FROM sales WHERE rowid = (SELECT max(rowid) FROM sales WHERE id = {ROWS_A_DAY})")
    assert small.outgate("run", "sales", "--partition", day(1)).returncode == 0
    assert len(small.rows(day(1))) == ROWS_A_DAY


def test_without_the_rule(small: Small) -> None:
    """The control: the row is delivered twice, as it is at the source."""
    small.declare(EXPORT)
    assert small.outgate("run", "sales", "--partition", day(1)).returncode == 0
    assert len(small.rows(day(1))) == ROWS_A_DAY + 1


@pytest.mark.parametrize("number", [0, 1])
def test_one_window_alone(small: Small, number: int) -> None:
    """Where its rows would stream they are read into a file first: the rule sees all of them, and so does the delivery."""
    ended = small.outgate("run", "sales", "--partition", day(number))
    assert (ended.returncode, "not the only ones" in ended.stderr + ended.stdout) == ((0, False), (1, True))[number]
    assert [entry["rows"] for entry in small.history()] == [(ROWS_A_DAY, None)[number]]


def test_a_preview_needs_no_rule(small: Small) -> None:
    """It shows the rows as they are."""
    ended = small.outgate("preview", "sales", "--partition", day(1))
    assert ended.returncode == 0
    assert f"{ROWS_A_DAY + 1} rows read" in ended.stdout


def test_columns_that_do_not_leave(small: Small) -> None:
    """Without `fields:` they are known when the source is looked at; with them, at once."""
    small.declare(UNIQUE.replace("[id]", "[nr]"))
    assert small.outgate("check").returncode == 0
    for command in (("check", "--connect"), ("run", "sales", "--partition", day(0))):
        ended = small.outgate(*command)
        assert ended.returncode == 2
        assert "pipelines/sales.yaml:8: what leaves has no column 'nr'" in ended.stderr + ended.stdout
    small.declare(UNIQUE.replace("unique:", "fields: [{from: id, to: nr}, {from: amount, pii: drop}]\nunique:"))
    ended = small.outgate("check")
    assert (ended.returncode, "sales.yaml:9: `unique.0` no field leaves as 'id'; these do: nr" in ended.stderr) == (
        2,
        True,
    )


def test_a_profile_that_wants_a_key(small: Small) -> None:
    """`check` refuses the declaration without one, and says what to write."""
    small.declare(OPTIMOVE.replace("unique: [id]\n", ""))
    ended = small.outgate("check")
    assert ended.returncode == 2
    assert (
        "pipelines/sales.yaml:8: `profile: optimove`: a file has a unique primary key; say its columns" in ended.stderr
    )
    small.declare(OPTIMOVE)
    assert small.outgate("check").returncode == 0
    assert small.outgate("run", "sales", "--partition", day(0)).returncode == 0


def test_text_that_is_called_a_date(small: Small) -> None:
    """Under a profile that wants dates, another spelling stops its window; the control stands in the next day."""
    small.sql("ALTER TABLE sales ADD COLUMN seen_at VARCHAR DEFAULT '2026-01-01 10:00:00'")
    small.sql("UPDATE sales SET seen_at = '01/02/2026' WHERE id IN (3, 4)")
    small.declare(OPTIMOVE)
    ended = small.outgate("run", "sales", "--partition", day(0))
    assert ended.returncode == 1
    assert "column 'seen_at' holds '01/02/2026' in 2 rows, which is no yyyy-MM-dd and" in ended.stderr + ended.stdout
    assert small.outgate("run", "sales", "--partition", day(2)).returncode == 0


def test_advice_about_currencies(small: Small) -> None:
    """By what the source says of its columns, or the declaration does: said once, and not where there is one."""
    small.declare(OPTIMOVE)
    said = "`profile: optimove` wants the currency of amounts in a column of its own, such as 'currency'; there is none beside 'amount'"
    assert said not in small.outgate("check").stdout
    assert small.outgate("check", "--connect").stdout.count(said) == 1
    cast = "fields: [{from: id}, {from: amount, cast: 'decimal(10,2)'}]\nunique:"
    small.declare(OPTIMOVE.replace("unique:", cast))
    assert f"advice: pipelines/sales.yaml:9: {said}" in " ".join(small.outgate("check").stdout.split())
    assert small.outgate("check", "--connect").stdout.count(said) == 1
    small.sql("ALTER TABLE sales ADD COLUMN currency VARCHAR DEFAULT 'EUR'")
    small.declare(OPTIMOVE)
    assert said not in small.outgate("check", "--connect").stdout


def test_a_personal_key_is_not_shown(small: Small) -> None:
    """Neither on the screen nor in the history."""
    small.declare(UNIQUE.replace("unique: [id]", "fields: [{from: buyer_email, pii: true}]\nunique: [buyer_email]"))
    ended = small.outgate("run", "sales", "--partition", day(1))
    assert ended.returncode == 1
    said = ended.stderr + ended.stdout + small.outgate("history", "--json").stdout
    assert "2 rows that are not the only ones with their 'buyer_email'" in said
    assert "Ann" not in said
