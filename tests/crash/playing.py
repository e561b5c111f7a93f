"""How a test plays: in a process of its own, because pytest's has long opened what a zygote must not have."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

TOP = Path(__file__).parent.parent.parent
LONGEST = 600


def play(module: str, *options: str) -> dict[str, Any]:
    """What `python -m tests.crash.MODULE` printed; it says how it goes on stderr."""
    command = [sys.executable, "-m", f"tests.crash.{module}", *options]
    ended = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert ended.returncode == 0, ended.stderr[-4000:]
    found: dict[str, Any] = json.loads(ended.stdout)
    return found
