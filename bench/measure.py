"""One child process measured: wall, CPU and peak memory; and how several are printed. What runs is not known here."""

from __future__ import annotations

import os
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

EVERY = 0.05
"""Seconds between two looks at a child's memory; VmHWM is the kernel's own peak, so a late look misses nothing but the
end."""


class Broken(RuntimeError):
    """A measured command failed: there is no figure."""


@dataclass(frozen=True)
class Measured:
    """One run: seconds of wall and of CPU (with the children it waited for), peak resident bytes of itself."""

    wall: float
    cpu: float
    peak: int


def measured(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Measured:
    """Run a command in `folder` until it ends. Raises Broken with its last words when it fails."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OUTGATE_", "DAGSTER_"))}
    log = folder / "bench.log"
    with log.open("wb") as output:
        begun = time.monotonic()
        child = subprocess.Popen(command, cwd=folder, env=plain | dict(environment or {}), stdout=output, stderr=output)
        peak = _Peak(child.pid)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        peak.stop()
    if child.returncode:
        raise Broken(f"{command[0]} ended with {child.returncode}: {log.read_text(errors='replace')[-2000:]}")
    return Measured(wall, usage.ru_utime + usage.ru_stime, peak.bytes)


class _Peak:
    """Looks at VmHWM of /proc/PID/status until it is stopped; ru_maxrss would include the parent's, before exec."""

    def __init__(self, pid: int) -> None:
        self.bytes = 0
        self._status, self._over = Path(f"/proc/{pid}/status"), threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(EVERY):
            self.bytes = max(self.bytes, _resident(self._status))

    def stop(self) -> None:
        """The process is gone."""
        self._over.set()
        self._thread.join()


def _resident(status: Path) -> int:
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def interleaved(contenders: Mapping[str, Callable[[int], Measured]], rounds: int) -> dict[str, list[Measured]]:
    """A B C, A B C: every contender meets the same noise. A contender is told the number of its round."""
    found: dict[str, list[Measured]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name, run in contenders.items():
            found[name].append(run(number))
            print(f"  round {number + 1}: {name}: {found[name][-1].wall:.2f} s", flush=True)
    return found


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """`median (min to max)`."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print Markdown, as it goes into the README."""
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    print(flush=True)
