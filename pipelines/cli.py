"""The command `outgate`: the list of commands, each loaded when it is called, and how errors end.

What a command does is in pipelines/commands/; everything it does is a function that another face can call too.
"""

from __future__ import annotations

import importlib
import os
import sys

import click

from spec.errors import OutgateError

COMMANDS: dict[str, str] = {
    "init": "start", "schema": "start",
    "fields": "fields", "new": "new",
    "check": "look", "list": "look", "show": "look",
    "preview": "before", "plan": "before",
    "run": "run", "backfill": "run",
    "history": "after", "verify": "after", "redeliver": "after", "resolve": "after",
    "download": "download", "tidy": "tidy",
    "ui": "serve",
}  # fmt: skip


class Lazy(click.Group):
    """Imports a command's module only when that command is called, so `list` does not wait for what `run` needs."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The commands, in the order in which one meets them."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"pipelines.commands.{COMMANDS[name]}")
        command: click.Command = getattr(module, f"{name}_command")
        return command


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="outgate")
def cli() -> None:
    """Outgate: declared exports, delivered exactly once, with a receipt.

    Exit codes: 0 done (or nothing to do, said so), 1 failed, 2 wrong declaration or usage, 3 held or not yet.
    """


def main() -> None:
    """Run the command line; a user's mistake ends with a message and an exit code, never with a traceback."""
    try:
        cli.main(prog_name="outgate", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        _end("interrupted; what was sealed or delivered is in the ledger, and the same command goes on from there", 130)
    except OutgateError as error:
        from resources.secrets import scrub

        _end(scrub(str(error)), error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _end(f"the system refused: {error}", 1)


def _end(text: str, code: int) -> None:
    click.echo(text, err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
