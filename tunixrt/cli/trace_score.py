"""`tunixrt trace score`: the baseline score, or that of a function of the user."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.options import lock_timeout_option, recorded_at_option
from tunixrt.cli.output import emit_json, short, table
from tunixrt.cli.trace_facts import ids_argument, say_stated, stated_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.log.lock import Waiting
    from tunixrt.store import Store
    from tunixrt.traces.scorers import CustomScore
    from tunixrt.traces.scores import Score
    from tunixrt.traces.stating import Stated


@click.command(
    cls=ExampleCommand,
    examples=(
        "tunixrt trace score 5d1f0c 9ab34e",
        "tunixrt trace score 5d1f0c --scorer my_scorers:length",
    ),
)
@ids_argument
@click.option(
    "--scorer",
    metavar="MODULE:FUNCTION",
    help="A Python function of a trace that returns a number, or a dictionary of score and "
    "details; the current directory is on its import path.",
)
@recorded_at_option
@lock_timeout_option
@store_options
def score(
    store: Store,
    ids: tuple[str, ...],
    scorer: str | None,
    recorded_at: str | None,
    waiting: Waiting,
    as_json: bool,
) -> None:
    """Record the baseline score of traces: 0 to 100, from the number and length of their steps.

    The steps of a conversation are the lines of its reasoning; without steps, the score is 0.

    With --scorer, the score is what your own function returns. Its name and version are in the
    event, and expressions read the score as `score.NAME`.

    A score that is recorded already, and that no other branch disputes, is not recorded again.
    """
    if scorer is not None and (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)  # as `python -m` does
    stated, scores = store.traces.score(
        ids, scorer=scorer, recorded_at=recorded_at, waiting=waiting
    )
    if as_json:
        found = [
            {"id": trace} | msgspec.to_builtins(score)
            for trace, score in zip(stated.traces, scores, strict=True)
        ]
        emit_json(stated_document(stated) | {"scores": found})
        return
    click.echo(_score_table(stated, scores))
    say_stated(stated)


def _score_table(stated: Stated, scores: Sequence[Score | CustomScore]) -> str:
    from tunixrt.traces.scores import ScoreDetails

    rows: list[tuple[object, ...]] = []
    for trace, found in zip(stated.traces, scores, strict=True):
        row: tuple[object, ...] = (short(trace), f"{found.score:.2f}")
        if isinstance(found.details, ScoreDetails):
            row += (found.details.step_count, f"{found.details.avg_step_length:.2f}")
        rows.append(row)
    head = ("trace", "score", "steps", "avg step length")
    return table(head[: len(rows[0])], rows)
