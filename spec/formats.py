"""What a file looks like: `format:` of a delivery, one model a format, and the rules within each.

How values and lines are made of it is the assets room's work; where the file goes is in delivery.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from spec.base import Misplaced, Model, Size, size

Compression = Literal["none", "gzip", "zstd", "zip", "tar", "tgz"]
ARCHIVES: dict[str, tuple[str, ...]] = {"zip": (".zip",), "tar": (".tar",), "tgz": (".tgz", ".tar.gz")}
"""Compressions whose files have one member, and how their names end."""
Quoting = Literal["minimal", "all", "non_null", "non_numeric", "none"]
Encoding = Literal[
    "utf-8", "ascii", "iso-8859-1", "iso-8859-2", "iso-8859-15", "windows-1250", "windows-1251", "windows-1252",
    "windows-1253", "windows-1254", "windows-1257",
]  # fmt: skip
"""UTF-8, and encodings of one byte a character whose ASCII is ASCII; the names are Python's codecs."""
Newline = Literal["lf", "crlf", "cr"]
NEWLINES: dict[Newline, str] = {"lf": "\n", "crlf": "\r\n", "cr": "\r"}
Character = Annotated[str, Field(min_length=1, max_length=1)]
ColumnName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,1027}$")]

_DIRECTIVE = re.compile(r"%(.?)")
_DAY = ({"Y", "m", "d"}, {"Y", "j"})
_CLOCK = ({"H", "M", "S"}, {"I", "p", "M", "S"})
_KNOWN = "YmdjHIpMSf"
_BESIDE = re.compile(r"[A-Za-z0-9 .,:/_+-]*")


def _directives(text: str, known: str) -> set[str]:
    found = set(_DIRECTIVE.findall(text))
    if strange := found - set(known):
        message = f"%{min(strange)} is not known; allowed are {', '.join(f'%{each}' for each in known)}"
        raise ValueError(message)
    if not _BESIDE.fullmatch(_DIRECTIVE.sub("", text)):
        message = "between the % parts only letters, digits, spaces and . , : / _ + - are allowed"
        raise ValueError(message)
    return found


def check_date(text: str) -> str:
    """Return a date pattern that tells every day apart. Raises ValueError."""
    if not any(need <= _directives(text, "Ymdj") for need in _DAY):
        message = f"{text!r} does not tell all days apart; it needs %Y with %m and %d, or with %j"
        raise ValueError(message)
    return text


def check_datetime(text: str) -> str:
    """Return a pattern that tells every second apart. Raises ValueError."""
    found = _directives(text, _KNOWN)
    if not any(day | clock <= found for day in _DAY for clock in _CLOCK):
        message = f"{text!r} does not tell all seconds apart; it needs a date, %H (or %I with %p), %M and %S"
        raise ValueError(message)
    return text


class _Format(Model):
    part_rows: Annotated[int, Field(ge=1)] | None = None

    @property
    def part_bytes(self) -> int | None:
        """The size at which a new part begins, in bytes as written (compressed); None where only rows are counted."""
        return None

    @property
    def splits(self) -> str:
        """The key that makes several files of one delivery; "" when none does."""
        return "part_size" if self.part_bytes else "part_rows" if self.part_rows else ""

    def advice(self) -> Iterator[tuple[str, str]]:
        """What is allowed and deserves a thought: the key, and a sentence."""
        yield from ()


class _Sized(_Format):
    part_size: Size | None = None

    @property
    def part_bytes(self) -> int | None:
        """The size at which a new part begins, in bytes as written (compressed)."""
        return size(self.part_size) if self.part_size else None


class _Text(_Sized):
    compression: Compression = "none"
    compression_level: Literal[1, 6, 9] | None = Field(default=None, description="of gzip: 1 is fast, 9 small")
    date: Annotated[str, AfterValidator(check_date)] | None = Field(default=None, description="such as %d/%m/%Y")
    datetime: Annotated[str, AfterValidator(check_datetime)] | None = Field(
        default=None, description="such as %Y-%m-%d %H:%M:%S; zoned times are in UTC"
    )

    @model_validator(mode="after")
    def _leveled(self) -> Self:
        if self.compression_level and self.compression != "gzip":
            message = f"is for `compression: gzip`, found {self.compression!r}"
            raise Misplaced(message, "compression_level")
        return self

    def advice(self) -> Iterator[tuple[str, str]]:
        """A pattern that leaves fractions of a second out."""
        if self.datetime and "%f" not in self.datetime:
            yield "datetime", "the pattern has no %f, so fractions of a second are left out of the file"


class Booleans(Model):
    """The texts of true and false."""

    true: Annotated[str, Field(min_length=1)] = "true"
    false: Annotated[str, Field(min_length=1)] = "false"


class _Delimited(_Text):
    header: bool = True
    quoting: Quoting = "minimal"
    escape: Character | None = None
    null: str = ""
    bom: bool = False
    encoding: Encoding = "utf-8"
    decimal: Literal[".", ","] = "."
    booleans: Booleans = Booleans()
    row_number: ColumnName | None = Field(default=None, description="the name of a first column that counts the rows")
    spreadsheet_safe: bool | None = Field(default=None, description="by default where there is a `bom`")

    @property
    def safe(self) -> bool:
        """Whether texts that a spreadsheet would take for formulas get an apostrophe: in files that people open."""
        return self.bom if self.spreadsheet_safe is None else self.spreadsheet_safe

    @property
    def doubles(self) -> bool:
        """Whether an enclosure inside a value is doubled; else it is escaped."""
        return self.escape in {None, self.special[1]}

    @property
    def special(self) -> tuple[str, str]:
        """Delimiter and enclosure."""
        raise NotImplementedError

    @property
    def eol(self) -> str:
        """The line break."""
        return "\n"

    @model_validator(mode="after")
    def _rules(self) -> Self:
        breaking = {*self.special, "\r", "\n"}
        if self.escape is not None and self.escape in breaking - {self.special[1]}:
            message = "must not be the delimiter or a line break"
            raise Misplaced(message, "escape")
        for name, text in (("null", self.null), ("booleans", self.booleans.true), ("booleans", self.booleans.false)):
            if set(text) & breaking:
                message = "must not hold the delimiter, the enclosure or a line break"
                raise Misplaced(message, name)
        if len({self.booleans.true, self.booleans.false, self.null}) < 3:  # noqa: PLR2004
            message = "true, false and `null` must differ"
            raise Misplaced(message, "booleans")
        if self.bom and self.encoding != "utf-8":
            message = f"a byte order mark is for `encoding: utf-8`, found {self.encoding!r}"
            raise Misplaced(message, "bom")
        self._holds()
        return self

    def _holds(self) -> None:
        used = "".join([*self.special, self.escape or "", self.null, self.booleans.true, self.booleans.false])
        try:
            used.encode(self.encoding)
        except UnicodeEncodeError as error:
            message = f"{self.encoding} has no {used[error.start]!r}, which this format uses"
            raise Misplaced(message, "encoding") from None

    def advice(self) -> Iterator[tuple[str, str]]:
        """What a way of quoting cannot say."""
        yield from super().advice()
        if self.quoting == "none" and self.escape is None:
            yield (
                "quoting",
                "nothing is enclosed or escaped: a value with the delimiter or a line break stops its window",
            )
        if self.quoting in {"none", "all"} and not self.null:
            yield "quoting", "NULL and an empty text are written alike; say `null:`, or `quoting: non_null`"


class Csv(_Delimited):
    """Values between delimiters. NULL is nothing at all, an empty text is an enclosed nothing."""

    type: Literal["csv"] = "csv"
    delimiter: Character = ","
    enclosure: Character = '"'
    newline: Newline = "lf"

    @property
    def special(self) -> tuple[str, str]:
        """Delimiter and enclosure, as declared."""
        return self.delimiter, self.enclosure

    @property
    def eol(self) -> str:
        """The line break, as declared."""
        return NEWLINES[self.newline]

    @model_validator(mode="after")
    def _apart(self) -> Csv:
        if self.delimiter == self.enclosure or {self.delimiter, self.enclosure} & {"\r", "\n"}:
            message = "`delimiter` and `enclosure` must differ, and neither may be a line break"
            raise ValueError(message)
        return self


class Psv(_Delimited):
    """Values between pipes, enclosed in double quotes where needed, lines ended by LF."""

    type: Literal["psv"] = "psv"

    @property
    def special(self) -> tuple[str, str]:
        """Fixed by the format."""
        return "|", '"'


class Tsv(_Delimited):
    """Values between tabs, enclosed in double quotes where needed, lines ended by LF."""

    type: Literal["tsv"] = "tsv"

    @property
    def special(self) -> tuple[str, str]:
        """Fixed by the format."""
        return "\t", '"'


class Ndjson(_Text):
    """One JSON object a line."""

    type: Literal["ndjson"] = "ndjson"


class Json(_Text):
    """One JSON array of objects a file."""

    type: Literal["json"] = "json"


class Parquet(_Sized):
    """Apache Parquet, types exact."""

    type: Literal["parquet"] = "parquet"
    compression: Literal["none", "snappy", "zstd"] = "zstd"


class Excel(_Format):
    """An Excel workbook of one sheet, for people."""

    type: Literal["excel"] = "excel"
    header: bool = True

    @property
    def compression(self) -> Literal["none"]:
        """A workbook is compressed by itself."""
        return "none"


Delimited = Csv | Psv | Tsv
Objects = Ndjson | Json
Format = Annotated[Csv | Psv | Tsv | Ndjson | Json | Parquet | Excel, Field(discriminator="type")]
