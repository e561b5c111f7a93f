"""Archives hold the very text, under the file's name, and the same text makes the same bytes."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from assets import archives
from assets.archives import Member, pack
from spec.errors import DeclarationError
from spec.formats import ARCHIVES
from spec.template import member
from tests.assets.files import parts
from tests.spec.texts import broken, declared

QUERY = "SELECT i AS n, md5(i::VARCHAR) AS t FROM range(40000) r(i)"


def unpacked(archive: str, data: bytes) -> tuple[str, bytes]:
    """The only member's name and text, by Python's own libraries, which check its sum."""
    if archive == "zip":
        with zipfile.ZipFile(io.BytesIO(data)) as found:
            assert found.testzip() is None
            (name,) = found.namelist()
            return name, found.read(name)
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz" if archive == "tgz" else "r:") as packed:
        (info,) = packed.getmembers()
        file = packed.extractfile(info)
        assert file
        assert (info.mtime, info.uid, info.uname, info.mode) == (0, 0, "", 0o644)
        return info.name, file.read()


@pytest.mark.parametrize("archive", ARCHIVES)
def test_an_archive_holds_the_very_text(tmp_path: Path, archive: str) -> None:
    """Byte for byte what the file would be without it; nothing is left beside the parts."""
    (plain,) = parts(QUERY, "{type: csv}", tmp_path / "plain")
    (packed,) = parts(QUERY, f"{{type: csv, compression: {archive}}}", tmp_path / "packed")
    name, text = unpacked(archive, packed.path.read_bytes())
    assert name == "x_001.csv.gz"
    assert sorted(text.splitlines()) == sorted(plain.path.read_bytes().splitlines())
    assert (packed.rows, packed.bytes) == (40000, packed.path.stat().st_size)
    assert [path.name for path in packed.path.parent.iterdir()] == ["1"]


@pytest.mark.parametrize("archive", ARCHIVES)
@pytest.mark.parametrize("more", ["part_size: 2MB", "part_rows: 9000"])
def test_several_archives(tmp_path: Path, archive: str, more: str) -> None:
    """Each part is an archive of its own, of whole rows with their header, no larger than asked for as it is written."""
    sql = "SELECT i AS n, md5(i::VARCHAR) AS t FROM range(400000) r(i)" if "size" in more else QUERY
    found = parts(sql, f"{{type: csv, compression: {archive}, {more}}}", tmp_path)
    texts = [unpacked(archive, part.path.read_bytes()) for part in found]
    assert [name for name, _ in texts] == [f"x_{number:03d}.csv.gz" for number in range(1, len(found) + 1)]
    assert all(text.startswith(b"n,t\n") for _, text in texts)
    assert all(text.endswith(b"\n") for _, text in texts)
    numbers = [int(line.split(b",")[0]) for _, text in texts for line in text.splitlines()[1:]]
    assert sorted(numbers) == list(range(400000 if "size" in more else 40000))
    if "size" in more:
        assert len(found) > 2
        assert max(part.bytes for part in found) <= 2_000_000
    else:
        assert [part.rows for part in found] == [9000, 9000, 9000, 9000, 4000]


def made(archive: str, text: bytes, name: str, folder: Path) -> bytes:
    """The archive of a text."""
    path, target = folder / "member", io.BytesIO()
    with path.open("wb") as file:
        inside = Member(file, archive)
        for start in range(0, len(text), 7):
            inside.write(text[start : start + 7])
        inside.close()
    pack(archive, path, name, inside, target)
    return target.getvalue()


@pytest.mark.parametrize("archive", ARCHIVES)
@pytest.mark.parametrize("text", [b"", b"a\n", b"row;\xc3\xa9\n" * 30_000])
@pytest.mark.parametrize("name", ["a.csv", "é.csv", "x" * 150 + ".csv"])
def test_the_same_text_makes_the_same_bytes(tmp_path: Path, archive: str, text: bytes, name: str) -> None:
    """So a retry is the same file; any size and name comes out as it went in."""
    once = made(archive, text, name, tmp_path)
    assert once == made(archive, text, name, tmp_path)
    assert unpacked(archive, once) == (name, text)


@pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed")
def test_another_program_tests_the_zip(tmp_path: Path) -> None:
    """Info-ZIP finds nothing to complain about."""
    (tmp_path / "a.zip").write_bytes(made("zip", b"x" * 100_000, "a.csv", tmp_path))
    said = subprocess.run(["unzip", "-t", tmp_path / "a.zip"], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "No errors detected" in said.stdout


def test_zip_beyond_four_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the plain fields cannot say is said in those of Zip64, which Python and Info-ZIP read."""
    monkeypatch.setattr(archives, "_LIMIT", 1000)
    text = bytes(range(256)) * 50
    data = made("zip", text, "a.csv", tmp_path).replace(struct.pack("<L", 1000), struct.pack("<L", 0xFFFFFFFF))
    assert b"PK\6\6" in data
    assert unpacked("zip", data) == ("a.csv", text)
    assert struct.pack("<HHQ", 1, 16, len(text)) in data


@pytest.mark.parametrize(("path", "archive", "name"), [
    ("in/{export}_{part}.csv.zip", "zip", "loyalty_002.csv"), ("{export}.zip", "zip", "loyalty.csv"),
    ("{partition}.tar.gz", "tgz", "2026-01-31.csv"), ("a/{export}.txt.tgz", "tgz", "loyalty.txt"), ("{export}.TAR", "tar", "loyalty.TAR"),
])  # fmt: skip
def test_a_member_is_called_like_its_file(path: str, archive: str, name: str) -> None:
    """Without the archive's ending, and with the format's where none is left."""
    values = {"export": "loyalty", "partition": "2026-01-31", "part": "002"}
    assert member(path, values, ARCHIVES[archive], "csv") == name


def test_a_member_cannot_know_how_many_parts_there_will_be() -> None:
    """Such a path is refused at its line."""
    text = broken("x_{part}.csv.gz", "x_{part}_of_{parts}.zip").replace("gzip", "zip")
    with pytest.raises(DeclarationError, match=r"x\.yaml:17: .*before the number of parts is known"):
        declared(text)
