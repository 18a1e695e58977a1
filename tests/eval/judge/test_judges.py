from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunixrt.datasets.render import DataFormat, response
from tunixrt.eval import judge_answer
from tunixrt.eval.judge.answers import AnswerForm
from tunixrt.eval.judge.judges import JUDGES, UnknownJudgeError, judge_by_name
from tunixrt.traces.schema import Trace, TraceStep


def reason(expected: str, response_text: str) -> str:
    return judge_answer(expected=expected, response=response_text).reason


@pytest.mark.parametrize(
    ("expected", "answer", "sentence"),
    [
        ("1198", "Answer: 1,198", 'The answer "1,198" equals the expected "1198".'),
        ("42", "Answer: 42", 'The answer "42" is the expected answer, character by character.'),
        ("12", "Answer: 120", 'The answer "120" is not the expected "12": the numbers differ.'),
        (
            "12 apples",
            "Answer: 12 pears",
            (
                'The answer "12 pears" is not the expected "12 apples": '
                "the units differ (pear, not apple)."
            ),
        ),
        (
            "2",
            "Answer: 2pi",
            (
                'The answer "2pi" is not the expected "2": '
                "the numbers differ by a factor that is not rational."
            ),
        ),
        (
            "12",
            "Answer: 12 or 13",
            (
                'The response answers "12 or 13": of its 2 alternatives, "13" is not the expected '
                '"12".'
            ),
        ),
        (
            "2, 3, 5",
            "Answer: 2, 3",
            (
                'The answer "2, 3" is not the expected "2, 3, 5": '
                "it has 2 values where 3 are expected."
            ),
        ),
        (
            "{2, 3}",
            "Answer: 2, 4",
            'The answer "2, 4" is not the expected "{2, 3}": "3" is missing.',
        ),
        (
            "x = 3",
            "Answer: y = 3",
            'The answer "y = 3" is not the expected "x = 3": it is a value of y, not of x.',
        ),
        (
            "Paris",
            "Answer: Rome",
            'The answer "Rome" is not the expected "Paris": the texts differ.',
        ),
        ("42", "", "The response is empty."),
        ("42", " <end_of_turn>\n", "The response is empty."),
        ("42", "<think>42", "No final answer was found in the response."),
        (
            "42",
            "Answer: ***",
            'The answer "***" is not the expected "42": nothing in it can be read.',
        ),
        (
            "42",
            "Answer: , or ,",
            'The answer ", or ," is not the expected "42": the texts differ.',
        ),
    ],
)
def test_the_reason_says_what_was_compared(expected: str, answer: str, sentence: str) -> None:
    assert reason(expected, answer) == sentence


def test_long_answers_are_shortened_in_the_reason() -> None:
    text = reason("42", "Answer: " + "word " * 100)
    assert (
        text
        == 'The answer "' + ("word " * 16)[:79] + '…" is not the expected "42": the texts differ.'
    )


def test_an_answer_that_the_length_limit_may_have_cut_is_not_right() -> None:
    judgement = judge_answer(expected="1", response="Answer: 1", cut=True)
    assert not judgement.correct
    assert judgement.reason == (
        'The generation was cut off inside or right after the answer "1", so it may be incomplete.'
    )


@pytest.mark.parametrize("text", ["Answer: 1\nmore", r"so \boxed{1}", "The answer is 1. And"])
def test_an_answer_that_ended_before_the_cut_counts(text: str) -> None:
    assert judge_answer(expected="1", response=text, cut=True).correct


def test_a_judgement_carries_what_was_parsed_and_a_score() -> None:
    right = judge_answer(expected="5", response="Reasoning:\n1. 2 + 3 = 5\nAnswer: 5")
    assert right.parsed.steps == ("2 + 3 = 5",)
    assert right.parsed.answer == "5"
    assert right.parsed.form is AnswerForm.ANSWER_LINE
    assert right.score == 100.0
    assert judge_answer(expected="5", response="Answer: 6").score == 0.0


def test_an_expected_answer_of_several_lines_is_compared_as_text() -> None:
    assert judge_answer(expected="a = 1\nb = 2", response="Answer: a = 1\nb = 2").correct
    assert judge_answer(expected="a = 1\nb = 2", response="Answer: A = 1\n b = 2.").correct
    wrong = judge_answer(expected="a = 1\nb = 2", response="Answer: a = 1\nb = 3")
    assert wrong.reason == 'The answer "a = 1 b = 3" is not the expected text "a = 1 b = 2".'


def test_very_long_answers_are_compared_character_by_character() -> None:
    long = "word " * 600
    assert judge_answer(expected=long, response=f"Answer: {long}").correct
    judgement = judge_answer(expected=long, response="Answer: " + long.upper())
    assert not judgement.correct
    assert "answers of more than 2000 characters are compared character by character" in (
        judgement.reason
    )


def test_the_verbatim_judge_wants_the_same_characters() -> None:
    judge = judge_by_name("verbatim")
    assert judge(expected="1,198", response="Answer: 1,198 ").correct
    refused = judge(expected="1,198", response="Answer: 1198")
    assert not refused.correct
    assert refused.reason == (
        'The answer "1198" is not the expected "1,198": the characters differ.'
    )
    assert judge(expected="1", response="").reason == "The response is empty."
    assert not judge(expected="1", response="Answer: 1", cut=True).correct


def test_judges_are_known_by_name_and_version() -> None:
    assert {judge.name: judge.version for judge in JUDGES.values()} == {
        "exact": "2",
        "exact-first": "2",
        "verbatim": "2",
    }
    assert judge_by_name("exact") is JUDGES["exact"]


def test_an_unknown_judge_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownJudgeError) as caught:
        judge_by_name("llm")
    assert (
        str(caught.value)
        == 'The judge "llm" does not exist; the judges are exact, exact-first, math-verify, '
        "reasoning-gym and verbatim, and your own functions, as module:function."
    )
    assert caught.value.name == "llm"


fractions = st.builds(Fraction, st.integers(-10_000, 10_000), st.integers(1, 60))


def spellings(value: Fraction) -> list[str]:
    """Ways to write one number."""
    sign, size = ("-" if value < 0 else ""), abs(value)
    whole, rest = divmod(size.numerator, size.denominator)
    found = [f"{value.numerator}/{value.denominator}"]
    found.append(rf"${sign}\frac{{{size.numerator}}}{{{size.denominator}}}$")
    if whole and rest:
        found += [
            f"{sign}{whole} {rest}/{size.denominator}",
            rf"{sign}{whole}\dfrac{{{rest}}}{{{size.denominator}}}",
        ]
    if value.denominator == 1:
        found += [f"{value.numerator:,}", f"**{value.numerator}**.", f"x = {value.numerator}"]
        found += [f"{value.numerator}.00", f"−{size}" if value < 0 else f"+{size}"]
    twos_and_fives = value.denominator
    for prime in (2, 5):
        while twos_and_fives % prime == 0:
            twos_and_fives //= prime
    if twos_and_fives == 1:
        decimal = f"{float(value):.12f}".rstrip("0")
        found += [decimal, f"{float(value * 100):.12f}".rstrip("0") + "%", f"{decimal}e0"]
    return found


@given(fractions, fractions, st.data())
@settings(deadline=None)
def test_two_spellings_are_equal_exactly_when_the_numbers_are(
    a: Fraction, b: Fraction, data: st.DataObject
) -> None:
    for value in (a, b):
        expected = data.draw(st.sampled_from(spellings(a)))
        answer = data.draw(st.sampled_from(spellings(value)))
        judgement = judge_answer(expected=expected, response=f"Answer: {answer}")
        assert judgement.correct == (a == value), (expected, answer, judgement.reason)


printable = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")),
    min_size=1,
    max_size=40,
).filter(lambda text: bool(text.strip()) and "<think>" not in text)
lines = st.lists(printable, min_size=1, max_size=3).map("\n".join)


@given(st.lists(lines, min_size=1, max_size=4), lines)
@settings(deadline=None)
def test_the_text_that_training_shows_is_judged_right(contents: list[str], answer: str) -> None:
    trace = Trace(
        trace_version="1.0",
        prompt="?",
        steps=tuple(TraceStep(i=i, type="t", content=text) for i, text in enumerate(contents)),
        final_answer=answer,
    )
    text = response(trace, DataFormat.TUNIX_SFT)
    assert judge_answer(expected=answer, response=text).correct
    assert judge_answer(expected=answer, response=text + "<end_of_turn>").correct


alphabet = st.sampled_from(
    [
        *"0123456789 .,;:=+-*/^%$€()[]{}<>|\\\"'`_~#!?\n\tabxyzABM½²π√−×…",
        "\\frac{",
        "\\boxed{",
        "Answer: ",
        "the answer is ",
        "<think>",
        "</think>",
        "#### ",
        " or ",
        "one",
        "hundred",
        " and ",
        "half",
        "\\sqrt{",
        "\\text{",
        "km",
        " per ",
        "million",
        "\\",
        "pi",
    ]
)
soup = st.lists(alphabet, max_size=40).map("".join)


@given(soup | st.text(), soup | st.text())
@settings(deadline=None, max_examples=400)
def test_no_text_makes_the_judge_fail(expected: str, text: str) -> None:
    judgement = judge_answer(expected=expected, response=text)
    assert judgement.reason
    assert JUDGES["verbatim"](expected=expected, response=text).reason


@pytest.mark.parametrize(
    "piece",
    [
        "\\boxed{",
        "answer is ",
        "1,",
        "(",
        "1 1/2 ",
        "٣",
        "Answer: a\n",
        " ",
        "<think>",
        "two ",
        "1.",
        "<answer>1",
        "```\n",
        "12. Wait, ",
        "12... no, ",
        "**5** ",
        '"answer": ',
        "not 1, ",
        "1 000 ",
        "Question: ",
        "8 am ",
        "\n",
    ],
)
def test_a_model_that_repeats_itself_does_not_make_the_judge_slow(piece: str) -> None:
    # A quadratic search over this many characters would take minutes.
    text = (piece * 200_000)[:200_000]
    assert not judge_answer(expected="12", response=text).correct


@pytest.mark.parametrize("digit", ["\U0001e4f4", "\U00011f54", "\U0001ccf4", "\U00010d44"])
def test_a_digit_that_a_newer_unicode_has_added_is_no_digit_on_any_python(digit: str) -> None:
    # U+1CCF4 is `4` after NFKC on Python 3.14; the others are digits since 3.12 and 3.14.
    judged = judge_answer(expected="4", response=f"1. Add.\nAnswer: {digit}")
    assert not judged.correct
    assert judged.reason == f'The answer "{digit}" is not the expected "4": the texts differ.'
    assert judged.parsed.answer == digit
    assert judge_answer(expected=f"4{digit}", response=f"Answer: 4{digit}").correct
    assert not judge_answer(expected=f"4{digit}", response="Answer: 4\U0001e4f5").correct
