"""How often does a comparison of two equal models claim a difference?

    python -m benchmarks.null_experiment [--pairs 256] [--repetitions 2000]

Under the hypothesis of no difference a pair that changed is as likely fixed as broken. So each
repetition throws a fair coin for each of a given number of discordant pairs, and the whole
comparison (`tunixrt run compare`: Tango's interval and McNemar's p-values at 95%) decides. Beside
the share of false alarms that were counted stands the exact one, from the binomial distribution.
Prints a table.
"""

from __future__ import annotations

import argparse
from math import comb
from typing import TYPE_CHECKING

from tunixrt.eval.compare.conditions import EvaluatedRun
from tunixrt.eval.compare.pairs import ComparisonVerdict, compare
from tunixrt.log.digests import digest_bytes
from tunixrt.runs.identity import Judge, Template
from tunixrt.runs.lines import Prediction
from tunixrt.traces.prng import Sha256Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Among them those at which mid-p values alone give the most false alarms: 5, 8, 16, 43.
N_DISCORDANT = (1, 5, 6, 8, 10, 16, 20, 30, 43, 66, 100, 160, 256)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=256)
    parser.add_argument("--repetitions", type=int, default=2000)
    arguments = parser.parse_args()
    print("| Discordant pairs | False alarms | Share | Exact |")
    print("| ---: | ---: | ---: | ---: |")
    for n in N_DISCORDANT:
        alarms = alarm_of_each_outcome(n, arguments.pairs)
        found = false_alarms(alarms, arguments.repetitions)
        share, exact = found / arguments.repetitions, exact_share(alarms)
        print(f"| {n} | {found} of {arguments.repetitions:,} | {share:.2%} | {exact:.2%} |")


def alarm_of_each_outcome(n_discordant: int, n_pairs: int) -> list[bool]:
    """Whether the comparison claims a difference where 0, 1, ... of the pairs were fixed."""
    return [
        _verdict(n_fixed, n_discordant - n_fixed, n_pairs)
        is not ComparisonVerdict.NO_CLEAR_DIFFERENCE
        for n_fixed in range(n_discordant + 1)
    ]


def false_alarms(alarms: Sequence[bool], n_repetitions: int, *, seed: int = 0) -> int:
    """In how many of the repetitions, a fair coin for each discordant pair, there is an alarm."""
    n_discordant = len(alarms) - 1
    coins = Sha256Stream(f"null experiment {n_discordant} {seed}")
    return sum(
        alarms[sum(coins.below(2) for _ in range(n_discordant))] for _ in range(n_repetitions)
    )


def exact_share(alarms: Sequence[bool]) -> float:
    """The probability of an alarm."""
    n_discordant = len(alarms) - 1
    ways = sum(comb(n_discordant, fixed) for fixed, alarm in enumerate(alarms) if alarm)
    return float(ways / 2**n_discordant)


def _verdict(n_fixed: int, n_broken: int, n_pairs: int) -> ComparisonVerdict:
    n_changed = n_fixed + n_broken
    before = [n_fixed <= i < n_changed or (i >= n_changed and i % 2 == 0) for i in range(n_pairs)]
    after = [i < n_fixed or (i >= n_changed and i % 2 == 0) for i in range(n_pairs)]
    return compare(_run("before", before), _run("after", after)).verdict


def _run(label: str, right: Sequence[bool]) -> EvaluatedRun:
    return EvaluatedRun(
        label=label,
        evalset=digest_bytes(b"null experiment"),
        judge=Judge(name="exact", version="1"),
        template=Template(format="tunix_sft", version="1"),
        max_new_tokens=1,
        predictions=tuple(_prediction(i, correct) for i, correct in enumerate(right)),
    )


def _prediction(number: int, correct: bool) -> Prediction:
    return Prediction(
        example_id=f"{number}",
        prompt="?",
        generated_response="",
        parsed_steps=(),
        parsed_answer=None,
        expected_response="!",
        correct=correct,
        reason="",
        score=100.0 if correct else 0.0,
        n_tokens=1,
        stop_reason="end_of_turn",
        category="all",
        difficulty="all",
    )


if __name__ == "__main__":
    main()
