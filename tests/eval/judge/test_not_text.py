from __future__ import annotations

import pytest

from tunixrt.eval import judge_answer
from tunixrt.eval.judge.not_text import is_text, legible, legible_quotes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "42",
        "Reasoning:\n1. Add\tup\r\nAnswer: 42",
        "caf\ufffd",  # a generation that was cut inside a letter
        "A long sentence with \ufffd\ufffd\ufffd\ufffd four bytes that are not UTF-8",
        "\x1b[31mred\x1b[0m",
        "Привет, 你好, 🙂",
        " \n ",
    ],
)
def test_what_a_person_can_read_is_text(text: str) -> None:
    assert is_text(text)
    assert legible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\ufffd", "(not text: 1 character, not valid UTF-8)"),
        (
            "\ufffd\x07a\ufffd\ufffd z",
            (
                "(not text: 7 characters, 3 of them not valid UTF-8, 1 of them control characters; "
                "begins ?? 07 61 ?? ?? 20 7a)"
            ),
        ),
        (
            "\x00" * 1_200,
            (
                "(not text: 1,200 characters, control characters; "
                "begins 00 00 00 00 00 00 00 00 ...)"
            ),
        ),
        ("\n\n" + "\ufffd" * 8 + "a", "(not text: 11 characters, 8 of them not valid UTF-8)"),
        (
            "\n é\ufffd\ufffd\ufffd\ufffd",
            "(not text: 7 characters, 4 of them not valid UTF-8; begins c3 a9 ?? ?? ?? ??)",
        ),
    ],
)
def test_what_is_not_text_is_described_in_one_short_line(text: str, shown: str) -> None:
    assert legible(text) == shown
    assert is_text(shown)


def test_a_judges_reason_does_not_quote_what_is_not_text() -> None:
    judgement = judge_answer(expected="42", response="\ufffd\ufffd7\x02" * 50, cut=True)
    assert judgement.reason == (
        "The generation was cut off inside or right after the answer (not text: 200 characters, "
        "100 of them not valid UTF-8, 50 of them control characters; begins ?? ?? 37 02 ?? ?? 37 02"
        " ...), so it may be incomplete."
    )


def test_a_recorded_reason_is_shown_without_its_boxes() -> None:
    recorded = 'The answer "\ufffd\ufffd\ufffd\ufffd…" is not the expected "42": the texts differ.'
    assert legible_quotes(recorded) == (
        "The answer (not text: 4 characters, not valid UTF-8) is not "
        'the expected "42": the texts differ.'
    )
