"""Runs that nobody trained: published as real ones are, with figures that a test wants to see."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from tests.runs.samples import evaluation_manifest, training_manifest
from tests.runs.test_identity import evaluation_identity, training_identity
from tunixrt import Store
from tunixrt.eval.evaluation import Generated, evaluate, summarise
from tunixrt.eval.judge.judges import judge_by_name
from tunixrt.eval.predictions import write_predictions
from tunixrt.log.digests import digest_bytes
from tunixrt.log.files import staging_directory
from tunixrt.runs.config import load_config
from tunixrt.runs.directories import output_digests, publish_run
from tunixrt.runs.identity import Draws, GenerationSettings
from tunixrt.runs.manifests import DatasetInput, EvalsetInput, ModelInput
from tunixrt.store import held_out_evalset

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tunixrt.log.digests import Digest
    from tunixrt.runs.manifests import EvaluationManifest, TrainingManifest

ENVIRONMENT = {"started_at": None, "duration_s": None, "tunixrt": "0", "python": "3"}


def made_store(root: Path, *, n: int = 24, n_samples: int = 20) -> Store:
    """A store with ``n`` traces, the dataset ``sums-v1`` and the held-out eval set ``sums``."""
    store = Store.init(root)
    store.generate_arithmetic(kinds=["addition"], n_digits=2, n=n, seed=0)
    store.build_dataset("sums", "v1", splits={"test": "0.2"})
    evalset = held_out_evalset(kinds=["addition", "subtraction"], n_digits=2, n=n_samples, seed=0)
    (root / "evalsets" / "sums.jsonl").write_bytes(evalset)
    return store


def made_training(
    store: Store, *, seed: int = 0, key: str = "sums-v1", base: Digest | None = None
) -> TrainingManifest:
    """A training run whose weights are a few bytes that depend on the seed."""
    dataset = store.dataset(key)
    config = load_config("nano", [f"training.seed={seed}"]).resolved()
    identity = training_identity(dataset=dataset.digest, config=config, base=base)
    traces = [m.trace for m in store.members(key) if m.split == "train"]
    with staging_directory(store.layout) as staged:
        (staged / "model").mkdir()
        (staged / "model" / "model.safetensors").write_bytes(f"weights {seed}".encode())
        (staged / "model" / "config.json").write_text("{}")
        (staged / "model" / "tokenizer.json").write_text("{}")
        _write_lines(
            staged / "metrics.jsonl",
            [
                {"step": i, "loss": 5.0 / i, "learning_rate": 0.001, "grad_norm": 1.0 / i}
                for i in range(1, 31)
            ],
        )
        _write_lines(
            staged / "ledger.jsonl",
            [
                {
                    "trace": trace,
                    "outcome": "kept",
                    "n_tokens": 90,
                    "n_loss_tokens": 50,
                    "n_times_trained": 2,
                }
                for trace in traces
            ],
        )
        manifest = training_manifest(
            run_id=identity.run_id,
            identity=identity,
            config=config,
            dataset=DatasetInput(
                key=key,
                digest=dataset.digest,
                split="train",
                snapshot=dataset.manifest.snapshot,
                export=None,
            ),
            outputs=output_digests(staged),
        )
        publish_run(store.layout, staged, manifest, ENVIRONMENT)
    return manifest


def made_evaluation(
    store: Store,
    trained: TrainingManifest | None,
    *,
    n_right: int,
    evalset: str = "sums",
    judge: str = "exact",
    responses: Sequence[str] = (),
    n_draws: int | None = None,
) -> EvaluationManifest:
    """An evaluation that answers the first ``n_right`` samples rightly, and the others not.

    The last of several responses to a sample is wrong.
    """
    questions = store.evalset(evalset)
    weights = digest_bytes(b"initial") if trained is None else trained.weights
    chosen = judge_by_name(judge)
    identity = evaluation_identity(weights=weights, evalset=questions.digest, judge=chosen.identity)
    if n_draws is not None:
        draws = Draws(temperature=0.8, top_p=0.95, n=n_draws, seed=0)
        generation = GenerationSettings("sampling", 96, 64, draws)
        identity = msgspec.structs.replace(identity, generation=generation)

    def generate(prompts: Sequence[str]) -> list[Generated]:
        made = []
        for i, n in ((i, n) for i in range(len(questions.samples)) for n in range(n_draws or 1)):
            sample = questions.samples[i]
            right = i < n_right and (n_draws is None or n < n_draws - 1)
            answer = sample.expected_answer if right else "no idea"
            text = responses[i] if i < len(responses) else f"1. Add.\nAnswer: {answer}"
            made.append(Generated(text, len(text), "length" if i % 7 == 6 else "end_of_turn"))
        return made

    with staging_directory(store.layout) as staged:
        predictions = evaluate(questions, generate, judge=chosen, n_draws=n_draws)
        write_predictions(staged / "predictions.jsonl", predictions)
        untrained = load_config("nano").resolved() if trained is None else None
        manifest = evaluation_manifest(
            run_id=identity.run_id,
            identity=identity,
            evalset=EvalsetInput(
                name=evalset, digest=questions.digest, n_samples=len(questions.samples)
            ),
            model=ModelInput(
                weights=weights,
                run_id=None if trained is None else trained.run_id or None,
                untrained=untrained,
            ),
            results=summarise(predictions),
            outputs=output_digests(staged),
        )
        publish_run(store.layout, staged, manifest, ENVIRONMENT)
    return manifest


def write_evalset(store: Store, name: str, prompts: Sequence[str]) -> None:
    """An eval set that asks these questions, of two categories in turn."""
    _write_lines(
        store.layout.evalsets / f"{name}.jsonl",
        [
            {
                "id": f"q{i}",
                "prompt": prompt,
                "expected_answer": "1",
                "category": ("even", "odd")[i % 2],
                "difficulty": "easy",
            }
            for i, prompt in enumerate(prompts)
        ],
    )


def _write_lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
