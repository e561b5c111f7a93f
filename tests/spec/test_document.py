"""The strict YAML reader."""

from __future__ import annotations

import contextlib

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from spec.document import LIMIT, read
from spec.errors import DeclarationError


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3: `a` is written twice (first in line 1)"),
        ("a: &x 1\nb: *x\n", "f.yaml:1: aliases and anchors"),
        ("a: [1, 2\n", "f.yaml:2: not valid YAML"),
        ("a:\n\t- b\n", "f.yaml:2: not valid YAML"),
        ("- a\n- b\n", "f.yaml:1: expected `key: value` lines"),
        ("a: !!python/object:os.system x\n", "f.yaml:1: tags such as"),
        ("a: !custom x\n", "f.yaml:1: tags such as"),
        ('b: 1\na: "\\ud800"\n', "f.yaml:2: half of a character"),
        ('"\\udc00": 1\n', "f.yaml:1: half of a character"),
        ("a: " + "[" * 60 + "]" * 60, "f.yaml:1: nested deeper"),
        ("".join(" " * n + "k:\n" for n in range(60)), "f.yaml:41: nested deeper"),
        ("a: " + "[" * 400_000, "f.yaml:1: nested deeper"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2: not valid YAML"),
        ("a: " + "x" * LIMIT, "f.yaml:1: the file is larger than 1 MB"),
    ],
)
def test_what_is_refused_says_where(text: str, said: str) -> None:
    """Each refusal names the file and the line."""
    with pytest.raises(DeclarationError) as caught:
        read(text, "f.yaml")
    assert str(caught.value).startswith(said)


def test_values_are_what_they_look_like() -> None:
    """NO is no boolean, 12:30 no number of seconds, a date no date object: only the core schema's scalars are
    converted.
    """
    text = "a: NO\nb: 12:30:00\nc: 2024-01-01\nd: true\ne: 3\nf: 1.50\ng: ~\nh: '3'\ni: 0o17\nj: 1_000\nk: off\n"
    assert read(text, "f").data == {
        "a": "NO", "b": "12:30:00", "c": "2024-01-01", "d": True, "e": 3, "f": 1.5, "g": None, "h": "3", "i": "0o17",
        "j": "1_000", "k": "off",
    }  # fmt: skip


def test_a_number_that_a_float_cannot_carry_stays_text() -> None:
    """What was written is what is compared, to the last digit."""
    text = "a: 0.1\nb: 12345678901234567.89\nc: 1.00000000000000000001\nd: 1.0e400\n"
    assert read(text, "f").data == {
        "a": 0.1,
        "b": "12345678901234567.89",
        "c": "1.00000000000000000001",
        "d": "1.0e400",
    }


def test_the_ordinary_loader_would_have_changed_them() -> None:
    """The control: PyYAML's own safe loader reads NO as False, 12:30:00 as 45000 and keeps the last of two equal
    keys.
    """
    assert yaml.safe_load("a: NO\nb: 12:30:00\na: 1\n") == {"a": 1, "b": 45000}


def test_every_value_knows_its_line() -> None:
    """A place that was not written down is answered with the nearest thing around it."""
    document = read("a: 1\nb:\n  - c: 2\n    d: 3\n", "f")
    assert document.where(("b", 0, "d")) == "f:4"
    assert document.where(("b", 0, "missing")) == "f:3"
    assert document.where(("nowhere",)) == "f:1"


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    """There is no third way: no other exception leaves the reader."""
    with contextlib.suppress(DeclarationError):
        assert isinstance(read(text, "f").data, dict)
