"""What version 1 of the judge got wrong, and what lies beside it."""

from __future__ import annotations

import pytest

from tunixrt.eval import judge_answer
from tunixrt.eval.judge.algebra import has_variable
from tunixrt.eval.judge.answers import AnswerForm, parse_response
from tunixrt.eval.judge.clock import only_clock, parse_clock
from tunixrt.eval.judge.contrasts import without_contrast
from tunixrt.eval.judge.judges import judge_by_name
from tunixrt.eval.judge.run_on import before_new_question

RIGHT = [
    ("9500", r"\boxed{9{,}500}"),
    ("9500", "$9{,}500$"),
    ("9500", r"9\!,500"),
    ("12", "So\n\\[\n12\n\\]"),
    ("12", "$$\n12\n$$"),
    ("12", "```\n12\n```"),
    ("12", "**Answer:**\n\\[\n\\boxed{12}\n\\]"),
    ("12", "Answer:\n```\n12\n```"),
    ("12", "The answer is\n\\[ 12 \\]"),
    ("12", "\\begin{aligned} x &= 10 + 2 \\\\ &= 12 \\end{aligned}"),
    ("12", "<answer>12</answer>"),
    ("12", "<think>6 + 6</think>\n<answer>\n12\n</answer>"),
    ("12", "<answer>6 + 6\n12</answer>"),
    ("12", "<answer>12"),
    ("12", '```json\n{"answer": 12}\n```'),
    ("Paris", "{'answer': \"Paris\", 'sure': true}"),
    ("64", "Kylar needs to pay **$64** for the 16 glasses."),
    ("64", "For 16 glasses he pays <b>$64</b>."),
    ("64 km", "In 2 hours the train covers **64** km."),
    ("12", "The answer is 12 (not 13)"),
    ("12", "12, not 13"),
    ("12", "12 rather than 13"),
    ("12", "not 13 but 12"),
    ("Paris", "Paris, not London"),
    ("8:00 AM", "8:00 a.m."),
    ("8:00 AM", "8 AM"),
    ("8:00 AM", "The shop opens at 8 a.m. on weekdays."),
    ("3:30 pm", "3:30pm"),
    ("3:30 pm", "15:30"),
    ("12:00 pm", "noon"),
    ("3:30 pm", "3.30 pm"),
    ("12", "12, never 13"),
    ("12", "<p>12</p>"),
    ("$0.50", "50 cents"),
    ("5 cents", "$0.05"),
    ("£0.50", "50 pence"),
    ("$1.25", "$1 and 25 cents"),
    ("1000000", "1 000 000"),
    ("1000000", "1'000'000"),
    ("1000000", "1’000’000"),
    ("1000000", "1.000.000"),
    ("1234567", "12,34,567"),
    ("2500", "It weighs 2 500 kg."),
    ("5", r"\log_2 32 = 5"),
    ("5", "|-5| = 5"),
    ("5", r"\sqrt{25} = 5"),
    ("7", "ln e^7 = 7"),
    ("5", "Answer: 5!"),
    ("12", "2x = 24, so x = 12"),
    ("13", "12. Wait, 13"),
    ("13", "The answer is 12... no, 13."),
    ("13", "Answer: 12\nWait, that is wrong.\nIt is 13."),
    ("Rome", "Answer: Paris. Sorry, Rome."),
    ("12", "Answer: 12. Actually, that was easy."),
    ("12", "Answer: 12\n\nWait, let me check: 3 * 4 = 12. Yes."),
    ("12", "Answer: She has to wait 12 minutes"),
]

WRONG = [
    ("5", "ln 5"),
    ("5", "sin 5"),
    ("5", "log 5"),
    ("5", "|x| = 5"),
    ("5", r"\sqrt{x} = 5"),
    ("5", r"$\sqrt[3]{x} = 5$"),
    ("5", "5!"),
    ("5", "$5!$"),
    ("5", r"\boxed{5!}"),
    ("5!", "5"),
    ("5", "5^2"),
    ("5", "5%"),
    ("5", "abs(x) = 5"),
    ("5", "xy = 5"),
    ("5", "x mod 7 = 5"),
    ("5", "gcd(x, 10) = 5"),
    ("5", "the sine of 5"),
    ("5", "Step 5"),
    ("5", "5 less than x"),
    ("5", "x = -5 or x = 5"),
    ("5", "x = 3, y = 5"),
    ("5", "3-5"),
    ("12", "12 at most"),
    ("12", "12 maybe"),
    ("12", "12 is wrong"),
    ("12", "anything but 12"),
    ("13", "12, not 13"),
    ("13", "12 rather than 13"),
    ("13", "not 13 but 12"),
    ("13", "not 13"),
    ("16", "Kylar needs to pay **$64** for the 16 glasses."),
    ("12", "There are **12** boys and **13** girls."),
    ("64 m", "In 2 hours the train covers **64** km."),
    ("12", "It is **not 12** but close"),
    ("12", "<think><answer>12</answer></think>\n<answer>13</answer>"),
    ("12", "<answer>12 or 13</answer>"),
    ("12", "12. Wait, 13"),
    ("12", "Answer: 12. Wait, that's wrong."),
    ("12", "Answer: 12\nOn second thought, 13."),
    ("Paris", "Answer: Paris. Sorry, Rome."),
    ("8:00 AM", "8:00 PM"),
    ("8:00 AM", "8"),
    ("8:00 AM", "8:00 AM or PM"),
    ("8:00 AM", "It opens before 8:00 AM"),
    ("12", "12 isn't right"),
    ("12", "The answer used to be 12"),
    ("5", "5 sin x"),
    ("5", "cis 5"),
    ("5", "5 and a half"),
    ("8:00 AM", "between 7 AM and 8 AM"),
    ("13:00 pm", "1 pm"),
    ("$0.50", "50"),
    ("€0.50", "50 pence"),
    ("$1.25", "$1 and 125 cents"),
    ("$5", "5 cents"),
    ("1000000", "1 000"),
    ("1000", "1.000"),
    ("12", "$$\n12 + 1\n$$"),
]


@pytest.mark.parametrize(("expected", "response"), RIGHT)
def test_these_answers_are_right(expected: str, response: str) -> None:
    judgement = judge_answer(expected=expected, response=response)
    assert judgement.correct, judgement.reason


@pytest.mark.parametrize(("expected", "response"), WRONG)
def test_these_answers_are_wrong(expected: str, response: str) -> None:
    judgement = judge_answer(expected=expected, response=response)
    assert not judgement.correct, judgement.reason


RUN_ON = "#### 18\n\nQuestion: 2+2?\n#### 4"


def test_a_response_that_runs_on_is_judged_by_its_last_answer_or_its_first() -> None:
    assert judge_answer(expected="4", response=RUN_ON).correct
    assert not judge_answer(expected="18", response=RUN_ON).correct
    assert judge_answer(expected="18", response=RUN_ON, stop_at_new_question=True).correct
    first = judge_by_name("exact-first")
    assert first(expected="18", response=RUN_ON).correct
    assert not first(expected="4", response=RUN_ON).correct


def test_an_answer_before_a_new_question_was_not_cut_off() -> None:
    first = judge_by_name("exact-first")
    assert first(expected="18", response=RUN_ON, cut=True).correct
    assert not first(expected="18", response="#### 18", cut=True).correct


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("12\nQuestion: x", "12\n"),
        ("12\n**Question 2:** x", "12\n"),
        ("12\nQ: x", "12\n"),
        ("12\n\n### Instruction:\nx", "12\n\n"),
        ("12\nUser: x", "12\n"),
        ("12<|im_end|>\nmore", "12"),
        ("12<end_of_turn>", "12"),
        ("12\n[INST] x", "12\n"),
        ("Question: 6 + 6?\nAnswer: 12", "Question: 6 + 6?\nAnswer: 12"),
        ("The question: how many?\n12", "The question: how many?\n12"),
        ("12 questions\nQuestioning is good", "12 questions\nQuestioning is good"),
    ],
)
def test_where_a_new_question_begins(text: str, kept: str) -> None:
    assert before_new_question(text) == kept


@pytest.mark.parametrize(
    ("text", "form", "answer"),
    [
        ("<answer>4</answer>", AnswerForm.TAG, "4"),
        ("<answer>4</answer> then <answer>5</answer>", AnswerForm.TAG, "5"),
        ("</answer> <answer>4", AnswerForm.TAG, "4"),
        ("<answer>Answer: 4</answer>", AnswerForm.TAG, "4"),
        ("<answer></answer>", AnswerForm.NONE, None),
        ('{"answer": "4"}', AnswerForm.FIELD, "4"),
        ('{"final_answer": 4, "b": 1}', AnswerForm.FIELD, "4"),
        ("4\n```", AnswerForm.LAST_LINE, "4"),
        ("---", AnswerForm.LAST_LINE, "---"),
        ("$$\n\n```", AnswerForm.LAST_LINE, "```"),
        ("Answer: 3. Wait, 4.", AnswerForm.LAST_LINE, "4."),
        ("Answer: 3. Wait, that is wrong.", AnswerForm.LAST_LINE, "that is wrong."),
    ],
)
def test_more_forms_of_a_final_answer(text: str, form: AnswerForm, answer: str | None) -> None:
    parsed = parse_response(text)
    assert (parsed.form, parsed.answer) == (form, answer)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("8 AM", "8:00"),
        ("12 am", "0:00"),
        ("12:15 p.m.", "12:15"),
        ("23:05", "23:05"),
        ("midnight", "0:00"),
        ("8:00", None),
        ("13 pm", None),
        ("8:75 am", None),
        ("8 amps", None),
    ],
)
def test_times_of_day(text: str, time: str | None) -> None:
    assert parse_clock(text) == time


def test_the_only_time_of_a_sentence() -> None:
    assert only_clock("It opens at 8 a.m. today") == "8 a.m."
    assert only_clock("from 8 am to 9 am") is None
    assert only_clock("3 shops open at 8 am") is None
    assert only_clock("at 13 pm") is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("12, not 13", "12"),
        ("12 (and not 13)", "12"),
        ("12 not 13", "12"),
        ("12 as opposed to 13", "12"),
        ("It isn't 13, it's 12", "12"),
        ("not 13, but not 12", "not 12"),
        ("not 13", None),
        ("It is not 13", None),
        ("Paris is not Rome", None),
        ("5 apples not eaten", None),
        ("12", None),
    ],
)
def test_contrasts(text: str, answer: str | None) -> None:
    assert without_contrast(text) == answer


@pytest.mark.parametrize("text", ["5x", "|x|", "ln x", r"\sqrt{x}", "x!", "xy", "f + 1", "log m"])
def test_terms_with_a_variable(text: str) -> None:
    assert has_variable(text)


@pytest.mark.parametrize("text", ["5", "4 x 5", "|-5|", r"\log_2 8", "ln e^5", "x", "5 m", "total"])
def test_terms_without_one(text: str) -> None:
    assert not has_variable(text)
