"""Two equal models: how often a comparison claims a difference all the same."""

from __future__ import annotations

import pytest

from benchmarks.null_experiment import (
    N_DISCORDANT,
    alarm_of_each_outcome,
    exact_share,
    false_alarms,
)

N_REPETITIONS = 2_000


@pytest.mark.parametrize("n_discordant", N_DISCORDANT)
def test_equal_models_differ_in_at_most_6_of_100_comparisons(n_discordant: int) -> None:
    alarms = alarm_of_each_outcome(n_discordant, n_pairs=256)
    assert false_alarms(alarms, N_REPETITIONS) <= 0.06 * N_REPETITIONS
    assert exact_share(alarms) <= 0.05


def test_a_comparison_is_not_silent_either() -> None:
    """It claims a difference in nearly as many cases as it may, once there are enough pairs."""
    assert exact_share(alarm_of_each_outcome(160, n_pairs=256)) > 0.035
    assert alarm_of_each_outcome(160, n_pairs=256)[50]
