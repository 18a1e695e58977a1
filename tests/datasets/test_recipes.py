"""Recipes: what makes sense, and keys that keep samples and splits stable."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunixrt.datasets.recipes import (
    Recipe,
    RecipeError,
    SelectionStrategy,
    Split,
    Splitter,
    make_recipe,
    sample_key,
    split_key,
)
from tunixrt.log.digests import digest_bytes


def test_the_defaults_are_filled_in() -> None:
    assert make_recipe() == Recipe({}, SelectionStrategy.LATEST, None, None, {})


def test_a_seed_is_kept_only_where_something_depends_on_it() -> None:
    assert make_recipe(seed=7).seed is None
    assert make_recipe(seed=7, splits={"test": "0.5"}).seed == 7
    assert make_recipe(splits={"test": "0.5"}).seed == 0
    assert make_recipe(seed=0, selection_strategy="random").seed == 0


@pytest.mark.parametrize(
    ("text", "written"),
    [("0.1", "0.1"), (".1", "0.1"), ("0.100", "0.1"), ("00.5", "0.5"), ("1", "1"), ("1.", "1"),
     (" 0.25 ", "0.25"), ("1.000", "1")],
)  # fmt: skip
def test_a_fraction_is_written_in_one_way(text: str, written: str) -> None:
    assert make_recipe(splits={"test": text}).splits == {"test": written}


def test_a_split_of_nothing_is_no_split() -> None:
    assert make_recipe(splits={"test": "0", "validation": "0.00"}) == make_recipe()


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"selection_strategy": "newest"}, 'There is no selection strategy "newest".'),
    ({"selection_strategy": "lastest"}, 'Did you mean "latest"?'),
    ({"selection_strategy": "random"}, "The selection strategy random demands a seed"),
    ({"limit": 0}, "The limit should be at least 1, but is 0."),
    ({"limit": -5}, "but is -5."),
    ({"seed": -1}, "The seed should be a whole number from 0 to 2^53 - 1, but is -1."),
    ({"seed": 2**53}, "but is 9007199254740992."),
    ({"splits": {"tset": "0.1"}}, 'for a split "tset". Did you mean "test"?'),
    ({"splits": {"train": "0.9"}}, "The split train is what test and validation leave."),
    ({"splits": {"test": "0.6", "validation": "0.5"}}, "exceed 1: test 0.6 and validation 0.5."),
    ({"splits": {"test": "1.1"}}, "The fractions of the splits exceed 1: test 1.1."),
    *(
        ({"splits": {"test": text}}, "should be a decimal number from 0 to 1, such as 0.1, but is")
        for text in ("-0.1", "ten", "", ".", "nan", "inf", "1e-1", "10%", "1/10", "٠.١", "0,1")
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), WRONG)
def test_a_recipe_that_makes_no_sense_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError) as error:
        make_recipe(**changes)
    assert sentence in str(error.value)


def test_the_keys_are_the_first_eight_bytes_of_these_digests() -> None:
    trace = digest_bytes(b"x")
    assert sample_key(7, trace) == hashlib.sha256(f'["sample",7,"{trace}"]'.encode()).digest()[:8]
    expected = hashlib.sha256('["split",0,"é\\n"]'.encode()).digest()[:8]
    assert split_key(0, "é\n") == int.from_bytes(expected, "big")


@given(prompt=st.text(st.characters(exclude_categories=["Cs"])), seed=st.integers(0, 5))
def test_a_prompt_is_placed_by_an_exact_comparison_with_the_fractions(
    prompt: str, seed: int
) -> None:
    splitter = Splitter(make_recipe(splits={"test": "0.1", "validation": "0.2"}, seed=seed))
    place = Fraction(split_key(seed, prompt), 2**64)
    if place < Fraction(1, 10):
        expected = Split.TEST
    elif place < Fraction(3, 10):
        expected = Split.VALIDATION
    else:
        expected = Split.TRAIN
    assert splitter.split_of(prompt) is expected


@given(
    prompt=st.text(st.characters(exclude_categories=["Cs"])),
    small=st.integers(0, 50),
    more=st.integers(0, 50),
)
def test_no_prompt_moves_from_train_to_test_or_out_of_test_when_test_grows(
    prompt: str, small: int, more: int
) -> None:
    before = Splitter(make_recipe(splits={"test": f"0.{small:02d}"})).split_of(prompt)
    after = Splitter(make_recipe(splits={"test": f"{(small + more) / 100:.2f}"})).split_of(prompt)
    assert before is Split.TRAIN or after is Split.TEST


def test_the_fractions_of_many_prompts_are_about_those_asked_for() -> None:
    splitter = Splitter(make_recipe(splits={"test": "0.1"}))
    n_test = sum(splitter.split_of(f"Problem {i}") is Split.TEST for i in range(5_000))
    assert 430 < n_test < 570


def test_all_of_one_and_none_of_one() -> None:
    everything = Splitter(make_recipe(splits={"test": "1"}))
    nothing = Splitter(make_recipe())
    for prompt in ("a", "b", "c"):
        assert everything.split_of(prompt) is Split.TEST
        assert nothing.split_of(prompt) is Split.TRAIN
