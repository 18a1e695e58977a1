"""Tasks of reasoning-gym, frozen as traces and eval sets, and judged by their own verifiers."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

import pytest

from tests.making.runs import made_evaluation
from tunixrt import Store
from tunixrt.eval.sample_judges import sample_judge
from tunixrt.traces.conversation import Conversation

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("reasoning_gym")

from tunixrt.eval.gym import NoTaskError, UnknownTaskError, generate_items


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.init(tmp_path / "store")


def test_items_become_traces_of_question_and_answer_with_their_metadata(store: Store) -> None:
    report = store.traces.generate_reasoning_gym("gcd", n=4, seed=1)
    assert (report.recorded, report.dropped) == (4, {})
    again = store.traces.generate_reasoning_gym("gcd", n=4, seed=1)
    assert (again.recorded, again.duplicates) == (0, 4)
    items = {item.question: item for item in generate_items("gcd", n=4, seed=1)}
    for found in store.traces:
        assert isinstance(found.content, Conversation)
        question, answer = found.content.messages
        item = items[question.content]
        assert answer.content == found.content.final_answer == item.answer
        assert found.content.meta == {"source": "reasoning-gym"} | item.metadata


def test_items_without_an_answer_are_samples_and_no_traces(store: Store) -> None:
    report = store.traces.generate_reasoning_gym("graph_color", n=3, seed=1)
    assert report.recorded == 0
    assert report.dropped == {"item without an answer of its own": 3}
    done = store.evalsets.generate_reasoning_gym("colours", "graph_color", n=3, seed=1)
    assert (done.n_samples, done.n_without_answer) == (3, 3)


@pytest.mark.parametrize("task", ["countdown", "mini_sudoku", "word_sorting", "sokoban"])
def test_the_verifier_of_the_task_accepts_its_answer_and_no_other(store: Store, task: str) -> None:
    store.evalsets.generate_reasoning_gym("tasks", task, n=3, seed=2)
    evalset = store.evalsets["tasks"]
    judge = sample_judge("reasoning-gym")
    judge.check(evalset)
    for sample in evalset:
        right = judge.judge(sample, f"Answer:\n{sample.expected_answer}", cut=False)
        assert (right.correct, right.score) == (True, 100.0), right.reason
        wrong = judge.judge(sample, "Answer: 12345, or so", cut=False)
        assert not wrong.correct
        assert not judge.judge(sample, f"Answer: {sample.expected_answer}", cut=True).correct
        assert not judge.judge(sample, "", cut=False).correct


def test_another_right_answer_than_the_expected_one_is_right(store: Store) -> None:
    (item,) = generate_items("countdown", n=1, seed=2)
    store.evalsets.write("tasks", [item.sample()])
    (sample,) = store.evalsets["tasks"]
    judged = sample_judge("reasoning-gym").judge(sample, f"Answer: ({item.answer})", cut=False)
    assert judged.correct
    assert judged.reason.startswith("The verifier of countdown gives ")


def test_the_version_of_the_library_is_in_the_identity_and_verify_judges_again(
    store: Store,
) -> None:
    store.evalsets.generate_reasoning_gym("tasks", "gcd", n=4, seed=1)
    made = made_evaluation(store, None, n_right=3, evalset="tasks", judge="reasoning-gym")
    version = f"1+reasoning-gym-{metadata.version('reasoning-gym')}"
    assert (made.identity.judge.name, made.identity.judge.version) == ("reasoning-gym", version)
    assert made.results.n_correct == 3
    verified = store.verify(rebuild=True)
    assert verified.ok
    assert all(v.verdict == "identical" for v in verified.rebuilt)


def test_a_sample_of_no_task_is_named(store: Store) -> None:
    store.evalsets.write("sums", [{"id": "a", "prompt": "1+1?", "expected_answer": "2"}])
    with pytest.raises(NoTaskError, match='The sample "a" of the eval set sums is not an item of'):
        sample_judge("reasoning-gym").check(store.evalsets["sums"])


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ("countdwn", 'has no task "countdwn". Did you mean "countdown"?'),
        ("composite", "The task composite cannot be generated: "),
        ("rearc", "The task rearc cannot be frozen: its verifier does not accept the answer of"),
    ],
)
def test_a_task_that_cannot_be_used_gets_a_sentence_and_nothing_is_recorded(
    store: Store, task: str, sentence: str
) -> None:
    with pytest.raises(UnknownTaskError) as error:
        store.traces.generate_reasoning_gym(task, n=2, seed=0)
    assert sentence in str(error.value)
    assert list(store.traces) == []
