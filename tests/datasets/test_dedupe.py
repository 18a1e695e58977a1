"""Which traces repeat an earlier one: by equal prompts, equal tokens, or most of their 5-grams."""

from __future__ import annotations

import hashlib
import itertools
import random
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.making.traces import trace
from tunixrt.datasets.building import build_dataset
from tunixrt.datasets.dedupe import (
    DedupeError,
    _NearDuplicates,
    deduper_of,
    parse_rule,
    text_of,
)
from tunixrt.datasets.diff import MemberChange, Reason, diff_datasets
from tunixrt.datasets.files import duplicates, members
from tunixrt.datasets.reading import DatasetReader
from tunixrt.datasets.recipes import make_recipe
from tunixrt.datasets.verification import rebuild, verify_datasets
from tunixrt.jobs.redact import redact_traces
from tunixrt.traces.normal_text import grams_of
from tunixrt.traces.schema import AnyTrace, any_trace_of, payload_of, trace_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.making.traces import Place
    from tunixrt.datasets.files import Dataset
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


def built(place: Place, version: str, **chosen: Any) -> Dataset:
    recipe = make_recipe(**chosen)
    return build_dataset(place.layout, place.log, "d", version, recipe).dataset


def ledger(dataset: Dataset) -> dict[Digest, Digest]:
    return {one.trace: one.duplicate_of for one in duplicates(dataset)}


def test_a_dataset_names_for_every_trace_that_it_left_out_the_one_that_it_repeats(
    place: Place,
) -> None:
    one, two, other, again = place.record(
        trace("What is 1 + 1?"),
        trace("what is 1+1"),
        trace("What is 1 + 2?"),
        trace("WHAT IS 1 + 1 ?"),
    )
    dataset = built(place, "v1", dedupe="normalised")
    assert [m.trace for m in members(dataset)] == sorted([one, other])
    assert ledger(dataset) == {two: one, again: one}
    assert list(ledger(dataset)) == sorted([two, again])
    assert (dataset.manifest.dedupe, dataset.manifest.n_duplicates) == ("normalised", 2)
    assert list(verify_datasets(place.layout)) == []
    whole, changes = built(place, "v2"), list[MemberChange]()
    with DatasetReader(place.log) as reader:
        assert rebuild(reader, dataset).verdict == "identical"
        diff_datasets(reader, whole, dataset, changes.append)
    assert {(c.trace, c.reason, c.duplicate_of) for c in changes} == {
        (two, Reason.DUPLICATE, one),
        (again, Reason.DUPLICATE, one),
    }


def test_the_limit_is_applied_to_what_duplicates_leave(place: Place) -> None:
    place.record(*(trace(f"{n % 3}?", final_answer=str(n)) for n in range(9)))
    dataset = built(place, "v1", dedupe="prompt", limit=2)
    assert dataset.manifest.trace_count == 2
    assert dataset.manifest.n_duplicates == 6


def test_a_dataset_without_duplicates_has_the_rule_in_its_digest_and_an_empty_ledger(
    place: Place,
) -> None:
    place.record(trace("1?"), trace("2?"))
    plain, deduped = built(place, "v1"), built(place, "v2", dedupe="prompt")
    assert plain.digest != deduped.digest
    assert (plain.manifest.n_duplicates, deduped.manifest.n_duplicates) == (None, 0)
    assert list(verify_datasets(place.layout)) == []


def test_near_duplicates_of_a_log_are_left_out_and_rebuilt(place: Place) -> None:
    words = text(7)
    copies = [with_edits(words, 1, seed) for seed in range(5)]
    ids = place.record(
        trace("Other.", final_answer=" ".join(text(8))),
        *(trace("Tell.", final_answer=" ".join(copy)) for copy in copies),
    )
    dataset = built(place, "v1", dedupe="near:0.7")
    assert ledger(dataset) == dict.fromkeys(ids[2:], ids[1])
    with DatasetReader(place.log) as reader:
        assert rebuild(reader, dataset).verdict == "identical"


@pytest.mark.parametrize("forgotten", ["original", "copy"])
def test_a_redaction_on_either_side_keeps_what_the_dataset_decided(
    place: Place, forgotten: str
) -> None:
    original, copy, other = place.record(trace("a b?"), trace("A B"), trace("c?"))
    dataset = built(place, "v1", dedupe="normalised")
    redact_traces(
        place.layout, place.log, [original if forgotten == "original" else copy], reason="asked"
    )
    assert ledger(dataset) == {copy: original}
    with DatasetReader(place.log) as reader:
        verdict = rebuild(reader, dataset)
    assert verdict.verdict == "identical", verdict.first_difference
    assert other in {m.trace for m in members(dataset)}


@settings(max_examples=40)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_the_first_of_each_prompt_stays(prompts: list[int]) -> None:
    traces = [trace(f"{p}?", final_answer=str(n)) for n, p in enumerate(prompts)]
    firsts = [None if p not in prompts[:n] else prompts.index(p) for n, p in enumerate(prompts)]
    assert originals("prompt", *traces) == firsts


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda lines: lines[:-1], "The duplicates are not those of the root."),
        (lambda lines: lines[::-1], "not in ascending order"),
        (lambda lines: [*lines[:-1], b"{}"], "This is not the line of a duplicate"),
        (lambda lines: [*lines[:-1], lines[-1].replace(b":", b": ")], "This is not the line"),
        (lambda lines: [*lines[:-1], lines[-1].replace(b",", b", ")], "not in canonical form"),
    ],
    ids=["one less", "reversed", "another line", "other digests", "a blank"],
)
def test_a_damaged_ledger_is_found(
    place: Place, change: Callable[[list[bytes]], list[bytes]], sentence: str
) -> None:
    place.record(*(trace(f"{n % 2}?", final_answer=str(n)) for n in range(6)))
    file = built(place, "v1", dedupe="prompt").path / "duplicates-0000.jsonl"
    lines = file.read_bytes().splitlines()
    assert len(lines) == 4
    file.write_bytes(b"".join(line + b"\n" for line in change(lines)))
    problems = [str(finding) for finding in verify_datasets(place.layout)]
    assert any(sentence in problem for problem in problems), problems


def test_an_unknown_rule_stops_a_build(place: Place) -> None:
    place.record(trace("1?"))
    with pytest.raises(DedupeError):
        built(place, "v1", dedupe="fuzzy")
