"""Options that several commands share."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from tunixrt.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunixrt.log.lock import Holder, Waiting

_MAX_EPOCH_S = 253402300799


def goes_with(name: str, condition: str, *, holds: bool) -> None:
    """Refuse an option that was given and has no effect.

    Args:
        name: The parameter of the command that the option sets.
        condition: What gives it an effect, in words.
        holds: Whether that is so.

    Raises:
        click.UsageError: It was given on the command line and would be ignored.
    """
    context = click.get_current_context()
    if holds or context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
        return
    option = next(parameter for parameter in context.command.params if parameter.name == name)
    spelling = max(option.opts, key=len)
    raise click.UsageError(f"{spelling} has no effect here: it goes with {condition}.")


def source_date_epoch() -> str | None:
    """SOURCE_DATE_EPOCH as RFC 3339, where it is set; otherwise no time is recorded."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if not epoch:
        return None
    digits = epoch.isascii() and epoch.isdigit() and len(epoch) <= len(str(_MAX_EPOCH_S))
    if not digits or int(epoch) > _MAX_EPOCH_S:
        raise click.UsageError(
            f"SOURCE_DATE_EPOCH should be seconds since 1970 as digits; found {epoch!r}."
        )
    return datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _given_time(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    """The time of the option, else of SOURCE_DATE_EPOCH, else None: no time is recorded."""
    return given if given is not None else source_date_epoch()


def _time_option(name: str, help_text: str) -> Callable[..., Callable[..., object]]:
    """An option for a time that a command records: the only way to record one."""
    return click.option(
        name,
        metavar="TIME",
        callback=_given_time,
        help=f"{help_text}; by default SOURCE_DATE_EPOCH where that is set, otherwise none.",
    )


recorded_at_option = _time_option("--recorded-at", "An RFC 3339 time to record with the event")
built_at_option = _time_option("--built-at", "An RFC 3339 time to record in the manifest")


class _OutputFile(click.Path):
    """A path for a file: a name that ends in a slash is a directory and is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse a directory, whether it exists or not."""
        if str(value).endswith("/"):
            self.fail(f"{str(value)!r} ends in a slash; a file was expected.", param, ctx)
        return super().convert(value, param, ctx)


def output_option(help_text: str, *, hidden: bool = False) -> Callable[..., Callable[..., object]]:
    """``-o FILE``, for a command that opens it with `tunixrt.cli.output.writing_to`."""
    return click.option(
        "-o",
        "--output",
        type=_OutputFile(path_type=Path, dir_okay=False, allow_dash=True),
        metavar="FILE",
        help=help_text,
        hidden=hidden,
    )


#: For the commands that select traces: it receives ``where``, texts for `parse_where`.
where_option: Callable[..., Callable[..., object]] = click.option(
    "--where",
    multiple=True,
    metavar="EXPR",
    help="Only traces that match this expression over fields, metadata, labels and scores, or "
    "KEY=VALUE for a value of the metadata; may be repeated.",
)

#: For the commands that make a run: it is promoted under this name once it is finished.
as_option: Callable[..., Callable[..., object]] = click.option(
    "--as",
    "as_name",
    metavar="NAME",
    help="Give the run this name when it is finished, as `tunixrt run promote` does.",
)


def _waiting(_: click.Context, __: click.Parameter, timeout_s: float) -> Waiting:
    from tunixrt.log.lock import Waiting

    def on_wait(holder: Holder | None) -> None:
        whose = "another process" if holder is None else str(holder)
        say(f"waiting up to {timeout_s:g} s for the lock of the store, held by {whose} ...")

    return Waiting(timeout_s, on_wait if timeout_s else None)


#: For every command that may find the store's lock taken: it receives ``waiting``, which waits
#: for that long and reports on stderr who holds the lock.
lock_timeout_option: Callable[..., Callable[..., object]] = click.option(
    "--lock-timeout",
    "waiting",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    callback=_waiting,
    help="How long to wait for another process that changes the store; then exit with 4.",
)


#: Keys of a configuration, over those of the file or preset.
overrides_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set one key of the configuration; may be repeated.",
)
