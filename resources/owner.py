"""Who a worker is: host, process and the moment it started, so that a process that was killed is known to be gone."""

from __future__ import annotations

import os
import re
import socket
import uuid
from pathlib import Path

NAMESPACE = Path("/proc/self/ns/pid")


def _host() -> str:
    """The host, and what its process numbers count in: two containers of one name do not see each other's."""
    name = re.sub("[:/~]", "-", socket.gethostname())
    return f"{name}.{re.sub('[^0-9]', '', str(NAMESPACE.readlink()))}" if NAMESPACE.exists() else name


_HOST = _host()


def me() -> str:
    """`host:pid:start:worker`; the start tells a process from a later one with the same number, the worker one run
    in it from the next.
    """
    return f"{_HOST}:{os.getpid()}:{_started(os.getpid())}:{uuid.uuid4().hex[:8]}"


def is_dead(owner: str) -> bool:
    """Whether that worker is certainly gone. A worker on another host, or one that cannot be looked at, is not."""
    host, pid, start, *_ = [*owner.split(":"), "", "", ""]
    if host != _HOST or not pid.isdecimal() or not start or start == "?":
        return False
    return _started(int(pid)) != start


def _started(pid: int) -> str:
    """The kernel's start time of a process, "?" where that is not told, "" where there is no such process (or a
    zombie).
    """
    if not Path("/proc/self/stat").exists():
        return "?"
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
