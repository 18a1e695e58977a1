"""The settings of sampling: what may be asked for."""

from __future__ import annotations

import msgspec
import pytest

from tunixrt.runs.sampling import GREEDY, Sampling, SamplingError


def test_greedy_is_temperature_zero() -> None:
    assert Sampling() == GREEDY
    assert Sampling(temperature=0.0).is_greedy
    assert not Sampling(temperature=0.01, top_p=0.5).is_greedy


@pytest.mark.parametrize(
    ("settings", "field", "sentence"),
    [
        (
            {"temperature": -1.0},
            "temperature",
            "Sampling: temperature should be 0 (greedy) or from 0.01 to 100, found -1.",
        ),
        (
            {"temperature": float("nan")},
            "temperature",
            "Sampling: temperature should be 0 (greedy) or from 0.01 to 100, found nan.",
        ),
        (
            {"temperature": 1.0, "top_p": 0.0},
            "top_p",
            "Sampling: top_p should be above 0, and 1 at most, found 0.",
        ),
        (
            {"temperature": 1.0, "top_p": 1.5},
            "top_p",
            "Sampling: top_p should be above 0, and 1 at most, found 1.5.",
        ),
        (
            {"top_p": 0.9},
            "top_p",
            "Sampling: top_p should be 1 where temperature is 0 (greedy), found 0.9.",
        ),
    ],
)
def test_a_setting_out_of_its_range_is_refused_in_a_sentence(
    settings: dict[str, float], field: str, sentence: str
) -> None:
    with pytest.raises(SamplingError) as caught:
        Sampling(**settings)
    assert str(caught.value) == sentence
    assert caught.value.field == field


def test_settings_are_checked_when_they_are_read_as_well() -> None:
    assert msgspec.json.decode(b'{"temperature":0.7}', type=Sampling) == Sampling(0.7)
    with pytest.raises(SamplingError):
        msgspec.json.decode(b'{"temperature":1e9}', type=Sampling)
