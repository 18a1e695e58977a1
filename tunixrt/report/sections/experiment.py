"""A report on two ways of training, each tried with several seeds.

It answers the same questions as the report on two runs, in the same order. The parts on single
runs (samples, one loss curve, one ledger) show the first pair, and say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tunixrt.eval.evaluation import summarise
from tunixrt.report.blocks import (
    Block,
    Bullets,
    Chart,
    CodeSpan,
    Document,
    Heading,
    Table,
)
from tunixrt.report.charts import IntervalChart
from tunixrt.report.numbers import count, decimal, p_value, signed, signed_interval, significant
from tunixrt.report.sections.checks import contamination_sentences, judge_limit
from tunixrt.report.sections.commands import command_blocks
from tunixrt.report.sections.identity import identity_blocks
from tunixrt.report.sections.results import interval_row, verdict_block
from tunixrt.report.sections.samples import sample_blocks
from tunixrt.report.sections.training import training_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.report.blocks import Inlines
    from tunixrt.report.shown import Experiment, Pair, ShownRun

_SHORT_ID: Final = 12


def build_experiment(experiment: Experiment) -> Document:
    """The whole report."""
    first = experiment.pairs[0]
    n_seeds = count(len(experiment.pairs), "seed")
    outcome = f", over {count(experiment.comparison.n_samples, 'sample')} and {n_seeds}"
    return Document(
        title=f"{first.before.model} → {first.after.model}, {n_seeds} each",
        blocks=(
            verdict_block(experiment.comparison, first.before.evalset, outcome),
            *_pairs(experiment),
            *_categories(experiment),
            *sample_blocks(first, heading="Samples of the first pair"),
            *training_blocks(first.after.training, subject="The first model after"),
            *_runs(experiment),
            *identity_blocks(first, heading="What was run: the first pair"),
            *command_blocks(experiment.pairs),
            Heading(2, "Limits"),
            Bullets(tuple(_limits(experiment))),
        ),
    )


def _pairs(experiment: Experiment) -> list[Block]:
    rows: list[tuple[Inlines, ...]] = []
    chart_rows = []
    for pair in experiment.pairs:
        old, new = (summarise(run.predictions) for run in (pair.before, pair.after))
        name = _seed_of(pair)
        found = pair.comparison
        rows.append(
            (
                name,
                decimal(old.avg_score, 1),
                decimal(new.avg_score, 1),
                signed(found.delta, 1),
                signed_interval(*found.interval),
                p_value(found.p_value).removeprefix("p ").removeprefix("= "),
            )
        )
        chart_rows.append(interval_row(name, old, new))
    return [
        Heading(2, "Results by seed"),
        Table(
            label="Scores by seed",
            head=("Seed", "Before", "After", "Difference", "Interval", "p"),
            rows=tuple(rows),
            numeric=frozenset(range(1, 6)),
        ),
        Chart(
            name="scores",
            alt="Average score before and after with 95% intervals, one row per seed",
            chart=IntervalChart(title="Average score", rows=tuple(chart_rows)),
        ),
    ]


def _seed_of(pair: Pair) -> str:
    """The label of a pair: the seed if both runs were trained with it, else the run ids."""
    seeds = {
        run.training.settings.get("training.seed")
        for run in (pair.before, pair.after)
        if run.training is not None
    }
    if len(seeds) == 1 and None not in seeds:
        return f"seed {seeds.pop()}"
    return f"{pair.before.run_id[:_SHORT_ID]} and {pair.after.run_id[:_SHORT_ID]}"


def _categories(experiment: Experiment) -> list[Block]:
    return [
        Heading(2, "By category"),
        Table(
            label="Scores by category, means over the seeds",
            head=("Category", "n", "Before", "After", "Difference"),
            rows=tuple(
                (
                    CodeSpan(name),
                    f"{result.n_samples:,}",
                    decimal(result.a, 1),
                    decimal(result.b, 1),
                    signed(result.delta, 1),
                )
                for name, result in experiment.comparison.categories.items()
            ),
            numeric=frozenset(range(1, 5)),
        ),
    ]


def _runs(experiment: Experiment) -> list[Block]:
    """Every run with the digest of its weights: enough to find and check each of them."""
    rows = tuple(
        _run_row(name, pair, run)
        for pair in experiment.pairs
        for name, run in (("before", pair.before), ("after", pair.after))
    )
    return [
        Heading(2, "All runs"),
        Table(
            label="The runs of both ways",
            head=("Runs", "Trained as", "Evaluated as", "Learned tokens", "Last loss", "Weights"),
            rows=rows,
            numeric=frozenset({3, 4}),
        ),
    ]


def _run_row(name: str, pair: Pair, run: ShownRun) -> tuple[Inlines, ...]:
    training = run.training
    n_tokens = loss = "none"
    if training is not None:
        n_tokens = f"{training.n_learned_tokens:,}"
        loss = significant(training.metrics[-1].loss, 4) if training.metrics else loss
    return (
        f"{_seed_of(pair)}, {name}",
        "none" if training is None else CodeSpan(training.run_id[:_SHORT_ID]),
        CodeSpan(run.run_id[:_SHORT_ID]),
        n_tokens,
        loss,
        CodeSpan(run.manifest.weights),
    )


def _limits(experiment: Experiment) -> Iterator[str]:
    n_seeds = len(experiment.pairs)
    yield (
        f"{count(n_seeds, 'seed')} on each side: the interval covers the choice of the questions "
        "and of the seeds, and with so few seeds the second part is a rough estimate. The p-value "
        "holds for these seeds."
    )
    for difference in dict.fromkeys(
        d for pair in experiment.pairs for d in pair.comparison.differences
    ):
        yield f"Runs were compared although {difference}."
    for pair in experiment.pairs:
        for run in (pair.before, pair.after):
            if run.training is not None and run.contamination is not None:
                yield from (
                    f"{run.run_id[:_SHORT_ID]}: {sentence}"
                    for sentence in contamination_sentences(run.contamination)
                    if run.contamination.results.n_contaminated
                )
    yield from _clean(experiment)
    yield judge_limit(experiment.pairs[0].after)


def _clean(experiment: Experiment) -> Iterator[str]:
    runs = [run for pair in experiment.pairs for run in (pair.before, pair.after) if run.training]
    checked = [run.contamination for run in runs if run.contamination is not None]
    clean = [check for check in checked if not check.results.n_contaminated]
    if clean:
        yield (
            f"No sample of the eval set is in the training data of {len(clean):,} of "
            f"{count(len(runs), 'trained model')}, as exact prompt, as normalised prompt or by "
            "overlap."
        )
    if len(checked) < len(runs):
        yield (
            f"Of {count(len(runs) - len(checked), 'model')} it was not checked whether samples of "
            "the eval set are in the training data."
        )
