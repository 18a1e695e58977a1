"""Metrics by which two evaluations are compared: each gives every sample a score, 0 to 100."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.eval.compare.draws import by_sample, majority, pass_at
from tunixrt.eval.compare.statistics import mean
from tunixrt.eval.evaluation import CUT_OFF
from tunixrt.words import quoted, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tunixrt.runs.lines import Prediction

    Metric = Callable[[Sequence[Prediction]], float]

METRIC: Final = "avg_score"
_PASS_AT: Final = re.compile(r"pass@([1-9]\d{0,5})")


class UnknownMetricError(BadInputError):
    """A metric that does not exist.

    Attributes:
        name: what was asked for.
    """

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The metric {quoted(name)} does not exist; the metrics are {', '.join(METRICS)} "
            "and pass@K: "
            "the average score, the share of responses with an answer, the share that were not cut "
            "off, the share of samples whose most frequent answer is right, and the probability "
            f"that one of K responses is.{suggestion(name, METRICS)}"
        )
        self.name = name


class TooFewDrawsError(BadInputError):
    """pass@k of an evaluation with fewer than k responses per sample.

    Attributes:
        k: what was asked for.
        n_draws: how many responses each sample has.
    """

    def __init__(self, k: int, n_draws: int) -> None:
        super().__init__(
            f"pass@{k} needs at least {k} responses to each sample, and there "
            f"{'is' if n_draws == 1 else 'are'} {n_draws:,}: `tunixrt eval RUN --evalset NAME "
            f"--temperature T --draws {k}` draws more."
        )
        self.k = k
        self.n_draws = n_draws


def measured(predictions: Sequence[Prediction], metric: str) -> tuple[Prediction, ...]:
    """One prediction per sample, with the metric as its score.

    It is right if its score is 50 or more. Its other fields are those of the sample's first
    response.

    Raises:
        UnknownMetricError: the metric does not exist.
        TooFewDrawsError: pass@k, and a sample has fewer responses.
    """
    samples = by_sample(predictions)
    score_of = _metric(metric, min(map(len, samples)))
    if metric == METRIC and len(samples) == len(predictions):
        return tuple(predictions)
    scored = ((responses[0], score_of(responses)) for responses in samples)
    return tuple(
        msgspec.structs.replace(first, score=score, correct=score >= 50) for first, score in scored
    )


def _metric(name: str, n_draws: int) -> Metric:
    if match := _PASS_AT.fullmatch(name):
        k = int(match[1])
        if k > n_draws:
            raise TooFewDrawsError(k, n_draws)
        return lambda responses: pass_at(responses, k)
    if name not in METRICS:
        raise UnknownMetricError(name)
    return METRICS[name]


def _average(responses: Sequence[Prediction]) -> float:
    return mean([response.score for response in responses])


def _share(counts: Callable[[Prediction], bool]) -> Metric:
    return lambda responses: 100 * sum(map(counts, responses)) / len(responses)


def _majority(responses: Sequence[Prediction]) -> float:
    winner = majority(responses)
    return 100.0 if winner is not None and winner.correct else 0.0


METRICS: Final[dict[str, Metric]] = {
    METRIC: _average,
    "answered": _share(lambda response: response.parsed_answer is not None),
    "finished": _share(lambda response: response.stop_reason not in CUT_OFF),
    "majority": _majority,
}
