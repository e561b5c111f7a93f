"""The peers that speed.py measures beside Outgate: each in a virtualenv of its own below .cache/bench, made once.

What they are asked to do is what their own documentation says for the job; a peer that loses rows is no contender.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import duckdb

from bench.measure import Broken, Measured, measured
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


def dlt(folder: Path, url: str, form: str, backend: str, rows: int, _round: int) -> Measured:
    """A table to files of one format by one of its backends."""
    _fresh(folder)
    program = str(REPOSITORY / "bench/peer_dlt.py")
    got = measured(
        [str(CACHE / "dlt/bin/python"), program, url, str(folder), form, backend], folder, {"HOME": str(folder)}
    )
    reader = "read_parquet" if form == "parquet" else "read_csv"
    _all_there(f"{reader}('{folder}/out/peer/rows/*')", rows)
    return got


def sling(folder: Path, url: str, rows: int, _round: int) -> Measured:
    """A table to one csv.gz."""
    _fresh(folder)
    binary = next((CACHE / "sling").glob("lib/python*/site-packages/sling_linux_amd64/bin/sling-linux-amd64"))
    file = folder / "rows.csv.gz"
    command = [
        str(binary), "run", "--src-conn", f"{url}?sslmode=require", "--src-stream", "public.rows",
        "--tgt-object", f"file://{file}", "--tgt-options", "{compression: gzip, format: csv}",
    ]  # fmt: skip
    got = measured(command, folder, {"HOME": str(folder), "SLING_DISABLE_TELEMETRY": "TRUE"})
    _all_there(f"read_csv('{file}', all_varchar = true)", rows)
    return got


def _fresh(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


def _all_there(relation: str, rows: int) -> None:
    if (found := duckdb.execute(f"SELECT count(*) FROM {relation}").fetchall()[0][0]) != rows:
        raise Broken(f"{relation}: expected {rows} rows, the peer delivered {found}")
