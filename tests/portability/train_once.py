"""A program of its own: train a small model and print digests of what comes out.

Usage: python -m tests.portability.train_once MODE [--steps-at-once N] [--ynn-fusion TYPES]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.portability.sizes import SIZES
from tunixrt.ml import environment

if TYPE_CHECKING:
    from tunixrt.data.render import Example

N_EXAMPLES = 96


def addition_examples() -> list[Example]:
    """Sums of two numbers, written out; always the same."""
    from tunixrt.data.render import DataFormat, Example, Special, render_prompt
    from tunixrt.log.digests import digest_bytes

    examples = []
    for place in range(N_EXAMPLES):
        a, b = (place * 37) % 100, (place * 91 + 5) % 1000
        prompt, answer = f"What is {a} + {b}?", f"Reasoning:\n1. Add.\nAnswer: {a + b}"
        examples.append(
            Example(
                id=str(place),
                trace=digest_bytes(prompt.encode()),
                prompt=render_prompt(prompt, data_format=DataFormat.TUNIX_SFT),
                completion=(answer, Special.END_OF_TURN),
            )
        )
    return examples


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=environment.NUMERIC_MODES)
    parser.add_argument("--steps-at-once", type=int)
    parser.add_argument("--ynn-fusion")
    arguments = parser.parse_args()

    if arguments.ynn_fusion is not None:
        # Not a setting of tunixrt: the point is to show that the bits do not depend on it.
        flags = dict(environment.REQUIRED_XLA_FLAGS)
        flags["--xla_cpu_experimental_ynn_fusion_type"] = arguments.ynn_fusion
        environment.REQUIRED_XLA_FLAGS = flags  # type: ignore[misc]
    environment.prepare(arguments.mode)

    from tunixrt.ml import course, training
    from tunixrt.ml.metrics import METRICS_FILE
    from tunixrt.runs.config import load_config

    if arguments.steps_at_once is not None:
        course._STEPS_AT_ONCE = arguments.steps_at_once
    config = load_config("nano", [*SIZES, f"training.numeric_mode={arguments.mode}"])
    with tempfile.TemporaryDirectory() as directory:
        outcome = training.train(config, addition_examples(), Path(directory))
        metrics = (Path(directory) / METRICS_FILE).read_bytes()
    print(
        json.dumps(
            {
                "weights": outcome.weights,
                "metrics": f"sha256:{hashlib.sha256(metrics).hexdigest()}",
                "final_loss": outcome.final_loss,
                "n_params": outcome.n_params,
            }
        )
    )


if __name__ == "__main__":
    main()
