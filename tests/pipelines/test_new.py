"""`outgate new`: what it writes from a real catalogue passes `outgate check`, delivers, and replaces nothing."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spec.document import read
from tests.pipelines.sqlite_shop import made, run
from tests.small import Small

AT = "DATETIME NOT NULL DEFAULT '2026-01-03 10:00:00'"
TABLES = {
    "updated": (f"id INTEGER PRIMARY KEY, created_at {AT}, updated_at {AT}", ("created_at", "updated_at")),
    "created": (f"id INTEGER PRIMARY KEY, created_at {AT}, seen_at {AT}", ("seen_at", "created_at")),
    "unindexed": (f"id INTEGER PRIMARY KEY, updated_at {AT}", ()),
    "nullable": ("id INTEGER PRIMARY KEY, updated_at DATETIME", ("updated_at",)),
    "neither": ("code TEXT PRIMARY KEY, updated_at DATETIME", ()),
    "instant": (
        f"code TEXT NOT NULL UNIQUE, modified_on TIMESTAMPTZ NOT NULL, changed {AT}",
        ("modified_on", "changed"),
    ),
}
CHOSEN: dict[str, dict[str, Any] | None] = {
    "updated": {"by": "time", "column": "updated_at", "key": "id", "timezone": "UTC"},
    "created": {"by": "time", "column": "created_at", "key": "id", "timezone": "UTC"},
    "unindexed": {"by": "id", "column": "id"},
    "nullable": {"by": "id", "column": "id"},
    "neither": None,
    "instant": {"by": "time", "column": "modified_on", "key": "code"},
}


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """A project whose SQLite file has the tables above."""
    statements = [f"CREATE TABLE {name} ({columns})" for name, (columns, _) in TABLES.items()]
    indexes = [f"CREATE INDEX {name}_{each} ON {name} ({each})" for name, (_, led) in TABLES.items() for each in led]
    return made(tmp_path, *statements, *indexes)


def written(small: Small, name: str) -> dict[str, Any]:
    """The declaration of an export, as plain data."""
    return read((small.root / f"pipelines/{name}.yaml").read_text(encoding="utf-8"), name).data


@pytest.mark.parametrize("name", TABLES)
def test_what_is_chosen(small: Small, name: str) -> None:
    """A time of change, then of creation, then the id, then a snapshot; only what is never NULL and has an index. What
    is written is right for `check`, also when it connects.
    """
    assert small.outgate("new", "first", "--from", f"lite.{name}").returncode == 0
    found = written(small, "first")
    wanted = CHOSEN[name]
    common = {"stamped_by": "application", "lag": "5m"}
    assert found["source"].get("cursor") == (None if wanted is None else wanted | common)
    assert found.get("mode") == (None if wanted else "snapshot")
    assert small.outgate("check", "first").returncode == 0
    assert small.outgate("check", "first", "--connect").returncode == 0


def test_it_delivers(small: Small) -> None:
    """The declaration begins on the day of the oldest row, and delivers it as it stands."""
    run(small, "INSERT INTO updated (id) VALUES (7)")
    assert small.outgate("new", "first", "--from", "lite.updated").returncode == 0
    assert written(small, "first")["partitions"]["start"] == "2026-01-03"
    small.outgate("init")
    assert small.outgate("run", "first", "--partition", "2026-01-03").returncode == 0
    rows = (small.root / "out/first/2026-01-03/first_2026-01-03.csv").read_text().splitlines()
    assert rows == ["id,created_at,updated_at", "7,2026-01-03T10:00:00,2026-01-03T10:00:00"]


def test_what_a_person_decides_is_marked(small: Small) -> None:
    """Zone, stamps, first window and personal columns carry a comment."""
    run(small, "ALTER TABLE updated ADD COLUMN buyer_email TEXT")
    small.outgate("new", "first", "--from", "lite.updated")
    text = (small.root / "pipelines/first.yaml").read_text()
    for part in ("timezone: UTC               # CHECK", "stamped_by: application     # `database` if", "# CHECK pii"):
        assert part in text
    assert "{from: buyer_email, pii: true}" in text


def test_flags(small: Small) -> None:
    """Cursor, key and store are taken as given; `none` is a snapshot."""
    small.outgate(
        "new", "a", "--from", "lite.updated", "--cursor", "created_at", "--key", "updated_at", "--to", "folder"
    )
    assert written(small, "a")["source"]["cursor"]["key"] == "updated_at"
    small.outgate("new", "b", "--from", "lite.updated", "--cursor", "none")
    assert written(small, "b")["mode"] == "snapshot"
    small.outgate("new", "c", "--from", "lite.updated", "--cursor", "id")
    assert written(small, "c")["source"]["cursor"]["by"] == "id"
    assert small.outgate("check").returncode == 0


def test_odd_names(small: Small) -> None:
    """Columns whose names mean something to YAML are quoted, and found again."""
    run(small, f'CREATE TABLE odd ("a: b" {AT}, "null" INT, "# c" TEXT, "quo""te" TEXT, "é, {{x}}" TEXT)')
    run(small, 'CREATE INDEX odd_a ON odd ("a: b")')
    assert small.outgate("new", "first", "--from", "lite.odd", "--cursor", "a: b").returncode == 0
    assert [each["from"] for each in written(small, "first")["fields"]] == ["a: b", "null", "# c", 'quo"te', "é, {x}"]
    assert small.outgate("check", "first", "--connect").returncode == 0


def test_duckdb_needs_no_index(small: Small) -> None:
    """Where a window is found without an index, a column that is never NULL will do; its zone is known."""
    small.sql("CREATE TABLE logged (id INT PRIMARY KEY, updated_at TIMESTAMPTZ NOT NULL)")
    assert small.outgate("new", "first", "--from", "shop.logged").returncode == 0
    assert written(small, "first")["source"]["cursor"]["column"] == "updated_at"
    assert "timezone" not in written(small, "first")["source"]["cursor"]


def test_nothing_is_overwritten(small: Small) -> None:
    """A file that is there, or an export of that name in another file, is left alone."""
    (small.root / "pipelines/first.yaml").write_text("mine: true\n")
    ended = small.outgate("new", "first", "--from", "lite.updated")
    assert (ended.returncode, "is not overwritten" in ended.stderr) == (2, True)
    assert (small.root / "pipelines/first.yaml").read_text() == "mine: true\n"
    (small.root / "pipelines/sales.yaml").rename(small.root / "pipelines/other.yaml")
    ended = small.outgate("new", "sales", "--from", "lite.updated")
    assert (ended.returncode, "already" in ended.stderr) == (2, True)
    assert not (small.root / "pipelines/sales.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing EXPORT"),
        (("first",), "Missing --from"),
        (("first", "--from", "lite"), "names no table"),
        (("first", "--from", "lite.updatd"), "did you mean 'updated'"),
        (("first", "--from", "nowhere.t"), "there is no connector 'nowhere'"),
        (("first", "--from", "lite.updated", "--to", "foldr"), "did you mean 'folder'"),
        (("first", "--from", "lite.updated", "--cursor", "update_at"), "has no column 'update_at'"),
        (("first", "--from", "lite.neither", "--cursor", "code"), "a cursor is a timestamp"),
        (("../first", "--from", "lite.updated"), "must look like"),
    ],
)
def test_wrong_usage(small: Small, arguments: tuple[str, ...], said: str) -> None:
    """Exit 2 and a sentence; no file, and without a terminal no question."""
    before = set(small.root.rglob("*.yaml"))
    ended = small.outgate("new", *arguments)
    assert (ended.returncode, said in ended.stderr) == (2, True), ended.stderr
    assert set(small.root.rglob("*.yaml")) == before


def test_several_stores_need_a_choice(small: Small) -> None:
    """With more than one store, the one to deliver to is named by a person."""
    with (small.root / "pipelines/connectors.yaml").open("a") as file:
        file.write("other: {type: local, path: other}\n")
    ended = small.outgate("new", "first", "--from", "lite.updated")
    assert (ended.returncode, "Missing --to CONNECTOR; there are: folder, other." in ended.stderr) == (2, True)


def test_questions_on_a_terminal(small: Small) -> None:
    """Without flags it asks, shows what it suggests, and takes Enter for that."""
    theirs, ours = pty.openpty()
    command = [str(Path(sys.executable).parent / "outgate"), "new"]
    with subprocess.Popen(command, cwd=small.root, stdin=ours, stdout=ours, stderr=ours, close_fds=True) as asked:
        os.close(ours)
        os.write(theirs, b"first\nlite.updated\ncreated_at\n\n")
        said = b""
        while asked.poll() is None or b"made" not in said:
            try:
                said += os.read(theirs, 4096)
            except OSError:  # the other end of a terminal is gone when its process is
                break
        asked.wait(timeout=60)
    os.close(theirs)
    assert asked.returncode == 0, said
    assert b"suggested: 'updated_at'" in said
    cursor = written(small, "first")["source"]["cursor"]
    assert (cursor["column"], cursor["key"]) == ("created_at", "id")
