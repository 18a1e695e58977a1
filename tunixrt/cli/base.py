"""What every command shares: examples in the help, lazy imports, `--store` and `--json`."""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tunixrt.cli.streams import ReaderGoneError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from click.shell_completion import CompletionItem

    from tunixrt.store import Store

F = TypeVar("F", bound="Callable[..., Any]")

#: Where each top-level command lives: its module is imported only when it is used, so that
#: `tunixrt --help` starts fast. The one-line help is here for the same reason.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "init": ("tunixrt.cli.init:init", "Create a store in a directory."),
    "status": ("tunixrt.cli.status:status", "Summarise the store and what needs attention."),
    "log": ("tunixrt.cli.log:log", "List the events, the newest last."),
    "verify": ("tunixrt.cli.verify:verify", "Prove every digest of what is stored."),
    "doctor": ("tunixrt.cli.doctor:doctor", "Check leftovers, lock, Git and versions."),
    "trace": (
        "tunixrt.cli.trace:trace",
        "Reasoning traces: import, add, list, show, score, label, redact.",
    ),
    "snapshot": ("tunixrt.cli.snapshot:snapshot", "Named sets of everything recorded so far."),
    "dataset": (
        "tunixrt.cli.dataset:dataset",
        "Versioned selections of traces, and their exports.",
    ),
    "evalset": (
        "tunixrt.cli.evalset:evalset",
        "Questions to evaluate on: generate, import, list, show, check.",
    ),
    "presets": ("tunixrt.cli.presets:presets", "List the model presets and their sizes."),
    "train": ("tunixrt.cli.train:train", "Train a model on a dataset."),
    "eval": ("tunixrt.cli.evaluate:evaluate", "Evaluate a model on an eval set."),
    "run": ("tunixrt.cli.run:run", "Training and evaluation runs: list, show, promote, compare."),
    "report": ("tunixrt.cli.report:report", "Write a report on two evaluation runs."),
    "site": ("tunixrt.cli.site:site", "A static site of the store: runs, datasets, traces."),
    "reproduce": ("tunixrt.cli.reproduce:reproduce", "Repeat a run and compare every digest."),
    "completion": ("tunixrt.cli.completion:completion", "Print a script for shell completion."),
}


class ExampleCommand(click.Command):
    """A command whose help ends with examples that run as they stand."""

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **kwargs: Any) -> None:
        """Take the examples beside click's own arguments."""
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples below the options."""
        super().format_epilog(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}$ {example}\n")


class NounGroup(click.Group):
    """A group whose commands show examples."""

    command_class = ExampleCommand


class LazyGroup(NounGroup):
    """The root: knows its commands by name and imports one only when it is used."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a FIFO whose reader left ends it like a stdout whose reader left."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            # Before click sees it, which would exit with 1: "the answer is no".
            raise ReaderGoneError from error

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The commands, in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command or option, without importing any command."""
        from click.shell_completion import CompletionItem

        named = [
            CompletionItem(name, help=text)
            for name, (_, text) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return named + click.Command.shell_complete(self, ctx, incomplete)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}:{attribute} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def json_option(function: F) -> F:
    """Add `--json`: one JSON document on stdout instead of text."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document on stdout."
    )(function)


def store_options(function: F) -> F:
    """Add `--store` and `--json`; the command receives an open ``store`` and ``as_json``."""

    @json_option
    @click.option(
        "--store",
        "store_path",
        type=click.Path(path_type=Path),
        envvar="TUNIXRT_STORE",
        show_envvar=True,
        metavar="DIR",
        help="The directory that holds store/; found upward from here by default.",
    )
    @functools.wraps(function)
    def with_store(*args: Any, store_path: Path | None, **kwargs: Any) -> Any:
        return function(*args, store=open_store(store_path), **kwargs)

    return with_store  # type: ignore[return-value]


def open_store(store_path: Path | None) -> Store:
    """Open the store that was named, or the nearest one at or above the current directory."""
    from tunixrt.store import Store

    return Store.open(store_path if store_path is not None else Path())
