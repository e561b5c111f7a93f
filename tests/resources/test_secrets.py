"""Values that are not written down: what is taken out of texts, and what cannot be one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from resources.secrets import reveal, reveal_line, scrub
from spec.errors import DeclarationError
from spec.secrets import FromFile

TOKEN = "FwoGZXIvYXdzTop\nSecond/Half=="


FORMS: dict[str, Callable[[str], str]] = {
    "plain": str, "url": quote, "python": repr, "json": json.dumps,
    "bytes": lambda value: repr(value.encode()), "line": lambda value: value.split()[1],
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_a_value_is_left_in_a_text(tmp_path: Path, form: str) -> None:
    """As it is, in a URL, as Python and JSON write it, and each of its lines."""
    (tmp_path / "token").write_text(TOKEN)
    assert reveal(FromFile(file=str(tmp_path / "token"))) == TOKEN
    text = f"Invalid header value {FORMS[form](TOKEN)}"
    assert "FwoGZX" not in scrub(text)
    assert "Second" not in scrub(text)


def test_a_value_of_one_line_has_no_other(tmp_path: Path) -> None:
    """A pasted line break would be a header or a command of its own; the message does not show the value."""
    (tmp_path / "token").write_text(TOKEN)
    with pytest.raises(DeclarationError, match="has a line break") as refused:
        reveal_line(FromFile(file=str(tmp_path / "token")))
    assert "FwoG" not in str(refused.value)
    (tmp_path / "right").write_text("pässword \n")
    assert reveal_line(FromFile(file=str(tmp_path / "right"))) == "pässword "
