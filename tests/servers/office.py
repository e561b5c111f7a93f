"""LibreOffice's Calc without a screen: opens files as a person's spreadsheet would, and says what it took for formulas."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tests.servers.missing import apt_install, give_up

_FORMULA = re.compile(r'table:formula="([^"]*)"')
_ROWS = re.compile(r"<table:table-row\b")


def formulas(path: Path, folder: Path) -> tuple[list[str], int]:
    """The formulas of a file that Calc opened, and how many rows it has. `folder` gets a profile of its own."""
    program = _program()
    profile = f"-env:UserInstallation=file://{folder / 'profile'}"
    command = [program, "--headless", profile, "--convert-to", "fods", "--outdir", str(folder), str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    opened = folder / f"{path.stem}.fods"
    assert opened.is_file(), ended.stderr
    text = opened.read_text(encoding="utf-8")
    return _FORMULA.findall(text), len(_ROWS.findall(text))


def _program() -> str:
    if not shutil.which("soffice") and not apt_install("libreoffice-calc"):
        give_up("LibreOffice", "Debian's package libreoffice-calc cannot be installed")
    return shutil.which("soffice") or give_up("LibreOffice", "it was installed, and there is no `soffice`")
