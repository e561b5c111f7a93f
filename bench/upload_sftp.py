"""Files to an SFTP server, against the limit (OpenSSH's own `sftp -b`): one connection, 1 GB in parts of 200 MB.

Both stage and rename on the same server, by the same key, interleaved, each a process of its own; beside ours stands
the same process with nothing to send: what starting costs. What arrived is compared by its hash. `--parts 5`,
`--rounds 3`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from functools import partial
from pathlib import Path

from bench.measure import Measured, interleaved, measured, spread, table
from bench.project import REPOSITORY, scratch
from resources.files import sha256_of
from resources.stores.sftp import Sftp
from tests.servers.sshd import Sshd, running_sshd

PART = 200_000_000
GATE = 0.4
"""Of the speed of the `sftp` binary."""
PEAK = 200_000_000
LIMIT, OURS, NOTHING = "sftp -b", "our store", "our store, nothing sent"


def main() -> int:
    """Measure and print; in the child of a measurement, send."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--send", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.send:
        _send(Path(chosen.send[0]), int(chosen.send[1]))
        return 0
    with scratch("sftp") as folder, running_sshd() as server:
        source = folder / "part"
        with Path("/dev/urandom").open("rb") as noise, source.open("wb") as file:
            for _ in range(PART // 1_000_000):
                file.write(noise.read(1_000_000))
        contenders = {
            LIMIT: partial(_binary, folder, server, chosen.parts),
            OURS: partial(_store, folder, server, chosen.parts),
            NOTHING: partial(_store, folder, server, 0),
        }
        return _report(interleaved(contenders, chosen.rounds), chosen.parts)


def _binary(folder: Path, server: Sshd, parts: int, _round: int) -> Measured:
    into = server.folder()
    lines = [
        f"put -f {folder}/part {into}/.{each}.part\nrename {into}/.{each}.part {into}/{each}" for each in range(parts)
    ]
    (folder / "batch").write_text("\n".join(lines) + "\n")
    (folder / "known").write_text(f"[{server.host}]:{server.port} {server.host_key()}\n")
    options = ["-q", "-b", "batch", "-P", str(server.port), "-i", str(server.key())]
    options += ["-o", f"UserKnownHostsFile={folder}/known", "-o", "IdentitiesOnly=yes"]
    got = measured(["sftp", *options, f"{server.user}@{server.host}"], folder)
    _arrived(into, folder / "part", parts)
    return got


def _store(folder: Path, server: Sshd, parts: int, _round: int) -> Measured:
    into = server.folder()
    (folder / "sftp.json").write_text(json.dumps(server.declared(folder=str(into))))
    command = [sys.executable, "-m", "bench", "upload_sftp", "--send", str(folder), str(parts)]
    got = measured(command, folder, {"PYTHONPATH": str(REPOSITORY)})
    _arrived(into, folder / "part", parts)
    return got


def _send(folder: Path, parts: int) -> None:
    store = Sftp.model_validate_json((folder / "sftp.json").read_text())
    for each in range(parts):
        store.publish(store.stage(folder / "part", str(each), "g1-f1"), str(each), None, folder / "part")
    store.close()


def _arrived(into: Path, source: Path, parts: int) -> None:
    """Compare, and make room."""
    assert sorted(path.name for path in into.iterdir()) == [str(each) for each in range(parts)]
    assert {sha256_of(path) for path in into.iterdir()} <= {sha256_of(source)}
    for path in into.iterdir():
        path.unlink()


def _report(found: dict[str, list[Measured]], parts: int) -> int:
    sent = parts * PART / 1e6
    table(("contender", "wall s", "MB/s", "CPU s", "peak MB"), [
        (name, spread([each.wall for each in runs]),
         "" if name == NOTHING else f"{sent / statistics.median(each.wall for each in runs):.0f}",
         f"{statistics.median(each.cpu for each in runs):.1f}", f"{max(each.peak for each in runs) / 1e6:.0f}")
        for name, runs in found.items()
    ])  # fmt: skip
    rounds = zip(found[LIMIT], found[OURS], found[NOTHING], strict=True)
    speed = statistics.median(limit.wall / (ours.wall - nothing.wall) for limit, ours, nothing in rounds)
    whole = statistics.median(a.wall / b.wall for a, b in zip(found[LIMIT], found[OURS], strict=True))
    peak = max(each.peak for each in found[OURS])
    good = whole >= GATE and peak < PEAK
    print(f"{'PASS' if good else 'FAIL'}: {whole:.2f} of the speed of {LIMIT} ({speed:.2f} without starting Python); "
          f"the gate is {GATE}; peak {peak / 1e6:.0f} MB, the limit {PEAK / 1e6:.0f} MB")  # fmt: skip
    return int(not good)
