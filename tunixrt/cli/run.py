"""`tunixrt run`: list, show, promote and compare runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from tunixrt.cli.base import NounGroup, store_options
from tunixrt.cli.completing import datasets, evalsets, runs
from tunixrt.cli.options import goes_with, lock_timeout_option, recorded_at_option
from tunixrt.cli.output import emit_json, say, short, table
from tunixrt.cli.suggestions import Choice
from tunixrt.errors import ExitCode
from tunixrt.words import series

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunixrt.eval.compare.pairs import Comparison
    from tunixrt.eval.compare.seeds import SeedsComparison
    from tunixrt.jobs.promote_run import Promotion
    from tunixrt.log.lock import Waiting
    from tunixrt.store import Store


@click.group(cls=NounGroup)
def run() -> None:
    """Training and evaluation runs."""


@run.command(
    "list",
    examples=(
        "tunixrt run list",
        "tunixrt run list --kind evaluation --evalset arithmetic_v1",
        "tunixrt run list --dataset gsm-v1",
        "tunixrt run list --kind training --ids",
    ),
)
@click.option(
    "--kind",
    type=Choice(["training", "evaluation", "responses", "contamination"]),
    help="Only runs of this kind; without it, training runs and evaluations.",
)
@click.option(
    "--evalset",
    metavar="NAME",
    help="Only evaluations on this eval set.",
    shell_complete=evalsets,
)
@click.option(
    "--dataset",
    metavar="KEY",
    help="Only models that were trained on this dataset.",
    shell_complete=datasets,
)
@click.option(
    "-q", "--ids", "ids_alone", is_flag=True, help="Print the run ids alone, one per line."
)
@store_options
def list_runs(
    store: Store,
    kind: str | None,
    evalset: str | None,
    dataset: str | None,
    ids_alone: bool,
    as_json: bool,
) -> None:
    """List the runs as a leaderboard.

    Evaluations come first, by eval set and the best score first, with its 95% interval; then
    training runs, the lowest loss first. Names are those of `tunixrt run promote`.

    A RUN of other commands is a name, the beginning of an id, or `@last`: the run that `train` or
    `eval` last made or found here (`@last-train` and `@last-eval`: the last of that kind).
    """
    if ids_alone and as_json:
        raise click.UsageError("--ids and --json are two forms of the list: choose one.")
    rows = store.runs.leaderboard(kind=kind, evalset=evalset, dataset=dataset)
    if ids_alone:
        for row in rows:
            click.echo(row.run_id)
        return
    if as_json:
        emit_json({"runs": rows})
        return
    cells = [(short(r.run_id), r.kind, r.what, r.result, ", ".join(r.names)) for r in rows]
    click.echo(table(("run", "kind", "of", "result", "names"), cells))


@run.command(
    examples=("tunixrt run show 5d1f0c", "tunixrt run show baseline", "tunixrt run show @last")
)
@click.argument("run_id", metavar="RUN", shell_complete=runs)
@store_options
def show(store: Store, run_id: str, as_json: bool) -> None:
    """Show one run: its manifest, and the machines it was executed on."""
    from tunixrt.runs.run import Run

    manifest = store.runs[run_id].manifest
    row = store.runs.row(manifest)
    unreadable: list[str] = []
    made = Run.of(store.layout, manifest.run_id)
    environments = made.environments(on_unreadable=unreadable.append)
    if as_json:
        emit_json(
            {
                "manifest": manifest,
                "environments": environments,
                "unreadable_environments": unreadable,
                **msgspec.structs.asdict(row),
            }
        )
        return
    names = f" ({', '.join(row.names)})" if row.names else ""
    click.echo(f"run {manifest.run_id}{names}")
    click.echo(f"{row.kind} of {row.what}: {row.result}")
    if row.weights_sha256 is not None:
        click.echo(f"weights {row.weights_sha256}")
    click.echo(msgspec.json.format(msgspec.json.encode(manifest), indent=2).decode())
    for environment in environments:
        click.echo(_execution(environment))
    for problem in unreadable:
        say(f"warning: {problem}")


def _execution(environment: Mapping[str, object]) -> str:
    """One execution in words: no field is sure to be there, since nothing hashes them."""
    started_at, duration_s = environment.get("started_at"), environment.get("duration_s")
    when = "" if started_at is None else f" at {started_at}"
    how_long = "" if duration_s is None else f" in {duration_s} s"
    versions = [
        f"{name} {environment[key]}"
        for key, name in (("tunixrt", "tunixrt"), ("python", "Python"))
        if environment.get(key) is not None
    ]
    return f"executed{when}{how_long}" + (f" ({', '.join(versions)})" if versions else "")


@run.command(
    examples=(
        "tunixrt run promote 5d1f0c --as baseline",
        "tunixrt run promote candidate --as baseline",
    )
)
@click.argument("run_id", metavar="RUN", shell_complete=runs)
@click.option("--as", "name", required=True, metavar="NAME", help="The name to give the run.")
@recorded_at_option
@lock_timeout_option
@store_options
def promote(
    store: Store,
    run_id: str,
    name: str,
    recorded_at: str | None,
    waiting: Waiting,
    as_json: bool,
) -> None:
    """Give a run a name, such as `baseline`, that every command takes as RUN.

    The name is an event in the log: promoting another run moves it, and the log keeps its
    history. Where two branches give one name to different runs, `tunixrt status` reports it after
    the merge, and promoting one of them decides.
    """
    done = store.runs.promote(run_id, name, recorded_at=recorded_at, waiting=waiting)
    if as_json:
        emit_json(dataclasses.asdict(done))
        return
    say(promotion_sentence(done))
    click.echo(done.run_id)


def promotion_sentence(done: Promotion) -> str:
    """What a promotion did, for a person."""
    if done.segment is None:
        return f"{short(done.run_id)} is {done.name} already."
    before = series(short(run) for run in done.before)
    moved = f"; before, it was {before}" if before else ""
    return f"{short(done.run_id)} is {done.name} now{moved}."


@run.command(
    examples=(
        "tunixrt run compare 5d1f0c 9ab34e",
        "tunixrt run compare baseline 9ab34e --fail-below 2",
        "tunixrt run compare baseline 9ab34e --category addition --metric finished",
        "tunixrt run compare 5d1f0c,77aa02,0c9e41 9ab34e,ee1275,41d0b8",
        "tunixrt run compare 5d1f0c 9ab34e --metric pass@8",
        "tunixrt run compare 5d1f0c 9ab34e -o comparison",
    )
)
@click.argument("a", metavar="A", shell_complete=runs)
@click.argument("b", metavar="B", shell_complete=runs)
@click.option(
    "--metric",
    default="avg_score",
    show_default=True,
    metavar="avg_score|answered|finished|majority|pass@K",
    help="The judge's score; the share of responses with an answer, or that were not cut off; of "
    "samples whose most frequent answer is right; the probability that one of K is.",
)
@click.option("--category", metavar="NAME", help="Only the samples of this category.")
@click.option(
    "--fail-below",
    type=click.FloatRange(min=0),
    metavar="DELTA",
    help="Exit 1 when B is worse than A by more than DELTA points, the interval included.",
)
@click.option(
    "--allow-differences",
    is_flag=True,
    help="Compare although eval set, judge, template or generation settings differ.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write comparison.json, and samples.jsonl with the scores of each sample, to a new or an "
    "empty directory, or one of an older comparison, whose files are replaced.",
)
@click.option(
    "--check",
    is_flag=True,
    help="With -o: write nothing; exit 1 unless DIR contains this comparison.",
)
@store_options
def compare(
    store: Store,
    a: str,
    b: str,
    metric: str,
    category: str | None,
    fail_below: float | None,
    allow_differences: bool,
    output: Path | None,
    check: bool,
    as_json: bool,
) -> int:
    """Compare evaluation B with evaluation A on the same samples.

    The interval is that of the paired difference at 95%, the p-value McNemar's (mid-p). A
    difference is claimed only if McNemar's exact p-value is below 5%, too: whatever the number of
    samples that changed, equal models differ in at most 5 of 100 comparisons.

    With --fail-below the answer is no, exit code 1, only if the upper end of the interval of the
    change lies below -DELTA: B is then worse by more than DELTA, and not by chance. A run compared
    with itself, and a change that the questions cannot tell from chance, pass whatever DELTA is; a
    gate of 0 fails on any loss that is sure.

    A and B may each be several runs, divided by commas: two ways of training, tried with the same
    number of seeds each. The first is compared with the first, and the interval then covers the
    choice of the questions and that of the seeds.
    """
    goes_with("check", "-o DIR", holds=output is not None)
    ways = several_runs(a), several_runs(b)
    found: Comparison | SeedsComparison
    if len(ways[0]) == len(ways[1]) == 1:
        found = pair = store.runs.compare(
            a,
            b,
            allow_differences=allow_differences,
            metric=metric,
            category=category,
            directory=output,
            check=check,
        )
        details = _categories_table(pair)
        exact = "" if pair.p_value_exact is None else f" (exact {pair.p_value_exact:.3g})"
    else:
        found = several = store.runs.compare_seeds(
            *ways,
            allow_differences=allow_differences,
            metric=metric,
            category=category,
            directory=output,
            check=check,
        )
        details, exact = _seeds_table(several), ""
    failed = fail_below is not None and found.interval[1] < -fail_below
    if as_json:
        emit_json(msgspec.structs.asdict(found) | {"failed": failed})
    else:
        click.echo(details)
        low, high = found.interval
        click.echo(
            f"{found.verdict}: {found.metric} {found.a:.1f} to {found.b:.1f}, "
            f"{found.delta:+.1f} points ({low:+.1f} to {high:+.1f}), p = {found.p_value:.3g}{exact}"
        )
        if failed:
            click.echo(f"worse than allowed: the whole interval lies below -{fail_below:g} points")
    return ExitCode.ANSWER_IS_NO if failed else ExitCode.DONE


def several_runs(text: str) -> list[str]:
    """Runs that are divided by commas; no run id and no name holds one."""
    return [run.strip() for run in text.split(",")]


def _categories_table(found: Comparison) -> str:
    rows = [
        (name, c.n_pairs, f"{c.a:.1f}", f"{c.b:.1f}", f"{c.delta:+.1f}", c.n_fixed, c.n_broken)
        for name, c in found.categories.items()
    ]
    return table(("category", "pairs", "a", "b", "b - a", "fixed", "broken"), rows)


def _seeds_table(found: SeedsComparison) -> str:
    rows = [
        (number, pair.n_pairs, f"{pair.a:.1f}", f"{pair.b:.1f}", f"{pair.delta:+.1f}")
        for number, pair in enumerate(found.pairs, start=1)
    ]
    return table(("runs", "pairs", "a", "b", "b - a"), rows)
