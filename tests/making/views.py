"""What the tests of the report show: plausible runs, and runs full of hostile text."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.making.identities import evaluation_identity, training_identity
from tests.making.manifests import evaluation_manifest, training_manifest
from tunixrt.eval.compare.pairs import compare
from tunixrt.eval.compare.seeds import compare_seeds
from tunixrt.eval.evalsets import EvalSample, EvalSet
from tunixrt.eval.evaluation import Generated, evaluate
from tunixrt.log.digests import Digest, digest_bytes
from tunixrt.report import Experiment, Pair, ShownRun, ShownTraining
from tunixrt.runs.identity import (
    Code,
    ContaminationIdentity,
    GenerationSettings,
    Judge,
    ModelDigests,
    Template,
)
from tunixrt.runs.lines import LedgerLine, MetricsLine, Prediction
from tunixrt.runs.manifests import ContaminationManifest, ContaminationResults, TrainingResults

N_SAMPLES = 24
CATEGORIES = ("addition", "subtraction", "word problems")


def digest(text: str) -> Digest:
    return digest_bytes(text.encode())


def samples(texts: tuple[str, ...] = ()) -> EvalSet:
    """24 additions; where there are texts, each field of a sample is one of them."""
    made = [
        EvalSample(
            id=f"eval-{i:03d}",
            prompt=f"What is {i} + {i + 7}?",
            expected_answer=str(2 * i + 7),
            category=CATEGORIES[i % 3],
            difficulty=("easy", "hard")[i % 2],
        )
        for i in range(N_SAMPLES)
    ]
    hostile = [EvalSample(f"{i} {text}", text, text, text, text) for i, text in enumerate(texts)]
    return EvalSet("arithmetic_v1", digest("evalset"), tuple(hostile or made))


def evaluated(
    evalset: EvalSet, n_right: int, texts: tuple[str, ...] = ()
) -> tuple[Prediction, ...]:
    """The predictions of a run that answers the first ``n_right`` of a rotated list rightly."""

    def generate(prompts: object) -> list[Generated]:
        responses = []
        for i, sample in enumerate(evalset.samples):
            right = (i * 7) % len(evalset.samples) < n_right
            answer = sample.expected_answer if right else str(i + 1)
            if texts:
                text = f"1. {texts[i % len(texts)]}\n2. second\nAnswer: {texts[-1 - i]}"
            elif i % 9 == 8 and not right:
                text = "the the the " * 40
            else:
                text = f"Reasoning:\n1. Add the ones: {i % 10}\n2. Carry\nAnswer: {answer}"
            cut = "the the" in text
            responses.append(Generated(text, len(text) // 2, "length" if cut else "end_of_turn"))
        return responses

    return evaluate(evalset, generate)


def contamination(
    n_exact: int = 0, n_normalised: int = 0, n_overlap: int = 0, *, complete: bool = True
) -> ContaminationManifest:
    identity = ContaminationIdentity(
        format=2,
        method="prompts-1",
        ngram=8,
        threshold="7/10",
        evalset=digest("evalset"),
        texts=[digest("text")],
        complete=complete,
    )
    results = ContaminationResults(
        n_prompts=32,
        n_samples=N_SAMPLES,
        n_exact=n_exact,
        n_normalised=n_normalised,
        n_overlap=n_overlap,
    )
    return ContaminationManifest(2, identity.run_id, identity, results, outputs={})


def training(
    texts: tuple[str, ...] = (), n_steps: int = 120, seed: int | None = None
) -> ShownTraining:
    """A training run; one with a seed is another one for each."""
    text = texts[0] if texts else ""
    settings = {"num_steps": n_steps, "learning_rate": 0.003}
    identity = training_identity(
        dataset=digest("dataset"),
        text=digest("text"),
        base=ModelDigests(digest("base"), digest("{}"), digest("{}")) if text else None,
        config={
            "data": {"shuffle_seed": 7, "split": "train"},
            "model": {"name": text or "nano"},
            "training": settings if seed is None else settings | {"seed": seed},
        },
    )
    results = TrainingResults(
        n_params=443_136, n_steps=n_steps, first_loss=5.5, last_loss=0.4, n_loss_tokens=60
    )
    return ShownTraining(
        manifest=training_manifest(run_id=identity.run_id, identity=identity, results=results),
        dataset="sums-v1",
        base=text or None,
        metrics=tuple(
            MetricsLine(
                step=step,
                loss=5.5 / (1 + step / 9) + (step * 37 % 11) / 60,
                learning_rate=0.003 * min(step, 10) / 10,
                grad_norm=4.0 / step + 0.25,
                n_loss_tokens=60,
                weights_fingerprint=f"{step:08x}",
            )
            for step in range(1, n_steps + 1)
        ),
        ledger=(
            LedgerLine(digest("a"), "dropped", 300, 0, text or "300 tokens, and the limit is 256"),
            LedgerLine(digest("b"), "redacted", 0, 0, text or "redacted"),
            *(LedgerLine(digest(f"t{i}"), "kept", 80 + i, 40 + i, None, 3) for i in range(30)),
        ),
    )


def shown(
    evalset: EvalSet, weights: str, n_right: int, texts: tuple[str, ...] = (), **changes: Any
) -> ShownRun:
    """An evaluation: of an untrained model, unless there is a training."""
    name = texts[0] if texts else "nano"
    config = None if "training" in changes else {"model": {"name": name}}
    identity = evaluation_identity(
        judge=Judge(name="exact", version="1"),
        model=ModelDigests(digest(weights), digest("{}"), digest("{}")),
        untrained=config,
        evalset=evalset.digest,
        template=Template("tunix_sft", "1", texts[0] if texts else None),
        generation=GenerationSettings("greedy", 240, 64),
        code=Code(digest("sources"), {"jax": "0.10.2", "numpy": "2.4.6"}),
    )
    return ShownRun(
        manifest=evaluation_manifest(run_id=identity.run_id, identity=identity),
        evalset="arithmetic_v1",
        predictions=evaluated(evalset, n_right, texts),
        **changes,
    )


def view(
    *, n_before: int = 5, n_after: int = 19, texts: tuple[str, ...] = (), n_steps: int = 120
) -> Pair:
    """An untrained and a trained model."""
    evalset = samples(texts)
    return paired(
        shown(evalset, "w0", n_before, texts),
        shown(
            evalset,
            "w1",
            n_after,
            texts,
            training=training(texts, n_steps),
            contamination=contamination(),
        ),
    )


def paired(before: ShownRun, after: ShownRun, *, allow_differences: bool = False) -> Pair:
    """Two evaluations with their comparison."""
    found = compare(before.evaluation, after.evaluation, allow_differences=allow_differences)
    return Pair(before, after, found)


def changed_identity(run: ShownRun, **changes: Any) -> ShownRun:
    """An evaluation whose responses have another identity in these fields."""
    manifest = run.manifest
    responses = msgspec.structs.replace(manifest.responses, **changes)
    identity = msgspec.structs.replace(manifest.identity, responses=responses)
    return msgspec.structs.replace(
        run,
        manifest=msgspec.structs.replace(manifest, run_id=identity.run_id, identity=identity),
    )


def pair(seed: int, n_before: int, n_after: int, texts: tuple[str, ...] = ()) -> Pair:
    """A pair of trained models that share a seed."""
    evalset = samples(texts)
    before, after = (
        shown(
            evalset,
            f"{side} {seed}",
            n_right,
            texts,
            training=training(texts, seed=seed),
            contamination=contamination(),
        )
        for side, n_right in (("before", n_before), ("after", n_after))
    )
    return paired(before, after)


def experiment(*pairs: Pair) -> Experiment:
    comparison = compare_seeds(
        [p.before.evaluation for p in pairs], [p.after.evaluation for p in pairs]
    )
    return Experiment(pairs=pairs, comparison=comparison)
