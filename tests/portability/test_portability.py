"""The promise of the portable mode: the same weights, whatever machine trains them."""

from __future__ import annotations

import pytest

from tests.portability.machines import (
    BASELINE,
    VARIATIONS,
    CannotPlayError,
    Trained,
    Variation,
    train,
)

#: Together they take less than a minute; `python -m tests.portability` tries all of them.
CHOSEN = (
    "1 thread",
    "1 step in a call",
    "vectors of 128 bits",
    "CPUID: Intel Haswell",
)


@pytest.fixture(scope="module")
def baseline() -> Trained:
    return train(BASELINE, "portable")


@pytest.mark.slow
@pytest.mark.parametrize(
    "variation", [v for v in VARIATIONS if v.name in CHOSEN], ids=lambda v: v.name
)
def test_another_machine_trains_the_same_weights(baseline: Trained, variation: Variation) -> None:
    try:
        trained = train(variation, "portable")
    except CannotPlayError as reason:
        pytest.skip(f"{variation.name}: {reason}")
    assert trained == baseline


def test_the_names_of_variations_are_unique() -> None:
    names = [variation.name for variation in VARIATIONS]
    assert len(set(names)) == len(names)
    assert set(CHOSEN) < set(names)
