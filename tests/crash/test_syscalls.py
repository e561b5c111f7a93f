"""Faults where the kernel is called: a whole run is killed at calls that write, and told that the disk is full."""

from __future__ import annotations

import shutil

import pytest

from tests.crash.playing import play
from tests.servers.missing import apt_install, give_up


@pytest.fixture(autouse=True)
def _strace() -> None:
    if shutil.which("strace") is None and not apt_install("strace"):
        give_up("strace", "it is not installed, and apt cannot install it")


def test_what_is_promised_is_on_the_disk_before() -> None:
    """A part and its folders before the ledger knows it; a staged file before it is visible, and then its name."""
    found = play("syscalls", "--order")
    checked = found.pop("checked")
    assert len(checked) > 4
    assert {promise: files for promise, files in found.items() if files} == {}


def test_a_fault_at_a_system_call_loses_nothing() -> None:
    """A kill leaves what a rerun can finish; an error ends in a message, never a traceback, and then so does a rerun."""
    found = play("syscalls", "--kills", "5", "--errors", "5")
    assert found["problems"] == []
    assert (found["faults"], found["kills"]) == (10, 5)
    assert (found["lost"], found["doubled"]) == (0, 0)
