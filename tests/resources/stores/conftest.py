"""Fixtures of more than one file of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from spec.secrets import FromFile
from tests.resources.stores.ftp_stores import CANARY, close_all


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """A sealed part."""
    path = tmp_path / "part"
    path.write_bytes(b"rows")
    return path


@pytest.fixture
def secret(tmp_path: Path) -> FromFile:
    """A password in a file."""
    path = tmp_path / "password"
    path.write_text(CANARY)
    return FromFile(file=str(path))


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """No connection of FTP outlives its test."""
    yield
    close_all()
