"""The twelve data models as tables: their columns, in order, and the DuckDB and Arrow types of each kind of column.

Field names are those of the platform's API where it publishes them (customers, events, coupons), and ours in its style
elsewhere. What is in the rows is made in people.py and goods.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pyarrow as pa

Row = dict[str, Any]


class Column(NamedTuple):
    """A column and its kind, one of KINDS."""

    name: str
    kind: str


class Kind(NamedTuple):
    """What DuckDB calls it, and how Arrow carries it there."""

    duckdb: str
    arrow: pa.DataType


KINDS = {
    "text": Kind("VARCHAR", pa.string()),
    "whole": Kind("BIGINT", pa.int64()),
    "money": Kind("DECIMAL(12, 2)", pa.decimal128(12, 2)),
    "degrees": Kind("DECIMAL(9, 6)", pa.decimal128(9, 6)),
    "flag": Kind("BOOLEAN", pa.bool_()),
    "day": Kind("DATE", pa.date32()),
    "moment": Kind("TIMESTAMPTZ", pa.timestamp("us", tz="UTC")),
    "stamp": Kind("TIMESTAMPTZ NOT NULL", pa.timestamp("us", tz="UTC")),
    "list": Kind("VARCHAR[]", pa.list_(pa.string())),
    "object": Kind("JSON", pa.string()),
}
"""`stamp` is a moment that every row has; `object` is JSON."""

# By kind, the columns of each model; the first column of all is its key.
_MODELS = {
    "challenges": "id text, title text, type text, status text, points money, repeatable flag, start_at moment, "
    "end_at moment, completions whole",
    "changes": "id whole, object_type text, object_id text, field text, old_value text, new_value text, user_id text, "
    "created_at stamp",
    "content_approval": "id text, customer text, content_type text, content_url text, status text, reviewed_by text, "
    "created_at stamp, reviewed_at moment",
    "coupons": "_id text, code text, name text, type text, value money, currency text, balance money, "
    "min_amount money, min_redemption_value money, created_at stamp, claimed_at moment, redeemed_at moment, "
    "expiration_date day, expires_in whole, invalidated_at moment, invalidated_by whole, pool text, parent text, "
    "original text, aggregated flag, claims whole, redeems whole, transfers whole, status text, stores list, "
    "products list",
    "coupon_pools": "id text, name text, type text, value money, total whole, available whole, claimed whole, "
    "expires_in whole, created_at stamp",
    "customers": "_id text, external_ids object, email text, first_name text, last_name text, handler text, "
    "status text, gender text, language text, image_url text, currency text, mobile_phone text, country text, "
    "membership_id list, group_id list, src text, referrer text, score money, spent money, reserved money, "
    "expired money, pending money, purchase_total money, purchase_count whole, purchase_item_count whole, "
    "created_at stamp, updated_at stamp, birth_date day, purchase_first_date moment, purchase_last_date moment, "
    "last_earn_date moment, last_spend_date moment, last_login_at moment, optin_at moment, optout_at moment, "
    "labels list, properties object, tiers object, accounts object, clubs list, activities object, rewards object, "
    "referrals list",
    "customer_fields": "id text, label text, type text, built_in flag, tags list, default text, format text",
    "events": "_id text, timestamp stamp, unix_timestamp whole, process_timestamp stamp, date day, ip_address text, "
    "user_agent text, customer text, action text, points money, properties object, parent text, change object, "
    "admin flag, hash text, user_id text, signed flag, expdate day, source text, account text, cid text, "
    "snapshot object, usages object, used_points money, expired flag, original text",
    "products": "id text, name text, sku text, category text, price money, currency text, url text, image_url text, "
    "status text, created_at stamp",
    "rewards": "id text, title text, type text, price money, limit whole, claims whole, status text, start_at moment, "
    "end_at moment, created_at stamp",
    "stores": "id text, name text, code text, country text, city text, address text, latitude degrees, "
    "longitude degrees, status text, created_at stamp",
    "webhook_logs": "id text, webhook_id text, event text, url text, method text, status_code whole, request text, "
    "response text, attempt whole, duration_ms whole, created_at stamp",
}  # fmt: skip
TABLES = {name: tuple(Column(*each.split()) for each in said.split(", ")) for name, said in _MODELS.items()}
