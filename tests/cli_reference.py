"""Write docs/cli.md from the help texts; `make docs` calls this, and a test compares."""

from __future__ import annotations

from pathlib import Path

import click

from tunixrt.cli.base import COMMANDS
from tunixrt.cli.main import root

PATH = Path(__file__).resolve().parent.parent / "docs" / "cli.md"

HEAD = """# Command line reference

Made from the help texts by `make docs`; a test fails when the two differ.

Data goes to stdout, messages and progress to stderr. Every command takes `--json` and then prints
one document with a `schema_version`; fields are only ever added. Exit codes are frozen: 0 done; 1
the answer is no (verification failed, a run diverged); 2 bad usage or bad input, nothing written;
3 no store here; 4 the store is locked by another process; 130 interrupted; 141 the reader of the
output left before its end, as in `tunixrt trace list | head`; 128 + N ended by signal N.

Text for people shows control characters, and characters that turn the direction of writing, as
signs (`␛`, `⟨U+202E⟩`): what a trace says cannot steer a terminal. Where the encoding of stdout has
no such signs, and for everything else that it cannot encode, escapes are printed (`\\x1b`,
`\\u2192`). Data (`--json`, exports, proofs) is UTF-8 in every locale, and JSON has its own escapes.

`-o FILE` replaces a regular file when it is complete, with the permissions that it had; a failure
or Ctrl-C leaves the older one. A symbolic link stays, and its target is written. A FIFO, a
terminal, `/dev/stdout` and `/dev/fd/N` are written through; `-o -` is stdout. `-o DIR` replaces and
removes only what an earlier command wrote there, as a file in DIR lists it, and refuses a directory
that holds other things.

Digests are printed as `sha256:` and 64 hexadecimal digits, in text and in JSON, and read with the
prefix or without. Bare digits are in SHA256SUMS alone: its lines are for `sha256sum -c`. (The id of
a run is bare, too: it names a directory.)

A time is recorded only where one is given: by `--recorded-at` or `--built-at`, or for every command
that has such an option by the variable `SOURCE_DATE_EPOCH`.
"""


def reference() -> str:
    # click keeps the first help option that it makes of a command: with other names here than in
    # the command line, the reference would depend on what ran before in this process.
    context = click.Context(
        root,
        info_name="tunixrt",
        max_content_width=96,
        terminal_width=96,
        help_option_names=root.context_settings["help_option_names"],
    )
    parts = [HEAD]
    for name in COMMANDS:
        command = root.get_command(context, name)
        assert command is not None
        parts.append(section(context, name, command, "##"))
        if isinstance(command, click.Group):
            inner = click.Context(command, info_name=name, parent=context)
            parts += [section(inner, sub, command.commands[sub], "###") for sub in command.commands]
    return "\n".join(parts)


def section(parent: click.Context, name: str, command: click.Command, level: str) -> str:
    context = click.Context(
        command, info_name=name, parent=parent, max_content_width=96, terminal_width=96
    )
    return f"{level} {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    PATH.write_text(reference(), encoding="utf-8")
