"""`outgate download`: what was delivered is brought here, compared with its receipt; and `verify --quick`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.small import Small, day


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """A project with one delivered window."""
    made = Small.make(tmp_path)
    made.home.create().close()
    assert all(each.good for each in made.journey().run([day(0)]))
    return made


def files(folder: Path) -> list[str]:
    """All that is below a folder, hidden things too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_delivered_files_are_brought_here(small: Small, tmp_path: Path) -> None:
    """With the manifest; a second time nothing is replaced, and the message says what to do."""
    name = f"sales/{day(0)}/sales_{day(0)}.csv"
    ended = small.outgate("download", "sales", "--to", "here")
    assert ended.returncode == 0, ended.stderr
    assert files(tmp_path / "here") == [f"folder/sales/{day(0)}/_manifest.json", f"folder/{name}"]
    assert (tmp_path / "here/folder" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    ended = small.outgate("download", "sales", "--to", "here", "--partition", day(0))
    assert (ended.returncode, "is here already" in ended.stderr) == (2, True)


def test_a_file_that_was_changed_is_not_brought(small: Small, tmp_path: Path) -> None:
    """Nor one that is gone; nothing half is left here."""
    file = tmp_path / f"out/sales/{day(0)}/sales_{day(0)}.csv"
    file.write_text("changed")
    ended = small.outgate("download", "sales", "--to", "here")
    assert (ended.returncode, "is not what was delivered" in ended.stderr) == (1, True)
    file.unlink()
    ended = small.outgate("download", "sales", "--to", "here")
    assert (ended.returncode, "`outgate redeliver` sends it again" in ended.stderr) == (1, True)
    assert files(tmp_path / "here") == []


def test_a_link_is_a_place_where_nothing_can_sign(small: Small, tmp_path: Path) -> None:
    """Nothing is brought then; and what is no duration, no window or no delivery is refused."""
    ended = small.outgate("download", "sales", "--link", "12h")
    assert ended.stdout.splitlines()[0] == str(tmp_path / f"out/sales/{day(0)}/sales_{day(0)}.csv")
    for wrong, said in (
        ("--link=soon", "is not a duration"),
        (f"--partition={day(1)}", "is delivered"),
        ("--delivery=x", "there are: folder"),
    ):
        ended = small.outgate("download", "sales", wrong)
        assert (ended.returncode, said in ended.stderr) == (2, True), ended.stderr


def test_verify_reads_what_is_there(small: Small, tmp_path: Path) -> None:
    """A file of the same size with other bytes is told, quickly too where the store reads to know its hash."""
    file = tmp_path / f"out/sales/{day(0)}/sales_{day(0)}.csv"
    file.write_bytes(file.read_bytes()[::-1])
    for options in ([], ["--quick"]):
        ended = small.outgate("verify", "sales", *options)
        assert (ended.returncode, "was changed" in ended.stdout) == (1, True), ended.stdout
