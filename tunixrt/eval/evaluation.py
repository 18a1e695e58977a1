"""Evaluate a model on an eval set: generate, judge, count.

The model is a callable from prompts to generated texts, so nothing here knows of JAX, tokens or
templates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.eval.judges import DEFAULT_JUDGE, JUDGES, AnswerJudge
from tunixrt.eval.predictions import Prediction
from tunixrt.eval.statistics import bootstrap_mean_interval, mean, points, rounded, wilson_interval
from tunixrt.runs.manifests import CategoryResult, EvaluationResults

if TYPE_CHECKING:
    from tunixrt.eval.evalsets import EvalSet

#: The stop reasons of a generation that was cut off: at its limit of tokens, or at the model's.
CUT_OFF: Final = frozenset({"length", "context"})
#: The seed of bootstrap intervals, which only scores other than 0 and 100 need.
BOOTSTRAP_SEED: Final = 0


class Generated(msgspec.Struct, frozen=True):
    """A response: its text, how many tokens it took, and why it ended."""

    text: str
    n_tokens: int
    stop_reason: str


Generate = Callable[[Sequence[str]], Sequence[Generated]]


def evaluate(
    evalset: EvalSet, generate: Generate, *, judge: AnswerJudge = JUDGES[DEFAULT_JUDGE]
) -> tuple[Prediction, ...]:
    """Answer and judge every sample of an eval set, in its order.

    Args:
        evalset: the questions.
        generate: called once with the prompts of all samples, as the eval set has them; it applies
            the template and returns one response a prompt, in the same order.
        judge: how responses are judged.
    """
    responses = generate([sample.prompt for sample in evalset.samples])
    predictions = []
    for sample, response in zip(evalset.samples, responses, strict=True):
        judgement = judge(
            expected=sample.expected_answer,
            response=response.text,
            cut=response.stop_reason in CUT_OFF,
        )
        predictions.append(
            Prediction(
                example_id=sample.id,
                prompt=sample.prompt,
                generated_response=response.text,
                parsed_steps=judgement.parsed.steps,
                parsed_answer=judgement.parsed.answer,
                expected_response=sample.expected_answer,
                correct=judgement.correct,
                reason=judgement.reason,
                score=judgement.score,
                n_tokens=response.n_tokens,
                stop_reason=response.stop_reason,
                category=sample.category,
                difficulty=sample.difficulty,
            )
        )
    return tuple(predictions)


def summarise(predictions: Sequence[Prediction]) -> EvaluationResults:
    """Counts and averages of an evaluation, over all and per category, 0 to 100.

    Intervals are Wilson's at 95% where every score is 0 or 100, else seeded bootstrap intervals.
    """
    by_category: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        by_category.setdefault(prediction.category, []).append(prediction)
    return EvaluationResults(
        results_count=len(predictions),
        n_correct=_n_correct(predictions),
        avg_score=average(predictions),
        interval=score_interval(predictions),
        categories={
            name: CategoryResult(
                n=len(members),
                n_correct=_n_correct(members),
                avg_score=average(members),
                interval=score_interval(members),
            )
            for name, members in sorted(by_category.items())
        },
        stop_reasons=dict(sorted(Counter(p.stop_reason for p in predictions).items())),
    )


def average(predictions: Sequence[Prediction]) -> float:
    """The mean score, 0 to 100, rounded as results are."""
    return rounded(mean([p.score for p in predictions]))


def is_binary(predictions: Sequence[Prediction]) -> bool:
    """Whether every score is 0 or 100, as the judges here give them."""
    return all(p.score == (100.0 if p.correct else 0.0) for p in predictions)


def score_interval(predictions: Sequence[Prediction]) -> tuple[float, float]:
    """The 95% interval of the mean score, 0 to 100."""
    if is_binary(predictions):
        low, high = wilson_interval(_n_correct(predictions), len(predictions))
        return points(low), points(high)
    low, high = bootstrap_mean_interval([p.score for p in predictions], seed=BOOTSTRAP_SEED)
    return rounded(low), rounded(high)


def _n_correct(predictions: Sequence[Prediction]) -> int:
    return sum(prediction.correct for prediction in predictions)
