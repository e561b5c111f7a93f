"""Texts that are nearly right: whole declarations' fragments, cut, doubled, swapped and filled with what parsers dislike."""

from __future__ import annotations

import random

FRAGMENTS: dict[str, tuple[str, ...]] = {
    "dates": (
        "date:-30 days", "date:monday this week", "date:first day of january this year +2 hours", "date:now|yyyy-MM-dd",
        "date:last day of next month - 5 weeks", "date:yesterday",
    ),
    "patterns": ("yyyy-MM-dd HH:mm:ss", "dd/MM/yy hh:mm a", "yyyy-MM-dd'T'HH:mm:ss.SSSSSS", "'it''s' d.M.yyyy"),
    "templates": (
        "{export}/{partition}/{export}_{partition}_{part}.csv.gz", "/in/{tenant}/{date}_{time}.csv", "a/{datetime}.{parts}",
    ),
    "expressions": (
        "upper(name) || '-' || id", "CASE WHEN total > 5 THEN 'a''b' ELSE NULL END", "round(total * 0.5, 2)",
        "coalesce(nullif(trim(\"odd name\"), ''), 'none')", "created_at + INTERVAL 1 DAY", "CAST(id AS VARCHAR)",
        "id IN (1, 2, 3) AND name LIKE 'a%' OR NOT total BETWEEN 1 AND 2.5", "date_trunc('month', created_at)",
    ),
    "queries": (
        "SELECT id, name FROM people WHERE at >= {low} AND at < {high}", "WITH a AS (SELECT 1 AS x) SELECT * FROM a",
        "SELECT b.id, count(*) FROM b JOIN c ON c.b = b.id GROUP BY b.id HAVING count(*) > 1 ORDER BY 1",
        "SELECT CASE WHEN a THEN 'x' END, \"q\"\"q\", [1, 2][1], {'k': 1} FROM t AS \"odd\" -- {last_id}",
        "SELECT x::INT, y LIKE '%a' ESCAPE '!', sum(z) OVER (PARTITION BY x) FROM (SELECT 1) s UNION ALL SELECT 2",
    ),
    "values": (
        "active", "2026-01-31", "2026-01-31 14:30:05.25+02:00", "-12.50", "14:30", "' OR 1=1 --", "date:today", "true",
        "9999-12-31T23:59:59-23:59", "12345678901234567890.12345",
    ),
}  # fmt: skip
SPICES = (
    "'", '"', "''", "`", "(", ")", "[", "]", "{", "}", "((((((((", "))))", "--", "/*", "*/", ";", ",", ".", "..", "/", "//", "\\",
    "%", "|", "||", ":", "::", "?", "$1", "$$", "@", "#", "&", "~", "!", "<", ">", "=", "+", "-", "*", "\n", "\r\n", "\t", "\x00",
    "\x0b", "\x7f", "\u00a0", "\u2028", "\u202e", "\ufeff", "é", "e\u0301", "ß", "İ", "١٢", "😀", "\U0010ffff", "\ud800",
    "0", "1", "-1", "1e999", "0x1F", "1_000", "99999999999999999999999", "NaN", "inf", "NULL", "not ", "not not not ", "select ",
    "from ", "union ", "case ", "when ", "cast(", "exists(", "select 1", "read_text('/etc/passwd')", "getenv('A')", "x -> x",
    "date:", "days", "week", "this ", "yyyy", "MM", "a", "T", "Z", "{export}", "{partition}", "{low}", "../", "con", "\U0001d7d9",
)  # fmt: skip
LONGEST = 400


def mutated(chance: random.Random, kind: str) -> str:
    """One fragment after a few accidents."""
    text = chance.choice(FRAGMENTS[kind])
    for _ in range(chance.choice((1, 1, 2, 3, 5, 8))):
        text = chance.choice(ACCIDENTS)(chance, text, kind)[:LONGEST]
    return text


def _cut(chance: random.Random, text: str, _: str) -> str:
    first, last = _span(chance, text)
    return text[:first] + text[last:]


def _doubled(chance: random.Random, text: str, _: str) -> str:
    first, last = _span(chance, text)
    return text[:last] + text[first:last] * chance.choice((1, 1, 2, 20)) + text[last:]


def _spiced(chance: random.Random, text: str, _: str) -> str:
    first, last = _span(chance, text)
    return text[:first] + chance.choice(SPICES) * chance.choice((1, 1, 1, 3, 30)) + text[chance.choice((first, last)) :]


def _crossed(chance: random.Random, text: str, kind: str) -> str:
    other = chance.choice(FRAGMENTS[chance.choice((kind, *FRAGMENTS))])
    return text[: _span(chance, text)[0]] + other[_span(chance, other)[0] :]


def _span(chance: random.Random, text: str) -> tuple[int, int]:
    first, last = sorted((chance.randint(0, len(text)), chance.randint(0, len(text))))
    return first, min(last, first + 12)


ACCIDENTS = (_cut, _doubled, _spiced, _crossed)
