"""The recipe of Antavo's Export module: every export over made-up data, compared with an oracle in plain Python.

The recipe's files are used as they are; on PostgreSQL an environment lays another connector over theirs.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import chain
from pathlib import Path

import pytest

from assets.journey import Journey
from assets.outcome import Outcome
from assets.plan import grid_of
from demo.antavo.__main__ import RECIPE, main, make, today
from demo.antavo.tables import TABLES, Row
from pipelines.choice import newest_key
from pipelines.home import Home
from pipelines.project import Project
from spec.reading import Declared
from tests.recipes.antavo_oracle import Line, Oracle, declared
from tests.recipes.antavo_reader import received
from tests.recipes.antavo_source import SERVERS, Source
from tests.resources.databases.subjects import PASSWORD_VARIABLE
from tests.servers.postgres import PASSWORD
from tests.small import Small

EXPORTS = sorted(path.stem for path in RECIPE.glob("*.yaml") if path.stem not in {"connectors", "defaults"})
MEMBERS = 300
DAYS = 3
"""Windows of each incremental export that are delivered."""
LATER = 200
"""Rows of `changes` that are written between the delivery of its two windows."""


@dataclass
class Delivered:
    """The recipe after its runs: the rows that were there, and for each export its windows, outcomes and late rows."""

    root: Path
    environment: str
    tables: dict[str, list[Row]]
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)

    def run(self, source: Source) -> None:
        """Deliver every export; rows are added to `changes` between its two windows."""
        project, home = Project(self.root / "pipelines", self.environment), Home.find(self.root, self.environment)
        home.create().close()
        for name in project.exports:
            chosen = project.get(name)
            keys, again = windows(chosen), list[str]()
            if name == "changes":
                keys, again = keys[:1], keys[1:2]
            self.outcomes[name] = list(self._run(project, home, chosen, keys))
            if again:
                source.add(name, self.tables[name][-LATER:])
                self.outcomes[name] += self._run(project, home, chosen, again)

    def _run(self, project: Project, home: Home, chosen: Declared, keys: list[str]) -> Iterator[Outcome]:
        ledger, spool = home.open()
        with closing(ledger):
            journey = Journey(chosen, ledger, spool, project.connectors, project.planner(chosen))
            yield from journey.run(keys)

    def file(self, name: str, key: str) -> Path:
        """The only file of a window beside its manifest."""
        folder = self.root / "deliveries" / name / key
        [path] = (each for each in folder.iterdir() if not each.name.startswith("_"))
        return path

    def rows(self, oracle: Oracle, number: int, key: str) -> list[Row]:
        """The rows of an export's window that its filters leave; by identifier the later ones are in the second."""
        every, (low, end) = self.tables[oracle.table], ends(oracle, key)
        if oracle.table == "changes":
            every = (every[:-LATER], every[-LATER:])[number]
        return oracle.kept(oracle.window(every, low, end), end)


def windows(chosen: Declared) -> list[str]:
    """The newest window of a snapshot, else the last few."""
    newest = newest_key(chosen)
    grid = grid_of(chosen.export)
    back = (date.fromisoformat(newest) - timedelta(days=DAYS - 1)).isoformat()
    return [newest] if chosen.export.mode == "snapshot" else grid.between(back, newest)


def ends(oracle: Oracle, key: str) -> tuple[date, date]:
    """The days at whose midnights a window begins and ends."""
    low = date.fromisoformat(key)
    after = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=31)}
    end = low + after[oracle.export["partitions"]["every"]]
    return low, end.replace(day=1) if oracle.export["partitions"]["every"] == "month" else end


@pytest.fixture(scope="module", params=SERVERS, ids=["duckdb", "postgres"])
def delivered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivered]:
    """Every export of the recipe, delivered once on each source."""
    root = tmp_path_factory.mktemp("antavo")
    shutil.copytree(RECIPE, root / "pipelines")
    tables = make(today(), members=MEMBERS)
    first = tables | {"changes": tables["changes"][:-LATER]}
    with pytest.MonkeyPatch.context() as patch, SERVERS[request.param](request, root, first) as source:
        patch.setenv(PASSWORD_VARIABLE, PASSWORD)
        patch.delenv("OUTGATE_HOME", raising=False)
        found = Delivered(root, request.param, tables)
        found.run(source)
        yield found


def test_all_are_delivered(delivered: Delivered) -> None:
    """Every window of all thirteen exports was delivered."""
    runs = [(name, each) for name, many in delivered.outcomes.items() for each in many]
    assert [(name, each.key, each.detail) for name, each in runs if not each.good] == []
    assert {Oracle(declared(name)).table for name, _ in runs} == set(TABLES)
    assert sorted(delivered.outcomes) == EXPORTS


@pytest.mark.parametrize("name", EXPORTS)
def test_the_files_have_what_the_oracle_says(delivered: Delivered, name: str) -> None:
    """Each file has the header, and each row that the filters leave once, its cells to the letter; NULL is not ''."""
    oracle, total = Oracle(declared(name)), 0
    for number, outcome in enumerate(delivered.outcomes[name]):
        expected = oracle.lines(delivered.rows(oracle, number, outcome.key))
        assert Counter(received(delivered.file(name, outcome.key), oracle)) == Counter(expected)
        total += len(expected)
    assert total > 5


@pytest.fixture(scope="module")
def made() -> dict[str, list[Row]]:
    """The rows alone."""
    return make(today(), members=MEMBERS)


@pytest.mark.parametrize("name", EXPORTS)
def test_every_condition_matters(made: dict[str, list[Row]], name: str) -> None:
    """The data has rows that each single condition leaves out: a filter that did nothing would be seen."""
    oracle = Oracle(declared(name))
    every = made[oracle.table]
    kept = oracle.kept(every, today())
    for one, conditions in enumerate(oracle.sets):
        for two, condition in enumerate(conditions):
            without = [*conditions[:two], *conditions[two + 1 :]]
            sets = [*oracle.sets[:one], *([without] if without else []), *oracle.sets[one + 1 :]]
            assert oracle.kept(every, today(), sets) != kept, condition
    assert bool(oracle.sets) == (len(kept) < len(every))


@pytest.mark.parametrize("name", EXPORTS)
def test_every_value_matters(made: dict[str, list[Row]], name: str) -> None:
    """The rows that leave have a NULL or an empty text for each default, and each value that is replaced."""
    oracle = Oracle(declared(name))
    kept = oracle.kept(made[oracle.table], today())
    for each in oracle.fields:
        found = {str(row[each["from"]]) for row in kept} if "from" in each else set()
        assert "default" not in each or found & {"None", ""}, each
        assert set(each.get("replace", ())) <= found, each


def test_nothing_and_empty_texts_come_apart(delivered: Delivered) -> None:
    """The files of the test really have both, in one column."""
    oracle = Oracle(declared("events"))
    files = [received(delivered.file("events", each.key), oracle) for each in delivered.outcomes["events"]]
    agents: set[str | None] = {line[oracle.names.index("user_agent")] for line in chain(*files)}
    assert {None, "", "NULL", "two\nlines", 'Zoë said "merci"'} <= agents


def test_what_is_counted_are_rows(delivered: Delivered) -> None:
    """Members of all groups are the rows that the filter leaves, and no group comes twice."""
    oracle = Oracle(declared("customers_by_country"))
    [outcome] = delivered.outcomes["customers_by_country"]
    lines: list[Line] = received(delivered.file("customers_by_country", outcome.key), oracle)
    members = [int(line[oracle.names.index("members")] or 0) for line in lines]
    assert sum(members) == len(delivered.rows(oracle, 0, outcome.key))
    assert len(lines) == len({line[:2] for line in lines})


def test_the_recipe_is_right_for_the_source(delivered: Delivered) -> None:
    """`outgate check --connect` finds every table and column."""
    variables = {"OUTGATE_ENV": delivered.environment, PASSWORD_VARIABLE: PASSWORD}
    ended = Small(delivered.root).outgate("check", "--connect", **variables)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "13 exports are right" in ended.stdout


def test_a_newcomer_runs_it_in_a_minute(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The lines of the documentation: one makes the data and the declarations, three more deliver and compare."""
    main([str(tmp_path), "--members", "200"])
    assert "200 customers" in capsys.readouterr().out
    small = Small(tmp_path)
    assert small.outgate("init", "--ledger").returncode == 0
    shown = small.outgate("preview", "customers").stdout
    assert "•••" in shown
    assert "xample.com" not in shown
    assert small.outgate("run", "customers").returncode == 0
    assert small.outgate("verify", "customers").returncode == 0
    [entry] = small.history()
    rows = received(Path(entry["parts"][0]["location"]), Oracle(declared("customers")))
    assert len(rows) == entry["rows"] > 0
    assert any("xample.com" in str(row) for row in rows)
