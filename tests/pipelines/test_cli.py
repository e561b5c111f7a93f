"""The command line as a user meets it: its exit codes and what it prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.small import EXPORT, ROWS_A_DAY, Small, day

DELIVERY = """\
  - to: folder
    name: NAME
    path: "NAME/{partition}.ndjson"
    format: {type: ndjson}
"""


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """A project after `outgate init`."""
    made = Small.make(tmp_path)
    assert made.outgate("init").returncode == 0
    return made


def test_a_first_export_from_nothing(tmp_path: Path) -> None:
    """In processes of their own: init, check, list, preview, plan, run, history, verify: each does what it says and
    ends with 0.
    """
    small = Small.make(tmp_path)
    assert "made the ledger" in small.process("init").stdout
    assert "there already" in small.process("init").stdout
    assert small.process("check").stdout == "1 export is right: sales\n"
    assert "shop.sales" in small.process("list").stdout
    preview = small.process("preview", "sales", "--partition", day(1))
    assert f"{ROWS_A_DAY} rows read" in preview.stdout
    assert "buyer_email" in preview.stdout
    assert "Ann" not in preview.stdout
    plan = small.process("plan", "sales", "--from", day(0), "--to", day(9))
    assert f"10 windows, 10 to do in 1 run; {10 * ROWS_A_DAY} rows at the source now" in plan.stdout
    assert not (tmp_path / "out").exists()
    run = small.process("run", "sales", "--partition", day(1))
    assert run.returncode == 0
    assert "1 of 1 windows delivered in 1 run" in run.stdout
    assert len(small.rows(day(1))) == ROWS_A_DAY
    [entry] = small.history()
    assert (entry["state"], entry["rows"], entry["horizon"]) == ("done", ROWS_A_DAY, "gate")
    [part] = entry["parts"]
    assert part["location"] == str(tmp_path / f"out/sales/{day(1)}/sales_{day(1)}.csv")
    assert "1 of 1 deliveries are as the receipts say" in small.process("verify", "sales").stdout


def test_history_has_the_promised_keys(small: Small) -> None:
    """What other programs read does not change by accident."""
    small.outgate("run", "sales", "--partition", day(0))
    [entry] = small.history()
    assert set(entry) == {
        "export", "partition", "generation", "delivery", "state", "rows", "bytes", "horizon", "parts", "started_at",
        "finished_at", "detail",
    }  # fmt: skip
    assert set(entry["parts"][0]) == {"name", "location", "rows", "bytes", "sha256"}


def test_a_second_run_does_nothing_and_says_so(small: Small) -> None:
    """And `--again` makes a new generation."""
    small.outgate("run", "sales", "--partition", day(0))
    second = small.outgate("run", "sales", "--partition", day(0))
    assert (second.returncode, second.stdout) == (0, "nothing to do: the window is delivered already\n")
    small.sql("UPDATE sales SET amount = 77 WHERE id = 0")
    assert small.outgate("run", "sales", "--partition", day(0), "--again").returncode == 0
    assert small.rows(day(0))[0]["amount"] == "77.00"
    assert [entry["generation"] for entry in small.history()] == [2]
    assert len(json.loads(small.outgate("history", "--all", "--json").stdout)) == 2


def test_a_backfill_has_both_ends_and_passes_over_what_is_done(small: Small) -> None:
    """The third call has nothing left to do."""
    small.outgate("run", "sales", "--partition", day(3))
    first = small.outgate("backfill", "sales", "--from", day(2), "--to", day(5))
    assert "3 of 3 windows delivered in 2 runs, 1 were done before" in first.stdout
    again = small.outgate("backfill", "sales", "--from", day(2), "--to", day(5))
    assert again.stdout == "nothing to do: all 4 windows are delivered already\n"
    assert sum(len(small.rows(day(number))) for number in range(2, 6)) == 4 * ROWS_A_DAY


def test_redeliver_brings_the_same_bytes_back(small: Small) -> None:
    """The source is not read: it may have changed or gone."""
    small.outgate("run", "sales", "--partition", day(0))
    file = tmp_file(small)
    before = file.read_bytes()
    file.unlink()
    lost = small.outgate("verify", "sales")
    assert lost.returncode == 1
    assert "is gone" in lost.stdout
    (small.root / "shop.duckdb").unlink()
    assert small.outgate("redeliver", "sales", "--partition", day(0)).returncode == 0
    assert file.read_bytes() == before


def test_verify_finds_a_changed_file(small: Small) -> None:
    """One byte is enough."""
    small.outgate("run", "sales", "--partition", day(0))
    file = tmp_file(small)
    file.write_bytes(file.read_bytes().replace(b"1.50", b"1.51"))
    found = small.outgate("verify", "sales", "--json")
    assert found.returncode == 1
    assert [row["found"] for row in json.loads(found.stdout)] == ["different"]


def test_redeliver_sends_what_was_sealed_and_no_delivery_that_was_declared_since(small: Small) -> None:
    """A new partner has nothing to get of an old window; what the old one has is sent again and the window is done."""
    small.outgate("run", "sales", "--partition", day(0))
    small.declare(EXPORT.replace("schedule:", DELIVERY.replace("NAME", "second") + "schedule:"))
    tmp_file(small).unlink()
    ended = small.outgate("redeliver", "sales", "--partition", day(0))
    assert ended.returncode == 0, ended.stderr
    assert len(small.rows(day(0))) == ROWS_A_DAY
    assert [(entry["delivery"], entry["state"]) for entry in small.history()] == [("folder", "done")]


def test_verify_names_a_connector_that_is_gone(small: Small) -> None:
    """What was delivered through it cannot be read back: said with the file and what is declared there."""
    small.outgate("run", "sales", "--partition", day(0))
    connectors = (small.root / "pipelines/connectors.yaml").read_text(encoding="utf-8")
    (small.root / "pipelines/connectors.yaml").write_text(connectors.replace("folder:", "other:"), encoding="utf-8")
    for arguments in (["verify", "sales"], ["verify", "sales", "--partition", day(0)]):
        ended = small.outgate(*arguments)
        assert ended.returncode == 2
        assert "pipelines/connectors.yaml: there is no connector 'folder'; declared are: other, shop" in ended.stderr


def test_verify_counts_what_the_partner_took_as_collected(small: Small) -> None:
    """Gone files are right where `collects: true` is declared, and changed ones never are."""
    small.outgate("run", "sales", "--partition", day(0))
    small.declare(EXPORT.replace("    format:", "    collects: true\n    format:"))
    manifest = tmp_file(small).with_name("_manifest.json")
    tmp_file(small).unlink()
    found = small.outgate("verify", "sales")
    assert (found.returncode, found.stdout) == (0, "0 of 1 deliveries are as the receipts say, 1 collected\n")
    [row] = json.loads(small.outgate("verify", "sales", "--json").stdout)
    assert row["found"] == "collected"
    assert "is gone" in row["detail"]
    manifest.write_text("{}")
    assert small.outgate("verify", "sales").returncode == 1
    manifest.unlink()
    small.declare(EXPORT)
    assert small.outgate("verify", "sales").returncode == 1


@pytest.mark.parametrize("command", [["list"], ["plan", "sales"], ["check"], ["show", "sales"], ["init"]])
def test_only_a_ledger_that_was_never_made_is_passed_over(small: Small, command: list[str]) -> None:
    """A newer one, a lost one, an unreachable one and a URL that cannot be read are told, with their exit codes."""
    with small.home.open()[0].write() as conn:
        conn.execute(text("UPDATE ledger SET version = 99"))
    newer = small.outgate(*command)
    assert (newer.returncode, "has version 99" in newer.stderr) == (1, True)
    (small.root / ".outgate/ledger.db").unlink()
    lost = small.outgate(*command)
    assert (lost.returncode, "a ledger was here" in lost.stderr) == (1, True)
    away = small.outgate(*command, OUTGATE_LEDGER="postgresql://me:s3cret@127.0.0.1:1/db")
    assert (away.returncode, "refused" in away.stderr) == (1, True)
    wrong = small.outgate(*command, OUTGATE_LEDGER="postgresql://me:s3cret@host:port/db")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "OUTGATE_LEDGER" in wrong.stderr
    assert "s3cret" not in away.stderr + wrong.stderr


def test_history_shows_each_delivery_its_own_error(small: Small) -> None:
    """The one that is done has none, and is not charged with its neighbour's."""
    small.declare(EXPORT.replace("schedule:", DELIVERY.replace("NAME", "second") + "schedule:"))
    file = small.root / "out/second"
    file.parent.mkdir()
    file.write_text("in the way")
    small.outgate("run", "sales", "--partition", day(0))
    first, second = small.history()
    assert (first["state"], first["detail"]) == ("done", "")
    assert (second["state"], bool(second["detail"])) == ("failed", True)


def tmp_file(small: Small) -> Path:
    """The delivered file of the first day."""
    return small.root / f"out/sales/{day(0)}/sales_{day(0)}.csv"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "sale"], 2, "there is no export 'sale'; declared are: sales"),
        (["run", "sales", "--partition", "2026-02-31"], 2, "'2026-02-31' is no partition"),
        (
            ["run", "sales", "--partition", "2025-12-31"],
            2,
            "partition '2025-12-31' is before the first one, '2026-01-01'",
        ),
        (["backfill", "sales", "--from", day(3), "--to", day(1)], 2, "is after"),
        (["backfill", "sales"], 2, "Missing option '--from'"),
        (["runn"], 2, "No such command 'runn'"),
        (["resolve", "sales", "--partition", day(0), "--delivery", "folder", "--as", "delivered"], 2, "sales"),
        (["redeliver", "sales", "--partition", day(0)], 2, "sales"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_ends_with_2_and_a_sentence(small: Small, arguments: list[str], code: int, said: str) -> None:
    """Never a traceback."""
    found = small.outgate(*arguments)
    assert found.returncode == code, found.stderr
    assert said in found.stderr
    assert "Traceback" not in found.stderr


def test_no_ledger_is_said_with_what_to_do(tmp_path: Path) -> None:
    """A missing ledger is never made by a run."""
    small = Small.make(tmp_path)
    found = small.outgate("run", "sales")
    assert found.returncode == 1
    assert "outgate init" in found.stderr
    assert not (tmp_path / ".outgate/ledger.db").exists()


def test_a_lost_ledger_stops_instead_of_starting_from_zero(small: Small) -> None:
    """The spool remembers that there was one; the control: a fresh one would have delivered the window a second time."""
    small.outgate("run", "sales", "--partition", day(0))
    for file in (small.root / ".outgate").glob("ledger.db*"):
        file.unlink()
    for arguments in (["run", "sales", "--partition", day(0)], ["init"]):
        found = small.outgate(*arguments)
        assert found.returncode == 1, arguments
        assert "ledger" in found.stderr
    assert len(small.rows(day(0))) == ROWS_A_DAY


def test_schema_is_a_union_on_type(small: Small) -> None:
    """Editors can tell a wrong `type` from a wrong key of the right one."""
    schema = json.loads(small.outgate("schema").stdout)
    form = schema["$defs"]["Delivery"]["properties"]["format"]
    assert form["discriminator"]["propertyName"] == "type"
    assert set(form["discriminator"]["mapping"]) == {"csv", "psv", "tsv", "ndjson", "json", "parquet", "excel"}
    connectors = json.loads(small.outgate("schema", "--connectors").stdout)
    assert connectors["additionalProperties"]["discriminator"]["propertyName"] == "type"
    assert {"duckdb", "local", "postgres"} <= set(connectors["additionalProperties"]["discriminator"]["mapping"])


def test_an_environment_has_its_own_connectors_and_ledger(small: Small) -> None:
    """OUTGATE_ENV=sandbox overlays connectors.sandbox.yaml; receipts are apart."""
    overlay = "folder: {type: local, path: sandbox}\n"
    (small.root / "pipelines/connectors.sandbox.yaml").write_text(overlay, encoding="utf-8")
    assert small.outgate("init", OUTGATE_ENV="sandbox").returncode == 0
    assert small.outgate("run", "sales", "--partition", day(0), OUTGATE_ENV="sandbox").returncode == 0
    assert (small.root / f"sandbox/sales/{day(0)}/sales_{day(0)}.csv").exists()
    assert small.history() == []


def test_a_shared_ledger_belongs_to_one_environment(small: Small) -> None:
    """What dev delivers would be done for prod: whoever comes second is told both names, and what to do."""
    shared = {"OUTGATE_LEDGER": f"sqlite:///{small.root}/shared.db"}
    assert small.outgate("init", OUTGATE_ENV="prod", **shared).returncode == 0
    assert small.outgate("run", "sales", "--partition", day(0), OUTGATE_ENV="prod", **shared).returncode == 0
    for arguments in (["init"], ["list"], ["run", "sales", "--partition", day(0)]):
        other = small.outgate(*arguments, OUTGATE_ENV="dev", **shared)
        assert other.returncode == 1
        assert "belongs to environment 'prod', and this is environment 'dev'" in other.stderr
        assert "OUTGATE_LEDGER" in other.stderr


def test_the_looks_before_a_run_know_who_took_the_rows_without_a_cursor(small: Small) -> None:
    """`preview` and `plan` of an earlier first window count them no more."""
    small.sql("UPDATE sales SET sold_at = NULL WHERE id = 20")
    text = EXPORT.replace("key: id,", "key: id, nulls: include,")
    small.declare(text.replace("2026-01-01", "2026-01-02"))
    small.outgate("run", "sales", "--partition", day(1))
    assert len(small.rows(day(1))) == ROWS_A_DAY + 1
    small.declare(text)
    assert f"{ROWS_A_DAY} rows read" in small.outgate("preview", "sales", "--partition", day(0)).stdout
    planned = small.outgate("plan", "sales", "--from", day(0), "--to", day(0)).stdout
    assert f"{ROWS_A_DAY} rows at the source" in planned


def test_defaults_are_shared(small: Small) -> None:
    """defaults.yaml fills in what a declaration does not say itself."""
    (small.root / "pipelines/defaults.yaml").write_text(
        "owner: team@example.com\npartitions: {timezone: Europe/Paris}\n", encoding="utf-8"
    )
    small.declare(EXPORT.replace("owner: crm@example.com\n", ""))
    shown = json.loads(small.outgate("show", "sales", "--json").stdout)
    assert (shown["owner"], shown["partitions"]["timezone"]) == ("team@example.com", "Europe/Paris")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ownr: a@example.com\n", "unknown key `ownr`"),
        ("owner: nobody\n", "`owner` must look like"),
        ("partitions: {chunk: 0}\n", "`partitions.chunk` should be greater"),
        ("a: [\n", "not valid YAML"),
    ],
)
def test_a_mistake_in_the_defaults_is_one_mistake(small: Small, text: str, said: str) -> None:
    """However many exports share it; and it is what stands in the way of each."""
    (small.root / "pipelines/defaults.yaml").write_text(text, encoding="utf-8")
    small.declare(EXPORT.replace("export: sales", "export: other").replace("owner: crm@example.com\n", ""), "other")
    for arguments in (["check"], ["run", "other"]):
        ended = small.outgate(*arguments)
        assert ended.returncode == 2
        assert ended.stderr.startswith("pipelines/defaults.yaml:")
        assert said in ended.stderr
        assert ended.stderr.count("\n") == 1


def test_a_changed_grid_is_refused_with_the_way_out(small: Small) -> None:
    """Windows of another cut exist: their keys would mean something else."""
    small.outgate("run", "sales", "--partition", day(0))
    small.declare(EXPORT.replace("start: 2026-01-01", "start: 2026-01-01, timezone: Asia/Tokyo"))
    for arguments in (["check"], ["run", "sales", "--partition", day(1)]):
        found = small.outgate(*arguments)
        assert found.returncode in {1, 2}, arguments
        assert "Asia/Tokyo" in found.stderr
        assert "new name" in found.stderr
