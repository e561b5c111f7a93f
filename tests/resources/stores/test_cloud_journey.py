"""An export to each cloud, from the command line: delivered once, verified, sent again, and no secret anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.resources.stores.shelves import SHELVES, Shelf
from tests.small import EXPORT, Small, day

NAME = f"sales/{day(0)}/sales_{day(0)}.csv"
CLOUDS = ("azure", "gcs")


@pytest.fixture(params=CLOUDS)
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shelf]:
    """A place in a cloud."""
    (tmp_path / "shelf").mkdir()
    with SHELVES[request.param](request, tmp_path / "shelf") as made:
        yield made


def declared(shelf: Shelf, **changed: str) -> str:
    """connectors.yaml for a place."""
    store = shelf.store()
    data = store.model_dump(mode="json", exclude_unset=True) | {"type": store.type} | changed
    return f"shop: {{type: duckdb, path: shop.duckdb}}\nfolder: {json.dumps(data)}\n"


@pytest.fixture
def small(shelf: Shelf, tmp_path: Path) -> Small:
    """A project that delivers there."""
    made = Small.make(tmp_path / "project", EXPORT, declared(shelf))
    assert made.outgate("init").returncode == 0
    return made


def canaries(folder: Path) -> list[bytes]:
    """What must be nowhere: pieces of each secret that no two things have by chance."""
    [file] = folder.iterdir()
    text = file.read_text(encoding="utf-8")
    found = (
        [text.partition("sig=")[2].partition("&")[0]]
        if "sig=" in text
        else json.loads(text)["private_key"].split("\n")[1:3]
    )
    assert all(len(each) > 20 for each in found)
    return [each.encode() for each in found]


def leaks(small: Small, said: str, folder: Path) -> list[str]:
    """Where a canary is found: in what was said, or in any file of the project."""
    texts = {str(path): path.read_bytes() for path in small.root.rglob("*") if path.is_file()} | {"said": said.encode()}
    return [where for where, text in texts.items() for canary in canaries(folder) if canary in text]


def test_a_delivery_from_end_to_end(shelf: Shelf, small: Small, tmp_path: Path) -> None:
    """A second run changes nothing, `verify` finds all as delivered, and `redeliver` brings the same bytes back."""
    ended = [small.outgate("run", "sales", "--partition", day(0))]
    before = shelf.get(NAME)
    assert before.count(b"\n") == 6
    ended += [small.outgate("run", "sales", "--partition", day(0)), small.outgate("verify", "sales", "--json")]
    assert [row["found"] for row in json.loads(ended[-1].stdout)] == ["as delivered"]
    shelf.take(NAME)
    assert small.outgate("verify", "sales").returncode == 1
    ended += [small.outgate("redeliver", "sales", "--partition", day(0)), small.outgate("check", "--connect")]
    assert [each.returncode for each in ended] == [0] * 5, ended
    assert (shelf.get(NAME), len(shelf.names())) == (before, 2)
    assert leaks(small, "".join(each.stdout + each.stderr for each in ended), tmp_path / "shelf") == []


def test_a_failure_shows_no_secret(shelf: Shelf, small: Small, tmp_path: Path) -> None:
    """Neither in what is printed nor in the ledger; mended, the same window is delivered."""
    store = shelf.store()
    wrong = declared(shelf, **({"bucket": "nobodys"} if store.type == "gcs" else {"container": "nobodys"}))
    (small.root / "pipelines/connectors.yaml").write_text(wrong, encoding="utf-8")
    failed = small.outgate("run", "sales", "--partition", day(0))
    assert failed.returncode == 1
    assert "nobodys" in failed.stdout + failed.stderr
    assert leaks(small, failed.stdout + failed.stderr, tmp_path / "shelf") == []
    (small.root / "pipelines/connectors.yaml").write_text(declared(shelf), encoding="utf-8")
    assert small.outgate("run", "sales", "--partition", day(0)).returncode == 0
    assert NAME in shelf.names()


def test_control_a_leak_is_found(shelf: Shelf, small: Small, tmp_path: Path) -> None:
    """In a file of the project, and in what was said."""
    [file] = (tmp_path / "shelf").iterdir()
    (small.root / "leak").write_bytes(file.read_bytes())
    text = canaries(tmp_path / "shelf")[0].decode()
    assert {str(small.root / "leak"), "said"} <= set(leaks(small, text, tmp_path / "shelf"))
