"""`tunixrt eval`: evaluate a model on an eval set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.clock import stopwatch
from tunixrt.cli.output import count, emit_json, say, table
from tunixrt.cli.progress import Progress

if TYPE_CHECKING:
    from tunixrt.runs.manifests import EvaluationManifest
    from tunixrt.store import Store


@click.command(
    "eval",
    cls=ExampleCommand,
    examples=(
        "tunixrt eval 5d1f0c --evalset arithmetic_v1",
        "tunixrt eval untrained:nano --evalset arithmetic_v1",
        "tunixrt eval baseline --evalset arithmetic_v1 --fail-on-contamination",
    ),
)
@click.argument("model", metavar="RUN|DIR|untrained:CONFIG")
@click.option("--evalset", required=True, metavar="NAME", help="The name of evalsets/NAME.jsonl.")
@click.option(
    "--max-new-tokens",
    type=click.IntRange(1, 65536),
    help="The longest answer in tokens; by default what the model's context leaves.",
)
@click.option(
    "--judge",
    default="exact",
    show_default=True,
    metavar="NAME",
    help="How answers are judged: exact compares values, verbatim characters.",
)
@click.option(
    "--fail-on-contamination",
    is_flag=True,
    help="Exit 1 and publish nothing if samples are in the data that the model was trained on.",
)
@store_options
def evaluate(
    store: Store,
    model: str,
    evalset: str,
    max_new_tokens: int | None,
    judge: str,
    fail_on_contamination: bool,
    as_json: bool,
) -> None:
    """Let a model answer every question of an eval set, judge the answers, publish the run.

    The model is a training run, a Hugging Face directory, or `untrained:CONFIG`: the weights that
    training with that configuration starts from. Every prompt of the eval set is held against the
    training data, and the manifest says how many are there; see `tunixrt evalset check`.
    """
    with Progress("generating", "sample") as progress:
        done = store.evaluate(
            model,
            evalset=evalset,
            max_new_tokens=max_new_tokens,
            judge=judge,
            fail_on_contamination=fail_on_contamination,
            stopwatch=stopwatch(),
            on_progress=progress.show,
        )
    manifest = done.manifest
    if as_json:
        emit_json(_document(manifest) | {"already_done": done.already_done})
        return
    if done.already_done:
        say("This run exists already: the same inputs give the same bits.")
    results = manifest.results
    rows = [
        (
            name,
            f"{c.n_correct}/{c.n}",
            f"{c.avg_score:.1f}",
            f"{c.interval[0]:.1f} to {c.interval[1]:.1f}",
        )
        for name, c in results.categories.items()
    ]
    low, high = results.interval
    rows.append(
        (
            "all",
            f"{results.n_correct}/{results.results_count}",
            f"{results.avg_score:.1f}",
            f"{low:.1f} to {high:.1f}",
        )
    )
    say(table(("category", "right", "score", "95% interval"), rows))
    found = manifest.contamination
    if found is not None and found.n_contaminated:
        say(
            f"warning: {found.n_contaminated:,} of {count(found.n_samples, 'sample')} are in the "
            f"training data ({', '.join(found.datasets)}): the score is not that of new questions."
        )
    click.echo(manifest.run_id)


def _document(manifest: EvaluationManifest) -> dict[str, object]:
    return {
        "run_id": manifest.run_id,
        "weights_sha256": manifest.weights,
        "metrics": manifest.results,
        "evalset": manifest.evalset,
        "judge": manifest.identity.judge,
        "numeric_mode": manifest.identity.numeric_mode,
        "contamination": manifest.contamination,
    }
