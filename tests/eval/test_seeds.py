"""Two ways of training with several seeds each."""

from __future__ import annotations

import msgspec
import pytest
from scipy import stats  # type: ignore[import-untyped]

from tests.making.predictions import prediction, run
from tunixrt.eval.compare.conditions import EvaluatedRun, NotComparableError
from tunixrt.eval.compare.pairs import COMPARISON_METHOD, ComparisonVerdict, compare
from tunixrt.eval.compare.seeds import UnpairedRunsError, compare_seeds
from tunixrt.log.digests import digest_value, hex_of
from tunixrt.runs.identity import Template
from tunixrt.traces.prng import Sha256Stream

N = 40


def way(name: str, n_right: list[int], n: int = N) -> list[EvaluatedRun]:
    """One run per seed; each is right on its first few samples."""
    return [
        run(f"{name}{seed}", [prediction(f"s{i:03d}", i < right, f"c{i % 2}") for i in range(n)])
        for seed, right in enumerate(n_right)
    ]


def test_scores_are_means_over_seeds_and_samples() -> None:
    found = compare_seeds(way("a", [4, 8, 12]), way("b", [20, 24, 40]))
    assert (found.a, found.b, found.delta) == (20.0, 70.0, 50.0)
    assert found.n_samples == N
    assert found.verdict is ComparisonVerdict.BETTER
    assert found.interval[0] > 0
    assert [pair.delta for pair in found.pairs] == [40.0, 40.0, 70.0]
    assert found.categories.keys() == {"c0", "c1"}
    assert found.categories["c0"].n_samples == N // 2
    assert sum(c.delta for c in found.categories.values()) / 2 == pytest.approx(50.0)


def test_comparisons_have_the_figures_of_their_method() -> None:
    """Another figure from the same predictions needs another version: identities name it."""
    a, b = way("a", [4, 8, 12]), way("b", [20, 24, 40])
    found = (compare_seeds(a, b), compare(a[0], b[0]), compare(a[1], a[0], category="c1"))
    digest = digest_value([msgspec.to_builtins(one) for one in found])
    assert (COMPARISON_METHOD, hex_of(digest)[:16]) == ("pairs-1", "4d2f8fe069a2423e")


def test_the_interval_covers_the_seeds_as_well_as_the_questions() -> None:
    """Seeds that disagree make it wider than one pair's, whose samples alone are drawn again."""
    a = way("a", [0, 0, 0])
    alike, apart = way("b", [20, 20, 20]), way("b", [5, 20, 35])
    narrow, wide = compare_seeds(a, alike), compare_seeds(a, apart)
    assert narrow.delta == wide.delta == 50.0
    width = [high - low for low, high in (narrow.interval, wide.interval)]
    assert width[1] > 1.5 * width[0]


def test_with_one_seed_the_interval_is_the_bootstrap_over_samples() -> None:
    a, b = way("a", [10]), way("b", [20])
    found = compare_seeds(a, b)
    differences = [100.0 * (10 <= i < 20) for i in range(N)]
    scipys = stats.bootstrap(
        (differences,), lambda x, axis: x.mean(axis=axis), method="percentile", rng=0
    ).confidence_interval
    assert found.interval == pytest.approx((scipys.low, scipys.high), abs=2.6)
    assert compare(a[0], b[0]).delta == found.delta


def test_ways_that_do_not_differ_are_seldom_called_different() -> None:
    """60 null experiments: both ways are right with the same chance on every sample."""
    stream = Sha256Stream("null experiment of ways")

    def drawn(name: str) -> list[EvaluatedRun]:
        return [
            run(f"{name}{seed}", [prediction(f"s{i}", stream.below(2) == 1) for i in range(20)])
            for seed in range(3)
        ]

    alarms = sum(
        compare_seeds(drawn("a"), drawn("b")).verdict is not ComparisonVerdict.NO_CLEAR_DIFFERENCE
        for _ in range(60)
    )
    assert alarms <= 6


def test_the_order_of_the_pairs_decides_nothing_but_their_order() -> None:
    a, b = way("a", [4, 8, 12]), way("b", [20, 24, 40])
    one, other = compare_seeds(a, b), compare_seeds(a[::-1], b[::-1])
    assert (one.a, one.b, one.delta, one.p_value) == (other.a, other.b, other.delta, other.p_value)
    assert one.pairs == other.pairs[::-1]


def test_several_answers_to_a_sample_count_as_their_mean() -> None:
    twice = [
        msgspec.structs.replace(
            r, predictions=(prediction("s", True), prediction("s", False), prediction("t", True))
        )
        for r in way("b", [0])
    ]
    once = [msgspec.structs.replace(r, predictions=twice[0].predictions[1:]) for r in twice]
    assert compare_seeds(once, [msgspec.structs.replace(twice[0], label="c")]).delta == 25.0


def test_only_a_category_or_another_metric_can_be_compared() -> None:
    a, b = way("a", [4, 8]), way("b", [20, 24])
    assert compare_seeds(a, b, category="c1").n_samples == N // 2
    assert compare_seeds(a, b, metric="finished").delta == 0.0


def test_unequal_numbers_and_a_run_that_stands_twice_are_refused() -> None:
    a, b = way("a", [4, 8]), way("b", [20, 24])
    with pytest.raises(UnpairedRunsError, match="2 runs on one side and 1 on the other"):
        compare_seeds(a, b[:1])
    with pytest.raises(UnpairedRunsError, match="b0 is given twice on one side"):
        compare_seeds(a, [b[0], b[0]])


def test_runs_without_a_common_sample_are_refused() -> None:
    a, b = way("a", [4, 8]), way("b", [20, 24])
    elsewhere = run("b1", [prediction(f"t{i}", True) for i in range(3)])
    with pytest.raises(NotComparableError, match="no sample in common"):
        compare_seeds(a, [b[0], elsewhere])
    apart = [way("a", [4])[0], run("a1", [prediction("t0", True)])]
    with pytest.raises(NotComparableError, match="the runs share no sample"):
        compare_seeds(apart, [b[0], elsewhere])


def test_formats_that_ask_the_same_question_are_compared_and_others_are_not() -> None:
    a, b = way("a", [4]), way("b", [20])
    answers, request = (
        [msgspec.structs.replace(r, template=Template(format=name, version="1")) for r in b]
        for name in ("answer_only", "training_example")
    )
    assert compare_seeds(a, answers).pairs[0].differences == ()
    with pytest.raises(NotComparableError, match="the template differs"):
        compare_seeds(a, request)
