"""Chance that can be repeated, the texts that exports stumble over, and when things happen. Which table has what is in
people.py and goods.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Budapest")
"""Where the programme's days begin and end, as in the recipe."""
TICK = timedelta(microseconds=1)
NOTES = (
    "", "called back", 'Zoë said "merci"', "two\nlines", "carriage\r\nreturn", "semi;colon, comma | pipe", "l'été",
    "積分が足りない 🎁", " spaces around ", "tab\tstop", "=1+1", "NULL", "a \\ backslash", "مرحبا", "e\u0301 composed",
    "Straße, 1052 Budapest; 2. emelet", "long " * 60,
)  # fmt: skip
T = TypeVar("T")


class World(NamedTuple):
    """What all tables share: when the data ends, and the keys that rows of other tables point to."""

    until: datetime
    customers: Sequence[str]
    stores: Sequence[str]
    products: Sequence[str]
    pools: Sequence[str]


class Chance(Random):
    """Made of a text, such as the seed and the table's name: the same rows each time, whatever other tables do."""

    def key(self) -> str:
        """24 hexadecimal digits, as the platform's own keys."""
        return f"{self.getrandbits(96):024x}"

    def maybe(self, value: T, share: float = 0.7) -> T | None:
        """The value, or NULL where chance is against it."""
        return value if self.random() < share else None

    def note(self) -> str | None:
        """A text of somebody's own, with all that such texts have; often empty or NULL."""
        return self.choice((*NOTES, None, ""))

    def money(self, most: int) -> Decimal:
        """Up to `most`, in hundredths; sometimes exactly 0.00."""
        return Decimal(self.choice((0, *[self.randrange(most * 100)] * 9))).scaleb(-2)

    def some(self, items: Sequence[str], most: int = 3) -> list[str] | None:
        """A few of them, none of them, or NULL."""
        return self.choice((None, [], *[self.sample(items, self.randint(1, min(most, len(items))))] * 6))

    def before(self, until: datetime, days: float, bend: float = 1) -> datetime:
        """A moment of the last so many days; the more bent, the later most are. Midnight is not later than `until`."""
        return until - TICK - timedelta(days=days * float(self.random() ** bend))

    def edge(self, until: datetime, days: int) -> datetime:
        """The first or the last moment of one of the last days, where the clock of ZONE says so."""
        day = until.astimezone(ZONE).date() - timedelta(days=self.randint(1, days))
        midnight = datetime(day.year, day.month, day.day, tzinfo=ZONE).astimezone(UTC)
        return midnight - self.choice((0, 1)) * TICK

    def around(self, until: datetime, days: float) -> datetime:
        """A moment as far before or after."""
        return until + timedelta(days=days) * (2 * self.random() - 1)

    def url(self, kind: str) -> str:
        """A link, most of them by https; some have a space and letters beyond ASCII."""
        start = self.choice(("https://", "https://", "https://", "http://"))
        folder, name = self.choice(("", "drafts/")), self.choice(("a b", "ő", "x"))
        return f"{start}cdn.example.com/{folder}{kind}/{name}{self.randrange(10**6)}.jpg"

    def properties(self) -> dict[str, Any]:
        """Custom attributes: numbers that are no float, texts, lists, objects and nulls."""
        return {
            "note": self.note(),
            "size": self.choice((38, 42, None)),
            "consents": {"sms": self.random() < 0.5, "post": None},  # noqa: PLR2004  (half of them)
            "visits": [self.randrange(9) for _ in range(3)],
            "big": 2**53 + 1,
        }
