"""Partners who take files away, and files that were never there: only what was published may count as taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from resources import failpoint
from resources.stores.local import Local
from spec.errors import ConnectorError
from tests.small import EXPORT, ROWS_A_DAY, Small, day

TAKES = EXPORT.replace(
    "    format: {type: csv}\n", "    format: {type: csv}\n    collects: true\n    manifest: false\n"
)
BESIDE = EXPORT.replace("    format: {type: csv}\n", "    format: {type: csv}\n    collects: true\n")


def made(root: Path, export: str) -> Small:
    """A project with a ledger."""
    small = Small.make(root, export)
    small.home.create().close()
    return small


def file(small: Small) -> Path:
    """Where the first day's rows are to be."""
    return small.root / f"out/sales/{day(0)}/sales_{day(0)}.csv"


def at(point: str, act: Callable[[], None]) -> None:
    """Do something whenever a failpoint is passed."""

    def hook(name: str) -> None:
        if name == point:
            act()

    failpoint.install(hook)


class Died(BaseException):
    """The end of a worker."""


def test_what_was_refused_was_not_taken(tmp_path: Path) -> None:
    """A stranger's file had the name; when it and the staged file are gone, the rows are sent, and not called collected."""
    small = made(tmp_path, TAKES)
    file(small).parent.mkdir(parents=True)
    file(small).write_text("somebody's")
    [outcome] = small.journey().run([day(0)])
    assert "was not written by this delivery" in outcome.detail
    for path in file(small).parent.iterdir():
        path.unlink()
    [outcome] = small.journey().run([day(0)])
    assert outcome.good, outcome.detail
    assert len(small.rows(day(0))) == ROWS_A_DAY


def test_what_was_taken_is_not_sent_for_the_sake_of_another_file(tmp_path: Path) -> None:
    """The rows were published and taken, and the staged manifest vanished: the manifest alone is staged again."""
    small = made(tmp_path, BESIDE)

    def die() -> None:
        raise Died

    at("load.published_one", die)
    try:
        with pytest.raises(Died):
            list(small.journey().run([day(0)]))
    finally:
        failpoint.install(None)
    file(small).unlink()
    for path in file(small).parent.glob(".*.part"):
        path.unlink()
    [outcome] = small.journey().run([day(0)])
    assert outcome.good, outcome.detail
    assert [path.name for path in file(small).parent.iterdir()] == ["_manifest.json"]


def test_what_may_have_been_published_is_not_sent_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer was lost after the effect, and the partner took the file before the second try."""
    small = made(tmp_path, TAKES)
    real, calls = Local.publish, []

    def lost(self: Local, *given: object) -> None:
        calls.append(given)
        real(self, *given)  # type: ignore[arg-type]
        file(small).unlink()
        message = "the line broke"
        raise ConnectorError(message, retriable=True)

    monkeypatch.setattr(Local, "publish", lost)
    (tmp_path / "pipelines/connectors.yaml").write_text(
        "shop: {type: duckdb, path: shop.duckdb}\nfolder: {type: local, path: out, attempts: 3}\n"
    )
    monkeypatch.setattr("assets.load.sleep", lambda _: None)
    [outcome] = small.journey().run([day(0)])
    assert (outcome.good, len(calls)) == (True, 1), outcome.detail
    assert list(file(small).parent.iterdir()) == []
