"""Options that several commands share."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from tunixrt.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunixrt.log.lock import Holder, Waiting

recorded_at_option: Callable[..., Callable[..., object]] = click.option(
    "--recorded-at", metavar="TIME", help="An RFC 3339 time to record with the event."
)


def source_date_epoch() -> str | None:
    """SOURCE_DATE_EPOCH as RFC 3339, where it is set; otherwise no time is recorded."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if not epoch:
        return None
    if not epoch.isdigit() or int(epoch) > 253402300799:
        raise click.UsageError(
            f"SOURCE_DATE_EPOCH should be seconds since 1970 as digits; found {epoch!r}."
        )
    return datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


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


#: For every command that may find the store's lock taken: it receives ``waiting``, which waits for
#: so long and says on stderr whose the lock is.
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
