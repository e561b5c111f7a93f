"""Profiles: each rule of a partner that a declaration breaks is named at its line, and what is not said is filled in."""

from __future__ import annotations

from typing import Any

import pytest

from spec import profiles
from spec.errors import DeclarationError
from spec.export import Export
from tests.spec.texts import RIGHT, broken, declared

FORMAT = '{type: csv, delimiter: ";", compression: gzip, part_size: 200MB}'


def of(profile: str, form: str, path: str = "x_{part}.csv.gz") -> Export:
    """The export with that profile and format."""
    unique = "unique: [local_id]\n" if profile in profiles.KEYED else ""
    text = broken("export: loyalty_events\n", f"export: loyalty_events\nprofile: {profile}\n{unique}")
    return declared(text.replace(FORMAT, form).replace("x_{part}.csv.gz", path)).export


def test_what_is_not_said_is_filled_in() -> None:
    """Optimove's compression, times and size, and only where the declaration is silent."""
    form: Any = of("optimove", "{type: csv}").deliver[0].format
    assert (form.compression, form.datetime, form.part_size) == ("gzip", "%Y-%m-%d %H:%M:%S", "200MB")
    form = of("optimove", "{type: ndjson, part_size: 150MB}").deliver[0].format
    assert (form.compression, form.datetime, form.part_size) == ("gzip", "%Y-%m-%d %H:%M:%S", "150MB")
    assert of("optimove", "{type: parquet}").deliver[0].format.part_bytes == 200_000_000


BROKEN = [
    ("optimove", "type: json, compression: gzip", ["files are csv, ndjson, parquet, found 'json'", "a file has at most 1GB", "times are %Y"]),
    ("optimove", "type: csv, compression: zip", ["files are compressed by gzip, never as zip, found 'zip'"]),
    ("optimove", "type: csv, compression: none", ["files are compressed by gzip, never as zip, found 'none'"]),
    ("optimove", "type: csv, part_size: 2GB", ["a file has at most 1GB, found '2GB'"]),
    ("optimove", "type: csv, datetime: '%Y-%m-%dT%H:%M:%S'", ["times are %Y-%m-%d %H:%M:%S, without T and Z, found"]),
    ("optimove", "type: csv, date: '%d.%m.%Y'", ["dates are %Y-%m-%d, found '%d.%m.%Y'"]),
    ("optimove", "type: csv, decimal: ','", ["decimals have a dot, found ','"]),
    ("optimove", r"type: csv, null: '\N'", ["NULL is nothing, without a placeholder"]),
    ("antavo", "type: tsv", ["files are csv, psv, json, found 'tsv'"]),
    ("antavo", "type: csv, compression: gzip", ["an archive is none, zip, found 'gzip'"]),
    ("amperity", "type: excel", ["files are csv, psv, tsv, ndjson, json, parquet, found 'excel'"]),
    ("amperity", "type: csv, compression: zstd", ["files are compressed as gzip, tar, tgz, zip or none, found 'zstd'"]),
    ("amperity", "type: csv, newline: cr", ["lines end with lf, crlf, found 'cr'"]),
    ("amperity", "type: ndjson, part_size: 5MB", ["only delimited files are split"]),
    ("amperity", "type: csv, part_rows: 49999", ["parts have 50,000 to 10,000,000 rows, found 49999"]),
    ("amperity", "type: csv, part_rows: 10000001", ["parts have 50,000 to 10,000,000 rows, found 10000001"]),
    ("amperity", "type: csv, part_size: 3GB", ["parts have 1MB to 2000MB, found '3GB'"]),
    ("loymax", "type: psv, encoding: windows-1251", ["files are csv, ndjson, json, found 'psv'", "text is utf-8, found 'windows-1251'"]),
]  # fmt: skip


@pytest.mark.parametrize(("profile", "form", "said"), BROKEN)
def test_each_broken_rule_is_named(profile: str, form: str, said: list[str]) -> None:
    """All of them at once, each with its line and what was found."""
    with pytest.raises(DeclarationError) as refused:
        of(profile, f"{{{form}}}")
    problems = refused.value.problems
    assert len(problems) == len(said), problems
    line = 20 if profile in profiles.KEYED else 19
    assert all(problem.startswith(f"x.yaml:{line}: `profile: {profile}`: ") for problem in problems)
    assert all(part in problem for part, problem in zip(said, problems, strict=True))


def test_every_rule_can_be_broken() -> None:
    """No rule is in the table that no declaration of the tests breaks."""
    said = {(profile, part) for profile, _, parts in BROKEN for part in parts}
    for profile, rules in profiles.RULES.items():
        for rule in rules:
            assert any(other == profile and part.startswith(rule.says[:20]) for other, part in said), rule.says


@pytest.mark.parametrize(("profile", "form"), [
    ("optimove", "type: csv"), ("optimove", "type: parquet, compression: snappy"), ("antavo", "type: psv, compression: zip"),
    ("amperity", "type: csv, part_rows: 50000, row_number: line"), ("amperity", "type: parquet"), ("loymax", "type: ndjson"),
])  # fmt: skip
def test_what_keeps_the_rules_is_right(profile: str, form: str) -> None:
    """Nothing is refused, and nothing advised."""
    assert not list(profiles.advice(of(profile, f"{{{form}}}")))


def test_one_file_may_become_too_large() -> None:
    """Where the path has no {part}, no size can be kept, and the rule says what to do."""
    with pytest.raises(DeclarationError, match=r"a file has at most 1GB; say `part_size:`, with \{part\} in the path"):
        of("optimove", "{type: csv}", "x.csv.gz")


def test_names_in_english() -> None:
    """Optimove's files and columns have ASCII names; others may have any."""
    with pytest.raises(DeclarationError) as refused:
        declared(
            RIGHT.replace("source:", "profile: optimove\nsource:", 1)
            .replace("to: local_id", "to: numéro")
            .replace("/x_", "/é_")
        )
    assert [problem.split("`: ")[1] for problem in refused.value.problems if "ASCII" in problem] == [
        "names of files are in English (ASCII)", "names of columns are in English (ASCII), found 'numéro'",
    ]  # fmt: skip
    declared(
        RIGHT.replace("source:", "profile: antavo\nsource:", 1)
        .replace("gzip", "zip")
        .replace("to: local_id", "to: numéro")
    )


def test_a_size_that_a_partner_would_not_choose_is_advice() -> None:
    """It stops nothing."""
    ((place, sentence),) = profiles.advice(of("optimove", "{type: csv, part_size: 500MB}"))
    assert place == ("deliver", 0, "format", "part_size")
    assert sentence == "`profile: optimove` advises parts of 100MB to 250MB"


def test_a_profile_that_is_not_known() -> None:
    """The known ones are named."""
    with pytest.raises(DeclarationError, match="'optimove', 'antavo', 'amperity' or 'loymax'"):
        of("hubspot", "{type: csv}")


def test_a_partner_that_wants_a_key() -> None:
    """Optimove's files have a declared primary key; the way out is said. The control: another profile wants none."""
    text = RIGHT.replace("source:", "profile: optimove\nsource:", 1)
    with pytest.raises(
        DeclarationError, match=r"x\.yaml:2: `profile: optimove`: a file has a unique primary key; .*`unique: \[id\]`"
    ):
        declared(text)
    declared(text.replace("source:", "unique: [local_id]\nsource:", 1))
    declared(text.replace("optimove", "loymax"))


@pytest.mark.parametrize(("names", "advised"), [
    ({"amount": "DECIMAL(10,2)"}, True), ({"Total_Price": "decimal(12,2)", "ccyear": "VARCHAR"}, True),
    ({"amount": "DECIMAL(10,2)", "currency_code": "VARCHAR"}, False), ({"amount": "DECIMAL(10,2)", "ccy": "VARCHAR"}, False),
    ({"value": "VARCHAR", "total": "BIGINT", "weight": "DECIMAL(5,2)"}, False),
])  # fmt: skip
def test_amounts_without_a_currency(names: dict[str, str], advised: bool) -> None:
    """A decimal that is called like an amount wants a column beside it that is called like a currency."""
    found = list(profiles.unpriced(of("optimove", "{type: csv}"), names))
    assert bool(found) == advised
    assert not list(profiles.unpriced(of("loymax", "{type: csv}"), names))


@pytest.mark.parametrize(("name", "dated"), [
    ("created_at", True), ("Birth_Date", True), ("date", True), ("update", False), ("candidate", False), ("at", False), ("dated", False), ("data", False),
])  # fmt: skip
def test_names_of_dates(name: str, dated: bool) -> None:
    """A name that ends with _at or _date, or is date."""
    assert profiles.named_as_date(name) == dated
