from __future__ import annotations

import msgspec
import pytest

from tests.making.predictions import prediction, run
from tunixrt.eval.compare.conditions import ConditionDifference, EvaluatedRun, NotComparableError
from tunixrt.eval.compare.metrics import TooFewDrawsError, UnknownMetricError
from tunixrt.eval.compare.pairs import ComparisonVerdict, compare
from tunixrt.eval.compare.statistics import (
    UnsupportedLevelError,
    mcnemar_mid_p,
    paired_difference_interval,
)
from tunixrt.eval.evaluation import summarise
from tunixrt.log.digests import digest_bytes
from tunixrt.runs.identity import Draws, Judge, Template


def runs(both: int, fixed: int, broken: int, neither: int) -> tuple[EvaluatedRun, EvaluatedRun]:
    outcomes = (
        [(True, True)] * both
        + [(False, True)] * fixed
        + [(True, False)] * broken
        + [(False, False)] * neither
    )
    before = [prediction(f"s{i:03d}", a, f"c{i % 3}") for i, (a, _) in enumerate(outcomes)]
    after = [prediction(f"s{i:03d}", b, f"c{i % 3}") for i, (_, b) in enumerate(outcomes)]
    return run("aaaa", before), run("bbbb", after)


def test_what_mid_p_and_interval_alone_would_claim_is_claimed_only_if_the_exact_test_agrees() -> (
    None
):
    """At 16 changed samples mid-p values are below 5% in 7.7% of comparisons of equal models."""
    comparison = compare(*runs(both=10, fixed=12, broken=4, neither=10))
    assert comparison.p_value < 0.05
    assert comparison.interval[0] > 0
    assert comparison.p_value_exact == 0.0768127
    assert comparison.verdict is ComparisonVerdict.NO_CLEAR_DIFFERENCE
    assert (
        compare(*runs(both=10, fixed=13, broken=3, neither=10)).verdict is ComparisonVerdict.BETTER
    )


def test_a_clear_gain_is_better_and_the_other_way_round_worse() -> None:
    a, b = runs(both=10, fixed=20, broken=2, neither=8)
    comparison = compare(a, b)
    assert comparison.verdict is ComparisonVerdict.BETTER
    assert (comparison.a, comparison.b, comparison.delta) == (30.0, 75.0, 45.0)
    low, high = paired_difference_interval(20, 2, 40)
    assert comparison.interval == pytest.approx((100 * low, 100 * high), abs=1e-6)
    assert comparison.p_value == pytest.approx(mcnemar_mid_p(20, 2), rel=1e-5)
    assert (comparison.interval_method, comparison.p_value_method) == (
        "Tango score",
        "McNemar mid-p",
    )
    assert comparison.fixed == tuple(f"s{i:03d}" for i in range(10, 30))
    assert comparison.broken == ("s030", "s031")
    assert (comparison.n_pairs, comparison.n_both_correct, comparison.n_both_wrong) == (40, 10, 8)
    back = compare(b, a)
    assert back.verdict is ComparisonVerdict.WORSE
    assert back.delta == -45.0
    assert back.fixed == comparison.broken


def test_the_averages_are_those_of_the_summaries() -> None:
    a, b = runs(both=3, fixed=4, broken=1, neither=3)
    comparison = compare(a, b)
    assert comparison.a == summarise(a.predictions).avg_score
    assert comparison.b == summarise(b.predictions).avg_score


@pytest.mark.parametrize(
    ("fixed", "broken", "verdict"),
    [
        (0, 0, ComparisonVerdict.NO_CLEAR_DIFFERENCE),
        (3, 1, ComparisonVerdict.NO_CLEAR_DIFFERENCE),
        (
            4,
            0,
            ComparisonVerdict.NO_CLEAR_DIFFERENCE,
        ),  # Tango's interval excludes 0, mid-p is 0.0625
        (6, 0, ComparisonVerdict.BETTER),
        (0, 6, ComparisonVerdict.WORSE),
        (12, 10, ComparisonVerdict.NO_CLEAR_DIFFERENCE),
    ],
)
def test_a_verdict_needs_the_interval_and_the_test(
    fixed: int, broken: int, verdict: ComparisonVerdict
) -> None:
    a, b = runs(both=20, fixed=fixed, broken=broken, neither=20)
    assert compare(a, b).verdict is verdict


def test_categories_are_compared_each_for_itself() -> None:
    a, b = runs(both=10, fixed=20, broken=2, neither=8)
    categories = compare(a, b).categories
    assert list(categories) == ["c0", "c1", "c2"]
    assert sum(c.n_pairs for c in categories.values()) == 40
    assert sum(c.n_fixed for c in categories.values()) == 20
    assert sum(c.n_broken for c in categories.values()) == 2
    assert all(c.delta == pytest.approx(c.b - c.a, abs=1e-6) for c in categories.values())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"evalset": digest_bytes(b"other")},
            f"the eval set differs ({digest_bytes(b'set')} against {digest_bytes(b'other')}).",
        ),
        (
            {"judge": Judge(name="exact", version="2")},
            "the judge differs (exact 1 against exact 2).",
        ),
        (
            {"template": Template(format="tunix_sft", version="1", system_instruction="Be kind.")},
            "the template differs (tunix_sft 1 against tunix_sft 1, 'Be kind.').",
        ),
        ({"max_new_tokens": 128}, "the limit of new tokens differs (64 against 128)."),
    ],
)
def test_evaluations_that_differ_in_more_than_the_model_are_refused(
    change: dict[str, object], sentence: str
) -> None:
    a, b = runs(both=1, fixed=1, broken=1, neither=1)
    other = msgspec.structs.replace(b, **change)
    with pytest.raises(NotComparableError) as caught:
        compare(a, other)
    assert str(caught.value) == f"The evaluations aaaa and bbbb cannot be compared: {sentence}"
    assert len(caught.value.differences) == 1
    allowed = compare(a, other, allow_differences=True)
    assert allowed.differences == caught.value.differences
    assert isinstance(allowed.differences[0], ConditionDifference)


def test_several_differences_are_all_named() -> None:
    a, b = runs(both=1, fixed=1, broken=1, neither=1)
    other = msgspec.structs.replace(b, max_new_tokens=1, judge=Judge(name="verbatim", version="1"))
    with pytest.raises(NotComparableError, match=r"the judge differs .*, and the limit"):
        compare(a, other)


def test_only_the_same_questions_are_paired() -> None:
    a = run("a", [prediction("x", True), prediction("y", False), prediction("z", False)])
    changed = msgspec.structs.replace(prediction("y", True), expected_response="3")
    b = run("b", [prediction("z", True), changed, prediction("w", True)])
    comparison = compare(
        a, msgspec.structs.replace(b, evalset=digest_bytes(b"o")), allow_differences=True
    )
    assert comparison.n_pairs == 1
    assert comparison.fixed == ("z",)
    assert (comparison.n_only_a, comparison.n_only_b) == (2, 2)


def test_evaluations_without_a_common_sample_are_refused() -> None:
    a, b = run("a", [prediction("x", True)]), run("b", [prediction("y", True)])
    with pytest.raises(NotComparableError, match="a and b cannot be compared: they have no sample"):
        compare(a, b)


def test_scores_between_0_and_100_are_compared_by_bootstrap_and_sign_flips() -> None:
    a, b = runs(both=2, fixed=6, broken=1, neither=3)
    half = msgspec.structs.replace(
        b, predictions=tuple(msgspec.structs.replace(p, score=p.score / 2) for p in b.predictions)
    )
    comparison = compare(a, half)
    assert comparison.interval_method == "paired bootstrap"
    assert comparison.p_value_method == "paired sign flips"
    low, high = comparison.interval
    assert low <= comparison.delta <= high
    assert comparison == compare(a, half)


def test_the_confidence_is_one_of_the_table() -> None:
    a, b = runs(both=5, fixed=5, broken=0, neither=5)
    wide, narrow = compare(a, b, confidence=0.99), compare(a, b, confidence=0.8)
    assert wide.interval[0] < narrow.interval[0] < narrow.interval[1] < wide.interval[1]
    with pytest.raises(UnsupportedLevelError):
        compare(a, b, confidence=0.5)


def drawn(label: str, *rights: str) -> EvaluatedRun:
    """A run with several responses per sample: ``x`` is right, ``-`` wrong, ``.`` no answer."""
    predictions = [
        msgspec.structs.replace(
            prediction(f"s{i:03d}", mark == "x"),
            draw=n,
            parsed_answer={"x": "2", "-": "3", ".": None}[mark],
            stop_reason="length" if mark == "." else "end_of_turn",
        )
        for i, marks in enumerate(rights)
        for n, mark in enumerate(marks)
    ]
    draws = Draws(temperature=0.8, top_p=0.95, n=len(rights[0]), seed=0)
    return msgspec.structs.replace(run(label, predictions), draws=draws)


@pytest.mark.parametrize(
    ("metric", "a", "b"),
    [
        ("avg_score", 25.0, 56.25),
        ("pass@1", 25.0, 56.25),
        ("pass@4", 50.0, 75.0),
        ("majority", 25.0, 75.0),
        ("answered", 87.5, 93.75),
        ("finished", 87.5, 93.75),
    ],
)
def test_runs_of_several_responses_are_compared_sample_by_sample(
    metric: str, a: float, b: float
) -> None:
    before = drawn("aaaa", "x---", "xxx-", "----", "--..")
    after = drawn("bbbb", "xx--", "xxxx", "----", "xxx.")
    comparison = compare(before, after, metric=metric)
    assert (comparison.a, comparison.b, comparison.n_pairs) == (a, b, 4)
    assert (comparison.n_only_a, comparison.n_only_b) == (0, 0)
    binary = metric in ("pass@4", "majority")
    assert comparison.interval_method == ("Tango score" if binary else "paired bootstrap")
    assert (comparison.p_value_exact is not None) == binary


def test_many_responses_to_few_samples_are_not_many_samples() -> None:
    comparison = compare(drawn("aaaa", "-" * 100, "-" * 100), drawn("bbbb", "x" * 100, "x" * 100))
    assert comparison.delta == 100.0
    assert comparison.verdict is ComparisonVerdict.NO_CLEAR_DIFFERENCE


def test_settings_of_generation_that_differ_are_refused_but_for_the_seed() -> None:
    one = drawn("aaaa", "x-", "xx")
    draws = one.draws
    assert draws is not None
    reseeded = msgspec.structs.replace(one, draws=msgspec.structs.replace(draws, seed=9))
    assert compare(one, reseeded).differences == ()
    warmer = msgspec.structs.replace(one, draws=msgspec.structs.replace(draws, temperature=1.0))
    with pytest.raises(NotComparableError) as caught:
        compare(one, warmer)
    assert caught.value.differences == (
        ConditionDifference(
            "generation",
            "temperature 0.8, top-p 0.95, 2 responses per sample",
            "temperature 1, top-p 0.95, 2 responses per sample",
        ),
    )
    greedy = run("cccc", [prediction("s000", True), prediction("s001", False)])
    with pytest.raises(NotComparableError, match=r"2 responses per sample against greedy"):
        compare(one, greedy)


def test_a_metric_that_is_none_or_needs_more_responses_gets_a_sentence() -> None:
    one = drawn("aaaa", "x-", "xx")
    with pytest.raises(UnknownMetricError, match=r"majority and pass@K"):
        compare(one, one, metric="pass@0")
    with pytest.raises(TooFewDrawsError) as caught:
        compare(one, one, metric="pass@3")
    assert (caught.value.k, caught.value.n_draws) == (3, 2)
    assert "--draws 3" in str(caught.value)
