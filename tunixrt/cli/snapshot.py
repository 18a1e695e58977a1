"""`tunixrt snapshot`: named sets of everything recorded so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tunixrt.cli.base import NounGroup, store_options
from tunixrt.cli.output import count, emit_json, short, table
from tunixrt.cli.proofs import PROOF_COMMANDS

if TYPE_CHECKING:
    from tunixrt.log.snapshots import Snapshot
    from tunixrt.store import Store


@click.group(cls=NounGroup)
def snapshot() -> None:
    """Named sets of everything recorded so far."""


for _command in PROOF_COMMANDS:
    snapshot.add_command(_command)


@snapshot.command(examples=("tunixrt snapshot create",))
@store_options
def create(store: Store, as_json: bool) -> None:
    """Take a snapshot of the log as it is now."""
    taken = store.snapshots.create()
    if as_json:
        emit_json(_document(taken))
    else:
        click.echo(taken.digest)


@snapshot.command("list", examples=("tunixrt snapshot list",))
@store_options
def list_snapshots(store: Store, as_json: bool) -> None:
    """List the snapshots."""
    snapshots = list(store.snapshots)
    if as_json:
        emit_json({"snapshots": [_document(s) for s in snapshots]})
        return
    rows = [
        (short(s.digest), f"{s.n_traces:,}", f"{s.n_events:,}", f"{s.n_segments:,}")
        for s in snapshots
    ]
    click.echo(table(("snapshot", "traces", "events", "segments"), rows))


@snapshot.command(examples=("tunixrt snapshot show 5d1f0c",))
@click.argument("digest")
@store_options
def show(store: Store, digest: str, as_json: bool) -> None:
    """Show one snapshot, named by a unique prefix of its digest."""
    found = store.snapshots[digest]
    if as_json:
        emit_json(_document(found) | {"segments": found.segments})
        return
    click.echo(f"snapshot {found.digest}")
    click.echo(
        f"{count(found.n_traces, 'trace')}, {count(found.n_events, 'event')}, "
        f"{count(found.n_segments, 'segment')}; root {found.root}"
    )
    for segment in found.segments:
        click.echo(f"  {segment}")


def _document(snapshot: Snapshot) -> dict[str, object]:
    return {
        "digest": snapshot.digest,
        "n_events": snapshot.n_events,
        "n_segments": snapshot.n_segments,
        "n_traces": snapshot.n_traces,
        "root": snapshot.root,
    }
