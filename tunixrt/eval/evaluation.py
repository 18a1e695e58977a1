"""Evaluate a model on an eval set: generate, judge, count.

The model is a callable from prompts to generated texts, so nothing here depends on JAX, tokens or
templates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from tunixrt.eval.compare.draws import are_drawn, by_sample, majority, numbers_of_tries, pass_at
from tunixrt.eval.compare.statistics import (
    bootstrap_mean_interval,
    mean,
    points,
    rounded,
    wilson_interval,
)
from tunixrt.eval.judge.judges import DEFAULT_JUDGE
from tunixrt.eval.sample_judges import sample_judge
from tunixrt.runs.lines import Prediction
from tunixrt.runs.manifests import CategoryResult, DrawResults, Estimate, EvaluationResults

if TYPE_CHECKING:
    from tunixrt.eval.evalsets import EvalSample, EvalSet
    from tunixrt.eval.sample_judges import SampleJudge

#: The version of the figures that `summarise` makes of predictions. It is in the identity of an
#: evaluation and changes whenever a figure of any evaluation might.
SUMMARY_VERSION: Final = 1
#: The stop reason where the prompt filled the model's context and nothing was generated.
OVERLONG: Final = "overlong"
#: The stop reasons of a generation that was cut off: at its limit of tokens, at the model's, or
#: before it began.
CUT_OFF: Final = frozenset({"length", "context", OVERLONG})
#: The seed of bootstrap intervals, which only scores other than 0 and 100 need.
BOOTSTRAP_SEED: Final = 0


class Generated(msgspec.Struct, frozen=True):
    """A response: its text, its number of tokens, and why it ended."""

    text: str
    n_tokens: int
    stop_reason: str


class Answered(Protocol):
    """The parts of a response that are judged."""

    @property
    def text(self) -> str:
        """The generated text."""

    @property
    def n_tokens(self) -> int:
        """The number of generated tokens."""

    @property
    def stop_reason(self) -> str:
        """Why it ended."""


Generate = Callable[[Sequence[str]], Sequence[Answered]]


def evaluate(
    evalset: EvalSet,
    generate: Generate,
    *,
    judge: SampleJudge | None = None,
    n_draws: int | None = None,
) -> tuple[Prediction, ...]:
    """Answer and judge every sample of an eval set, in its order.

    Args:
        evalset: the questions.
        generate: called once with the prompts of all samples, as in the eval set; it applies
            the template and returns one response per prompt, in the same order.
        judge: how responses are judged; None for the judge ``exact``.
        n_draws: how many responses are drawn per sample; its prompt is repeated that many times in
            a row. None for one greedy response.

    Raises:
        BadInputError: the judge cannot be used with the eval set, or does not judge a response.
    """
    judge = judge or sample_judge(DEFAULT_JUDGE)
    judge.check(evalset)
    asked = [(sample, n) for sample in evalset.samples for n in range(n_draws or 1)]
    responses = generate([sample.prompt for sample, _ in asked])
    predictions = []
    for (sample, n), response in zip(asked, responses, strict=True):
        judgement = judge.judge(sample, response.text, cut=response.stop_reason in CUT_OFF)
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
                draw=None if n_draws is None else n,
            )
        )
    return tuple(predictions)


def overlong_prediction(
    sample: EvalSample, n_tokens: int, max_length: int, *, draw: int | None
) -> Prediction:
    """The prediction, judged wrong, for a prompt that leaves no room for an answer."""
    return Prediction(
        example_id=sample.id,
        prompt=sample.prompt,
        generated_response="",
        parsed_steps=(),
        parsed_answer=None,
        expected_response=sample.expected_answer,
        correct=False,
        reason=f"The prompt has {n_tokens:,} tokens, and the model's context of {max_length:,} "
        "leaves no room for an answer.",
        score=0.0,
        n_tokens=0,
        stop_reason=OVERLONG,
        category=sample.category,
        difficulty=sample.difficulty,
        draw=draw,
    )


def summarise(predictions: Sequence[Prediction]) -> EvaluationResults:
    """Counts and averages of an evaluation, over all and per category, 0 to 100.

    Intervals are Wilson's at 95% where there is one response per sample and every score is 0 or
    100, else seeded bootstrap intervals over the samples (Wilson's again where all scores are
    equal).
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
        draws=_draws(by_sample(predictions)) if are_drawn(predictions) else None,
    )


def _draws(samples: Sequence[Sequence[Prediction]]) -> DrawResults:
    n_draws = min(map(len, samples))
    winners = [majority(responses) for responses in samples]
    n_right = sum(winner is not None and winner.correct for winner in winners)
    return DrawResults(
        n_samples=len(samples),
        n_draws=n_draws,
        pass_at={
            f"{k}": _estimate([pass_at(responses, k) for responses in samples])
            for k in numbers_of_tries(n_draws)
        },
        majority=Estimate(points(n_right / len(samples)), _wilson(n_right, len(samples))),
    )


def _estimate(scores: Sequence[float]) -> Estimate:
    return Estimate(rounded(mean(scores)), _interval(scores))


def average(predictions: Sequence[Prediction]) -> float:
    """The mean score, 0 to 100, rounded as results are."""
    return rounded(mean([p.score for p in predictions]))


def is_binary(predictions: Sequence[Prediction]) -> bool:
    """Whether every score is 0 or 100, as the judges of this package give."""
    return all(p.score == (100.0 if p.correct else 0.0) for p in predictions)


def score_interval(predictions: Sequence[Prediction]) -> tuple[float, float]:
    """The 95% interval of the mean score, 0 to 100."""
    samples = by_sample(predictions)
    if len(samples) == len(predictions) and is_binary(predictions):
        return _wilson(_n_correct(predictions), len(predictions))
    # Responses to one sample are not independent, so samples are resampled.
    return _interval([mean([p.score for p in responses]) for responses in samples])


def _wilson(n_correct: float, n: int) -> tuple[float, float]:
    low, high = wilson_interval(n_correct, n)
    return points(low), points(high)


def _interval(scores: Sequence[float]) -> tuple[float, float]:
    """The interval of a mean of scores, 0 to 100; where all are equal, resampling gives width 0."""
    if min(scores) == max(scores):
        return _wilson(sum(scores) / 100, len(scores))
    low, high = bootstrap_mean_interval(scores, seed=BOOTSTRAP_SEED)
    return rounded(low), rounded(high)


def _n_correct(predictions: Sequence[Prediction]) -> int:
    return sum(prediction.correct for prediction in predictions)
