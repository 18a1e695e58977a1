"""The results of a report: first the verdict, then the evidence.

The order follows the reader's questions: is it better, by how much and how certain; where; what do
answers look like; how was it trained and on what; is this what was run; how do I check it; what are
the limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tunixrt.eval.compare.pairs import ComparisonVerdict
from tunixrt.eval.evaluation import CUT_OFF, summarise
from tunixrt.report.blocks import (
    Block,
    Chart,
    CodeSpan,
    Document,
    Heading,
    Paragraph,
    Strong,
    Table,
    Tone,
    VerdictBlock,
)
from tunixrt.report.charts import IntervalChart, IntervalRow
from tunixrt.report.numbers import count, decimal, interval, p_value, signed, signed_interval
from tunixrt.report.sections.checks import check_blocks
from tunixrt.report.sections.identity import identity_blocks
from tunixrt.report.sections.samples import sample_blocks
from tunixrt.report.sections.training import training_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tunixrt.eval.compare.pairs import Comparison
    from tunixrt.eval.compare.seeds import SeedsComparison
    from tunixrt.report.blocks import Inlines
    from tunixrt.report.shown import Pair
    from tunixrt.runs.lines import Prediction
    from tunixrt.runs.manifests import CategoryResult, Estimate, EvaluationResults

    Scored = EvaluationResults | CategoryResult

TONES: Final = {
    ComparisonVerdict.BETTER: Tone.GOOD,
    ComparisonVerdict.WORSE: Tone.BAD,
    ComparisonVerdict.NO_CLEAR_DIFFERENCE: Tone.NEUTRAL,
}


def build_document(pair: Pair) -> Document:
    """The whole report."""
    title = f"{pair.before.model} → {pair.after.model}"
    blocks: list[Block] = [
        _verdict(pair),
        *_results(pair),
        *_categories(pair),
        *sample_blocks(pair),
        *training_blocks(pair.after.training),
        *identity_blocks(pair),
        *check_blocks(pair),
    ]
    return Document(title=title, blocks=tuple(blocks))


def verdict_block(found: Comparison | SeedsComparison, evalset: str, outcome: str) -> VerdictBlock:
    """The verdict: direction, size and certainty in one line, then the scores.

    Args:
        found: the comparison.
        evalset: the name of the eval set.
        outcome: the end of the sentence on the scores: what was compared.
    """
    percent = f"{decimal(100 * found.confidence, 0)}%"
    before, after = decimal(found.a, 1), decimal(found.b, 1)
    return VerdictBlock(
        tone=TONES[found.verdict],
        headline=(
            f"{str(found.verdict).capitalize()}: {signed(found.delta, 1)} points ({percent} "
            f"interval {signed_interval(*found.interval)}; {p_value(found.p_value)})"
        ),
        sentence=(
            "The average score on ",
            CodeSpan(evalset),
            (
                f" went from {before} to {after} of 100{outcome}. Interval: "
                f"{found.interval_method}; test: {found.p_value_method}."
            ),
        ),
        before=before,
        after=after,
        delta=signed(found.delta, 1),
    )


def _verdict(pair: Pair) -> VerdictBlock:
    found = pair.comparison
    outcome = (
        f" on {count(found.n_pairs, 'sample')}: {len(found.fixed):,} were fixed, "
        f"{len(found.broken):,} broke, {found.n_both_correct:,} stayed right and "
        f"{found.n_both_wrong:,} stayed wrong"
    )
    return verdict_block(found, pair.before.evalset, outcome)


def interval_row(label: str, old: Scored, new: Scored) -> IntervalRow:
    """A row of the chart of scores."""
    return IntervalRow(label, (old.avg_score, *old.interval), (new.avg_score, *new.interval))


def _results(pair: Pair) -> list[Block]:
    before, after = pair.before.predictions, pair.after.predictions
    old, new = summarise(before), summarise(after)
    rows = (
        _row("Average score", decimal(old.avg_score, 1), decimal(new.avg_score, 1)),
        _row("95% interval", interval(*old.interval), interval(*new.interval)),
        _row("Correct", _of(old), _of(new)),
        *_drawn_rows(old, new),
        _row("Without a final answer", *(_share(p, _no_answer) for p in (before, after))),
        _row("Cut off at the limit", *(_share(p, _cut_off) for p in (before, after))),
        _row(
            "Steps per response",
            *(_mean([len(p.parsed_steps) for p in ps]) for ps in (before, after)),
        ),
        _row("Tokens per response", *(_mean([p.n_tokens for p in ps]) for ps in (before, after))),
    )
    return [
        Heading(2, "Results"),
        Table(
            label="Results before and after",
            head=("Metric", "Before", "After"),
            rows=rows,
            numeric=frozenset({1, 2}),
        ),
        Chart(
            name="scores",
            alt=(
                f"Average score before {decimal(old.avg_score, 1)} and after "
                f"{decimal(new.avg_score, 1)} with 95% intervals, over all and per category"
            ),
            chart=_scores_chart(old, new),
        ),
    ]


def _drawn_rows(old: EvaluationResults, new: EvaluationResults) -> list[tuple[Inlines, ...]]:
    """pass@k and majority vote of several responses per sample, with intervals."""
    if old.draws is None or new.draws is None:
        return []
    before = {f"pass@{k}": e for k, e in old.draws.pass_at.items()}
    after = {f"pass@{k}": e for k, e in new.draws.pass_at.items()}
    pairs = [
        (name, before[name], after[name])
        for name in before
        if name in after and name != "pass@1"  # the average score
    ]
    pairs.append(("Majority vote", old.draws.majority, new.draws.majority))
    return [_row(name, _estimate(a), _estimate(b)) for name, a, b in pairs]


def _estimate(found: Estimate) -> str:
    return f"{decimal(found.score, 1)} ({interval(*found.interval)})"


def _scores_chart(old: EvaluationResults, new: EvaluationResults) -> IntervalChart:
    names = sorted(old.categories.keys() & new.categories.keys())
    rows = [interval_row(name, old.categories[name], new.categories[name]) for name in names]
    return IntervalChart("Average score", (interval_row("all samples", old, new), *rows))


def _categories(pair: Pair) -> list[Block]:
    rows = tuple(
        (
            CodeSpan(name),
            f"{result.n_pairs:,}",
            decimal(result.a, 1),
            decimal(result.b, 1),
            signed(result.delta, 1),
            signed_interval(*result.interval),
            f"{result.n_fixed:,}",
            f"{result.n_broken:,}",
        )
        for name, result in pair.comparison.categories.items()
    )
    return [
        Heading(2, "By category"),
        Table(
            label="Scores by category",
            head=("Category", "n", "Before", "After", "Difference", "Interval", "Fixed", "Broken"),
            rows=rows,
            numeric=frozenset(range(1, 8)),
        ),
        Paragraph(
            "The intervals of the categories are not adjusted for multiple comparisons: "
            "with twenty categories, one is expected to exclude 0 by chance."
        ),
    ]


def _row(name: str, before: str, after: str) -> tuple[Inlines, ...]:
    return (
        name,
        (Strong(before) if name == "Average score" else before,),
        (Strong(after) if name == "Average score" else after,),
    )


def _of(results: EvaluationResults) -> str:
    return f"{results.n_correct:,} of {results.results_count:,}"


def _share(predictions: Sequence[Prediction], is_counted: Callable[[Prediction], bool]) -> str:
    return f"{sum(map(is_counted, predictions)):,} of {len(predictions):,}"


def _no_answer(prediction: Prediction) -> bool:
    return prediction.parsed_answer is None


def _cut_off(prediction: Prediction) -> bool:
    return prediction.stop_reason in CUT_OFF


def _mean(values: Sequence[int]) -> str:
    return decimal(sum(values) / len(values), 1)
