"""Rows about things: stores, products, coupons and their pools, rewards, challenges, and the calls of webhooks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from demo.antavo.chance import ZONE, Chance, World
from demo.antavo.tables import Row

CITIES = (("HU", "Győr"), ("HU", "Budapest"), ("DE", "Köln"), ("FR", "Saint-Étienne"), ("US", "Boise"), ("XX", None))
CALLS = ("customer.updated", "customer.created", "coupon.redeemed", "event.stored", "ping")
ANSWERS = (200, 200, 200, 204, 301, 400, 404, 429, 500, 503, 599, 600, None)
COUPONS = ("claimed", "claimed", "redeemed", "expired", "partially_redeemed", "invalid")
THINGS = ("Green tea, 100 g", 'Mug 12"', "Soap | lavender", "Gift card; blue", "Kávé őrölt", "Gift box", "=SUM(A1)")


def stores(chance: Chance, world: World) -> Iterator[Row]:
    """Shops in four countries, and some whose country or code nobody filled in."""
    for number, code in enumerate(world.stores):
        country, city = chance.choice(CITIES)
        yield {
            "id": chance.key(),
            "name": f"{city or 'Store'} {number}",
            "code": chance.choice((code, code, code, "", None)),
            "country": country,
            "city": chance.choice((city, city, "")),
            "address": chance.note(),
            "latitude": chance.maybe(Decimal(chance.randrange(-90 * 10**6, 90 * 10**6)).scaleb(-6)),
            "longitude": chance.maybe(Decimal(chance.randrange(-180 * 10**6, 180 * 10**6)).scaleb(-6)),
            "status": chance.choice(("open", "open", "Open", "closed")),
            "created_at": chance.before(world.until, 2000),
        }


def products(chance: Chance, world: World) -> Iterator[Row]:
    """What the shops sell; categories are spelled in more than one way."""
    for sku in world.products:
        yield {
            "id": chance.key(),
            "name": f"{chance.choice(THINGS)} {sku}",
            "sku": sku,
            "category": chance.choice(("Tea", "tea", "Coffee", "Home", "", None)),
            "price": chance.choice((chance.money(60), Decimal("2.50"), Decimal("40.00"), None)),
            "currency": chance.choice(("EUR", "HUF")),
            "url": chance.url("products"),
            "image_url": chance.maybe(chance.url("products")),
            "status": chance.choice(("active", "active", "archived", None)),
            "created_at": chance.before(world.until, 700),
        }


def coupon_pools(chance: Chance, world: World) -> Iterator[Row]:
    """Pools of which some run dry."""
    for pool in world.pools:
        total = chance.randint(100, 1000)
        left = chance.choice((0, 50, chance.randint(1, 99), total))
        yield {
            "id": pool,
            "name": chance.choice((f"Spring {pool}", "Fête | 10%", 'The "best"', "tavasz\nakció")),
            "type": chance.choice(("fixed", "percentage")),
            "value": chance.money(50),
            "total": total,
            "available": left,
            "claimed": total - left,
            "expires_in": chance.maybe(chance.choice((7, 30, 90))),
            "created_at": chance.before(world.until, 1200),
        }


def coupons(chance: Chance, world: World) -> Iterator[Row]:
    """Two a member, claimed within the last year; most are for certain stores and products only."""
    for _ in range(2 * len(world.customers)):
        made = chance.before(world.until, 365)
        claimed = made + (world.until - made) * chance.random()
        status, value = chance.choice(COUPONS), chance.money(80)
        left = timedelta(days=chance.choice((0, *[chance.randint(-60, 60)] * 9)))
        ends = world.until.astimezone(ZONE).date() + left
        used = status in {"redeemed", "partially_redeemed"}
        yield {
            "_id": chance.key(),
            "code": f"{chance.choice(('SPRING', 'ŐSZ', chr(39) + 'X' + chr(39)))}-{chance.randrange(10**8):08d}",
            "name": chance.note(),
            "type": chance.choice(("fixed", "percentage", "gift")),
            "value": value,
            "currency": chance.choice(("EUR", "HUF", None)),
            "balance": chance.maybe(value, 0.8),
            "min_amount": chance.maybe(chance.money(100)),
            "min_redemption_value": chance.maybe(chance.money(20), 0.3),
            "created_at": made,
            "claimed_at": claimed,
            "redeemed_at": claimed + (world.until - claimed) * chance.random() if used else None,
            "expiration_date": chance.maybe(ends, 0.9),
            "expires_in": chance.maybe(30, 0.5),
            "invalidated_at": claimed if status == "invalid" else None,
            "invalidated_by": chance.randrange(50) if status == "invalid" else None,
            "pool": chance.choice(world.pools),
            "parent": chance.maybe(chance.key(), 0.1),
            "original": chance.maybe(chance.key(), 0.1),
            "aggregated": chance.choice((True, False, None)),
            "claims": chance.randint(0, 3),
            "redeems": int(used),
            "transfers": chance.randint(0, 1),
            "status": status,
            "stores": chance.some(world.stores[:6]),
            "products": chance.some(world.products[:4], 4),
        }


def rewards(chance: Chance, world: World) -> Iterator[Row]:
    """What points buy: some for ever, some of a season."""
    for number in range(80):
        begins = chance.around(world.until, 90)
        yield {
            "id": chance.key(),
            "title": chance.choice((f"Reward {number}", "Nyári ajándék; 50%", 'The "golden" one', "two\nlines")),
            "type": chance.choice(("coupon", "product", "experience")),
            "price": chance.maybe(chance.money(900), 0.9),
            "limit": chance.choice((None, 0, 100, 250)),
            "claims": chance.randint(0, 100),
            "status": chance.choice(("active", "active", "draft", "Active")),
            "start_at": begins,
            "end_at": chance.maybe(begins + timedelta(days=chance.randint(1, 120))),
            "created_at": chance.before(world.until, 400),
        }


def challenges(chance: Chance, world: World) -> Iterator[Row]:
    """Tasks that earn points, of which most have an end."""
    for number in range(60):
        begins = chance.around(world.until, 60)
        yield {
            "id": chance.key(),
            "title": chance.choice((f"Challenge {number}", 'Say "hello"', "Új kihívás 🎁", "back\\slash\ttab")),
            "type": chance.choice(("quiz", "purchase", "survey")),
            "status": chance.choice(("active", "scheduled", "finished", "draft")),
            "points": chance.maybe(chance.money(500)),
            "repeatable": chance.choice((True, False, None)),
            "start_at": begins,
            "end_at": chance.choice((None, world.until, begins + timedelta(days=chance.randint(1, 90)))),
            "completions": chance.randrange(5000),
        }


def webhook_logs(chance: Chance, world: World) -> Iterator[Row]:
    """Calls of the last thirty days with what was sent and answered, three a member, most of them lately."""
    for _ in range(3 * len(world.customers)):
        status = chance.choice(ANSWERS)
        body = {"customer": chance.choice(world.customers), "note": chance.note(), "pipe": "|"}
        yield {
            "id": chance.key(),
            "webhook_id": f"hook-{chance.randint(1, 5)}",
            "event": chance.choice(CALLS),
            "url": "https://hooks.example.com/in?a=1&b=|",
            "method": "POST",
            "status_code": status,
            "request": json.dumps(body, ensure_ascii=False, indent=chance.choice((None, 1))),
            "response": None if status is None else chance.note(),
            "attempt": chance.choice((1, 1, 1, 2, 3, 4)),
            "duration_ms": chance.maybe(chance.randint(3, 30_000), 0.9),
            "created_at": chance.before(world.until, 30, bend=2),
        }
