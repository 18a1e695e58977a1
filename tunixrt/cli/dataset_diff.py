"""`tunixrt dataset diff`: two datasets side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.completing import datasets
from tunixrt.cli.output import count, emit_json, say, short

if TYPE_CHECKING:
    from tunixrt.datasets.diff import DatasetDiff, MemberChange
    from tunixrt.store import Store


@click.command(
    cls=ExampleCommand,
    examples=(
        "tunixrt dataset diff gsm-v1 gsm-v2",
        "tunixrt dataset diff gsm-v1 gsm-v2 --md > comment.md",
    ),
)
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
@click.option(
    "--md", "as_markdown", is_flag=True, help="Markdown for a pull request, with statistics."
)
@store_options
def diff(store: Store, a: str, b: str, limit: int, as_markdown: bool, as_json: bool) -> None:
    """List the traces that dataset B adds to A, leaves out, or has in another split, and why.

    A trace of A is left out because it was retracted, superseded or redacted before B was built,
    or because the recipe of B does not select it.
    """
    if as_markdown and as_json:
        raise click.UsageError("--md and --json are two forms of one answer; give one of them.")
    shown: list[MemberChange] = []
    n_changes = 0

    def on_change(change: MemberChange) -> None:
        nonlocal n_changes
        n_changes += 1
        if len(shown) < limit:
            shown.append(change)

    found = store.datasets.diff(a, b, on_change)
    if as_markdown:
        click.echo(store.datasets.diff_markdown(a, b, found, shown), nl=False)
        return
    if as_json:
        emit_json(msgspec.structs.asdict(found) | {"n_changes": n_changes, "changes": shown})
        return
    _print(found, shown, n_changes)


def _print(found: DatasetDiff, shown: list[MemberChange], n_changes: int) -> None:
    for change in shown:
        click.echo(_line(change))
    if n_changes > len(shown):
        say(f"... and {n_changes - len(shown):,} more; --limit shows more.")
    for what, counts, because in (
        ("added", found.added, found.added_because),
        ("left out", found.removed, found.removed_because),
    ):
        if counts:
            say(f"{what}: {count(sum(counts.values()), 'trace')} ({_counts(counts)})")
            say(f"  {_counts(because)}")
    for move, n in found.moved.items():
        say(f"moved: {count(n, 'trace')} {move}")
    recipe = "the same recipe" if found.same_recipe else "other recipes"
    say(f"{count(found.n_same, 'trace')} in both, in the same split; {recipe}.")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in counts.items())


def _line(change: MemberChange) -> str:
    if change.a is None:
        return f"+ {short(change.trace)} {change.b} ({change.reason})"
    if change.b is None:
        by = f" by {short(change.superseded_by)}" if change.superseded_by else ""
        return f"- {short(change.trace)} {change.a} ({change.reason}{by})"
    return f"~ {short(change.trace)} {change.a} -> {change.b}"
