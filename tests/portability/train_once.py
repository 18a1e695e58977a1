"""A program of its own: train a model, let it answer, and print digests of what comes out.

Usage: python -m tests.portability.train_once MODE [--run RUN] [--steps-at-once N]
[--ynn-fusion TYPES]. Without a run of this repository, it is a small model and a few steps.
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
    from collections.abc import Sequence

    from tunixrt.datasets.render import Example
    from tunixrt.runs.config import RunConfig

ROOT = Path(__file__).parents[2]
N_EXAMPLES = 96
N_ANSWERS, N_NEW_TOKENS = 32, 48


def addition_examples() -> list[Example]:
    """Sums of two numbers, written out; always the same."""
    from tunixrt.datasets.render import DataFormat, Special, render_prompt, single_turn
    from tunixrt.log.digests import digest_bytes

    examples = []
    for place in range(N_EXAMPLES):
        a, b = (place * 37) % 100, (place * 91 + 5) % 1000
        prompt, answer = f"What is {a} + {b}?", f"Reasoning:\n1. Add.\nAnswer: {a + b}"
        examples.append(
            single_turn(
                str(place),
                digest_bytes(prompt.encode()),
                render_prompt(prompt, data_format=DataFormat.TUNIX_SFT),
                (answer, Special.END_OF_TURN),
            )
        )
    return examples


def small(mode: str) -> tuple[RunConfig, Sequence[Example]]:
    """A configuration of a few seconds, and its examples."""
    from tunixrt.runs.config_sources import load_config

    config = load_config("nano", [*SIZES, f"training.numeric_mode={mode}"])
    return config, addition_examples()


def committed(run: str, mode: str) -> tuple[RunConfig, Sequence[Example]]:
    """What a committed run was trained on, and how, in either mode."""
    from tunixrt.jobs.training import TrainRequest, dataset_of, plan_training
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.runs.catalogue import Catalogue
    from tunixrt.runs.config import RunConfig
    from tunixrt.runs.directories import find_run
    from tunixrt.runs.manifests import TrainingManifest

    layout = Layout(ROOT)
    manifest = find_run(layout, run)
    if not isinstance(manifest, TrainingManifest):
        raise SystemExit(f"{run} is not a training run.")
    recorded = RunConfig.from_resolved(manifest.config)
    training = recorded.training.model_copy(update={"numeric_mode": mode})
    config = recorded.model_copy(update={"training": training})
    dataset = dataset_of(Catalogue(layout), manifest)
    plan = plan_training(layout, EventLog(layout), TrainRequest(config, dataset.key))
    return config, plan.text.examples


def answers(model: Path, examples: Sequence[Example], mode: str) -> str:
    """What the model writes after the first prompts, tokens and stop reasons."""
    from tunixrt.ml.generate import Generator
    from tunixrt.ml.tokenizer import ByteTokenizer

    prompts = [ByteTokenizer().encode(example.prompt) for example in examples[:N_ANSWERS]]
    generator = Generator(
        model, max_new_tokens=N_NEW_TOKENS, batch_size=N_ANSWERS, numeric_mode=mode
    )
    return "\n".join(f"{one.stop_reason} {one.tokens}" for one in generator.run(prompts))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=environment.NUMERIC_MODES)
    parser.add_argument("--run", help="a training run of this repository, to make again")
    parser.add_argument("--steps-at-once", type=int)
    parser.add_argument("--ynn-fusion")
    arguments = parser.parse_args()

    if arguments.ynn_fusion is not None:
        # Not a setting of tunixrt: the point is to show that the bits do not depend on it.
        flags = dict(environment.REQUIRED_XLA_FLAGS)
        flags["--xla_cpu_experimental_ynn_fusion_type"] = arguments.ynn_fusion
        environment.REQUIRED_XLA_FLAGS = flags  # type: ignore[misc]
    mode = arguments.mode
    environment.prepare(mode)

    from tunixrt.ml import course, training
    from tunixrt.runs.run import METRICS_NAME

    if arguments.steps_at_once is not None:
        course._STEPS_AT_ONCE = arguments.steps_at_once
    config, examples = small(mode) if arguments.run is None else committed(arguments.run, mode)
    with tempfile.TemporaryDirectory() as directory:
        outcome = training.train(config, examples, Path(directory))
        metrics = (Path(directory) / METRICS_NAME).read_bytes()
        predictions = answers(Path(directory) / "model", examples, mode)
    print(
        json.dumps(
            {
                "weights": outcome.weights,
                "metrics": f"sha256:{hashlib.sha256(metrics).hexdigest()}",
                "predictions": f"sha256:{hashlib.sha256(predictions.encode()).hexdigest()}",
                "final_loss": outcome.final_loss,
                "n_params": outcome.n_params,
            }
        )
    )


if __name__ == "__main__":
    main()
