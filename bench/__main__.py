"""`python -m bench` lists the measurements, `python -m bench NAME [options]` takes one. They are files of that name."""

from __future__ import annotations

import importlib
import sys

NAMES = (
    "memory", "backfill", "killed", "speed", "window", "mysql", "shape", "upload", "upload_sftp", "upload_ftps"
)  # fmt: skip


def main() -> int:
    """Take the measurement that is named; without a name, say which there are."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in NAMES:
        for each in NAMES:
            said = (importlib.import_module(f"bench.{each}").__doc__ or "").partition("\n")[0]
            print(f"  python -m bench {each:10}{said}")
        return 2 if name else 0
    sys.argv = [f"python -m bench {name}", *sys.argv[2:]]
    code: int = importlib.import_module(f"bench.{name}").main()
    return code


if __name__ == "__main__":
    sys.exit(main())
