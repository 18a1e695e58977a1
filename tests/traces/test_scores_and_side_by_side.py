"""The baseline score, and two traces side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.making.conversations import conversations, turns
from tests.making.traces import trace
from tunixrt.traces.schema import payload_of, trace_id
from tunixrt.traces.scores import baseline_score
from tunixrt.traces.side_by_side import Change, compare_traces
from tunixrt.traces.turns import parts_of
from tunixrt.traces.views import flat_view

if TYPE_CHECKING:
    from tunixrt.traces.conversation import Conversation


def steps(*contents: str) -> list[dict[str, Any]]:
    return [{"i": i, "type": "t", "content": content} for i, content in enumerate(contents)]


@pytest.mark.parametrize(
    ("contents", "score"),
    [
        (["x"], 5.1),
        (["x" * 500] * 10, 100.0),
        (["x" * 900] * 12, 100.0),
        (["x" * 250] * 5, 50.0),
        (["x" * 10, "x" * 11, "x" * 13], 16.13),
    ],
)
def test_the_score_is_that_of_the_formula(contents: list[str], score: float) -> None:
    assert baseline_score(trace(steps=steps(*contents))).score == score


def test_without_steps_the_score_is_nothing() -> None:
    score = baseline_score(flat_view(turns("1+1?", "2")))
    assert (score.score, score.details.step_count, score.details.avg_step_length) == (0.0, 0, 0.0)


def test_the_details_say_how_the_score_came_about() -> None:
    score = baseline_score(trace(steps=steps("x" * 10, "x" * 11, "x" * 13)))
    assert score.scorer == "baseline"
    assert score.details.step_count == 3
    assert score.details.avg_step_length == 11.33
    assert score.details.total_chars == 34
    assert (score.details.step_score, score.details.length_score) == (15.0, 1.13)


def test_steps_are_aligned_by_their_contents() -> None:
    a = trace(steps=steps("one", "two", "three", "four"))
    b = trace(steps=steps("zero", "one", "2", "four", "five"), final_answer="43")
    found = compare_traces(a, b)
    assert [(s.change, s.a_number, s.b_number) for s in found.steps] == [
        (Change.ONLY_B, None, 1),
        (Change.SAME, 1, 2),
        (Change.CHANGED, 2, 3),
        (Change.ONLY_A, 3, None),
        (Change.SAME, 4, 4),
        (Change.ONLY_B, None, 5),
    ]
    assert (found.same_prompt, found.same_final_answer) == (True, False)
    assert found.score_delta == round(found.b.score.score - found.a.score.score, 2)
    assert (found.steps[2].a_content, found.steps[2].b_content) == ("two", "2")


def test_conversations_are_aligned_by_their_texts_with_their_authors() -> None:
    a = turns("Q", "A", "More?", "B")
    found = compare_traces(a, turns("Q", "A", "More?", "C", "Thanks."))
    assert found.steps == ()
    assert [(t.change, t.a_number, t.b_number, t.b_content) for t in found.turns] == [
        (Change.SAME, 1, 1, "user: Q"),
        (Change.SAME, 2, 2, "assistant: A"),
        (Change.SAME, 3, 3, "user: More?"),
        (Change.CHANGED, 4, 4, "assistant: C"),
        (Change.ONLY_B, None, 5, "user: Thanks."),
    ]
    assert (found.same_prompt, found.same_final_answer) == (True, False)
    assert found.a.id == trace_id(payload_of(a))


@given(conversations(), conversations())
def test_a_comparison_shows_every_text_of_both_conversations_once(
    a: Conversation, b: Conversation
) -> None:
    rows = compare_traces(a, b).turns
    for whole, shown in (
        (a, [(r.a_number, r.a_content) for r in rows if r.a_number]),
        (b, [(r.b_number, r.b_content) for r in rows if r.b_number]),
    ):
        assert shown == [(part.number, f"{part.label}: {part.text}") for part in parts_of(whole)]
        assert {number for number, _ in shown} == set(range(1, len(whole.messages) + 1))


_contents = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=6)


@given(_contents, _contents)
def test_a_comparison_shows_every_step_of_both_traces_once(a: list[str], b: list[str]) -> None:
    rows = compare_traces(trace(steps=steps(*a)), trace(steps=steps(*b))).steps
    assert [r.a_content for r in rows if r.a_number] == a
    assert [r.b_content for r in rows if r.b_number] == b
    assert [r.a_number for r in rows if r.a_number] == list(range(1, len(a) + 1))
    for row in rows:
        assert (row.change is Change.SAME) == (row.a_content == row.b_content)
