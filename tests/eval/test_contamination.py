from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.making.conversations import conversation
from tests.making.traces import trace
from tunixrt.eval.contamination import NGRAM, ContaminationCheck, compared_texts
from tunixrt.eval.evalsets import EvalSample
from tunixrt.log.digests import digest_bytes
from tunixrt.runs.lines import Overlap, OverlapKind
from tunixrt.traces.normal_text import grams_of, tokens_of

T = [digest_bytes(str(i).encode()) for i in range(4)]
LONG = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in "
    "May. How many clips did Natalia sell altogether in April and May?"
)


def check(samples: list[str], training: list[str]) -> list[Overlap]:
    found = ContaminationCheck([EvalSample(f"q{i}", text, "1") for i, text in enumerate(samples)])
    for trace_id, prompt in zip(T, training, strict=False):
        found.add(trace_id, prompt)
    assert found.n_prompts == len(training)
    return list(found.overlaps())


def test_the_same_characters_are_exact() -> None:
    assert check(["2 + 2?", LONG], ["1 + 1?", LONG, LONG]) == [
        Overlap("q1", OverlapKind.EXACT, T[1], 1.0)
    ]


@pytest.mark.parametrize(
    ("sample", "prompt"),
    [
        ("What is 1,000 + 5?", "what  is\n1000 + 5"),
        ("It's HALF.", "it’s half"),
        ("Straße", "STRASSE"),
    ],
)
def test_case_spaces_and_punctuation_hide_nothing(sample: str, prompt: str) -> None:
    assert check([sample], [prompt]) == [Overlap("q0", OverlapKind.NORMALISED, T[0], 1.0)]


@pytest.mark.parametrize(
    "prompt",
    ["What is 2 - 3?", "What is 2 + 30?", "What is 2.3?", "What is 3 + 2?", "What is (2) + 3?"],
)
def test_another_sign_number_or_order_is_another_question(prompt: str) -> None:
    assert check(["What is 2 + 3?"], [prompt]) == []


def test_seven_tenths_of_the_grams_are_an_overlap_and_less_are_not() -> None:
    words = [f"w{chr(97 + i)}" for i in range(NGRAM + 9)]  # 10 grams
    sample = " ".join(words)
    enough = " ".join(words[: NGRAM + 6]) + " and something else"
    less = " ".join(words[: NGRAM + 5]) + " and something else"
    assert check([sample], [enough]) == [Overlap("q0", OverlapKind.OVERLAP, T[0], 0.7)]
    assert check([sample], [less]) == []


def test_shared_grams_may_come_from_several_prompts_and_the_richest_is_named() -> None:
    words = [f"w{chr(97 + i)}" for i in range(NGRAM + 9)]
    parts = [" ".join(words[:10]), " ".join(words[3:])]
    (found,) = check([" ".join(words)], parts)
    assert found == Overlap("q0", OverlapKind.OVERLAP, T[1], 1.0)


def test_a_question_inside_of_a_longer_prompt_is_found() -> None:
    (found,) = check([LONG], [f"Solve this for me, please. {LONG} Thank you."])
    assert found.kind is OverlapKind.OVERLAP
    assert found.share == 1.0


def test_short_questions_of_one_frame_are_not_taken_for_one_another() -> None:
    assert check(["What is 12 + 30?"], ["What is 12 + 31?", "So what is 12 + 30?"]) == []


def test_text_without_any_token_is_compared_too() -> None:
    (found,) = check(["?!"], ["..."])
    assert found.kind is OverlapKind.NORMALISED


@given(st.text(), st.text())
def test_a_prompt_always_contains_itself_and_grams_follow_from_tokens(a: str, b: str) -> None:
    assert [o.kind for o in check([a], [b, a])][:1] == [OverlapKind.EXACT]
    if tokens_of(a) == tokens_of(b):
        assert grams_of(a, NGRAM) == grams_of(b, NGRAM)


def test_every_text_of_a_user_and_every_learned_one_of_a_conversation_is_compared() -> None:
    call = {"name": "f", "arguments": {"x": "an argument"}}
    whole = conversation(
        messages=[
            {"role": "system", "content": "a system text"},
            {"role": "user", "content": "a first question"},
            {"role": "assistant", "content": "a masked answer", "train": False},
            {"role": "user", "content": "a second question"},
            {"role": "assistant", "content": "", "reasoning": "a thought", "tool_calls": [call]},
            {"role": "tool", "content": "a result"},
            {"role": "assistant", "content": "a last answer"},
        ]
    )
    learned = ["a first question", "a second question", "a thought", "a last answer"]
    assert list(compared_texts(whole)) == learned
    assert list(compared_texts(trace("a prompt"))) == ["a prompt"]
    found = ContaminationCheck([EvalSample(f"q{i}", q, "1") for i, q in enumerate(learned[1:])])
    found.add_trace(T[0], whole)
    assert found.n_prompts == 4
    assert [overlap.kind for overlap in found.overlaps()] == [OverlapKind.EXACT] * 3
