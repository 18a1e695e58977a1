"""The parts of a report for sceptical readers: commands that check it, and its limits."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

from tunixrt.eval.compare.statistics import required_pairs
from tunixrt.eval.judge.judges import DEFAULT_JUDGE, FIRST_ANSWER
from tunixrt.report.blocks import Block, Bullets, Heading
from tunixrt.report.numbers import count, decimal, p_value
from tunixrt.report.sections.commands import command_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.eval.compare.pairs import Comparison
    from tunixrt.report.blocks import Inlines
    from tunixrt.report.shown import Pair, ShownRun
    from tunixrt.runs.manifests import ContaminationManifest, OverlongPrompts

_FEW: Final = 10

_JUDGE_LIMIT: Final = (
    "The judge compares final answers by value (numbers exactly, units by name, words in normal "
    "form). It does not judge the steps, and a right answer in words that it cannot read counts as "
    "wrong."
)


def check_blocks(pair: Pair) -> list[Block]:
    """Commands, then limits."""
    limits: tuple[Inlines, ...] = tuple(_limits(pair))
    return [*command_blocks((pair,)), Heading(2, "Limits"), Bullets(limits)]


def _limits(pair: Pair) -> Iterator[str]:
    comparison = pair.comparison
    for difference in comparison.differences:
        yield f"The runs were compared although {difference}."
    if comparison.n_only_a or comparison.n_only_b:
        yield (
            f"Not compared: {count(comparison.n_only_a, 'sample')} that only the run before has, "
            f"{count(comparison.n_only_b, 'sample')} that only the run after has."
        )
    yield from _not_claimed(comparison)
    yield from _size(comparison)
    for name, run in (("before", pair.before), ("after", pair.after)):
        yield from _responses(name, run)
    yield from _training(pair.after)
    yield judge_limit(pair.after)


def judge_limit(run: ShownRun) -> str:
    """Return what the judge of a run does not see."""
    judge = run.manifest.identity.judge
    if judge.name in (DEFAULT_JUDGE, FIRST_ANSWER):
        return _JUDGE_LIMIT
    return f"An answer is right if the judge {judge} accepts it."


def _not_claimed(comparison: Comparison) -> Iterator[str]:
    """Why no difference is claimed although the interval excludes 0."""
    low, high = comparison.interval
    exact = comparison.p_value_exact
    if exact is not None and exact >= 1 - comparison.confidence and (low > 0 or high < 0):
        yield (
            f"The interval excludes 0, but by McNemar's exact test {p_value(exact)}: with so few "
            "changed samples the test of the headline claims differences too often, so none is "
            "claimed here."
        )


def _size(comparison: Comparison) -> Iterator[str]:
    n = comparison.n_pairs
    p_fixed, p_broken = len(comparison.fixed) / n, len(comparison.broken) / n
    # Connor's formula applies to right and wrong only.
    if p_fixed != p_broken and comparison.p_value_exact is not None:
        needed = required_pairs(p_fixed, p_broken)
        yield (
            f"To find a difference of this size again with a probability of 80%, about "
            f"{count(needed, 'sample')} are needed (Connor 1987); this comparison has {n:,}."
        )
    n_small = sum(result.n_pairs < _FEW for result in comparison.categories.values())
    if n_small:
        says = (
            "has fewer than {} samples; its score says"
            if n_small == 1
            else ("have fewer than {} samples; their scores say")
        )
        yield (
            f"{n_small:,} of {len(comparison.categories):,} categories {says.format(_FEW)} little."
        )


def _responses(name: str, run: ShownRun) -> Iterator[str]:
    predictions = run.predictions
    limits = {
        "length": f"at {run.manifest.responses.generation.max_new_tokens:,} tokens",
        "context": "at the end of the model's context",
    }
    yield from overlong_sentences(run.manifest.results.overlong, name)
    for reason in sorted(limits, reverse=True):
        n_cut = sum(prediction.stop_reason == reason for prediction in predictions)
        if n_cut:
            yield (
                f"{name.capitalize()}, {n_cut:,} of {len(predictions):,} responses were cut off "
                f"{limits[reason]}; an answer that may have been cut is wrong."
            )


def overlong_sentences(found: OverlongPrompts | None, name: str) -> Iterator[str]:
    """Which prompts left no room for an answer, and how they were handled."""
    if found is None:
        return
    done = (
        "not asked, and in no figure here"
        if found.treatment == "omit"
        else "not asked, and counted as wrong answers"
    )
    n = len(found.n_tokens)
    yield (
        f"{name.capitalize()}, {count(n, 'prompt')} {'fills' if n == 1 else 'fill'} the model's "
        f"context of {found.max_length:,} tokens; {'it was' if n == 1 else 'they were'} {done}: "
        f"{', '.join(found.n_tokens)}."
    )


def _training(run: ShownRun) -> Iterator[str]:
    training = run.training
    if training is None:
        return
    yield (
        "One training run with one seed: the interval shows how the score varies with the "
        "questions, not how it varies with the seed."
    )
    yield from contamination_sentences(run.contamination)
    n_left_out = sum(row.outcome != "kept" for row in training.ledger)
    if n_left_out:
        share = decimal(100 * n_left_out / len(training.ledger), 1)
        yield f"{count(n_left_out, 'record')} ({share}%) of the training data were not kept whole."
    if run.manifest.responses.numeric_mode == "fast":
        yield (
            "Numeric mode fast: the same bits are promised on the same numeric class only; "
            "elsewhere a reproduction is close at best."
        )


def contamination_sentences(check: ContaminationManifest | None) -> Iterator[str]:
    """Contamination: how much of the eval set is in the training data."""
    if check is None:
        yield "Whether samples of the eval set are in the training data was not checked."
        return
    found, identity = check.results, check.identity
    share = float(100 * Fraction(identity.threshold))
    rule = f"at least {share:.0f}% of its {identity.ngram}-grams of words"
    if found.n_contaminated:
        yield (
            f"{found.n_contaminated:,} of {count(found.n_samples, 'sample')} of the eval set are "
            f"in the training data: {found.n_exact:,} word for word, {found.n_normalised:,} but "
            f"for case, spaces and punctuation, {found.n_overlap:,} by overlap ({rule}). The score "
            "is not one of unseen questions."
        )
    else:
        yield (
            "No sample of the eval set is in the training data: no prompt word for word or but for "
            f"case, spaces and punctuation, and none with {rule}; compared with "
            f"{count(found.n_prompts, 'prompt')}."
        )
    if not identity.complete:
        yield (
            "Training started from external weights, and whether these had seen the eval set "
            "is not known."
        )
