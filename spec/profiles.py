"""Profiles: what a partner's own documents ask of files, as defaults that are filled in and as rules that are checked.

A rule is about one delivery and what the declaration says. Whether the rows keep what is asked of them is looked at in
assets/rules.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from spec.base import size
from spec.formats import Csv, Format, Psv, Tsv

if TYPE_CHECKING:
    from spec.export import Export

Profile = Literal["optimove", "antavo", "amperity", "loymax"]
Place = tuple[str | int, ...]
SECONDS = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class Rule:
    """One sentence of a partner, the key of the format that it is about ("" for the format), and what keeps it."""

    key: str
    says: str
    holds: Callable[[Any], bool]


def _among(key: str, what: str, *allowed: str) -> Rule:
    words = ", ".join(allowed)
    return Rule(key, f"{what} {words}", lambda form: getattr(form, key, allowed[0]) in allowed)


def _sized(low: str, high: str) -> Rule:
    least, most = size(low), size(high)
    return Rule("part_size", f"parts have {low} to {high}", lambda form: least <= (form.part_bytes or least) <= most)


def _rows(least: int, most: int) -> Rule:
    says = f"parts have {least:,} to {most:,} rows"
    return Rule("part_rows", says, lambda form: least <= (form.part_rows or least) <= most)


def _plain(key: str, wanted: object, says: str) -> Rule:
    return Rule(key, says, lambda form: getattr(form, key, wanted) == wanted)


RULES: Mapping[Profile, tuple[Rule, ...]] = {
    # "Data delivery to Optimove": Compression, File size; its data delivery guide: dates, decimals, nulls.
    "optimove": (
        _among("type", "files are", "csv", "ndjson", "parquet"),
        Rule(
            "compression",
            "files are compressed by gzip, never as zip",
            lambda form: form.type == "parquet" or form.compression == "gzip",
        ),
        Rule("part_size", "a file has at most 1GB", lambda form: 0 < (form.part_bytes or 0) <= size("1GB")),
        _plain("datetime", SECONDS, f"times are {SECONDS}, without T and Z"),
        Rule("date", "dates are %Y-%m-%d", lambda form: getattr(form, "date", None) in {None, "%Y-%m-%d"}),
        _plain("decimal", ".", "decimals have a dot"),
        _plain("null", "", "NULL is nothing, without a placeholder"),
    ),
    # Antavo, "Exports": formats; Create archive.
    "antavo": (
        _among("type", "files are", "csv", "psv", "json"),
        _among("compression", "an archive is", "none", "zip"),
    ),
    # Amperity's settings of file destinations.
    "amperity": (
        _among("type", "files are", "csv", "psv", "tsv", "ndjson", "json", "parquet"),
        Rule(
            "compression",
            "files are compressed as gzip, tar, tgz, zip or none",
            lambda form: form.type == "parquet" or form.compression != "zstd",
        ),
        _among("newline", "lines end with", "lf", "crlf"),
        Rule("", "only delimited files are split", lambda form: not form.splits or isinstance(form, Csv | Psv | Tsv)),
        _rows(50_000, 10_000_000),
        _sized("1MB", "2000MB"),
    ),
    # Loymax publishes no rules for files; these are what its platform reads by convention.
    "loymax": (
        _among("type", "files are", "csv", "ndjson", "json"),
        _plain("encoding", "utf-8", "text is utf-8"),
    ),
}
DEFAULTS: Mapping[Profile, Mapping[str, Mapping[str, object]]] = {
    "optimove": {
        "csv": {"compression": "gzip", "datetime": SECONDS, "part_size": "200MB"},
        "ndjson": {"compression": "gzip", "datetime": SECONDS, "part_size": "200MB"},
        "parquet": {"part_size": "200MB"},
    },
}
ADVISED: Mapping[Profile, tuple[str, str]] = {"optimove": ("100MB", "250MB")}
"""Sizes of parts that a partner would rather have."""
ENGLISH: frozenset[Profile] = frozenset({"optimove"})
"""Partners that ask for names of files and columns in English; what can be seen of that is ASCII."""

KEYED: frozenset[Profile] = frozenset({"optimove"})
"""Partners that ask for a declared primary key, which is unique."""
DATED: frozenset[Profile] = frozenset({"optimove"})
"""Partners that ask for days and times as text of one kind, in columns whose names say that they have them."""
PRICED: frozenset[Profile] = frozenset({"optimove"})
"""Partners that ask for the currency of amounts in a column of its own."""
_DATE = re.compile(r"(?i).*_(at|date)|date")
_AMOUNT = re.compile(r"(?i)amount|price|total|revenue|value|cost|spent|spend|turnover|balance")
_CURRENCY = re.compile(r"(?i)currency|(^|_)ccy($|_)")


def named_as_date(name: str) -> bool:
    """Whether a column's name says that it holds a day or a moment: created_at, birth_date, date."""
    return _DATE.fullmatch(name) is not None


def filled(data: Mapping[str, Any]) -> dict[str, Any]:
    """A declaration's plain data with what its profile adds to each `format:` that does not say it itself."""
    by_type: Mapping[str, Mapping[str, object]] = dict(DEFAULTS).get(data.get("profile", ""), {})
    deliver = data.get("deliver")
    if not by_type or not isinstance(deliver, list):
        return dict(data)
    return {**data, "deliver": [_with(each, by_type) for each in deliver]}


def _with(delivery: Any, by_type: Mapping[str, Mapping[str, object]]) -> Any:
    form = delivery.get("format") if isinstance(delivery, dict) else None
    if not isinstance(form, dict):
        return delivery
    added = dict(by_type.get(str(form.get("type")), {}))
    if "{part}" not in str(delivery.get("path")):
        added.pop("part_size", None)  # a path without it has one file: the rule about sizes says so
    return {**delivery, "format": {**added, **form}}


def broken(export: Export) -> Iterator[tuple[Place, str]]:
    """The place and a sentence for each rule of its profile that an export does not keep."""
    if (profile := export.profile) is None:
        return
    if profile in KEYED and export.unique is None:
        yield (
            ("profile",),
            f"`profile: {profile}`: a file has a unique primary key; say its columns, such as `unique: [id]`",
        )
    for number, delivery in enumerate(export.deliver):
        for rule in RULES[profile]:
            if not rule.holds(delivery.format):
                place: Place = ("deliver", number, "format", *filter(None, [rule.key]))
                yield place, f"`profile: {profile}`: {rule.says}{_found(delivery.format, rule.key)}"
    if profile in ENGLISH:
        yield from ((place, f"`profile: {profile}`: {said}") for place, said in _foreign(export))


def _foreign(export: Export) -> Iterator[tuple[Place, str]]:
    for number, delivery in enumerate(export.deliver):
        if not delivery.path.isascii():
            yield ("deliver", number, "path"), "names of files are in English (ASCII)"
    for number, field in enumerate(export.listed):
        if not field.name.isascii():
            yield ("fields", number), f"names of columns are in English (ASCII), found {field.name!r}"


def _found(form: Format, key: str) -> str:
    value = getattr(form, key, None)
    if value is None:
        return "; say `part_size:`, with {part} in the path" if key == "part_size" else ""
    return f", found {value!r}"


def advice(export: Export) -> Iterator[tuple[Place, str]]:
    """What a partner would rather have."""
    yield from unpriced(export, {field.name: str(field.cast or "") for field in export.listed if field.leaves})
    if export.profile is None or export.profile not in ADVISED:
        return
    low, high = ADVISED[export.profile]
    for number, delivery in enumerate(export.deliver):
        if delivery.format.part_bytes and not size(low) <= delivery.format.part_bytes <= size(high):
            yield (
                ("deliver", number, "format", "part_size"),
                f"`profile: {export.profile}` advises parts of {low} to {high}",
            )


def unpriced(export: Export, kinds: Mapping[str, str]) -> Iterator[tuple[Place, str]]:
    """Decimals that look like amounts, where no column looks like a currency; `kinds` are the types of what leaves."""
    amounts = [name for name, kind in kinds.items() if kind.lower().startswith("decimal") and _AMOUNT.search(name)]
    if export.profile in PRICED and amounts and not any(map(_CURRENCY.search, kinds)):
        wants = f"`profile: {export.profile}` wants the currency of amounts in a column of its own"
        yield ("fields",), f"{wants}, such as 'currency'; there is none beside {', '.join(map(repr, amounts))}"
