from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixrt.eval.judge.answers import AnswerForm, ParsedResponse, parse_response, strip_end_tokens


def test_the_form_that_training_uses() -> None:
    assert parse_response("Reasoning:\n1. Add 15 and 27\n2. Carry\nAnswer: 42") == ParsedResponse(
        steps=("Add 15 and 27", "Carry"),
        answer="42",
        form=AnswerForm.ANSWER_LINE,
        remainder="42",
        at_end=True,
    )


@pytest.mark.parametrize(
    ("text", "form", "answer"),
    [
        ("#### 42", AnswerForm.HASHES, "42"),
        (r"\boxed{\frac{1}{2}}", AnswerForm.BOXED, r"\frac{1}{2}"),
        (r"\boxed{1} then \boxed{2", AnswerForm.BOXED, "1"),
        ("} \\boxed{3}", AnswerForm.BOXED, "3"),
        ("So the answer is 4. Good.", AnswerForm.SENTENCE, "4"),
        ("The answer is 4. The answer is 5.", AnswerForm.SENTENCE, "5"),
        ("The answer is 4. The answer is ", AnswerForm.SENTENCE, "4"),
        ("The answer is 3.5", AnswerForm.SENTENCE, "3.5"),
        ("24 points/answer = 48 points", AnswerForm.LAST_LINE, "24 points/answer = 48 points"),
        ("work\n\n**Answer:** 6", AnswerForm.ANSWER_LINE, "6"),
        ("### Answer\n\n7\n", AnswerForm.ANSWER_LINE, "7"),
        ("Final answer：8", AnswerForm.ANSWER_LINE, "8"),
        ("1. a\n2. 9", AnswerForm.LAST_LINE, "9"),
        ("12.", AnswerForm.LAST_LINE, "12."),
        ("first\n\nlast\n", AnswerForm.LAST_LINE, "last"),
        ("Answer:", AnswerForm.NONE, None),
        ("", AnswerForm.NONE, None),
        (
            "Answer the question: what is it?",
            AnswerForm.LAST_LINE,
            "Answer the question: what is it?",
        ),
        ("#### Step 2\n5", AnswerForm.LAST_LINE, "5"),
    ],
)
def test_the_forms_of_a_final_answer(text: str, form: AnswerForm, answer: str | None) -> None:
    parsed = parse_response(text)
    assert (parsed.form, parsed.answer) == (form, answer)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: 1\nNo.\nAnswer: 2", "2"),
        ("Answer: 1\n#### 2", "2"),
        (r"#### 1" + "\n" + r"\boxed{2}", "2"),
        (r"\boxed{1}" + "\nAnswer: 2", "2"),
        ("Answer: 1\nthe answer is 2", "1"),  # a marked answer counts more than a sentence
        ("<think>Answer: 1</think>2", "2"),
        ("<think>a</think>b<think>c</think>Answer: 3", "3"),
    ],
)
def test_the_last_marked_answer_counts(text: str, answer: str) -> None:
    assert parse_response(text).answer == answer


def test_thoughts_hold_steps_and_never_the_answer() -> None:
    parsed = parse_response("<think>\n1. five\n2. six\n</think>\nAnswer: 11")
    assert parsed.steps == ("five", "six")
    assert parse_response("<think>1. five\nAnswer: 5").answer is None
    assert parse_response("<think>1. five\nAnswer: 5").steps == ("five\nAnswer: 5",)
    assert parse_response("<think>1. five</think>").steps == ("five",)
    assert parse_response("<think>1. five</think>").answer is None


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("1. a\n2. b\nAnswer: c", ("a", "b")),
        ("1) a\n2) b\nAnswer: c", ("a", "b")),
        ("Step 1: a\n**Step 2:** b\nAnswer: c", ("a", "b")),
        ("Question 1. x\nReasoning:\n1. a\n2. b\nAnswer: c", ("a", "b")),
        (
            "Reasoning:\n1. a\nmore of a\n3. still a\n2. b\nAnswer: c",
            ("a\nmore of a\n3. still a", "b"),
        ),
        ("no steps\nAnswer: c", ()),
        ("Sold 24.\nSold 48.\n#### 72", ("Sold 24.", "Sold 48.")),
        ("1. a\n2. b\n#### 3", ("a", "b")),
        ("1. a\n2. b", ("a", "b")),
        ("Reasoning:\n1. a", ("a",)),
        ("1.5 is not a step\nAnswer: c", ()),
        (
            "Reasoning:\n1 mile is 1.609 km.\n\n3 * 1.609 = 4.8\nAnswer: c",
            (
                "1 mile is 1.609 km.",
                "3 * 1.609 = 4.8",
            ),
        ),
        ('Reasoning:\nAdd them.\nCall 1: {"arguments":{},"name":"add"}', ("Add them.",)),
    ],
)
def test_steps(text: str, steps: tuple[str, ...]) -> None:
    assert parse_response(text).steps == steps


def test_windows_line_ends_are_line_ends() -> None:
    parsed = parse_response("Reasoning:\r\n1. a\r\nAnswer: 5\r\n")
    assert (parsed.steps, parsed.answer) == (("a",), "5")


def test_end_tokens_are_not_part_of_the_text() -> None:
    assert strip_end_tokens("42<end_of_turn> <eos>\n") == "42"
    assert strip_end_tokens("<end_of_turn> first") == "<end_of_turn> first"
    assert parse_response("Answer: 42<end_of_turn>").answer == "42"


def test_the_remainder_holds_an_answer_of_several_lines() -> None:
    assert parse_response("Answer: a\nb\n\nc").remainder == "a\nb\n\nc"
    assert parse_response("#### 5\nb").remainder == "5"


plain_line = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=20)


@given(st.lists(plain_line, min_size=1, max_size=12), plain_line)
def test_what_is_rendered_is_parsed_back(steps: list[str], answer: str) -> None:
    numbered = "\n".join(f"{i}. {step}" for i, step in enumerate(steps, 1))
    parsed = parse_response(f"Reasoning:\n{numbered}\nAnswer: {answer}")
    assert parsed.steps == tuple(steps)
    assert parsed.answer == answer
