"""`tunixrt eval`: evaluate a model on an eval set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.clock import stopwatch
from tunixrt.cli.completing import evalsets, models
from tunixrt.cli.options import as_option, goes_with, lock_timeout_option, source_date_epoch
from tunixrt.cli.output import count, emit_json, say, table
from tunixrt.cli.progress import Progress
from tunixrt.cli.run import promotion_sentence
from tunixrt.cli.suggestions import Choice
from tunixrt.derive import Watch

if TYPE_CHECKING:
    from tunixrt.jobs.evaluation.evaluate import EvaluationDone
    from tunixrt.log.lock import Waiting
    from tunixrt.runs.manifests import EvaluationResults
    from tunixrt.store import Store


@click.command(
    "eval",
    cls=ExampleCommand,
    examples=(
        "tunixrt eval 5d1f0c --evalset arithmetic_v1",
        "tunixrt eval untrained:nano --evalset arithmetic_v1",
        "tunixrt eval @last-train --evalset arithmetic_v1 --as after",
        "tunixrt eval baseline --evalset arithmetic_v1 --fail-on-contamination",
        "tunixrt eval 5d1f0c --evalset arithmetic_v1 --judge my_judges:strict",
        "tunixrt eval 5d1f0c --evalset arithmetic_v1 --temperature 0.8 --top-p 0.95 --draws 8",
    ),
)
@click.argument("model", metavar="RUN|DIR|untrained:CONFIG", shell_complete=models)
@click.option(
    "--evalset",
    required=True,
    metavar="NAME",
    help="The name of evalsets/NAME.jsonl.",
    shell_complete=evalsets,
)
@click.option(
    "--max-new-tokens",
    type=click.IntRange(1, 65536),
    help="The longest answer in tokens; by default what the model's context leaves.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1, 4096),
    default=64,
    show_default=True,
    help="Prompts per batch.",
)
@click.option(
    "--temperature",
    type=float,
    default=0.0,
    show_default=True,
    help="0 takes the most probable token; above 0, tokens are drawn by their probability.",
)
@click.option(
    "--top-p",
    type=float,
    default=1.0,
    show_default=True,
    help="Nucleus sampling: draw from the most probable tokens whose probabilities add up to this.",
)
@click.option(
    "--draws",
    type=click.IntRange(1, 10_000),
    default=1,
    show_default=True,
    metavar="N",
    help="Draw N responses to each question: pass@k and majority vote.",
)
@click.option("--samples", "draws_before", type=click.IntRange(1, 10_000), hidden=True)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**53 - 1),
    default=0,
    show_default=True,
    help="The seed of the draws.",
)
@click.option(
    "--judge",
    default="exact",
    show_default=True,
    metavar="NAME|MODULE:FUNCTION",
    help="How answers are judged: exact compares values; exact-first does so up to where a base "
    "model begins a new question; verbatim compares characters, math-verify LaTeX "
    "(pip install 'tunixrt[math]'). Or your own function, such as my_judges:strict.",
)
@click.option(
    "--fail-on-contamination",
    is_flag=True,
    help="Exit 1 and publish nothing if samples are in the data that the model was trained on.",
)
@click.option(
    "--on-overlong",
    type=Choice(["refuse", "wrong", "omit"]),
    default="refuse",
    show_default=True,
    help="What to do with prompts that fill the model's context: name them and stop, count them as "
    "wrong answers, or leave them out of the score.",
)
@as_option
@lock_timeout_option
@store_options
def evaluate(
    store: Store,
    model: str,
    evalset: str,
    max_new_tokens: int | None,
    batch_size: int,
    temperature: float,
    top_p: float,
    draws: int,
    draws_before: int | None,
    seed: int,
    judge: str,
    fail_on_contamination: bool,
    on_overlong: str,
    as_name: str | None,
    waiting: Waiting,
    as_json: bool,
) -> None:
    """Let a model answer every question of an eval set, judge the answers, publish the run.

    The model is a training run, a Hugging Face directory, or `untrained:CONFIG`: the weights that
    training with that configuration starts from. Every prompt of the eval set is checked against
    the training data, and the result says how many occur there; see `tunixrt evalset check`.

    What is generated is kept batch by batch until the run is published: an evaluation that was
    interrupted continues from there with the same command. Responses have an id of their own: for
    another judge they are found, their digests checked, and judged again. A judge of your own is a
    function in a module beside store/, or in an installed package; the digest of its file is in
    the identity of the evaluation.

    A prompt that fills the model's context leaves no room for an answer. Such prompts are refused
    by the ids of their samples before anything is generated; --on-overlong chooses otherwise, and
    the run then says what was done, in its identity, its results and its report.

    The scores and, on the last line, the id of the run go to stdout, everything else to stderr.

    With --as NAME the finished run is promoted under that name.
    """
    goes_with("seed", "--temperature above 0", holds=temperature != 0)
    # The name of --draws before a sample was always a row of an eval set.
    draws = draws if draws_before is None else draws_before
    n_kept = total = 0
    with Progress("generating", "response") as progress:

        def show(done: int, of: int, _: object) -> None:
            nonlocal n_kept, total
            n_kept, total = done, of
            progress.show(done, of)

        try:
            done = store.runs.evaluate(
                model,
                evalset=evalset,
                max_new_tokens=max_new_tokens,
                batch_size=batch_size,
                temperature=temperature,
                top_p=top_p,
                draws=draws,
                seed=seed,
                judge=judge,
                fail_on_contamination=fail_on_contamination,
                on_overlong=on_overlong,
                as_name=as_name,
                recorded_at=source_date_epoch(),
                waiting=waiting,
                watch=Watch(stopwatch=stopwatch(), on_progress=show, on_notice=say),
            )
        except KeyboardInterrupt:
            if n_kept:
                say(
                    f"{n_kept:,} of {count(total, 'response')} are kept: the same command "
                    "continues from them."
                )
            raise
    manifest = done.manifest
    if as_json:
        emit_json(
            _document(done)
            | {
                "already_done": done.already_done,
                "n_generated": done.n_generated,
                "n_reused": done.n_reused,
                "promotion": done.promotion,
            }
        )
        return
    if done.already_done:
        say("This run exists already: the same inputs give the same bits.")
    elif not done.n_generated:
        say(f"{count(done.n_reused, 'response')} existed already: nothing was generated.")
    _print(manifest.results)
    found = done.contamination
    if found is not None and found.n_contaminated:
        say(
            f"warning: {found.n_contaminated:,} of {count(found.n_samples, 'sample')} are in the "
            f"training data ({', '.join(found.datasets)}): the score is not that of new questions."
        )
    click.echo(manifest.run_id)
    if done.promotion is not None:
        say(promotion_sentence(done.promotion))


def _print(results: EvaluationResults) -> None:
    from tunixrt.runs.manifests import CategoryResult

    every = CategoryResult(
        n=results.results_count,
        n_correct=results.n_correct,
        avg_score=results.avg_score,
        interval=results.interval,
    )
    rows = [
        (name, f"{c.n_correct:,}/{c.n:,}", f"{c.avg_score:.1f}", _interval(c.interval))
        for name, c in {**results.categories, "all": every}.items()
    ]
    click.echo(table(("category", "right", "score", "95% interval"), rows))
    overlong = results.overlong
    if overlong is not None:
        done = "left out of the score" if overlong.treatment == "omit" else "counted as wrong"
        say(
            f"warning: {count(len(overlong.n_tokens), 'prompt')} left no room for an answer in the "
            f"context of {overlong.max_length:,} tokens, {done}: {', '.join(overlong.n_tokens)}."
        )
    draws = results.draws
    if draws is not None:
        estimates = {f"pass@{k}": e for k, e in draws.pass_at.items()} | {
            "majority": draws.majority
        }
        metrics = [(name, f"{e.score:.1f}", _interval(e.interval)) for name, e in estimates.items()]
        click.echo()
        click.echo(table(("metric", "score", "95% interval"), metrics))


def _interval(interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{low:.1f} to {high:.1f}"


def _document(done: EvaluationDone) -> dict[str, object]:
    manifest, evalset = done.manifest, done.evalset
    return {
        "run_id": manifest.run_id,
        "responses": manifest.responses.run_id,
        "weights_sha256": manifest.weights,
        "metrics": manifest.results,
        "evalset": {
            "name": evalset.name,
            "digest": evalset.digest,
            "n_samples": len(evalset.samples),
        },
        "judge": manifest.identity.judge,
        "generation": manifest.responses.generation,
        "numeric_mode": manifest.responses.numeric_mode,
        "contamination": done.contamination,
    }
