"""Names of what workers stage and hide beside a file, and which fences left them. No server is asked here."""

from __future__ import annotations

from resources.stores.base import FENCE, age


def split(name: str) -> tuple[str, str]:
    """The folder, with its slash or empty, and what is in it."""
    folder, slash, base = name.rpartition("/")
    return folder + slash, base


def beside(name: str, fence: str, kind: str) -> str:
    """The name of what a worker staged ("part") or hid ("gone")."""
    folder, base = split(name)
    return f"{folder}.{base}.{fence}.{kind}"


def left(found: list[str], name: str, kind: str, fence: str) -> set[str]:
    """The fences, not newer than `fence`, of those who left such names."""
    begin, end = f".{split(name)[1]}.", f".{kind}"
    fences = {each[len(begin) : -len(end)] for each in found if each.startswith(begin) and each.endswith(end)}
    return {by for by in fences if FENCE.fullmatch(by) and age(by) <= age(fence)}
