"""The command line's reference, made from the commands themselves: `python -m pipelines.reference` writes docs/cli.md.

`--check` compares instead and ends with 1 when the file is old. What a command does is said in its own docstring and
options; only the frame and one example a command belong here.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from pipelines.cli import cli

TARGET = Path(__file__).parent.parent / "docs/cli.md"
HEAD = """\
<!-- Made by `python -m pipelines.reference` from the commands themselves; do not edit. -->
# The command line

The command is `.venv/bin/outgate`. It works on the project in the folder that you call it from: see
[environment variables](declaration.md#environment-variables). `outgate COMMAND --help` prints what is here.

| exit code | means |
|---|---|
| 0 | done, or there was nothing to do (it says so) |
| 1 | failed: the message says what and what to do; what was sealed or delivered is kept |
| 2 | a wrong declaration or wrong usage: edit it |
| 3 | not yet, or held: nothing is wrong, run it again later |
| 130 | interrupted with Ctrl-C: the same command goes on from there |

`--json` prints plain data for programs, on every command that has it; messages go to stderr.
"""
EXAMPLES: dict[str, tuple[str, ...]] = {
    "init": ("outgate init",),
    "schema": ("outgate schema", "outgate schema --connectors"),
    "fields": ("outgate fields shop_db", "outgate fields shop_db.crm.orders"),
    "new": ("outgate new orders --from shop_db.crm.orders --to folder",),
    "check": ("outgate check", "outgate check orders --connect"),
    "list": ("outgate list",),
    "show": ("outgate show orders",),
    "preview": ("outgate preview orders --partition 2026-01-31",),
    "plan": ("outgate plan orders --from 2026-01-01 --to 2026-01-31",),
    "run": ("outgate run orders", "outgate run orders --partition 2026-01-31 --again"),
    "backfill": ("outgate backfill orders --from 2026-01-01 --to 2026-01-31",),
    "history": ("outgate history", "outgate history orders --partition 2026-01-31 --all"),
    "verify": ("outgate verify orders",),
    "redeliver": ("outgate redeliver orders --partition 2026-01-31 --delivery folder",),
    "resolve": ("outgate resolve orders --partition 2026-01-31 --delivery folder --as delivered",),
    "download": (
        "outgate download orders --partition 2026-01-31 --to /tmp/orders",
        "outgate download orders --link 12h",
    ),
    "tidy": ("outgate tidy --older-than 30d --dry-run",),
    "ui": ("outgate ui --port 3000",),
}
"""Lines that a reader can type, by command."""


def text() -> str:
    """The whole page as Markdown."""
    context = click.Context(cli, info_name="outgate")
    found = ((name, cli.get_command(context, name)) for name in cli.list_commands(context))
    return "\n".join([HEAD, *("\n".join(_command(name, command)) for name, command in found if command)])


def _command(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    yield f"## {name}\n"
    yield f"    outgate {name} {' '.join(command.collect_usage_pieces(context))}\n"
    yield f"{_joined(command.help)}\n"
    options = [option for option in command.params if isinstance(option, click.Option)]
    if options:
        yield "| option | |\n|---|---|"
        yield from (_option(option) for option in options)
        yield ""
    yield "```sh\n" + "\n".join(EXAMPLES[name]) + "\n```\n"


def _option(option: click.Option) -> str:
    kind = option.type
    what = "|".join(kind.choices) if isinstance(kind, click.Choice) else kind.name.upper()
    value = "" if option.is_flag else f" {what}"
    name = f"{option.opts[0]}{value}".replace("|", "\\|")
    notes = [_joined(option.help)]
    notes += ["Required."] * option.required + ["May be given several times."] * option.multiple
    notes += [f"Default: {option.default}."] * bool(option.show_default)
    return f"| `{name}` | {' '.join(notes)} |"


def _joined(help_text: str | None) -> str:
    return " ".join(inspect.cleandoc(help_text or "").split())


@click.command()
@click.option("--check", is_flag=True, help="Compare; write nothing.")
def main(*, check: bool) -> None:
    """Write docs/cli.md, or compare it with what the commands say now."""
    made = text()
    if not check:
        TARGET.write_text(made, encoding="utf-8")
    elif not TARGET.is_file() or TARGET.read_text(encoding="utf-8") != made:
        raise click.ClickException(f"{TARGET.name} is not what the commands say; run `python -m pipelines.reference`")


if __name__ == "__main__":
    main()
