"""The long proofs, `python -m tests.prove`: every kill point, every ordered pair of them, every system call.

They are the campaigns of tests/crash/ at full length; what they come to is printed in one line and written to
.cache/prove.json with the seed and the commit. What each of them does is in its own file.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.resources.stores.shelves import SHELVES

TOP = Path(__file__).parent.parent
RESULT = TOP / ".cache/prove.json"
PROOFS: Mapping[str, tuple[str, ...]] = {
    "kills": ("campaign", "--each", "--pairs", "-1"),
    "cursor first": ("campaign", "--control", "cursor first", "--moments", "100"),
    "random names": ("campaign", "--control", "random names", "--moments", "100"),
    "no seal": ("campaign", "--control", "no seal", "--moments", "100"),
    "two rivals": ("rivals", "--workers", "2", "--races", "500"),
    "four rivals": ("rivals", "--workers", "4", "--races", "250"),
    "frozen": ("frozen",),
    **{
        f"kills, {store}": ("campaign", "--store", store, "--each", "--pairs", "-1")
        for store in SHELVES
        if store != "local"
    },
    "system calls": ("syscalls",),
}
"""The module of tests/crash/ and its options, by name."""
TOTALS = ("scenarios", "pairs", "rounds", "faults", "kills", "lost", "doubled")
"""What is added up over the proofs of the product."""
CAUGHT = 4
"""One in so many scenarios of a wrong order must be caught."""


def prove(name: str, seed: int) -> dict[str, Any]:
    """Play one proof, its progress on stderr; `good` says whether it holds."""
    began = time.monotonic()
    command = [sys.executable, "-m", f"tests.crash.{PROOFS[name][0]}", "--seed", str(seed), *PROOFS[name][1:]]
    ended = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, text=True, check=False)
    counts: dict[str, Any] = json.loads(ended.stdout) if ended.returncode == 0 else {"problems": ["it broke off"]}
    return counts | {"good": _good(counts), "seconds": round(time.monotonic() - began)}


def _good(counts: Mapping[str, Any]) -> bool:
    if counts.get("control"):
        return bool(counts["caught"] * CAUGHT >= counts["scenarios"])
    return not counts["problems"]


def summary(found: Mapping[str, Mapping[str, Any]]) -> str:
    """One line: the product's figures added up, the wrong orders' shares, and what does not hold."""
    product = [counts for counts in found.values() if not counts.get("control")]
    counted = {name: [counts[name] for counts in product if name in counts] for name in TOTALS}
    totals = [f"{sum(each)} {name}" for name, each in counted.items() if each]
    caught = [f"{name!r} caught in {c['caught']} of {c['scenarios']}" for name, c in found.items() if c.get("control")]
    bad = [name for name, counts in found.items() if not counts["good"]]
    return ", ".join([*totals, *caught, f"not proven: {', '.join(bad)}" if bad else "all proven"])


def _before(seed: int) -> dict[str, dict[str, Any]]:
    """What was proven of this commit already: a proof that was broken off is not begun from the start."""
    try:
        last: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    same = (last.get("seed"), last.get("commit")) == (seed, _commit())
    return {name: counts for name, counts in last.get("proofs", {}).items() if same and counts["good"]}


def _commit() -> str:
    asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=TOP, capture_output=True, text=True, check=False)
    return asked.stdout.strip() or "unknown"


def main() -> int:
    """Play what was asked for; 1 when a proof does not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=PROOFS, action="append", help="this proof only; may be repeated")
    asked = parser.parse_args()
    chosen = asked.only or [name for name in PROOFS if name != "system calls" or shutil.which("strace")]
    found = _before(asked.seed)
    chosen = [name for name in chosen if name not in found or name in (asked.only or [])]
    RESULT.parent.mkdir(exist_ok=True)
    for name in chosen:
        print(f"== {name}", file=sys.stderr, flush=True)  # noqa: T201
        found[name] = prove(name, asked.seed)
        result = {"seed": asked.seed, "commit": _commit(), "summary": summary(found), "proofs": found}
        RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(summary(found))  # noqa: T201
    return int(not all(counts["good"] for counts in found.values()))


if __name__ == "__main__":
    sys.exit(main())
