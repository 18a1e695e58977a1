"""The manifest of a finished run: ``runs/<run id>/manifest.json``.

A manifest is a function of the identity whose digest is the run id: the identity itself, the
results, and the outputs by digest. What depends on the current store is not in it: keys and names
are looked up by digest (`tunixrt.runs.catalogue`). Time, host and durations are in
``environments/`` beside it, which is not hashed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from tunixrt.datasets.recipes import Split
from tunixrt.errors import BadInputError
from tunixrt.log import canonical
from tunixrt.log.digests import Digest
from tunixrt.log.stored import read_stored
from tunixrt.runs.identity import (
    ContaminationIdentity,
    EvaluationIdentity,
    ResponsesIdentity,
    TrainingIdentity,
)
from tunixrt.runs.numeric_class import NumericClass

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST_FORMAT = 2
WEIGHTS_OUTPUT = "model/model.safetensors"


class LedgerCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many records training kept, dropped and truncated; ``ledger.jsonl`` lists which and why.

    Token counts are per epoch: ``n_tokens`` of the kept records, ``n_loss_tokens`` of them in the
    loss.
    """

    n_records: int
    n_kept: int
    n_dropped: int
    n_truncated: int
    n_redacted: int
    n_tokens: int
    n_loss_tokens: int


class TrainingResults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The figures of a training run; ``metrics.jsonl`` has one line per training step."""

    n_params: int
    n_steps: int
    first_loss: float
    last_loss: float
    n_loss_tokens: int


class TrainingManifest(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="training"
):
    """The manifest of a training run."""

    format: int
    run_id: str
    identity: TrainingIdentity
    numeric_class: NumericClass | None
    ledger: LedgerCounts
    results: TrainingResults
    outputs: dict[str, Digest]

    @property
    def weights(self) -> Digest:
        """The digest of ``model/model.safetensors``."""
        return self.outputs[WEIGHTS_OUTPUT]

    @property
    def config(self) -> dict[str, object]:
        """The configuration, without settings that change no bit."""
        return self.identity.config

    @property
    def split(self) -> Split:
        """The split that was trained on."""
        data = self.identity.config["data"]
        assert isinstance(data, dict)
        return Split(data["split"])


class ResponsesManifest(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
    tag="responses",
):
    """The manifest of the responses of a model to an eval set.

    ``overlong`` is absent if every prompt left room for an answer. Overlong prompts have no line in
    ``responses.jsonl``, since nothing was generated.
    """

    format: int
    run_id: str
    identity: ResponsesIdentity
    numeric_class: NumericClass | None
    n_responses: int
    n_tokens: int
    outputs: dict[str, Digest]
    overlong: OverlongPrompts | None = None

    @property
    def weights(self) -> Digest:
        """The digest of the weights that answered."""
        return self.identity.model.weights


class CategoryResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The score of one category with its interval, 0 to 100."""

    n: int
    n_correct: int
    avg_score: float
    interval: tuple[float, float]


class Estimate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A metric with its interval, 0 to 100."""

    score: float
    interval: tuple[float, float]


class DrawResults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Metrics of several responses per sample, beyond their average score.

    Attributes:
        n_samples: samples of the eval set.
        n_draws: responses per sample.
        pass_at: by k, the probability that at least one of k responses is right.
        majority: the share of samples whose most frequent answer is right.
    """

    n_samples: int
    n_draws: int
    pass_at: dict[str, Estimate]
    majority: Estimate


class OverlongPrompts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Prompts that left the model no room for an answer, and what was done with them.

    Attributes:
        treatment: ``wrong``: counted as wrong answers, with the stop reason ``overlong`` in the
            predictions; ``omit``: not among the predictions, and in no figure.
        max_length: the model's context, in tokens.
        n_tokens: the tokens of each such prompt, by sample id, sorted.
    """

    treatment: Literal["wrong", "omit"]
    max_length: int
    n_tokens: dict[str, int]


class EvaluationResults(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The figures of an evaluation run, 0 to 100; intervals at 95%.

    Counts are of responses. If several were drawn per sample, ``draws`` has more metrics, and
    intervals treat the samples, not the responses, as independent. ``overlong`` is absent if
    every prompt left room for an answer.
    """

    results_count: int
    n_correct: int
    avg_score: float
    interval: tuple[float, float]
    categories: dict[str, CategoryResult]
    stop_reasons: dict[str, int]
    draws: DrawResults | None = None
    overlong: OverlongPrompts | None = None


class EvaluationManifest(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="evaluation"
):
    """The manifest of an evaluation run: judged responses."""

    format: int
    run_id: str
    identity: EvaluationIdentity
    results: EvaluationResults
    outputs: dict[str, Digest]

    @property
    def responses(self) -> ResponsesIdentity:
        """The identity of the judged responses."""
        return self.identity.responses

    @property
    def weights(self) -> Digest:
        """The digest of the weights that answered."""
        return self.identity.responses.model.weights

    @property
    def evalset(self) -> Digest:
        """The digest of the eval set."""
        return self.identity.responses.evalset


class ContaminationResults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of an eval set is in training data.

    Attributes:
        n_prompts: training prompts that were compared.
        n_samples: samples of the eval set.
        n_exact: samples whose prompt is a training prompt, character by character.
        n_normalised: further samples whose prompt equals one up to case, spaces and punctuation.
        n_overlap: further samples that share enough of their grams.
    """

    n_prompts: int
    n_samples: int
    n_exact: int
    n_normalised: int
    n_overlap: int

    @property
    def n_contaminated(self) -> int:
        """The number of samples in the training data, of all three kinds."""
        return self.n_exact + self.n_normalised + self.n_overlap


class ContaminationManifest(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="contamination"
):
    """The manifest of a check of an eval set against the text that a model was trained on."""

    format: int
    run_id: str
    identity: ContaminationIdentity
    results: ContaminationResults
    outputs: dict[str, Digest]


Manifest = TrainingManifest | ResponsesManifest | EvaluationManifest | ContaminationManifest


class ManifestError(BadInputError):
    """A manifest that cannot be read."""

    def __init__(self, path: Path, problem: str) -> None:
        """Name the file and what is wrong with it."""
        self.path = path
        self.problem = problem
        super().__init__(f"{path}: {problem}")


def kind_of(manifest: Manifest) -> str:
    """Return ``training``, ``responses``, ``evaluation`` or ``contamination``."""
    return str(manifest.__struct_config__.tag)


def read_manifest(path: Path) -> Manifest:
    """Return the manifest in a ``manifest.json``.

    Raises:
        ManifestError: the file is absent, is not canonical JSON, or lacks a field.
    """
    try:
        data = read_stored(path)
    except OSError as error:
        raise ManifestError(path, f"cannot be read ({error.strerror}).") from error
    try:
        value = canonical.decode_stored(data)
        manifest: Manifest = msgspec.convert(value, Manifest)
        if canonical.encode(value) != data:
            raise ManifestError(path, "is not canonical JSON (RFC 8785); it was edited.")
    except canonical.CanonicalError as error:
        raise ManifestError(path, f"is not JSON: {error}") from error
    except msgspec.ValidationError as error:
        raise ManifestError(path, f"is not the manifest of a run: {error}.") from error
    if isinstance(manifest, TrainingManifest) and WEIGHTS_OUTPUT not in manifest.outputs:
        raise ManifestError(path, f"is not that of a training: it names no {WEIGHTS_OUTPUT}.")
    return manifest
