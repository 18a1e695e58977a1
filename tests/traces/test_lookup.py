"""Finding a trace by the beginning of its id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.making.traces import trace
from tunixrt.log.digests import from_hex
from tunixrt.traces.facts import labelled
from tunixrt.traces.lookup import TraceLookupError, find_trace
from tunixrt.traces.state import project

if TYPE_CHECKING:
    from tests.making.traces import Place


def test_six_digits_name_a_trace_with_prefix_or_without_in_either_case(place: Place) -> None:
    wanted, _ = place.record(trace("a"), trace("b"))
    digits = wanted.removeprefix("sha256:")
    with project(place.log) as projection:
        for text in (
            wanted,
            digits,
            digits[:6],
            digits[:7],
            f"sha256:{digits[:9]}",
            digits.upper(),
        ):
            assert find_trace(projection, text).id == wanted


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("abcde", "has 5 hexadecimal digits; at least 6 are needed"),
        ("sha256:abc", "has 3 hexadecimal digits"),
        ("", "is not the beginning of a trace id"),
        ("sha256:", "is not the beginning of a trace id"),
        ("nothex", "is not the beginning of a trace id: expected at least 6 hexadecimal digits."),
        ("a" * 65, "is not the beginning of a trace id"),
        ("abcdef", 'There is no trace whose id begins with "abcdef".'),
    ],
)
def test_what_is_no_prefix_is_said_in_a_sentence(place: Place, text: str, sentence: str) -> None:
    place.record(trace("a"))
    with project(place.log) as projection, pytest.raises(TraceLookupError) as error:
        find_trace(projection, text)
    assert sentence in str(error.value)


def test_an_ambiguous_prefix_lists_the_candidates(place: Place) -> None:
    ids = [from_hex(f"{0xABCDEF0000 + n:010x}".ljust(64, "0")) for n in range(12)]
    place.say(*(labelled(i, "quality", "good") for i in ids))
    with project(place.log) as projection:
        with pytest.raises(TraceLookupError, match="is that of several traces") as error:
            find_trace(projection, "abcdef")
        assert error.value.candidates == tuple(ids[:10])
        assert "and perhaps more" in str(error.value)
        with pytest.raises(TraceLookupError) as error:
            find_trace(projection, "abcdef000a".removesuffix("a"))
        assert find_trace(projection, "abcdef000b").id == ids[11]
