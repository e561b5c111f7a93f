"""A whole project whose delivery goes to S3, by the command line; what the store alone does is in test_s3.py."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.seaweed import BUCKET, KEY, SECRET, SeaweedServer
from tests.small import CONNECTORS, EXPORT, ROWS_A_DAY, Ended, Small, day

DECLARED = """\
partner:
  type: s3
  bucket: BUCKET
  prefix: "PREFIX"
  endpoint_url: "URL"
  access_key_id: {env: PARTNER_KEY}
  secret_access_key: {file: secret}
  attempts: 1
"""
KILLED = """\
import os, sys
from pathlib import Path
from resources import failpoint
from tests.small import Small
failpoint.install(lambda name: os._exit(9) if name == sys.argv[1] else None)
print([outcome.detail for outcome in Small(Path.cwd()).journey().run([sys.argv[2]])])
"""
SOURCES = sorted((Path(__file__).parents[3] / "resources/stores").glob("s3*.py"))
CANARY = "canary/+secret"


class Partner:
    """The project, and the bucket as its owner sees it."""

    def __init__(self, root: Path, server: SeaweedServer) -> None:
        self.prefix, self.client = server.prefix(), server.client()
        words = {"BUCKET": BUCKET, "PREFIX": self.prefix, "URL": server.url}
        declared = DECLARED
        for word, value in words.items():
            declared = declared.replace(word, value)
        self.small = Small.make(root, EXPORT.replace("to: folder", "to: partner"), CONNECTORS + declared)
        self.secret(SECRET)
        assert self.outgate("init").returncode == 0

    def secret(self, value: str) -> None:
        """Write the file that the connector refers to."""
        for folder in (self.small.root, self.small.root / "pipelines"):
            (folder / "secret").write_text(value, encoding="utf-8")

    def outgate(self, *words: str) -> Ended:
        """Run a command, which must show no secret."""
        ended = self.small.outgate(*words, PARTNER_KEY=KEY)
        assert not [word for word in (KEY, SECRET, CANARY) if word in ended.stdout + ended.stderr]
        return ended

    def kill(self, point: str, key: str) -> None:
        """Run a window in a process that ends at once, as by kill -9, when it is at that point."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OUTGATE_")}
        words = [sys.executable, "-c", KILLED, point, key]
        place = {"PARTNER_KEY": KEY, "PYTHONPATH": str(Path(__file__).parents[3])}
        ended = subprocess.run(
            words, cwd=self.small.root, env=kept | place, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 9, (point, ended.stdout, ended.stderr)

    def objects(self) -> dict[str, tuple[str, bytes]]:
        """When it was written, and the bytes, of each object, by name."""
        found = self.client.list_objects_v2(Bucket=BUCKET, Prefix=f"{self.prefix}/").get("Contents", ())
        return {
            each["Key"].removeprefix(f"{self.prefix}/"): (each["LastModified"].isoformat(), self.get(each["Key"]))
            for each in found
        }

    def get(self, key: str) -> bytes:
        """What is there."""
        data: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return data

    def kept(self) -> bytes:
        """All that the project wrote on this machine, but for the secret itself."""
        return b"".join(
            path.read_bytes() for path in self.small.root.rglob("*") if path.is_file() and path.name != "secret"
        )


@pytest.fixture
def partner(tmp_path: Path, seaweed_server: SeaweedServer) -> Partner:
    """A project after `outgate init`."""
    return Partner(tmp_path, seaweed_server)


def test_a_delivery_arrives_once_and_is_as_the_receipt_says(partner: Partner) -> None:
    """The second run changes nothing; what is lost comes back byte for byte, though the source is gone."""
    name = f"sales/{day(0)}/sales_{day(0)}.csv"
    assert partner.outgate("run", "sales", "--partition", day(0)).returncode == 0
    before = partner.objects()
    assert set(before) == {name, f"sales/{day(0)}/_manifest.json"}
    assert len(before[name][1].splitlines()) == ROWS_A_DAY + 1
    assert "nothing to do" in partner.outgate("run", "sales", "--partition", day(0)).stdout
    assert partner.objects() == before
    assert "1 of 1 deliveries are as the receipts say" in partner.outgate("verify", "sales").stdout
    partner.client.delete_object(Bucket=BUCKET, Key=f"{partner.prefix}/{name}")
    assert "is gone" in partner.outgate("verify", "sales").stdout
    (partner.small.root / "shop.duckdb").unlink()
    assert partner.outgate("redeliver", "sales", "--partition", day(0)).returncode == 0
    assert {key: data for key, (_, data) in partner.objects().items()} == {
        key: data for key, (_, data) in before.items()
    }
    assert f"s3://{BUCKET}/{partner.prefix}/{name}" in partner.outgate("history", "--json").stdout
    assert not [word for word in (KEY, SECRET) if word.encode() in partner.kept()]


def test_no_secret_is_shown_when_it_is_refused(partner: Partner) -> None:
    """Neither by `check --connect` nor by a run, its history and its ledger; with the right one the same run goes on."""
    partner.secret(CANARY)
    checked = partner.outgate("check", "--connect")
    assert (checked.returncode != 0, "SignatureDoesNotMatch" in checked.stdout + checked.stderr) == (True, True)
    assert partner.outgate("run", "sales", "--partition", day(0)).returncode == 1
    assert "SignatureDoesNotMatch" in partner.outgate("history", "--json").stdout
    assert not [word for word in (KEY, CANARY) if word.encode() in partner.kept()]
    assert partner.objects() == {}
    partner.secret(SECRET)
    assert partner.outgate("run", "sales", "--partition", day(0)).returncode == 0
    assert len(partner.objects()) == 2


def test_a_kill_at_any_step_loses_and_doubles_nothing(partner: Partner) -> None:
    """Each window's worker is killed somewhere else, one of them twice; one backfill, and all is there, and no more."""
    points = sorted(set(re.findall(r'reach\("(s3\.(?:stage|publish)\.\w+)"\)', "".join(map(Path.read_text, SOURCES)))))
    assert len(points) >= 8
    for number, point in enumerate(points):
        partner.kill(point, day(number))
    partner.kill("s3.swept", day(points.index("s3.stage.sent")))
    last = len(points) - 1
    assert partner.outgate("backfill", "sales", "--from", day(0), "--to", day(last)).returncode == 0
    found = partner.objects()
    names = {
        f"sales/{day(number)}/{name}"
        for number in range(last + 1)
        for name in (f"sales_{day(number)}.csv", "_manifest.json")
    }
    ids = [
        line.split(b",")[0]
        for name, (_, data) in found.items()
        if name.endswith(".csv")
        for line in data.splitlines()[1:]
    ]
    assert (set(found), sorted(map(int, ids))) == (names, list(range(ROWS_A_DAY * len(points))))
    uploads = partner.client.list_multipart_uploads(Bucket=BUCKET, Prefix=f"{partner.prefix}/")
    assert uploads.get("Uploads", []) == []
