"""What must be on the disk before what, read off the kernel's calls of a run: the power may fail between any two.

A kill proves nothing of this, for the kernel keeps what a dead process wrote. How the calls are recorded is in
syscalls.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

OPENED = re.compile(r"\d+<([^>]+)>")
QUOTED = re.compile(r'"([^"]+)"')
Step = tuple[str, str]
"""`synced` and a file or folder, `committed` and the ledger, `renamed` and the new name."""


def order(found: list[tuple[str, str, str]], root: Path) -> dict[str, list[str]]:
    """By promise, the files of which it does not hold; "checked" has all files that were looked at."""
    steps = list(_steps(found))
    synced = [path for what, path in steps if what == "synced"]
    sealed = [path for path in dict.fromkeys(synced) if "/spool/sealed/" in path and not Path(path).is_dir()]
    out = {path: number for number, (what, path) in enumerate(steps) if what == "renamed" and f"{root}/out/" in path}
    broken = [path for path in sealed if not _folders_after(steps, path)]
    early = [path for path, at in out.items() if not _durable(steps[:at], path)]
    named = [path for path, at in out.items() if ("synced", str(Path(path).parent)) not in steps[at:]]
    return {"checked": sealed + list(out), "sealed, not its folders": broken, "visible, not on the disk": early,
            "visible, its name not on the disk": named}  # fmt: skip


def _steps(found: list[tuple[str, str, str]]) -> Iterator[Step]:
    for _, call, arguments in found:
        if call in {"fsync", "fdatasync"}:
            path = "".join(OPENED.findall(arguments)[:1])
            yield ("committed" if "ledger.db" in path else "synced", path)
        elif call.startswith("rename"):
            yield ("renamed", QUOTED.findall(arguments)[-1])


def _folders_after(steps: list[Step], path: str) -> bool:
    """Whether every folder from the file up to the spool is synced after it, and the ledger's next commit later."""
    at = steps.index(("synced", path))
    commit = next((number for number, step in enumerate(steps) if number > at and step[0] == "committed"), 0)
    folders = [str(each) for each in Path(path).parents if "/spool/sealed" in str(each)]
    return bool(folders) and all(("synced", each) in steps[at:commit] for each in folders)


def _durable(before: list[Step], path: str) -> bool:
    """Whether the staged file, and its folder after it, were synced."""
    staged = [number for number, (what, each) in enumerate(before)
              if what == "synced" and Path(each).name.startswith(f".{Path(path).name}.")]  # fmt: skip
    return bool(staged) and ("synced", str(Path(path).parent)) in before[staged[-1] :]
