"""Encrypted parts: whoever has a key reads the very file that would be there without, and nobody else anything."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from assets.encrypting import Encrypting
from assets.parts import Part
from assets.transform import write
from resources.pgp import Recipient
from spec.errors import DeclarationError, OutgateError
from tests.assets.files import VALUES, parts, planned, shaped
from tests.keys import Partner
from tests.servers.gpg import home

ROWS = "SELECT i AS n, md5(i::VARCHAR) AS t FROM range({}) r(i)"
TOP = Path(__file__).parents[2]
LARGE = """
import os, resource, sys
from pathlib import Path
from assets.encrypting import Encrypting
from resources.pgp import Recipient
folder = Path(sys.argv[1])
for size in (1, 200):
    file = Encrypting(folder / str(size), [Recipient((folder / "keys").read_bytes(), "", "", None)])
    for _ in range(size):
        file.write(os.urandom(1 << 20))
    assert file.finish(1).bytes > size << 20
    print(*(resource.getrusage(whose).ru_maxrss for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
"""
"""Prints the most memory, in KiB, that this process and its children had, after a small part and after a large one."""
ENCRYPT = "\n    encrypt: {pgp: [{file: not-read-here.asc}]}"


def encrypted(sql: str, form: str, folder: Path, *recipients: Recipient) -> list[Part]:
    """The encrypted parts that a format makes of a query's rows."""
    plan = replace(planned(form + ENCRYPT), recipients={"folder": recipients})
    folder.mkdir(exist_ok=True)
    with shaped(sql) as rows:
        return write(rows, plan.export.deliver[0], folder / "parts", plan, VALUES)


def test_each_of_two_reads_it_alone(tmp_path: Path) -> None:
    """A gzipped csv for a partner of this library and one of GnuPG; a third can read nothing, and no text is in it."""
    ann, eve = Partner.make(), Partner.make("Eve <eve@elsewhere.example>")
    with home() as gpg:
        mark = gpg.make("bob@partner.example")
        bob = Recipient(gpg.public(mark, armoured=False), mark, "Bob", None)
        (part,) = encrypted(
            ROWS.format(1000), "{type: csv, compression: gzip}", tmp_path / "a", ann.recipient(tmp_path), bob
        )
        data = part.path.read_bytes()
        assert ann.read(data) == gpg.read(data)
    lines = gzip.decompress(ann.read(data)).splitlines()
    (plain,) = parts(ROWS.format(1000), "{type: csv}", tmp_path / "b")
    assert sorted(lines) == sorted(plain.path.read_bytes().splitlines())
    assert (part.rows, part.bytes) == (1000, len(data))
    with pytest.raises(RuntimeError):
        eve.read(data)
    assert b"\x1f\x8b\x08" not in data[:400]


@pytest.mark.parametrize("form", [
    "type: csv", "type: ndjson, compression: zstd", "type: json, compression: tgz", "type: csv, compression: zip", "type: parquet", "type: excel",
])  # fmt: skip
def test_every_format_can_be_encrypted(tmp_path: Path, form: str) -> None:
    """Inside is the file of that format; no other file stays in the folder, and only the owner may open what does."""
    ann = Partner.make()
    (part,) = encrypted(ROWS.format(500), f"{{{form}}}", tmp_path, ann.recipient(tmp_path))
    (left,) = part.path.parent.iterdir()
    assert (left.name, left.stat().st_mode & 0o777) == ("1", 0o600)
    text = ann.read(left.read_bytes())
    if "parquet" in form:
        assert pq.read_table(io.BytesIO(text)).num_rows == 500
    elif "zip" in form or "excel" in form:
        assert zipfile.ZipFile(io.BytesIO(text)).testzip() is None
    else:
        assert len(text) > 5000


def test_several_parts_count_what_is_inside(tmp_path: Path) -> None:
    """The size at which a part ends is that of the bytes before; each part is whole, and the rows are all there."""
    ann = Partner.make()
    found = encrypted(ROWS.format(200_000), "{type: csv, part_size: 2MB}", tmp_path, ann.recipient(tmp_path))
    texts = [ann.read(part.path.read_bytes()) for part in found]
    assert len(found) > 2
    assert all(1_000_000 < len(text) <= 2_000_000 for text in texts[:-1])
    numbers = [int(line.split(b",")[0]) for text in texts for line in text.splitlines()[1:]]
    assert sorted(numbers) == list(range(200_000))


def test_a_member_is_called_like_its_file(tmp_path: Path) -> None:
    """Without the endings of the encryption and of the archive."""
    ann = Partner.make()
    plan = planned("{type: csv, compression: zip}" + ENCRYPT)
    delivery = plan.export.deliver[0].model_copy(update={"path": "{export}_{part}.csv.zip.gpg"})
    with shaped("SELECT 1 AS a, 2 AS b") as rows:
        plan = replace(plan, recipients={"folder": (ann.recipient(tmp_path),)})
        (part,) = write(rows, delivery, tmp_path / "parts", plan, VALUES)
    assert zipfile.ZipFile(io.BytesIO(ann.read(part.path.read_bytes()))).namelist() == ["loyalty_events_001.csv"]


def test_nothing_is_written_without_keys(tmp_path: Path) -> None:
    """A plan that knows none for an encrypted delivery is a mistake, and not a reason to deliver plain text."""
    plan = planned("{type: csv}" + ENCRYPT)
    with shaped("SELECT 1 AS a, 2 AS b") as rows, pytest.raises(KeyError):
        write(rows, plan.export.deliver[0], tmp_path / "parts", plan, VALUES)
    assert not (tmp_path / "parts").exists()


def test_a_key_that_ends_during_a_run(tmp_path: Path) -> None:
    """The next part is refused: the library itself would go on."""
    late = replace(Partner.make().recipient(tmp_path), expires=datetime.now(UTC))
    with pytest.raises(DeclarationError, match="expired on"):
        Encrypting(tmp_path / "1", [late])
    assert not (tmp_path / "1").exists()


@pytest.mark.parametrize("amount", [1, 10_000_000])
def test_a_process_that_fails(tmp_path: Path, amount: int) -> None:
    """Its own words are told, whether it ends before or after the data does, and no part comes of it."""
    nobody = Recipient(b"no key", "00", "nobody", None)
    with pytest.raises(OutgateError, match=r"a part could not be encrypted: .+; nothing was delivered, run it again"):  # noqa: PT012
        file = Encrypting(tmp_path / "1", [nobody])
        file.write(b"x" * amount)
        file.finish(1)


def test_a_part_that_is_given_up(tmp_path: Path) -> None:
    """Its process ends with it."""
    file = Encrypting(tmp_path / "1", [Partner.make().recipient(tmp_path)])
    file.write(b"x" * 100_000)
    process = file._process
    assert process.poll() is None
    file.abandon()
    assert process.returncode is not None


def test_a_large_part_takes_no_memory(tmp_path: Path) -> None:
    """A part of 200 MB takes no more of this process or of the one that encrypts than a part of 1 MB."""
    (tmp_path / "keys").write_bytes(bytes(Partner.make().public))
    ended = subprocess.run([sys.executable, "-c", LARGE, tmp_path], cwd=TOP, capture_output=True, text=True, check=True)
    (ours, theirs), (ours_then, theirs_then) = (map(int, line.split()) for line in ended.stdout.splitlines())
    assert ours_then - ours < 20_000
    assert theirs_then - theirs < 20_000
