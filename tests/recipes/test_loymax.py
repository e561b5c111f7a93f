"""The recipe of nine Loymax SmartCom entities, delivered again and again from a server that changes in between.

The recipe's files are used as they are; only the connectors are laid over by an environment, and two durations are
other ones, because the windows are of 2024: `lookback` reaches back to them, and no `lag` is waited for.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from assets.journey import Journey
from assets.outcome import Outcome
from assets.plan import grid_of
from pipelines.choice import newest_key
from pipelines.home import Home
from pipelines.project import Project
from spec.reading import Declared
from tests.journey.trial import postgres
from tests.recipes import loymax_source as source
from tests.recipes.loymax_source import FIRST, LATE, OTHER, OURS, PRODUCTS, STRETCH, Shop
from tests.recipes.loymax_tables import TABLES, Row, Table, received
from tests.servers import mariadb
from tests.servers.postgres import PASSWORD
from tests.small import Small

TOP = Path(__file__).parents[2]
RECIPE = TOP / "pipelines" / "recipes" / "loymax"
DURATIONS = {"lookback: 7d": "lookback: 9000d", "lag: 1m": "lag: 0s"}
SECRET = "SHOP_DB_PASSWORD"
PACK = 10_000
SNAPSHOT = "user_directories"
LATECOMERS = {name for name in TABLES if Table(name).stamped} | {"events"}
WORDLESS = {"receipt_lines", "bonus_balances"}
"""Tables without a text."""


@dataclass(frozen=True)
class Partner:
    """A copy of the recipe on a server of the test, and the partner who takes what it delivers."""

    root: Path

    @classmethod
    def of(cls, root: Path, connector: dict[str, Any]) -> Partner:
        """Copy the recipe, lay the test's connector over its own, and make a ledger."""
        for path in (each for each in RECIPE.iterdir() if each.is_file()):
            text = path.read_text(encoding="utf-8")
            for declared, here in DURATIONS.items():
                text = text.replace(declared, here)
            (root / path.name).write_text(text, encoding="utf-8")
        overlay = {"shop_db": connector | {"password": {"env": SECRET}}}
        (root / "connectors.test.yaml").write_text(json.dumps(overlay), encoding="utf-8")
        partner = cls(root)
        partner.home.create().close()
        return partner

    @property
    def project(self) -> Project:
        """The recipe as a project, in its environment `test`."""
        return Project(self.root, "test")

    @property
    def home(self) -> Home:
        """Its home, whatever the environment says."""
        return Home(self.root / "home", f"sqlite:///{self.root / 'home' / 'ledger.db'}")

    def deliver(self, stretch: int) -> dict[str, list[Outcome]]:
        """Run every export over its windows of one stretch; the snapshot is always the newest."""
        project = self.project
        return {name: self._run(project, name, stretch) for name in project.exports}

    def _run(self, project: Project, name: str, stretch: int) -> list[Outcome]:
        declared = project.get(name)
        keys, again = windows(declared, stretch), None
        if name == SNAPSHOT:
            keys, again = [newest_key(declared)], f"stretch {stretch}"
        ledger, spool = self.home.open()
        with closing(ledger):
            journey = Journey(declared, ledger, spool, project.connectors, project.planner(declared), again=again)
            return list(journey.run(keys))

    def files(self, name: str) -> list[Path]:
        """The delivered files of an export."""
        return sorted((self.root / "deliveries" / name).rglob("*.ndjson"))

    def received(self, name: str) -> list[Row]:
        """Every row that came, as often as it came."""
        return [received(line) for path in self.files(name) for line in path.read_text("utf-8").splitlines()]

    def kept(self, table: Table) -> list[Row]:
        """What the partner has in the end: of each key the row with the newest stamp."""
        rows = self.received(table.name)
        if table.stamped:
            rows.sort(key=lambda row: datetime.fromisoformat(row["updated_at"]))
            rows = list({row[table.key.to]: row for row in rows}.values())
        return rows


def windows(declared: Declared, stretch: int) -> list[str]:
    """The keys of an export within six hours, whatever its own grid."""
    grid, low = grid_of(declared.export), FIRST + stretch * STRETCH
    return [key for key in grid.keys(low + STRETCH) if grid.window(key).lo >= low]


def counted(rows: list[Row]) -> Counter[str]:
    """The rows by how often they are there and how they are spelled: 1.10 is not 1.1, and 1 is not true."""
    return Counter(repr(sorted(row.items())) for row in rows)


@dataclass
class Played:
    """A server after its stretches, the partner, what each stretch's runs said, and who shared a stamp after each."""

    shop: Shop
    partner: Partner
    stretches: int
    outcomes: list[dict[str, list[Outcome]]] = field(default_factory=list)
    tied: list[tuple[list[int], list[int]]] = field(default_factory=list)

    @property
    def repriced(self) -> int:
        """The stretch whose products one statement stamps: then rows come late with that stamp, and some change."""
        return self.stretches - 2

    def play(self) -> None:
        """Fill the server, deliver; change it and deliver, as often as there are stretches."""
        source.fill(self.shop)
        for stretch in range(self.stretches):
            if stretch:
                source.change(self.shop, stretch)
            if stretch == self.repriced:
                source.reprice(self.shop, stretch)
            self.outcomes.append(self.partner.deliver(stretch))
            if stretch >= self.repriced:
                self.tied.append((self._came(), self._there()))

    def _came(self) -> list[int]:
        """The ids of delivered products with the repricing's stamp."""
        stamp = f"{source.last(self.repriced):%Y-%m-%dT%H:%M:%S.%f}Z"
        return sorted(row["local_id"] for row in self.partner.received("products") if row["updated_at"] == stamp)

    def _there(self) -> list[int]:
        """The ids of our products that have it at the source."""
        query = "SELECT product_id FROM products WHERE user_id = %s AND updated_at = %s ORDER BY product_id"
        return [key for (key,) in self.shop.run(query, OURS, source.last(self.repriced))]


@contextmanager
def on_postgres(request: pytest.FixtureRequest) -> Iterator[tuple[Shop, dict[str, Any]]]:
    """A fresh PostgreSQL database, and its connector."""
    server = request.getfixturevalue("postgres_server")
    with server.database("test_loymax") as url, psycopg.connect(url, autocommit=True) as session:
        yield Shop(session, 0), postgres(url, sslmode="disable")


@contextmanager
def on_mariadb(request: pytest.FixtureRequest) -> Iterator[tuple[Shop, dict[str, Any]]]:
    """A fresh MariaDB database, and its connector."""
    server = request.getfixturevalue("mariadb_server")
    with server.database("test_loymax") as name, server.connect(name) as session:
        place = {"host": server.host, "port": server.port, "database": name, "user": mariadb.OWNER}
        yield Shop(session, 1), {"type": "mariadb", "ssl_mode": "disabled"} | place


SERVERS = {"postgres": (on_postgres, 4), "mariadb": (on_mariadb, 2)}
"""What makes a database on each, and how many stretches are played there: at least two, which have every change."""


@pytest.fixture(scope="module", autouse=True)
def _secret() -> Iterator[None]:
    """The password of the servers' owners, where the recipe looks for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SECRET, PASSWORD)
        yield


@pytest.fixture(scope="module", params=SERVERS)
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """The whole story, once a server."""
    server, stretches = SERVERS[request.param]
    with server(request) as (shop, connector):
        story = Played(shop, Partner.of(tmp_path_factory.mktemp("loymax"), connector), stretches)
        story.play()
        yield story


def test_all_are_delivered(played: Played) -> None:
    """Every window of all nine was delivered, every time."""
    runs = [(name, each) for found in played.outcomes for name, many in found.items() for each in many]
    assert [(name, each.key, each.detail) for name, each in runs if not each.good] == []
    assert {name for name, _ in runs} == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_the_partner_has_the_tenants_rows(played: Played, name: str) -> None:
    """In the end the newest rows that the partner got are the source's own, each value as it is there."""
    there = played.shop.partner(Table(name))
    assert counted(played.partner.kept(Table(name))) == counted(there)
    assert len(there) >= source.ROWS


def test_no_row_of_another_tenant(played: Played) -> None:
    """What another tenant has in the same tables, under the same ids, is in no file."""
    texts = [path.read_text("utf-8") for name in TABLES for path in played.partner.files(name)]
    assert sum(OTHER in text for text in texts) == 0
    assert sum(OURS in text for text in texts) >= len(TABLES) - len(WORDLESS)


def test_late_rows_are_said(played: Played) -> None:
    """Rows whose stamp or identifier was delivered before make a correction of its window, with their number."""
    for stretch, found in enumerate(played.outcomes):
        late = {name: [each.late for each in many if each.late is not None] for name, many in found.items()}
        expected = [LATE] if stretch else []
        assert late == {name: expected if name in LATECOMERS else [] for name in TABLES}


def test_many_rows_of_one_stamp_come_together(played: Played) -> None:
    """25,600 products that one statement stamped come each once; again with late ones, without those changed since."""
    (came, there), (again, left) = played.tied
    assert (came, again) == (there, left)
    assert set(came) >= set(range(1, PRODUCTS + 1))
    assert len(set(again) - set(came)) == LATE
    assert set(came) - set(again)


def test_control_strictly_later_in_packs(played: Played) -> None:
    """The control: packs of rows later than the latest stamp that was seen leave most of them out."""
    query = "SELECT product_id, updated_at FROM products WHERE updated_at > %s AND user_id = %s ORDER BY updated_at LIMIT %s"
    seen: set[int] = set()
    latest = FIRST
    while pack := played.shop.run(query, latest, OURS, PACK):
        seen |= {key for key, _ in pack}
        latest = pack[-1][1]
    assert len(seen) < PRODUCTS / 2


def test_the_recipe_is_right_for_the_server(played: Played) -> None:
    """`outgate check --connect` finds every table and column."""
    variables = {"OUTGATE_PIPELINES": str(played.partner.root), "OUTGATE_ENV": "test", SECRET: PASSWORD}
    ended = Small(played.partner.root).outgate("check", "--connect", **variables)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "9 exports are right" in ended.stdout


def test_the_recipe_is_right(tmp_path: Path) -> None:
    """`outgate check` reads all nine where OUTGATE_PIPELINES names the folder, and misses the secret by its name."""
    small = Small(tmp_path)
    ended = small.outgate("check", OUTGATE_PIPELINES=str(RECIPE), **{SECRET: "x"})
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"9 exports are right: {', '.join(sorted(TABLES))}\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(SECRET)
        ended = small.outgate("check", OUTGATE_PIPELINES=str(RECIPE))
    assert ended.returncode == 2
    assert SECRET in ended.stderr


def test_recipes_are_not_loaded_by_themselves() -> None:
    """The declarations of `pipelines/` are those that lie in it, not those of its recipes."""
    assert not {"events", "promo_codes"} & set(Project(TOP / "pipelines").exports)
