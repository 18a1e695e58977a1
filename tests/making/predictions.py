"""Predictions and evaluated runs, in as few words as a test of comparisons needs."""

from __future__ import annotations

from tunixrt.eval.compare.conditions import EvaluatedRun
from tunixrt.log.digests import digest_bytes
from tunixrt.runs.identity import Judge, Template
from tunixrt.runs.lines import Prediction


def prediction(name: str, correct: bool, category: str = "sums") -> Prediction:
    return Prediction(
        example_id=name,
        prompt=f"prompt of {name}",
        generated_response="",
        parsed_steps=(),
        parsed_answer=None,
        expected_response="2",
        correct=correct,
        reason="Because.",
        score=100.0 if correct else 0.0,
        n_tokens=3,
        stop_reason="end_of_turn",
        category=category,
        difficulty="easy",
    )


def run(label: str, predictions: list[Prediction]) -> EvaluatedRun:
    return EvaluatedRun(
        label=label,
        evalset=digest_bytes(b"set"),
        judge=Judge(name="exact", version="1"),
        template=Template(format="tunix_sft", version="1"),
        max_new_tokens=64,
        predictions=tuple(predictions),
    )
