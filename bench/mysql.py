"""Rows from MariaDB, against the limit (its own client to /dev/null): our reader alone, and the journey to csv.gz.

Fifteen columns of mixed kinds, through TLS on both sides. Contenders run interleaved, each in a process of its own;
Outgate must have seen every row. Beside the reader stands the same process reading none: what starting costs.
`--thousand 500`, `--rounds 3`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench.measure import Broken, Measured, interleaved, measured, spread, table
from bench.project import EXPORT, REPOSITORY, Bench, scratch, secret
from bench.rows import key
from tests.servers.mariadb import OWNER, PASSWORD, MariaDBServer, running_mariadb

DATABASE = "test_bench"
LIMIT = "mariadb --quick > /dev/null"
READER, NOTHING, JOURNEY = "our reader", "our reader, no rows", "journey, csv.gz"
MADE = """
CREATE TABLE `rows` (
    id bigint unsigned NOT NULL PRIMARY KEY, tenant varchar(20), customer_id int unsigned,
    type enum('earn', 'redeem', 'gift'), channel varchar(9), points decimal(12,2), balance decimal(38,10), ratio double,
    active boolean, note text, payload json, day date, at time(3), occurred_at datetime(6),
    updated_at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
)
"""
FILLED = """
INSERT INTO `rows` SELECT
    seq, IF(seq % 5, 'acme', 'globex'), seq * 7919 % 1000003, 1 + seq % 3, ELT(seq % 3, 'store', 'web'),
    seq * 31 % 900000 - 40000.25, seq * 1234567.0123456789, seq / 7, seq % 2,
    ELT(seq % 6, '', 'say "hi"', 'two\nlines', 'ñandú 積分', MD5(seq)),
    CONCAT('{{"device": "ios", "campaign": "spring-', seq % 97, '"}}'), '{day}', SEC_TO_TIME(seq % 86400 + 0.125),
    '{day} 01:02:03.456789' - INTERVAL seq SECOND, '{day}' + INTERVAL seq % 86400 SECOND
FROM seq_1_to_{rows}
"""


def main() -> int:
    """Measure and print; in the child of a measurement, read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--thousand", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--read", help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.read:
        print(_read(chosen.read, chosen.limit))
        return 0
    rows = chosen.thousand * 1000
    with scratch("mysql") as folder, running_mariadb(folder / "server", "--innodb-buffer-pool-size=512M") as server:
        (folder / "reader").mkdir()
        with server.database(DATABASE):
            server.execute(MADE, FILLED.format(day=key(0), rows=rows), "ANALYZE TABLE `rows`", database=DATABASE)
            contenders = {
                LIMIT: partial(_client, folder, server),
                READER: partial(_reader, folder / "reader", _declared(server), rows),
                NOTHING: partial(_reader, folder / "reader", _declared(server), 0),
                JOURNEY: partial(_journey, folder / "journey", _declared(server), rows),
            }
            _report(interleaved(contenders, chosen.rounds), rows)
    return 0


def _declared(server: MariaDBServer) -> dict[str, Any]:
    place = {"host": server.host, "port": server.port, "database": DATABASE, "user": OWNER}
    return {"type": "mariadb", "password": {"env": next(iter(secret()))}, "ssl_ca": str(server.certificate)} | place


def _client(folder: Path, server: MariaDBServer, _round: int) -> Measured:
    where = f"--host={server.host} --port={server.port} --user={OWNER} --ssl-ca={server.certificate} {DATABASE}"
    asked = f"mariadb --no-defaults --quick --batch --raw {where} -e 'SELECT * FROM `rows`'"
    return measured(["/bin/sh", "-c", f"{asked} > /dev/null"], folder, {"MYSQL_PWD": PASSWORD})


def _reader(folder: Path, declared: Mapping[str, Any], rows: int, _round: int) -> Measured:
    command = [sys.executable, "-m", "bench.mysql", "--read", json.dumps(declared), f"--limit={rows}"]
    got = measured(command, folder, secret() | {"PYTHONPATH": str(REPOSITORY)})
    _same(int((folder / "bench.log").read_text()), rows)
    return got


def _read(declared: str, limit: int) -> int:
    from sqlglot import exp

    from resources.databases.base import Query
    from resources.databases.mysql import MariaDB

    database = MariaDB.model_validate_json(declared)
    relation = exp.table_("rows", quoted=True)
    asked = Query(relation, database.columns(relation), limit=limit)
    with database.snapshot() as snapshot:
        return sum(len(batch) for batch in snapshot.read(asked))


def _journey(folder: Path, declared: Mapping[str, Any], rows: int, _round: int) -> Measured:
    bench = Bench.of(folder, declared, ("csv.gz",))
    got = bench.journey(key(0))
    ledger, _ = bench.home.open()
    record = ledger.window(EXPORT, key(0))
    ledger.close()
    _same(record.rows if record and record.state == "done" else None, rows)
    return got


def _same(found: int | None, rows: int) -> None:
    if found != rows:
        raise Broken(f"expected {rows} rows, there are {found}")


def _report(found: Mapping[str, Sequence[Measured]], rows: int) -> None:
    base = [each.wall for each in found[LIMIT]]
    lines = []
    for name, got in found.items():
        ratio = spread([each.wall / one for each, one in zip(got, base, strict=True)])
        wall, cpu = (spread(values, ".1f") for values in ([each.wall for each in got], [each.cpu for each in got]))
        lines.append((name, ratio, wall, cpu, "" if name == LIMIT else f"{max(each.peak for each in got) / 1e6:.0f}"))
    table(("contender", "x the limit, wall", "wall s", "CPU s", "peak MB"), lines)
    print(f"{rows:,} rows of 15 columns")


if __name__ == "__main__":
    sys.exit(main())
