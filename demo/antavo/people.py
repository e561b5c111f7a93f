"""Rows about people: customers and their fields, what they did (events), what was changed, what waits for approval."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from demo.antavo.chance import ZONE, Chance, World
from demo.antavo.tables import Row

FIRST = ("Ana", "Zoë", "Noor", "José", "Lars", "Siân", "李雷", 'Anne "Annie"', "Łukasz", "Éva; Mária", "", None)
LAST = ("O'Neill", "Müller", "García, López", "Nguyễn", "Kovács|Szabó", "de la Cruz", "Smith", "Ábrahám", "", None)
COUNTRIES = ("HU", "HU", "HU", "DE", "DE", "FR", "GB", "US", "", None)
STATUSES = ("active", "active", "active", "active", "inactive", "banned", "merged", "suspended")
LABELS = ("vip", "founding member", "at risk", 'says "no"', "a;b", "ñandú")
ACTIONS = ("checkout", "checkout", "point_add", "point_sub", "reward_claim", "refund", "Checkout", "opt_in", "profile")
SOURCES = ("web", "app", "POS", "pos", "test", "Test", "", None)
FIELDS = ("status", "country", "email", "score", "updated_at", "labels", "pool", None)
"""What was changed; NULL is the whole object."""
TYPES = ("String", "Numeric", "Boolean", "Select", "URL", "Date", "Datetime", "Multiple choice", "List", "Image")


def customers(chance: Chance, world: World) -> Iterator[Row]:
    """Members of two years; those who are active were changed lately."""
    for key in world.customers:
        born = chance.before(world.until, 730)
        changed = max(born, chance.before(world.until, 90, bend=3))
        yield _who(chance, key) | _account(chance) | _dates(chance, born, changed) | _more(chance, world)


def _who(chance: Chance, key: str) -> Row:
    first, last = chance.choice(FIRST), chance.choice(LAST)
    address = f"{chance.choice(('', ' '))}Member.{key[:8]}@Example.com"
    return {
        "_id": key,
        "external_ids": chance.maybe({"pos": key[-6:], "web": None}),
        "email": chance.choice((address, address, address, "", None)),
        "first_name": first,
        "last_name": last,
        "handler": chance.maybe(f"@{key[:5]}"),
        "status": chance.choice(STATUSES),
        "gender": chance.choice(("female", "male", "", None)),
        "language": chance.choice(("hu", "de", "en", "", None)),
        "image_url": chance.maybe(chance.url("people")),
        "currency": chance.choice(("EUR", "HUF", "GBP")),
        "mobile_phone": chance.choice((f"+36 (30) {chance.randrange(10**6, 10**7)}", "", None)),
        "country": chance.choice(COUNTRIES),
    }


def _account(chance: Chance) -> Row:
    names = ("spent", "reserved", "expired", "pending", "purchase_total")
    bought = chance.choice((None, 0, 0, chance.randint(1, 90)))
    return {
        "score": chance.maybe(chance.money(9000), 0.9),
        **{name: chance.maybe(chance.money(4000)) for name in names},
        "purchase_count": bought,
        "purchase_item_count": None if bought is None else bought * chance.randint(1, 5),
    }


def _dates(chance: Chance, born: datetime, changed: datetime) -> Row:
    def since() -> datetime | None:
        return chance.maybe(born + (changed - born) * chance.random(), 0.6)

    names = ("purchase_first_date", "purchase_last_date", "last_earn_date", "last_spend_date")
    also = ("last_login_at", "optin_at", "optout_at")
    return {
        "created_at": born,
        "updated_at": changed,
        "birth_date": chance.maybe(date(1940, 2, 29) + timedelta(days=chance.randrange(24_000))),
        **{name: since() for name in (*names, *also)},
    }


def _more(chance: Chance, world: World) -> Row:
    return {
        "membership_id": chance.some(("bronze", "silver", "gold"), 1),
        "group_id": chance.some(("staff", "press", "families")),
        "src": chance.choice(SOURCES),
        "referrer": chance.maybe(chance.choice(world.customers), 0.2),
        "labels": chance.some(LABELS),
        "properties": chance.maybe(chance.properties(), 0.9),
        "tiers": chance.maybe({"main": {"level": chance.randint(1, 3), "until": None}}),
        "accounts": {"points": str(chance.money(100))},
        "clubs": chance.some(("wine", "running", "könyv")),
        "activities": {},
        "rewards": chance.maybe({"claimed": chance.randint(0, 5)}),
        "referrals": chance.some(world.customers),
    }


def events(chance: Chance, world: World) -> Iterator[Row]:
    """Six a member in sixty days, written once; some at the first and the last moment of a day."""
    for _ in range(6 * len(world.customers)):
        written = chance.edge(world.until, 4) if chance.random() < 0.03 else chance.before(world.until, 60, bend=2)  # noqa: PLR2004
        happened = written - timedelta(seconds=chance.choice((0, 1, 1, 90_000)) * chance.random())
        points = chance.maybe(chance.money(500) - 100)
        yield {
            "_id": chance.key(),
            "timestamp": happened,
            "unix_timestamp": int(happened.timestamp()),
            "process_timestamp": written,
            "date": happened.astimezone(ZONE).date(),
            "ip_address": chance.maybe(f"203.0.113.{chance.randrange(256)}"),
            "user_agent": chance.note(),
            "customer": chance.choice(world.customers),
            "action": chance.choice(ACTIONS),
            "points": points,
            "properties": chance.maybe(chance.properties() | {"transaction_id": chance.randrange(10**6)}, 0.9),
            "parent": chance.maybe(chance.key(), 0.2),
            "change": chance.maybe({"score": [None, str(points)]}, 0.4),
            "admin": chance.choice((False, False, False, True, None)),
            "hash": chance.key(),
            "user_id": chance.maybe(str(chance.randrange(50)), 0.3),
            "signed": chance.random() < 0.5,  # noqa: PLR2004
            "expdate": chance.maybe(happened.astimezone(ZONE).date() + timedelta(days=365), 0.5),
            "source": chance.choice(SOURCES),
            "account": chance.maybe("points", 0.9),
            "cid": chance.maybe(chance.key(), 0.2),
            "snapshot": {"tier": chance.choice(("silver", None))},
            "usages": chance.maybe({}, 0.3),
            "used_points": chance.maybe(chance.money(50), 0.4),
            "expired": chance.choice((False, False, True)),
            "original": None,
        }


def changes(chance: Chance, world: World) -> Iterator[Row]:
    """What was changed, three a member, numbered by the database in the order of their moments."""
    moments = sorted(chance.before(world.until, 90) for _ in range(3 * len(world.customers)))
    for number, moment in enumerate(moments, 1):
        yield {
            "id": number,
            "object_type": chance.choice(("customer", "customer", "coupon", "reward", "Customer")),
            "object_id": chance.choice(world.customers),
            "field": chance.choice(FIELDS),
            "old_value": chance.note(),
            "new_value": chance.note(),
            "user_id": chance.maybe(str(chance.randrange(50)), 0.6),
            "created_at": moment,
        }


def content_approval(chance: Chance, world: World) -> Iterator[Row]:
    """Pictures and reviews that members sent in; somebody once typed a status by hand."""
    for _ in range(len(world.customers)):
        sent = chance.before(world.until, 120)
        status = chance.choice(("pending", "pending", "Pending", "approved", "rejected", "rejected"))
        seen = status.lower() != "pending"
        yield {
            "id": chance.key(),
            "customer": chance.choice(world.customers),
            "content_type": chance.choice(("image", "review", "video", None)),
            "content_url": chance.url("content"),
            "status": status,
            "reviewed_by": chance.choice((chance.note(), "Réka")) if seen else None,
            "created_at": sent,
            "reviewed_at": sent + (world.until - sent) * chance.random() if seen else None,
        }


def customer_fields(chance: Chance, _: World) -> Iterator[Row]:
    """The fields of the model `customers`: some built in, most of a programme's own, some with a format."""
    for number in range(40):
        type_ = chance.choice(TYPES)
        yield {
            "id": f"field_{number:02d}",
            "label": chance.choice((f"Field {number}", f'Size "{number}" | cm', f"Mező {number}", f"line\n{number}")),
            "type": type_,
            "built_in": chance.random() < 0.3,  # noqa: PLR2004
            "tags": chance.some(("crm", "legal", "pii|gdpr")),
            "default": chance.choice((None, "", "0", "n/a")),
            "format": chance.maybe("Email") if type_ in {"String", "List"} else None,
        }
