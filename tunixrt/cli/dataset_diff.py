"""`tunixrt dataset diff`: two datasets side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.completing import datasets
from tunixrt.cli.output import count, emit_json, say, short

if TYPE_CHECKING:
    from tunixrt.datasets.diff import MemberChange
    from tunixrt.store import Store


@click.command(cls=ExampleCommand, examples=("tunixrt dataset diff gsm-v1 gsm-v2",))
@click.argument("a", metavar="A", shell_complete=datasets)
@click.argument("b", metavar="B", shell_complete=datasets)
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(0),
    default=100,
    show_default=True,
    metavar="N",
    help="Show at most N traces; all are counted.",
)
@store_options
def diff(store: Store, a: str, b: str, limit: int, as_json: bool) -> None:
    """List the traces that dataset B adds to A, leaves out, or has in another split."""
    shown: list[MemberChange] = []
    n_changes = 0

    def on_change(change: MemberChange) -> None:
        nonlocal n_changes
        n_changes += 1
        if len(shown) < limit:
            shown.append(change)

    found = store.datasets.diff(a, b, on_change)
    if as_json:
        emit_json(msgspec.structs.asdict(found) | {"n_changes": n_changes, "changes": shown})
        return
    for change in shown:
        click.echo(_line(change))
    if n_changes > len(shown):
        say(f"... and {n_changes - len(shown):,} more; --limit shows more.")
    for what, counts in (("added", found.added), ("left out", found.removed)):
        if counts:
            parts = ", ".join(f"{n:,} {split}" for split, n in counts.items())
            say(f"{what}: {count(sum(counts.values()), 'trace')} ({parts})")
    for move, n in found.moved.items():
        say(f"moved: {count(n, 'trace')} {move}")
    recipe = "the same recipe" if found.same_recipe else "other recipes"
    say(f"{count(found.n_same, 'trace')} in both, in the same split; {recipe}.")


def _line(change: MemberChange) -> str:
    if change.a is None:
        return f"+ {short(change.trace)} {change.b}"
    if change.b is None:
        return f"- {short(change.trace)} {change.a}"
    return f"~ {short(change.trace)} {change.a} -> {change.b}"
