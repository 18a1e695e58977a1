"""The part of a sweep that `make test` runs has every kind of case in it."""

from __future__ import annotations

import pytest

from tests.sweeps import product, swept


@pytest.mark.parametrize("every", [1, 2, 3, 5])
def test_a_part_of_a_product_has_every_row_and_every_column(every: int) -> None:
    pairs = product(range(7), "abcde", every=every)
    assert len(pairs) == 35
    part = [pair.values for pair in pairs if not pair.marks]
    assert {row for row, _ in part} == set(range(7))
    assert {column for _, column in part} == set("abcde")
    assert 35 // every <= len(part) <= 35 // every + 1


def test_a_product_is_not_thinned_so_far_that_a_row_is_left_out() -> None:
    with pytest.raises(ValueError, match="7 times 2 cases are too few to take 1 of 3"):
        product(range(7), "ab", every=3)


def test_what_is_not_in_the_part_is_marked() -> None:
    marked = [[mark.name for mark in case.marks] for case in swept("abcde", every=2)]
    assert marked == [[], ["sweep"], [], ["sweep"], []]
