"""Identities of runs, of which a test changes what it asks about."""

from __future__ import annotations

from typing import Any

import msgspec

from tunixrt.log.digests import digest_bytes
from tunixrt.runs.identity import (
    Code,
    EvaluationIdentity,
    GenerationSettings,
    Judge,
    ModelDigests,
    ResponsesIdentity,
    Template,
    TrainingIdentity,
)

D = digest_bytes(b"something")
CODE = Code(sources=D, packages={"jax": "0.10.2"})


def training_identity(**changes: Any) -> TrainingIdentity:
    identity = TrainingIdentity(
        format=2,
        dataset=D,
        text=D,
        validation_text=None,
        base=None,
        config={"training": {"seed": 0}},
        tokenizer=D,
        template=Template(format="tunix_sft", version="1"),
        numeric_mode="portable",
        numeric_class=None,
        code=CODE,
    )
    return msgspec.structs.replace(identity, **changes)


def responses_identity(**changes: Any) -> ResponsesIdentity:
    identity = ResponsesIdentity(
        format=2,
        model=ModelDigests(weights=D, model_config=D, tokenizer=D),
        untrained=None,
        evalset=D,
        template=Template(format="tunix_sft", version="1"),
        generation=GenerationSettings(strategy="greedy", max_new_tokens=96, batch_size=64),
        numeric_mode="portable",
        numeric_class=None,
        code=CODE,
    )
    return msgspec.structs.replace(identity, **changes)


def evaluation_identity(
    judge: Judge | None = None, summary: int = 1, **changes: Any
) -> EvaluationIdentity:
    return EvaluationIdentity(
        format=2,
        responses=responses_identity(**changes),
        judge=judge or Judge(name="exact", version="1"),
        summary=summary,
    )
