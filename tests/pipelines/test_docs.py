"""The documentation keeps up: it names every command and key, its declarations are right, and its links lead somewhere.

Whether its sentences are true is for its readers; what can be compared with the code is compared here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import pytest
from click.testing import CliRunner
from pydantic import BaseModel

from pipelines import reference, typemap
from pipelines.cli import COMMANDS, cli
from pipelines.project import Defaults
from resources.databases.base import Database
from resources.registry import Connectors, types
from spec import later
from spec.aggregates import AGGREGATES
from spec.document import Document, read
from spec.errors import DeclarationError
from spec.export import Export
from spec.filters import OPERATORS
from spec.patterns import LETTERS
from spec.reading import read_export
from spec.template import VARIABLES

TOP = Path(__file__).parents[2]
DOCS = TOP / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FENCE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
Model = type[BaseModel]


def page(name: str) -> str:
    """The text of one page."""
    return (DOCS / name).read_text(encoding="utf-8")


def models_in(annotation: Any) -> Iterator[Model]:
    """The models that an annotation mentions, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)


def keys(model: Model, seen: set[Model] | None = None) -> set[str]:
    """Every key that may be written somewhere in a declaration of that model."""
    seen = set() if seen is None else seen
    if model in seen:
        return set()
    seen.add(model)
    found = {field.alias or name for name, field in model.model_fields.items()}
    inner = (each for field in model.model_fields.values() for each in models_in(field.annotation))
    return found.union(*(keys(each, seen) for each in inner))


def unnamed(words: set[str], text: str) -> set[str]:
    """The words that a text has nowhere as code of their own: `word`, `word:`, or `{word}`."""
    return {word for word in words if not re.search(rf"`\{{?{re.escape(word)}\}}?:?`", text)}


def documents(name: str, text: str) -> list[Document]:
    """The YAML blocks of a page."""
    return [read(block, f"{name}#{number}") for number, block in enumerate(FENCE.findall(text), 1)]


def problems(document: Document, folder: Path) -> tuple[str, ...]:
    """What is wrong with a block: it is read as an export, as connectors, or only as YAML."""
    data = document.data
    try:
        if "export" in data:
            read_export(document)
        elif all(isinstance(each, dict) and "type" in each for each in data.values()):
            connectors = Connectors([document], folder)
            [connectors.get(name) for name in connectors.names]
    except DeclarationError as error:
        return error.problems
    return ()


def slug(heading: str) -> str:
    """A heading's anchor, as code forges make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def broken_links(path: Path, text: str) -> list[str]:
    """The relative links of a page that lead to no file, or to no heading of it."""
    links = [link for link in LINK.findall(CODE.sub("", text)) if "://" not in link and not link.startswith("mailto:")]
    return [link for link in links if not leads(path, link)]


def leads(path: Path, link: str) -> bool:
    """Whether there is a file, and in it the heading, that a page's link names."""
    target, _, anchor = link.partition("#")
    file = (path.parent / target).resolve() if target else path
    if not file.exists() or not anchor:
        return file.exists()
    return anchor in map(slug, HEADING.findall(CODE.sub("", file.read_text(encoding="utf-8"))))


def test_every_command_is_in_the_reference() -> None:
    """A command without its section would not be found."""
    headings = set(HEADING.findall(CODE.sub("", page("cli.md"))))
    assert set(COMMANDS) <= headings


def test_the_reference_is_what_the_commands_say() -> None:
    """`python -m pipelines.reference --check` ends with 0."""
    assert page("cli.md") == reference.text()
    assert CliRunner().invoke(reference.main, ["--check"]).exit_code == 0


def test_the_page_of_types_is_what_the_connectors_say() -> None:
    """`python -m pipelines.typemap` would write what is there, and every database that can be read is in it."""
    assert page("types.md") == typemap.text()
    shown = {TOGETHER.get(kind, kind) for kind, model in types().items() if issubclass(model, Database)}
    assert {source.page for source in typemap.SOURCES} == shown


def test_an_old_reference_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: one word less and the check ends with 1; writing it anew mends it."""
    monkeypatch.setattr(reference, "TARGET", tmp_path / "cli.md")
    reference.TARGET.write_text(page("cli.md").replace("sealed", "", 1), encoding="utf-8")
    assert CliRunner().invoke(reference.main, ["--check"]).exit_code == 1
    assert CliRunner().invoke(reference.main, []).exit_code == 0
    assert reference.TARGET.read_text(encoding="utf-8") == page("cli.md")


@pytest.mark.parametrize("line", [line for lines in reference.EXAMPLES.values() for line in lines])
def test_every_example_can_be_typed(line: str) -> None:
    """Command, arguments and options exist."""
    _, name, *arguments = shlex.split(line)
    command = cli.get_command(click.Context(cli), name)
    assert command
    with command.make_context(name, arguments):
        pass


TOGETHER = {"mariadb": "mysql", "ftps": "ftp"}
"""Connector types that another's page speaks of as well."""
WANTED: dict[str, tuple[str, set[str]]] = {
    "exports": ("declaration.md", keys(Export)),
    "defaults": ("declaration.md", keys(Defaults)),
    "paths": ("declaration.md", set(VARIABLES)),
    "later": ("declaration.md", {path[-1] for path in later._KEYS}),
    "operators": ("concepts/shaping.md", set(OPERATORS)),
    "letters": ("concepts/shaping.md", set(LETTERS)),
    "aggregates": ("concepts/shaping.md", set(AGGREGATES)),
} | {
    kind: (f"connectors/{TOGETHER.get(kind, kind)}.md", keys(model) - {"env", "file"})
    for kind, model in types().items()
}
"""The words that must be named, and the page, by what they are."""


@pytest.mark.parametrize("what", WANTED)
def test_every_key_is_documented(what: str) -> None:
    """Keys, path variables, operators and aggregates, read from the models; and what is not built yet is said to be."""
    name, words = WANTED[what]
    assert words
    assert unnamed(words, page(name)) == set()


def test_an_undocumented_key_is_noticed() -> None:
    """The control: keys of inner models and of unions are found, and a mention in prose is not enough."""
    assert {"stamped_by", "enclosure", "cron", "is", "polars", "from"} <= keys(Export)
    assert unnamed({"lag", "wait", "part"}, "the lag, `wait:` and `{part}`") == {"lag"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_declarations_in_the_docs_are_right(path: Path, tmp_path: Path) -> None:
    """Every YAML block is read as strictly as a file of the reader's own."""
    name = path.relative_to(TOP).as_posix()
    found = [problems(document, tmp_path) for document in documents(name, path.read_text(encoding="utf-8"))]
    assert [each for each in found if each] == []


def test_a_wrong_declaration_in_the_docs_is_noticed(tmp_path: Path) -> None:
    """The control: an export and a connector with a key that does not exist."""
    text = "```yaml\nexport: a\nsorce: {}\n```\n\n```yaml\nx: {type: local, paht: a}\n```\n"
    found = [problems(document, tmp_path) for document in documents("page", text)]
    assert ["unknown key" in " ".join(each) for each in found] == [True, True]


def test_the_docs_have_declarations() -> None:
    """There is something to check: complete exports and connectors."""
    texts = [block for path in PAGES for block in FENCE.findall(path.read_text(encoding="utf-8"))]
    assert sum(block.startswith("export:") for block in texts) >= 3
    assert {kind for kind in types() if any(f"type: {kind}" in block for block in texts)} == set(types())


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    """Files and headings exist."""
    assert broken_links(path, path.read_text(encoding="utf-8")) == []


def test_a_broken_link_is_noticed() -> None:
    """The control: a missing file, a missing heading; a link inside a code block is none."""
    text = "[a](nowhere.md) [b](cli.md#nothing) [c](cli.md#run)\n```\n[d](nowhere.md)\n```\n"
    assert broken_links(DOCS / "index.md", text) == ["nowhere.md", "cli.md#nothing"]


def test_every_page_is_on_the_map() -> None:
    """A page that index.md does not link is not found; decisions have a list of their own."""
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in LINK.findall(page("index.md"))}
    wanted = {path for path in PAGES if path.parent.name != "decisions" and path.name != "index.md"}
    assert wanted - linked == set()
