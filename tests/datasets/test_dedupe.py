"""Which traces repeat an earlier one: by equal prompts, equal tokens, or most of their 5-grams."""

from __future__ import annotations

import hashlib
import itertools
import random
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from tests.making.traces import trace
from tunixrt.datasets.dedupe import (
    DedupeError,
    _NearDuplicates,
    deduper_of,
    parse_rule,
    text_of,
)
from tunixrt.traces.normal_text import grams_of
from tunixrt.traces.schema import AnyTrace, any_trace_of, payload_of, trace_id

if TYPE_CHECKING:
    from tunixrt.log.digests import Digest

WORDS = [f"w{number}" for number in range(400)]


def chat(*texts: str) -> AnyTrace:
    roles = itertools.cycle(["user", "assistant"])
    messages = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]
    return any_trace_of({"trace_version": "1.1", "messages": messages})


def id_of(whole: AnyTrace) -> Digest:
    return trace_id(payload_of(whole))


def originals(rule: str, *traces: AnyTrace) -> list[int | None]:
    """For each trace, the position of the one that it repeats."""
    positions = {id_of(whole): position for position, whole in enumerate(traces)}
    deduper = deduper_of(parse_rule(rule))
    try:
        found = [deduper.original(id_of(whole), whole) for whole in traces]
    finally:
        deduper.close()
    return [None if original is None else positions[original] for original in found]


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("prompt", "prompt"),
        ("normalised", "normalised"),
        ("near", "near:0.8"),
        ("near:0.80", "near:0.8"),
        ("near:0.75", "near:0.75"),
        ("near:1", "near:1"),
        ("near:1.0", "near:1"),
    ],
)
def test_a_rule_has_one_normal_form(text: str, normal: str) -> None:
    assert parse_rule(text) == normal
    assert parse_rule(normal) == normal


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("normalized", "Did you mean “normalised”?"),
        ("prompt:0.9", "The rule prompt takes no threshold"),
        ("near:", "should be a decimal number from 0.5 to 1"),
        ("near:0.3", "but is “0.3”"),
        ("near:1.5", "but is “1.5”"),
        ("near:80%", "but is “80%”"),
        ("near:0.12345", "at most 4 decimals"),
    ],
)
def test_a_rule_that_cannot_be_used_gets_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(DedupeError) as raised:
        parse_rule(text)
    assert sentence.replace("“", '"').replace("”", '"') in str(raised.value)


def test_equal_prompts_repeat_the_first_whatever_the_steps() -> None:
    one, other = trace("1 + 1?"), trace("1 + 1?", final_answer="two")
    assert originals("prompt", one, trace("1 + 2?"), other) == [None, None, 0]


def test_normalised_prompts_differ_in_case_spaces_and_punctuation_only() -> None:
    found = originals(
        "normalised",
        trace("What is 1,200 + 3?"),
        trace("what is  1200 + 3"),
        trace("What is 1,200 - 3?"),
        trace("WHAT IS “1200” + 3!"),
    )
    assert found == [None, 0, None, 0]
    assert originals("prompt", trace("What is 2?"), trace("what is 2?")) == [None, None]


def test_the_prompt_of_a_conversation_is_all_that_the_user_writes() -> None:
    found = originals(
        "prompt",
        chat("Hello", "Hi.", "1 + 1?", "2"),
        chat("Hello", "Good day.", "1 + 1?", "It is 2."),
        chat("Hello", "Hi.", "1 + 2?", "3"),
    )
    assert found == [None, 0, None]


def test_a_trace_and_a_conversation_may_repeat_each_other() -> None:
    assert originals("prompt", trace("1 + 1?"), chat("1 + 1?", "2")) == [None, 0]


def text(seed: int, n: int = 120) -> list[str]:
    return random.Random(seed).choices(WORDS, k=n)


def with_edits(words: list[str], n: int, seed: int) -> list[str]:
    edited, drawn = list(words), random.Random(seed)
    for place in drawn.sample(range(len(words)), n):
        edited[place] = f"x{drawn.randrange(1000)}"
    return edited


def similarity(a: AnyTrace, b: AnyTrace) -> Fraction:
    grams_a, grams_b = grams_of(text_of(a), 5), grams_of(text_of(b), 5)
    return Fraction(len(grams_a & grams_b), len(grams_a | grams_b))


def test_near_duplicates_are_those_whose_exact_similarity_is_above_the_threshold() -> None:
    """MinHash estimates: 128 places have a standard error of 0.035 at 0.8, so 0.1 is far away."""
    n_above = n_below = 0
    for seed in range(60):
        words = text(seed)
        one = chat("Tell.", " ".join(words))
        other = chat("Tell.", " ".join(with_edits(words, 1 + seed % 12, seed)))
        exact = similarity(one, other)
        found = originals("near:0.8", one, other)[1]
        if exact >= Fraction(9, 10):
            n_above += 1
            assert found == 0, (seed, float(exact))
        elif exact <= Fraction(7, 10):
            n_below += 1
            assert found is None, (seed, float(exact))
    assert n_above >= 5
    assert n_below >= 20


def test_a_near_duplicate_repeats_the_first_of_several_that_stay() -> None:
    words = text(1)
    same = [chat("Tell.", " ".join(with_edits(words, 1, seed))) for seed in range(4)]
    assert originals("near", chat("Tell.", " ".join(text(2))), *same) == [None, None, 1, 1, 1]


def test_short_texts_are_near_duplicates_only_if_all_their_tokens_agree() -> None:
    assert originals("near", chat("Hi", "Yes."), chat("hi", "yes"), chat("Hi", "No.")) == [
        None,
        0,
        None,
    ]


def test_signatures_are_the_same_bytes_on_every_machine() -> None:
    near = _NearDuplicates(Fraction("0.8"))
    signature = near._signature(chat("What is 15 + 27?", "Add 15 and 27, that makes 42."))
    near.close()
    assert len(signature) == 128 * 8
    assert (
        hashlib.sha256(signature).hexdigest()
        == "f37d5c1f605961478821c86388e5ea6bfe277f239227f8e9c18627aea77795c6"
    )
