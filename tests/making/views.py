"""Views for the tests of the report: a plausible one, and one full of hostile text."""

from __future__ import annotations

from typing import Any

import msgspec

from tunixrt.eval.compare.pairs import EvaluatedRun, compare
from tunixrt.eval.compare.seeds import compare_seeds
from tunixrt.eval.contamination import Contamination
from tunixrt.eval.evalsets import EvalSample, EvalSet
from tunixrt.eval.evaluation import Generated, evaluate
from tunixrt.log.digests import Digest, digest_bytes
from tunixrt.report import Command, ExperimentView, ReportView, RunView, TrainingView
from tunixrt.runs.identity import Judge, Template
from tunixrt.runs.lines import LedgerLine, MetricsLine

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
    label: str, evalset: EvalSet, n_right: int, texts: tuple[str, ...] = ()
) -> EvaluatedRun:
    """A run that answers the first ``n_right`` of a rotated list rightly."""

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

    return EvaluatedRun(
        label=label,
        evalset=evalset.digest,
        judge=Judge(name="exact", version="1"),
        template=Template(
            format="tunix_sft", version="1", system_instruction=texts[0] if texts else None
        ),
        max_new_tokens=240,
        predictions=evaluate(evalset, generate),
    )


def contamination(
    n_exact: int = 0, n_normalised: int = 0, n_overlap: int = 0, **changes: Any
) -> Contamination:
    found = Contamination(
        method="prompts-1",
        ngram=8,
        threshold=0.7,
        datasets=["sums-v1/train"],
        complete=True,
        n_prompts=32,
        n_redacted=0,
        n_samples=N_SAMPLES,
        n_exact=n_exact,
        n_normalised=n_normalised,
        n_overlap=n_overlap,
        examples=[],
    )
    return msgspec.structs.replace(found, **changes)


def training(texts: tuple[str, ...] = (), n_steps: int = 120) -> TrainingView:
    text = texts[0] if texts else ""
    return TrainingView(
        run_id=digest("training").removeprefix("sha256:"),
        dataset_key="sums-v1",
        dataset=digest("dataset"),
        split="train",
        text=digest("text"),
        base=text or None,
        n_params=443_136,
        seeds={"initialisation": 0, "data.shuffle_seed": 7},
        config={
            "training.num_steps": str(n_steps),
            "training.learning_rate": "0.003",
            "model.name": text or "nano",
        },
        losses=tuple(
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


def view(
    *, n_before: int = 5, n_after: int = 19, texts: tuple[str, ...] = (), n_steps: int = 120
) -> ReportView:
    """A report of an untrained and a trained model."""
    evalset = samples(texts)
    before = evaluated("before", evalset, n_before, texts)
    after = evaluated("after", evalset, n_after, texts)
    versions = {"jax": "0.10.2", "numpy": "2.4.6"}
    common = {"evalset_name": "arithmetic_v1", "numeric_mode": "portable", "numeric_class": None}
    return ReportView(
        before=RunView(
            run_id=digest("before").removeprefix("sha256:"),
            model=texts[0] if texts else "untrained nano",
            weights=digest("w0"),
            evaluation=before,
            sources=digest("sources"),
            versions=versions,
            **common,  # type: ignore[arg-type]
        ),
        after=RunView(
            run_id=digest("after").removeprefix("sha256:"),
            model=texts[0] if texts else "nano trained on sums-v1",
            weights=digest("w1"),
            evaluation=after,
            sources=digest("sources"),
            versions=versions,
            training=training(texts, n_steps),
            contamination=contamination(),
            **common,  # type: ignore[arg-type]
        ),
        comparison=compare(before, after),
        commands=(Command("train", "tunixrt train nano --dataset sums-v1"),),
        warnings=(texts[0],) if texts else (),
    )


def pair(seed: int, n_before: int, n_after: int, texts: tuple[str, ...] = ()) -> ReportView:
    """A pair of trained models whose names tell the seed."""
    made = view(n_before=n_before, n_after=n_after, texts=texts)
    trained = training(texts)
    changed = {
        side: msgspec.structs.replace(
            run,
            run_id=digest(f"{side} {seed}").removeprefix("sha256:"),
            evaluation=msgspec.structs.replace(run.evaluation, label=f"{side} {seed}"),
            contamination=contamination(),
            training=msgspec.structs.replace(
                trained,
                run_id=digest(f"trained {side} {seed}").removeprefix("sha256:"),
                config=trained.config | {"training.seed": str(seed)},
            ),
        )
        for side, run in (("before", made.before), ("after", made.after))
    }
    return msgspec.structs.replace(made, **changed)


def experiment(*pairs: ReportView) -> ExperimentView:
    comparison = compare_seeds(
        [p.before.evaluation for p in pairs], [p.after.evaluation for p in pairs]
    )
    return ExperimentView(pairs=pairs, comparison=comparison)
