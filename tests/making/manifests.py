"""Manifests to test with."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.making.identities import D, evaluation_identity, training_identity
from tunixrt.runs.manifests import (
    CategoryResult,
    EvaluationManifest,
    EvaluationResults,
    LedgerCounts,
    TrainingManifest,
    TrainingResults,
)


def training_manifest(**changes: Any) -> TrainingManifest:
    identity = training_identity()
    manifest = TrainingManifest(
        format=2,
        run_id=identity.run_id,
        identity=identity,
        numeric_class=None,
        ledger=LedgerCounts(
            n_records=2,
            n_kept=2,
            n_dropped=0,
            n_truncated=0,
            n_redacted=0,
            n_tokens=9,
            n_loss_tokens=5,
        ),
        results=TrainingResults(
            n_params=10, n_steps=1, first_loss=1.5, last_loss=1.5, n_loss_tokens=5
        ),
        outputs={"model/model.safetensors": D},
    )
    return msgspec.structs.replace(manifest, **changes)


def evaluation_manifest(**changes: Any) -> EvaluationManifest:
    identity = evaluation_identity()
    manifest = EvaluationManifest(
        format=2,
        run_id=identity.run_id,
        identity=identity,
        results=EvaluationResults(
            results_count=2,
            n_correct=1,
            avg_score=50.0,
            interval=(9.5, 90.5),
            categories={
                "addition": CategoryResult(n=2, n_correct=1, avg_score=50.0, interval=(9.5, 90.5))
            },
            stop_reasons={"end_of_turn": 2},
        ),
        outputs={"predictions.jsonl": D},
    )
    return msgspec.structs.replace(manifest, **changes)
