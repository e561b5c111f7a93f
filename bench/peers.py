"""The peers that are measured beside Outgate: each in a virtualenv of its own below .cache/bench, made once.

What they are asked to do is what their own documentation says for the job; a peer that loses rows is no contender.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from bench.contest import Contender, fresh
from bench.measure import Measured, measured
from bench.project import REPOSITORY

CACHE = REPOSITORY / ".cache/bench"
PACKAGES = {
    "dlt": ("dlt[parquet]==1.31.0", "sqlalchemy", "psycopg[binary]", "pyarrow", "connectorx"),
    "sling": ("sling==1.4.11", "sling-linux-amd64==1.4.11"),  # the last wheel that carries its binary
}


def installed(peer: str) -> bool:
    """Make the peer's virtualenv; False, with a word, where it cannot be had."""
    folder = CACHE / peer
    if (folder / "bin/python").exists():
        return True
    uv = str(Path(sys.executable).parent / "uv")
    try:
        subprocess.run([uv, "venv", "--quiet", str(folder)], check=True)
        python = str(folder / "bin/python")
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *PACKAGES[peer]], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        print(f"without {peer}: it cannot be installed here ({error})")
        return False
    return True


def contenders(url: str, without: set[str], *window: str) -> dict[str, Contender]:
    """Those that can be had here, but for `without`; of all the rows, or of a `window` (low, high) of the cursor."""
    made: dict[str, Contender] = {}
    if "sling" not in without and installed("sling"):
        made["Sling 1.4.11, csv.gz"] = Contender(partial(_sling, url, window), "rows.csv.gz")
    if "dlt" not in without and installed("dlt"):
        for form, backend in (("csv", "pyarrow"), ("csv", "connectorx"), ("parquet", "connectorx")):
            run = partial(_dlt, url, form, backend, window)
            made[f"dlt {backend}, {form}"] = Contender(run, "out/peer/rows/*")
    return made


def _dlt(url: str, form: str, backend: str, window: tuple[str, ...], folder: Path) -> Measured:
    """The table to files of one format by one of its backends."""
    program, python = str(REPOSITORY / "bench/peer_dlt.py"), str(CACHE / "dlt/bin/python")
    command = [python, program, url, str(folder), form, backend, *window]
    return measured(command, fresh(folder), {"HOME": str(folder)})


def _sling(url: str, window: tuple[str, ...], folder: Path) -> Measured:
    """The table to one csv.gz."""
    binary = next((CACHE / "sling").glob("lib/python*/site-packages/sling_linux_amd64/bin/sling-linux-amd64"))
    command = [
        str(binary), "run", "--src-conn", f"{url}?sslmode=require", "--src-stream", "public.rows",
        "--tgt-object", f"file://{folder}/rows.csv.gz", "--tgt-options", "{compression: gzip, format: csv}",
    ]  # fmt: skip
    if window:
        command += ["--where", "updated_at >= '{}' AND updated_at < '{}'".format(*window)]
    return measured(command, fresh(folder), {"HOME": str(folder), "SLING_DISABLE_TELEMETRY": "TRUE"})
