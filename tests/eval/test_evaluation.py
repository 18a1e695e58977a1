from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from tunixrt.eval.compare.statistics import wilson_interval
from tunixrt.eval.evalsets import EvalSample, EvalSet
from tunixrt.eval.evaluation import SUMMARY_VERSION, Generated, evaluate, is_binary, summarise
from tunixrt.eval.sample_judges import sample_judge
from tunixrt.log.digests import digest_bytes, digest_value
from tunixrt.runs.lines import Prediction

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLES = (
    EvalSample("a", "1 + 1?", "2", "sums", "easy"),
    EvalSample("b", "2 + 2?", "4", "sums", "hard"),
    EvalSample("c", "Capital of France?", "Paris", "words", "easy"),
    EvalSample("d", "3 + 3?", "6", "sums", "easy"),
)
EVALSET = EvalSet("tiny", digest_bytes(b"tiny"), SAMPLES)


def answers(*texts: str, stop_reason: str = "end_of_turn") -> Sequence[Generated]:
    return [Generated(text, len(text), stop_reason) for text in texts]


def test_every_sample_is_answered_and_judged_in_order() -> None:
    seen: list[str] = []

    def generate(prompts: Sequence[str]) -> Sequence[Generated]:
        seen.extend(prompts)
        return answers("Reasoning:\n1. 1 + 1 = 2\nAnswer: 2", "5", "Answer: paris", "")

    predictions = evaluate(EVALSET, generate)
    assert seen == [sample.prompt for sample in SAMPLES]
    assert [p.example_id for p in predictions] == ["a", "b", "c", "d"]
    assert [p.correct for p in predictions] == [True, False, True, False]
    first = predictions[0]
    assert first == Prediction(
        example_id="a",
        prompt="1 + 1?",
        generated_response="Reasoning:\n1. 1 + 1 = 2\nAnswer: 2",
        parsed_steps=("1 + 1 = 2",),
        parsed_answer="2",
        expected_response="2",
        correct=True,
        reason='The answer "2" is the expected answer, character by character.',
        score=100.0,
        n_tokens=33,
        stop_reason="end_of_turn",
        category="sums",
        difficulty="easy",
    )
    assert predictions[3].reason == "The response is empty."


def test_another_judge_can_be_given() -> None:
    texts = answers("2", "4", "paris", "6")
    strict = evaluate(EVALSET, lambda _: texts, judge=sample_judge("verbatim"))
    assert [p.correct for p in strict] == [True, True, False, True]


@pytest.mark.parametrize("stop_reason", ["length", "context"])
def test_an_answer_at_the_end_of_a_generation_that_was_cut_off_is_wrong(stop_reason: str) -> None:
    texts = ("Answer: 2", "Answer: 4\n", "Answer: Paris and", "6")
    cut = answers(*texts, stop_reason=stop_reason)
    assert [p.correct for p in evaluate(EVALSET, lambda _: cut)] == [False] * 4


def test_a_generator_that_loses_a_prompt_is_a_bug_and_not_a_score() -> None:
    with pytest.raises(ValueError, match="zip"):
        evaluate(EVALSET, lambda _: answers("2"))


def test_the_summary_counts_and_averages_over_all_and_per_category() -> None:
    texts = [*answers("2", "5", "Paris"), *answers("7", stop_reason="length")]
    summary = summarise(evaluate(EVALSET, lambda _: texts))
    low, high = wilson_interval(2, 4)
    assert (summary.results_count, summary.n_correct, summary.avg_score) == (4, 2, 50.0)
    assert summary.interval == pytest.approx((100 * low, 100 * high), abs=1e-6)
    assert list(summary.categories) == ["sums", "words"]
    assert summary.categories["sums"].avg_score == 33.333333
    assert summary.categories["words"].n == 1
    assert summary.stop_reasons == {"end_of_turn": 3, "length": 1}


def test_no_figure_changes_without_another_version_of_the_summary() -> None:
    """Where this fails, SUMMARY_VERSION has to change together with the digest."""
    greedy = [*answers("2", "5", "Paris"), *answers("7", stop_reason="length")]
    drawn = [*answers("2", "5", "4", "5"), *answers("Paris", "Rome", "6", "6")]
    once = evaluate(EVALSET, lambda _: greedy)
    several = evaluate(EVALSET, lambda _: drawn, n_draws=2)
    partial = [msgspec.structs.replace(p, score=p.score / 2 + i) for i, p in enumerate(once)]
    figures = [msgspec.to_builtins(summarise(one)) for one in (once, several, partial)]
    assert SUMMARY_VERSION == 1
    assert (
        digest_value(figures)
        == "sha256:d22bcb3795810ffd13b82615089ff56a7b79fb27e20c33897050ed131b4cb29c"
    )


def test_scores_that_are_not_all_or_nothing_get_a_bootstrap_interval() -> None:
    predictions = evaluate(EVALSET, lambda _: answers("2", "5", "Paris", "7"))
    partial = [
        msgspec.structs.replace(p, score=p.score / 2 + 10 * i) for i, p in enumerate(predictions)
    ]
    assert is_binary(predictions)
    assert not is_binary(partial)
    summary = summarise(partial)
    assert summary.avg_score == 40.0
    low, high = summary.interval
    assert 10 <= low < 40 < high <= 70
    assert summary == summarise(partial)


def test_several_responses_to_a_sample_are_numbered_and_summarised_by_sample() -> None:
    asked: list[str] = []

    def generate(prompts: Sequence[str]) -> Sequence[Generated]:
        asked.extend(prompts)
        return answers("2", "3", "2", "4", "5", "9", "Rome", "Bonn", "", "6", "6", "6")

    predictions = evaluate(EVALSET, generate, n_draws=3)
    assert asked == [sample.prompt for sample in SAMPLES for _ in range(3)]
    assert [p.draw for p in predictions] == [0, 1, 2] * 4
    summary = summarise(predictions)
    assert (summary.results_count, summary.n_correct, summary.avg_score) == (12, 6, 50.0)
    assert summary.categories["sums"].n == 9
    draws = summary.draws
    assert draws is not None
    assert (draws.n_samples, draws.n_draws) == (4, 3)
    # One of three tries: 2/3, 1/3, 0, 1; one of two: 1, 2/3, 0, 1; all three: 1, 1, 0, 1.
    assert {k: e.score for k, e in draws.pass_at.items()} == {"1": 50.0, "2": 66.666667, "3": 75.0}
    assert draws.pass_at["1"].score == summary.avg_score
    assert draws.pass_at["1"].interval == summary.interval
    # The votes: 2 wins, of 4, 5 and 9 the first, of Rome and Bonn the first, 6 wins.
    assert draws.majority.score == 75.0
    low, high = wilson_interval(3, 4)
    assert draws.majority.interval == pytest.approx((100 * low, 100 * high), abs=1e-6)


def test_responses_to_one_sample_are_no_independent_questions() -> None:
    """Eight times the same answer to each question tells no more than once."""
    once = summarise(evaluate(EVALSET, lambda _: answers("2", "5", "Paris", "7")))
    texts = [text for text in ("2", "5", "Paris", "7") for _ in range(8)]
    drawn = summarise(evaluate(EVALSET, lambda _: answers(*texts), n_draws=8))
    (low, high), (wilson_low, wilson_high) = drawn.interval, once.interval
    assert high - low > 0.9 * (wilson_high - wilson_low)


def test_where_every_score_is_the_same_there_still_is_doubt() -> None:
    wrong = summarise(evaluate(EVALSET, lambda _: answers(*["?"] * 8), n_draws=2))
    low, high = wilson_interval(0, 4)
    assert wrong.interval == pytest.approx((100 * low, 100 * high), abs=1e-6)
    assert wrong.draws is not None
    assert wrong.draws.pass_at["2"].interval == wrong.interval
