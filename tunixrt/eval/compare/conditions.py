"""What must be equal for two evaluations to be comparable: everything but the model.

The one rule of it: `compare` refuses evaluations whose `conditions` differ, and a site pairs those
whose conditions are equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tunixrt.datasets.render import DataFormat, prompt_format
from tunixrt.errors import BadInputError
from tunixrt.log.digests import Digest
from tunixrt.runs.identity import Draws, Judge, Template
from tunixrt.runs.lines import Prediction
from tunixrt.runs.manifests import EvaluationManifest, OverlongPrompts

if TYPE_CHECKING:
    from collections.abc import Iterator


class EvaluatedRun(msgspec.Struct, frozen=True):
    """The fields of an evaluation that a comparison uses.

    Attributes:
        label: its name in messages, such as a prefix of its run id.
        evalset: the digest of the eval set.
        judge: name and version.
        template: how questions were turned into prompts.
        max_new_tokens: the limit of generated tokens.
        predictions: one per sample, or as many as were drawn.
        draws: how several were drawn; None for greedy answers.
        overlong: prompts that left no room for an answer; None if every prompt left room.
    """

    label: str
    evalset: Digest
    judge: Judge
    template: Template
    max_new_tokens: int
    predictions: tuple[Prediction, ...]
    draws: Draws | None = None
    overlong: OverlongPrompts | None = None


def evaluated_run(
    manifest: EvaluationManifest, predictions: tuple[Prediction, ...]
) -> EvaluatedRun:
    """Return the input of a comparison: what a manifest says of an evaluation, and its lines."""
    responses = manifest.responses
    return EvaluatedRun(
        label=manifest.run_id[:12],
        evalset=responses.evalset,
        judge=manifest.identity.judge,
        template=responses.template,
        max_new_tokens=responses.generation.max_new_tokens,
        draws=responses.generation.draws,
        overlong=manifest.results.overlong,
        predictions=predictions,
    )


class ConditionDifference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something other than the model that differs between two evaluations."""

    what: str
    a: str
    b: str

    def __str__(self) -> str:
        """The difference as a clause."""
        return f"the {self.what} differs ({self.a} against {self.b})"


class NotComparableError(BadInputError):
    """Two evaluations that differ in more than the model.

    Attributes:
        differences: what differs.
    """

    def __init__(
        self, a: str, b: str, problem: str, differences: tuple[ConditionDifference, ...]
    ) -> None:
        super().__init__(f"The evaluations {a} and {b} cannot be compared: {problem}")
        self.differences = differences


def conditions(run: EvaluatedRun) -> dict[str, str]:
    """What must be equal for two evaluations to be comparable: name to value, as text."""
    return {
        "eval set": run.evalset,
        "judge": f"{run.judge}",
        "template": _template(run.template),
        "limit of new tokens": str(run.max_new_tokens),
        "generation": str(run.draws or "greedy"),
        "set of samples that were left out as overlong": " ".join(left_out(run.overlong)) or "none",
    }


def differences_of(a: EvaluatedRun, b: EvaluatedRun) -> Iterator[ConditionDifference]:
    """Yield the conditions that differ."""
    in_b = conditions(b)
    for what, in_a in conditions(a).items():
        if in_a != in_b[what]:
            yield ConditionDifference(what=what, a=in_a, b=in_b[what])


def left_out(overlong: OverlongPrompts | None) -> tuple[str, ...]:
    """The sorted ids of the samples that no figure of a run includes.

    Samples counted as wrong answers are included in all figures.
    """
    if overlong is None or overlong.treatment != "omit":
        return ()
    return tuple(sorted(overlong.n_tokens))


def _template(template: Template) -> str:
    """How questions become prompts; the form of the trained answers is not part of it."""
    system = "" if template.system_instruction is None else f", {template.system_instruction!r}"
    return f"{prompt_format(DataFormat(template.format))} {template.version}{system}"
