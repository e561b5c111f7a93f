"""Parts to ProFTPD over FTPS, as assets/load.py stages and publishes them, against lftp: the same server, interleaved.

TLS on both channels, sessions taken up; each contender in a process of its own. Gate: 0.8 of lftp's speed.
`--parts 5`, `--mb 200` (of each), `--rounds 3`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from bench.measure import Broken, Measured, interleaved, measured, spread, table
from bench.project import REPOSITORY, scratch
from tests.servers.proftpd import PASSWORD, USER, FTPServer, running_proftpd

LIMIT, OURS = "lftp", "our store"
GATE, MEMORY = 0.8, 200e6
SECURE = "set ftp:ssl-force true; set ftp:ssl-protect-data true; set ssl:verify-certificate true"


def main() -> int:
    """Measure, print, and say whether the gate holds; in the child of a measurement, upload."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=int, default=5)
    parser.add_argument("--mb", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--upload", help=argparse.SUPPRESS)
    parser.add_argument("--store", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.upload:
        _upload(Path(chosen.upload), chosen.store)
        return 0
    if not shutil.which("lftp"):
        raise Broken("lftp is not there: apt-get install lftp")
    with scratch("upload_ftps") as folder, running_proftpd() as server:
        files = folder / "parts"
        files.mkdir()
        for number in range(chosen.parts):
            _fill(files / f"{number}.bin", chosen.mb)
        contenders = {
            LIMIT: partial(_lftp, folder, files, server),
            OURS: partial(_ours, folder, files, server),
        }
        return _report(interleaved(contenders, chosen.rounds), chosen.parts * chosen.mb)


def _fill(path: Path, megabytes: int) -> None:
    block = os.urandom(1_000_000)
    with path.open("wb") as file:
        for _ in range(megabytes):
            file.write(block)


def _lftp(folder: Path, files: Path, server: FTPServer, _round: int) -> Measured:
    names = " ".join(str(path) for path in sorted(files.iterdir()))
    said = f"{SECURE}; set ssl:ca-file {server.certificate}; mkdir -f lftp; cd lftp; mput {names}; quit"
    login = ["lftp", "--norc", "-p", str(server.port), "--env-password", "-u", USER, "-e", said, f"ftp://{server.host}"]
    got = measured(login, folder, {"LFTP_PASSWORD": PASSWORD})
    return _arrived(got, server, "lftp", files)


def _ours(folder: Path, files: Path, server: FTPServer, _round: int) -> Measured:
    from resources.stores.ftp import FTPS
    from spec.secrets import FromFile

    store = FTPS(
        host=server.host,
        port=server.port,
        user=USER,
        password=FromFile(file=str(server.secret)),
        folder="ours",
        tls_ca=str(server.certificate),
    )
    command = [sys.executable, "-m", "bench.upload_ftps", f"--upload={files}"]
    declared = store.model_dump_json(exclude_unset=True)
    got = measured([*command, f"--store={declared}"], folder, {"PYTHONPATH": str(REPOSITORY)})
    return _arrived(got, server, "ours", files)


def _upload(files: Path, declared: str) -> None:
    from resources.stores.ftp import FTPS

    store = FTPS.model_validate_json(declared)
    for path in sorted(files.iterdir()):
        token = store.stage(path, path.name, "g1-f1")
        store.sweep(path.name, frozenset({token}), "g1-f1")
        store.publish(token, path.name, None, path)
    store.close()


def _arrived(got: Measured, server: FTPServer, name: str, files: Path) -> Measured:
    place = server.folder / name
    wanted = {path.name: path.stat().st_size for path in files.iterdir()}
    if {path.name: path.stat().st_size for path in place.iterdir()} != wanted:
        raise Broken(f"{name}: what arrived is not what was sent")
    shutil.rmtree(place)
    return got


def _report(found: Mapping[str, Sequence[Measured]], megabytes: int) -> int:
    base = [each.wall for each in found[LIMIT]]
    lines = []
    for name, got in found.items():
        ratio = spread([one / each.wall for each, one in zip(got, base, strict=True)])
        speed = spread([megabytes / each.wall for each in got], ".0f")
        cpu = spread([each.cpu for each in got], ".1f")
        lines.append((name, ratio, speed, cpu, f"{max(each.peak for each in got) / 1e6:.0f}"))
    table(("contender", "x lftp's speed", "MB/s", "CPU s", "peak MB"), lines)
    ratios = sorted(one / each.wall for each, one in zip(found[OURS], base, strict=True))
    held = ratios[len(ratios) // 2] >= GATE and max(each.peak for each in found[OURS]) < MEMORY
    print(f"{megabytes} MB; the gate ({GATE} of lftp, under {MEMORY / 1e6:.0f} MB) {'holds' if held else 'FAILS'}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
