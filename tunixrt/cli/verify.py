"""`tunixrt verify`: prove every digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.output import count, emit_json, say, table
from tunixrt.errors import ExitCode

if TYPE_CHECKING:
    from tunixrt.jobs.verify import Verification
    from tunixrt.store import Store

_SHOWN = 8


@click.command(
    cls=ExampleCommand,
    examples=(
        "tunixrt verify",
        "tunixrt verify --rebuild",
        "tunixrt verify --since origin/main",
        "tunixrt verify --json",
    ),
)
@click.option(
    "--rebuild",
    is_flag=True,
    help="Also derive datasets, exports, judgements and contamination again and compare them.",
)
@click.option(
    "--since",
    metavar="REV",
    help="Also check that nothing in the store of this Git revision was changed or removed.",
)
@store_options
def verify(store: Store, rebuild: bool, since: str | None, as_json: bool) -> int:
    """Prove every digest of the log, snapshots, datasets, runs and used eval sets.

    Exit code 1 when anything differs by one bit; each finding names the file and line. With
    --since, content that was removed is found, too: that is the check for a pull request. It needs
    the history of the repository (in CI, `fetch-depth: 0`).

    In a sparse checkout, what is here is proved; runs and datasets that Git tracks and that are not
    checked out are named in a warning. The log has to be here as a whole.
    """
    result = store.verify(rebuild=rebuild, since=since)
    if as_json:
        emit_json({"ok": result.ok, **_plain(result)})
    else:
        _print(result, rebuild=rebuild)
    return ExitCode.DONE if result.ok else ExitCode.ANSWER_IS_NO


def _plain(result: Verification) -> dict[str, object]:
    return {name: getattr(result, name) for name in result.__struct_fields__}


def _print(result: Verification, *, rebuild: bool) -> None:
    for finding in result.findings:
        click.echo(str(finding))
    counts = result.counts
    checked = [
        count(counts.n_segments, "segment"),
        count(counts.n_snapshots, "snapshot"),
        count(counts.n_datasets, "dataset"),
        count(counts.n_runs, "run"),
        count(counts.n_evalsets, "eval set"),
    ]
    if rebuild and result.rebuilt:
        rows = [
            (v.kind, v.name, "" if v.n_rows is None else f"{v.n_rows:,}", v.verdict)
            for v in result.rebuilt
        ]
        click.echo(table(("made again", "name", "rows", "verdict"), rows))
        for made in result.rebuilt:
            if made.reasons:
                say(f"{made.kind} {made.name}: {'; '.join(made.reasons)}.")
    if result.unused_evalsets:
        say(
            "Eval sets that no run has used yet (not checked): "
            f"{', '.join(result.unused_evalsets)}."
        )
    if result.not_checked_out:
        _say_what_is_left_out(result.not_checked_out)
    if result.since is not None:
        since = result.since
        redacted = f", {count(since.n_redacted, 'payload')} redacted since" * bool(since.n_redacted)
        say(f"Compared with {since.revision}: {count(since.n_files, 'file')}{redacted}.")
    verdict = "Every digest is right" if result.ok else count(len(result.findings), "finding")
    click.echo(f"{verdict}: {', '.join(checked)}.")


def _say_what_is_left_out(paths: list[str]) -> None:
    more = f" and {len(paths) - _SHOWN:,} more" if len(paths) > _SHOWN else ""
    tops = " ".join(sorted({path.partition("/")[0] for path in paths}))
    say(
        f"warning: Git tracks {', '.join(paths[:_SHOWN])}{more}, and this sparse checkout leaves "
        f"that out, so it was not checked: `git sparse-checkout add {tops}` brings it, or "
        "`git sparse-checkout disable`."
    )
