"""`tunixrt dataset release|deprecate`: which datasets are meant to be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.completing import datasets
from tunixrt.cli.options import lock_timeout_option, recorded_at_option
from tunixrt.cli.output import emit_json, say

if TYPE_CHECKING:
    from tunixrt.datasets.releases import Releases, ReleaseStated
    from tunixrt.log.digests import Digest
    from tunixrt.log.lock import Waiting
    from tunixrt.store import Store

key_argument = click.argument("key", shell_complete=datasets)


@click.command(cls=ExampleCommand, examples=("tunixrt dataset release arithmetic-v1",))
@key_argument
@recorded_at_option
@lock_timeout_option
@store_options
def release(
    store: Store, key: str, recorded_at: str | None, waiting: Waiting, as_json: bool
) -> None:
    """Record that a dataset is ready to be used; this ends a deprecation.

    The event names the digest, so it is about these members and this recipe, under any key. Where
    one branch releases a dataset and another deprecates it, the event that is last in the order of
    the log counts, and `status` shows the conflict until one of the two is stated again.
    """
    done = store.datasets.release(key, recorded_at=recorded_at, waiting=waiting)
    _finish(done, as_json=as_json)


@click.command(
    cls=ExampleCommand,
    examples=("tunixrt dataset deprecate arithmetic-v1 --reason 'test prompts leaked; use v2'",),
)
@key_argument
@click.option("--reason", required=True, metavar="TEXT", help="Why, and what to use instead.")
@recorded_at_option
@lock_timeout_option
@store_options
def deprecate(
    store: Store,
    key: str,
    reason: str,
    recorded_at: str | None,
    waiting: Waiting,
    as_json: bool,
) -> None:
    """Record that a dataset should not be used any more, and why.

    `train` on it and `dataset build --parent` of it then report the reason, and still work: what
    was made from it stays reproducible. `dataset release` ends a deprecation.
    """
    done = store.datasets.deprecate(key, reason=reason, recorded_at=recorded_at, waiting=waiting)
    _finish(done, as_json=as_json)


def warn_if_deprecated(store: Store, key: str) -> None:
    """Report on stderr that a dataset is deprecated, if it is."""
    notice = store.datasets.releases().notice(store.datasets[key].digest, key)
    if notice is not None:
        say(notice)


def release_document(releases: Releases, digest: Digest) -> dict[str, str | None]:
    """The fields ``state`` (released, deprecated, null) and ``deprecated_reason`` of a dataset."""
    fact = releases.of(digest)
    return {
        "state": None if fact is None else str(fact.state),
        "deprecated_reason": None if fact is None else fact.reason,
    }


def _finish(done: ReleaseStated, *, as_json: bool) -> None:
    if as_json:
        emit_json(msgspec.structs.asdict(done))
        return
    if done.segment is None:
        say(f"Nothing was recorded: {done.dataset_key} is {done.state} already.")
        return
    before = "" if done.before is None else f"; before, it was {done.before.state}"
    say(f"{done.dataset_key} is {done.state} now{before}.")
    click.echo(done.segment)
