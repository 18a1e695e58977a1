"""A function that users write judges responses; what judged is in the identity."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.making.runs import made_evaluation, made_store
from tests.making.trainings import evaluations_of
from tunixrt.derive import Answer
from tunixrt.errors import BadInputError
from tunixrt.eval.evalsets import EvalSample, EvalSet
from tunixrt.eval.evaluation import Generated, evaluate, summarise
from tunixrt.eval.sample_judges import JudgeFailedError, NoExpectedAnswerError, sample_judge
from tunixrt.functions import FunctionError
from tunixrt.log.digests import digest_bytes, digest_file
from tunixrt.runs.identity import Judge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tunixrt import Store
    from tunixrt.derive import Verdict
    from tunixrt.runs.lines import Prediction

SAMPLES = (
    EvalSample("a", "Sort 3 1 2.", None, metadata={"numbers": [3, 1, 2]}),
    EvalSample("b", "1 + 1?", "2", "sums", "easy"),
)
EVALSET = EvalSet("tiny", digest_bytes(b"tiny"), SAMPLES)
JUDGE = """\
def sorts(expected, response, sample):
    numbers = sample["metadata"].get("numbers")
    if numbers is None:
        return response == expected
    sample["metadata"].clear()
    n_right = sum(a == b for a, b in zip(response.split(), map(str, sorted(numbers))))
    return {"correct": n_right == 3, "reason": f"{n_right} in order.", "score": 100 * n_right / 4}


sorts.version = "1.2"


def returns(expected, response, sample):
    return eval(response)
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "my_judges.py").write_text(JUDGE)
    return tmp_path


def judged(own: Path, *texts: str, name: str = "my_judges:sorts") -> tuple[Prediction, ...]:
    responses = [Generated(text, 1, "end_of_turn") for text in texts]
    return evaluate(EVALSET, lambda _: responses, judge=sample_judge(name, own))


def test_a_function_judges_with_the_sample_and_its_metadata(own: Path) -> None:
    first, second = judged(own, "1 3 3", "2")
    assert (first.correct, first.reason, first.score) == (False, "2 in order.", 50.0)
    assert (second.correct, second.score) == (True, 100.0)
    assert second.reason == "my_judges:sorts judged the response right."
    assert (first.expected_response, second.expected_response) == (None, "2")
    assert summarise([first, second]).avg_score == 75.0
    # What the function does to its sample changes no later judgement.
    assert judged(own, "1 3 3", "2") == (first, second)


def test_the_identity_has_the_version_and_the_digest_of_the_file(own: Path) -> None:
    source = digest_file(own / "my_judges.py")
    sorts = sample_judge("my_judges:sorts", own).identity
    assert sorts == Judge("my_judges:sorts", "1.2", source)
    assert f"{sorts}" == f"my_judges:sorts 1.2 (source {source[7:19]})"
    assert sample_judge("my_judges:returns", own).identity.version is None
    assert sample_judge("exact").identity == Judge("exact", "2")


@pytest.mark.parametrize(
    ("returned", "problem"),
    [
        ("1 / 0", "raised ZeroDivisionError: division by zero"),
        ("exit(3)", "raised SystemExit: 3"),
        ("None", "should return a bool, or a dictionary of `correct`"),
        ("1", "but returned 1"),
        ("{'score': 50}", "but returned {'score': 50}"),
        ("{'correct': True, 'points': 1}", "but returned"),
        ("{'correct': 1}", "but returned"),
        ("{'correct': True, 'score': 101}", "but returned"),
        ("{'correct': True, 'score': float('nan')}", "but returned"),
        ("{'correct': True, 'score': True}", "but returned"),
        ("{'correct': True, 'reason': None}", "but returned"),
        (r"{'correct': True, 'reason': '\ud800'}", "but returned"),
    ],
)
def test_a_failure_of_the_function_names_the_sample(own: Path, returned: str, problem: str) -> None:
    with pytest.raises(JudgeFailedError) as error:
        judged(own, "True", returned, name="my_judges:returns")
    assert str(error.value).startswith("The judge my_judges:returns ")
    assert problem in str(error.value)
    assert 'The sample is "b". No evaluation was published' in str(error.value)
    assert (error.value.sample, error.value.judge) == ("b", "my_judges:returns")


def test_without_source_there_is_no_judge() -> None:
    with pytest.raises(FunctionError, match="in a module without Python source"):
        sample_judge("math:isclose")


def test_a_judge_that_compares_refuses_samples_without_an_answer_by_name() -> None:
    with pytest.raises(NoExpectedAnswerError) as error:
        evaluate(EVALSET, lambda _: [], judge=sample_judge("exact"))
    assert str(error.value) == (
        'The eval set tiny has no expected answer for the sample "a", and the judge exact compares '
        "with one. Give a judge that is a program: --judge module:function."
    )
    assert error.value.samples == ("a",)


def test_an_unknown_judge_is_told_of_functions() -> None:
    with pytest.raises(BadInputError, match="and your own functions, as module:function"):
        sample_judge("llm")


STRICT = """\
def strict(expected, response, sample):
    return response.endswith(expected)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with one evaluation by a function and one by `exact`."""
    store = made_store(tmp_path / "store", n=1, n_samples=4)
    (store.root / "my_judges.py").write_text(STRICT)
    for judge in ("my_judges:strict", "exact"):
        made_evaluation(store, None, n_right=3, judge=judge)
    return store


def rebuilt(store: Store) -> dict[str, Verdict]:
    """The verdicts on evaluations, by judge."""
    done = store.verify(rebuild=True)
    assert done.ok
    judges = {one.run_id: one.identity.judge.name for one in evaluations_of(store)}
    return {judges[v.id]: v for v in done.rebuilt if v.id in judges}


def test_an_evaluation_by_a_function_is_judged_again_by_verify(store: Store) -> None:
    assert {v.verdict for v in rebuilt(store).values()} == {Answer.IDENTICAL}
    one, other = evaluations_of(store)
    assert one.results.n_correct == other.results.n_correct == 3


def test_other_source_is_another_judgement_of_the_same_responses(store: Store) -> None:
    before = {one.run_id for one in evaluations_of(store)}
    (store.root / "my_judges.py").write_text(STRICT + "# as before\n")
    again = made_evaluation(store, None, n_right=3, judge="my_judges:strict")
    assert again.run_id not in before
    assert len({one.responses.run_id for one in evaluations_of(store)}) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda path: path.write_text(STRICT + "# changed\n"),
            "the judge my_judges:strict has other source here: expected sha256:",
        ),
        (
            lambda path: path.unlink(),
            "the judge my_judges:strict is not here. The judge my_judges:strict does not exist",
        ),
    ],
)
def test_a_judge_that_is_gone_ends_its_own_rebuilding_only(
    store: Store, change: Callable[[Path], object], reason: str
) -> None:
    change(store.root / "my_judges.py")
    verdicts = rebuilt(store)
    assert verdicts["exact"].verdict is Answer.IDENTICAL
    assert verdicts["my_judges:strict"].verdict is Answer.NOT_REPRODUCIBLE
    (found,) = verdicts["my_judges:strict"].reasons
    assert found.startswith(reason)
    assert not found.endswith(".")


def test_a_judge_that_fails_on_this_machine_says_nothing_against_the_record(store: Store) -> None:
    (store.root / "my_judges.py").write_text(
        "def strict(expected, response, sample):\n    from beside_it import ends\n"
        "    return ends(expected, response)\n"
    )
    beside = store.root / "beside_it.py"
    beside.write_text("def ends(expected, response):\n    return response.endswith(expected)\n")
    made_evaluation(store, None, n_right=3, judge="my_judges:strict")
    beside.unlink()
    sys.modules.pop("beside_it")
    verdict = rebuilt(store)["my_judges:strict"]
    assert verdict.verdict is Answer.NOT_REPRODUCIBLE
    assert "raised ModuleNotFoundError: No module named 'beside_it'" in verdict.reasons[0]
