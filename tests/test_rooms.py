"""The house's import rule, read from the syntax trees: rooms import downwards, Dagster has its few files, vendors wait.

What the rooms do is tested in the folders of their names.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

TOP: Final = Path(__file__).parent.parent
ROOMS: Final = ("spec", "resources", "assets", "schedules", "pipelines")
OUTSIDE: Final = frozenset({"tests", "bench", "demo"})
DAGSTER_FILES: Final = ("pipelines/definitions.py", "schedules/", "assets/graph.py", "assets/partitions.py")
COMMAND: Final = ("pipelines/cli.py", "pipelines/runs.py", "pipelines/commands/")
VENDORS: Final = frozenset(
    {"adbc_driver_postgresql", "azure", "boto3", "botocore", "google", "google_crc32c", "googleapiclient", "oracledb", "paramiko",
     "psycopg", "pymssql", "pysequoia", "redshift_connector", "requests", "snowflake"}
)  # fmt: skip
ENGINE: Final = frozenset({"duckdb", "polars", "pyarrow", "sqlalchemy", "sqlglot"})


@dataclass(frozen=True)
class Import:
    """One import of a file: the top-level module, and whether it happens when the file is imported."""

    file: str
    line: int
    module: str
    at_once: bool

    @property
    def room(self) -> str:
        """The room that the file is in."""
        return self.file.partition("/")[0]


def imports(top: Path) -> Iterator[Import]:
    """Every import of every file of the rooms, wherever in the file it stands."""
    for path in sorted(path for room in ROOMS for path in (top / room).rglob("*.py")):
        file = path.relative_to(top).as_posix()
        yield from walk(ast.parse(path.read_text(encoding="utf-8")), file, at_once=True)


def walk(node: ast.AST, file: str, *, at_once: bool) -> Iterator[Import]:
    """The imports below a node; those in functions and under TYPE_CHECKING do not happen at once."""
    for name in names(node, file):
        yield Import(file, getattr(node, "lineno", 0), name, at_once)
    later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from walk(child, file, at_once=at_once and not later and not checks_types(node, child))


def checks_types(node: ast.AST, child: ast.AST) -> bool:
    """Whether a child runs for type checkers only."""
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and child in node.body


def names(node: ast.AST, file: str) -> list[str]:
    """The top-level modules that a statement imports; a relative import that leaves its room is one of `..`."""
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    if node.level:
        return [file.partition("/")[0] if node.level <= file.count("/") else ".."]
    return [(node.module or "").partition(".")[0]]


def upward(found: Import) -> bool:
    """An import from a room above, or from what is no room at all."""
    above = ROOMS[ROOMS.index(found.room) + 1 :]
    return found.module in above or found.module in OUTSIDE or found.module == ".."


def misplaced_dagster(found: Import) -> bool:
    """Dagster in a file that is not one of its own, or at once in one of the command line's."""
    if found.module != "dagster" or found.file.startswith(DAGSTER_FILES):
        return False
    return found.at_once or not found.file.startswith(COMMAND)


def eager_vendor(found: Import) -> bool:
    """A vendor's library that every process would pay for, or the engine in a command that has yet to need it."""
    slow = found.module in VENDORS or found.module.startswith("dagster_")
    return found.at_once and (slow or (found.file.startswith(COMMAND) and found.module in ENGINE))


RULES: Final = {
    "a room imports from itself and from rooms below": upward,
    "dagster is imported in its own files only": misplaced_dagster,
    "imported on first use, inside the function that needs it": eager_vendor,
}


def breaches(top: Path) -> list[str]:
    """One line a breach: the place, the module, the rule."""
    return [
        f"{found.file}:{found.line} {found.module}: {rule}"
        for found in imports(top)
        for rule, broken in RULES.items()
        if broken(found)
    ]


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a statement adds to those of a fresh interpreter."""
    return modules_after(statement) - modules_after("pass")


def modules_after(statement: str) -> set[str]:
    """The top-level modules of a fresh interpreter after a statement; some are there before, by way of .pth files."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_the_rooms_keep_the_rule() -> None:
    """No file of the house breaks the import rule."""
    assert breaches(TOP) == []


def test_there_are_rooms_to_look_at() -> None:
    """The rule above is not kept for want of files."""
    assert {found.room for found in imports(TOP)} >= {"spec", "resources", "assets"}


def test_modules_load_neither_dagster_nor_a_vendor() -> None:
    """What the trees cannot show: no module outside Dagster's files brings it in by way of another library."""
    files = [path.relative_to(TOP).as_posix() for room in ROOMS[:3] for path in sorted((TOP / room).rglob("*.py"))]
    plain = [file for file in files if not file.startswith(DAGSTER_FILES)]
    modules = [file.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for file in plain]
    loaded = loaded_by("import " + ", ".join(modules))
    assert loaded & (VENDORS | {"dagster"}) == set()


def test_the_command_starts_in_a_blink() -> None:
    """`outgate --help` loads neither Dagster nor the engine."""
    assert loaded_by("import pipelines.cli") & (VENDORS | ENGINE | {"dagster"}) == set()


BAD: Final = {
    "spec/a.py": "from resources.stores import base",
    "spec/b.py": "def f():\n    import pipelines.cli",
    "resources/c.py": "import boto3",
    "resources/d.py": "try:\n    from google.cloud import storage\nexcept ImportError:\n    pass",
    "resources/e.py": "class C:\n    import paramiko",
    "resources/f.py": "def f():\n    import dagster as dg",
    "resources/stores/g.py": "from ...spec import errors",
    "assets/h.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import dagster",
    "assets/i.py": "import tests.servers",
    "assets/graph.py": "import dagster_aws",
    "pipelines/cli.py": "import dagster",
    "pipelines/sub/cli.py": "import dagster",
    "pipelines/commands/run.py": "import duckdb",
    "schedules/j.py": "if True:\n    import pipelines",
}
GOOD: Final = {
    "spec/a.py": "from spec import errors",
    "resources/b.py": "def f():\n    import boto3\n    from google.cloud import storage",
    "resources/c.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import paramiko",
    "resources/stores/d.py": "from ..connector import Connector\nimport spec.errors",
    "assets/graph.py": "import dagster as dg\nimport duckdb",
    "schedules/e.py": "from dagster import sensor",
    "pipelines/definitions.py": "import dagster as dg\nfrom schedules import calendars",
    "pipelines/cli.py": "def ui():\n    import dagster, duckdb",
    "pipelines/runs.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import dagster",
}


def plant(top: Path, files: dict[str, str]) -> None:
    """Write the files of a small house."""
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)


@pytest.mark.parametrize("name", BAD)
def test_control_each_breach_is_reported(name: str, tmp_path: Path) -> None:
    """The control: the checker names the file of a breach, once."""
    plant(tmp_path, GOOD | {name: BAD[name]})
    assert [line.partition(":")[0] for line in breaches(tmp_path)] == [name]


def test_control_what_is_allowed_is_not_reported(tmp_path: Path) -> None:
    """The other control: a house that keeps the rule has no breach."""
    plant(tmp_path, GOOD)
    assert breaches(tmp_path) == []
