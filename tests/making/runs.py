"""Runs that nobody trained: published as real ones are, with figures that a test wants to see."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from tests.making.identities import evaluation_identity, training_identity
from tests.making.manifests import training_manifest
from tunixrt import Store
from tunixrt.datasets.reading import DatasetReader
from tunixrt.datasets.recipes import Split
from tunixrt.datasets.render import DataFormat
from tunixrt.datasets.text import Text
from tunixrt.derive import Execution, Watch, encode_manifest, obtain, write_environment
from tunixrt.eval.sample_judges import sample_judge
from tunixrt.jobs.evaluation.judgement import Judgement
from tunixrt.log.digests import digest_bytes
from tunixrt.log.files import publish_directory, staging_directory
from tunixrt.log.sums import output_digests, seal
from tunixrt.runs.config_sources import load_config
from tunixrt.runs.identity import Draws, GenerationSettings, ModelDigests, Template
from tunixrt.runs.lines import LedgerLine, MetricsLine, Response, encode_lines
from tunixrt.runs.manifests import EvaluationManifest, ResponsesManifest
from tunixrt.runs.run import Run
from tunixrt.store import held_out_evalset

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tunixrt.log.digests import Digest
    from tunixrt.runs.manifests import Manifest, TrainingManifest

#: The digest of the ``{}`` that the models here have as configuration and as tokenizer.
EMPTY = digest_bytes(b"{}")
#: Nothing hashes what an environment says, so that no field of it is sure to be there: none is.
ENVIRONMENT: dict[str, Any] = {"made_by": "a test"}


def made_store(root: Path, *, n: int = 24, n_samples: int = 20) -> Store:
    """A store with ``n`` traces, the dataset ``sums-v1`` and the held-out eval set ``sums``."""
    store = Store.init(root)
    store.traces.generate_arithmetic(kinds=["addition"], n_digits=2, n=n, seed=0)
    store.datasets.build("sums", "v1", splits={"test": "0.2"})
    evalset = held_out_evalset(kinds=["addition", "subtraction"], n_digits=2, n=n_samples, seed=0)
    (root / "evalsets" / "sums.jsonl").write_bytes(evalset)
    return store


def made_training(
    store: Store,
    *,
    seed: int = 0,
    key: str = "sums-v1",
    base: Digest | None = None,
    text: Digest | None = None,
) -> TrainingManifest:
    """A training run whose weights are a few bytes that depend on the seed.

    ``text`` takes the place of the digest of the text that it was trained on.
    """
    dataset = store.datasets[key]
    read = Text(DataFormat.TUNIX_SFT, Split.TRAIN)
    with DatasetReader(store.log) as reader:
        reader.pour(dataset, [read])
    config = load_config("nano", [f"training.seed={seed}"]).identity()
    identity = training_identity(
        dataset=dataset.digest,
        text=text or read.digest,
        config=config,
        base=None if base is None else ModelDigests(base, EMPTY, EMPTY),
    )
    with staging_directory(store.layout) as staged:
        (staged / "model").mkdir()
        (staged / "model" / "model.safetensors").write_bytes(f"weights {seed}".encode())
        (staged / "model" / "config.json").write_text("{}")
        (staged / "model" / "tokenizer.json").write_text("{}")
        steps = [MetricsLine(i, 5.0 / i, 0.001, 1.0 / i, 60, f"{i:08x}") for i in range(1, 31)]
        (staged / "metrics.jsonl").write_bytes(encode_lines(steps))
        ledger = [
            LedgerLine(example.trace, "kept", 90, 50, n_times_trained=2)
            for example in read.examples
        ]
        (staged / "ledger.jsonl").write_bytes(encode_lines(ledger))
        manifest = training_manifest(
            run_id=identity.run_id, identity=identity, outputs=output_digests(staged)
        )
        publish(store, staged, manifest)
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
    data_format: str = "tunix_sft",
) -> EvaluationManifest:
    """An evaluation that answers the first ``n_right`` samples rightly, and the others not.

    The last of several responses to a sample is wrong. Which samples are right is told by the
    settings, since one identity has one answer.
    """
    questions = store.evalsets[evalset]
    weights = digest_bytes(b"initial") if trained is None else trained.weights
    draws = None if n_draws is None else Draws(temperature=0.8, top_p=0.95, n=n_draws, seed=0)
    known = sample_judge(judge, store.root)
    identity = evaluation_identity(
        judge=known.identity,
        model=ModelDigests(weights, EMPTY, EMPTY),
        untrained=load_config("nano").identity() if trained is None else None,
        evalset=questions.digest,
        template=Template(format=data_format, version="1"),
        generation=GenerationSettings("greedy" if draws is None else "sampling", 96, 64, draws),
    )
    made = []
    for i, n in ((i, n) for i in range(len(questions.samples)) for n in range(n_draws or 1)):
        sample = questions.samples[i]
        right = i < n_right and (n_draws is None or n < n_draws - 1)
        answer = sample.expected_answer if right else "no idea"
        text = responses[i] if i < len(responses) else f"1. Add.\nAnswer: {answer}"
        reason = "length" if i % 7 == 6 else "end_of_turn"
        draw = None if n_draws is None else n
        made.append(Response(sample.id, text, len(text), reason, draw))
    answered = identity.responses
    with staging_directory(store.layout) as staged:
        (staged / "responses.jsonl").write_bytes(encode_lines(made))
        publish(
            store,
            staged,
            ResponsesManifest(
                format=2,
                run_id=answered.run_id,
                identity=answered,
                numeric_class=None,
                n_responses=len(made),
                n_tokens=sum(response.n_tokens for response in made),
                outputs=output_digests(staged),
            ),
        )
    judged = Judgement(identity, questions, Run.of(store.layout, answered.run_id), known)
    run = Run.of(store.layout, judged.id)
    watch = Watch(stopwatch=lambda: Execution("2026-01-01T00:00:00Z", 1.5))
    obtain(store.layout, judged, run.directory, watch)
    manifest = run.manifest
    assert isinstance(manifest, EvaluationManifest)
    return manifest


def publish(store: Store, staged: Path, manifest: Manifest) -> None:
    """Publish a run that nothing made."""
    seal(staged, encode_manifest(manifest))
    write_environment(staged / "environments", ENVIRONMENT)
    publish_directory(staged, store.layout.runs / manifest.run_id)


def reseal(store: Store, manifest: Manifest) -> None:
    """What a forger does: a changed manifest, and every digest in order."""
    directory = store.layout.runs / manifest.run_id
    changed = msgspec.structs.replace(manifest, outputs=output_digests(directory))
    seal(directory, encode_manifest(changed))


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
