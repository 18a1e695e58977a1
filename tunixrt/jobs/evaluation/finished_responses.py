"""The responses of a finished evaluation, for another judge: nothing is generated twice.

A run in ``runs/`` whose identity names the same responses has them in its predictions. They are
used only if every byte of that run is what its manifest and its sums say: a run that is damaged is
named and left alone, and the responses are generated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tunixrt.errors import BadInputError
from tunixrt.eval.evaluation import Generated
from tunixrt.eval.predictions import PREDICTIONS_NAME, read_predictions
from tunixrt.log.findings import Finding
from tunixrt.runs.directories import MANIFEST, list_run_ids, verify_run
from tunixrt.runs.manifests import EvaluationManifest, ManifestError, read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.eval.predictions import Prediction
    from tunixrt.log.layout import Layout
    from tunixrt.runs.identity import EvaluationIdentity


class FinishedResponses(NamedTuple):
    """Responses in the order of the requests, and the run that they were taken from."""

    run_id: str
    responses: list[Generated]


def finished_responses(
    layout: Layout,
    identity: EvaluationIdentity,
    evalset: EvalSet,
    *,
    on_finding: Callable[[Finding], None] | None = None,
) -> FinishedResponses | None:
    """The responses that ``identity`` names, from the first finished run that has them.

    Args:
        layout: where the runs are.
        identity: what decides the responses.
        evalset: the questions.
        on_finding: called with why a run that names these responses is not used.
    """
    for run_id in list_run_ids(layout):
        if not _names(layout, run_id, identity.responses_id):
            continue
        found = _checked(layout, run_id, identity, evalset)
        if not isinstance(found, Finding):
            return FinishedResponses(run_id, [_generated(p) for p in found])
        if on_finding is not None:
            on_finding(found)
    return None


def _names(layout: Layout, run_id: str, responses_id: str) -> bool:
    try:
        manifest = read_manifest(layout.runs / run_id / MANIFEST)
    except ManifestError:
        return False  # whose responses these are, nobody can say; `verify` names the manifest
    return (
        isinstance(manifest, EvaluationManifest) and manifest.identity.responses_id == responses_id
    )


def _checked(
    layout: Layout, run_id: str, identity: EvaluationIdentity, evalset: EvalSet
) -> tuple[Prediction, ...] | Finding:
    """The predictions of a run, or the first reason not to use them."""
    for finding in verify_run(layout, run_id):
        return finding
    path = layout.runs / run_id / PREDICTIONS_NAME
    try:
        predictions = read_predictions(path)
    except BadInputError as error:
        return Finding(layout.relative(path), f"The predictions cannot be read: {error}")
    if not _answer(predictions, identity, evalset):
        problem = f"The predictions are not those to the samples of {evalset.name}, in their order."
        return Finding(layout.relative(path), problem)
    return predictions


def _answer(
    predictions: tuple[Prediction, ...], identity: EvaluationIdentity, evalset: EvalSet
) -> bool:
    draws = identity.generation.draws
    numbers: list[int] | list[None] = [None] if draws is None else list(range(draws.n))
    asked = [(sample.id, number) for sample in evalset.samples for number in numbers]
    return [(p.example_id, p.draw) for p in predictions] == asked


def _generated(prediction: Prediction) -> Generated:
    return Generated(
        text=prediction.generated_response,
        n_tokens=prediction.n_tokens,
        stop_reason=prediction.stop_reason,
    )
