"""What a finished run says of itself: ``runs/<run id>/manifest.json``.

A manifest holds deterministic facts only: the identity that the run id is the digest of, the
inputs by name and digest, the resolved configuration, the outputs by digest and the results. When,
where and how long stand in ``environments/`` beside it, which nothing hashes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log import canonical
from tunixrt.log.digests import Digest
from tunixrt.log.stored import read_stored
from tunixrt.runs.identity import EvaluationIdentity, TrainingIdentity
from tunixrt.runs.numeric_class import NumericClass

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST_FORMAT = 1
WEIGHTS_OUTPUT = "model/model.safetensors"


class DatasetInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The dataset a run was trained on.

    ``export`` is the SHA-256 of ``tunixrt dataset export KEY --format FORMAT --split SPLIT`` in the
    run's data format; null where that is not an export format.
    """

    key: str
    digest: Digest
    split: str
    snapshot: Digest
    export: Digest | None


class LedgerCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many records training kept, dropped and truncated; ``ledger.jsonl`` says which and why.

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
    """The figures of a training run; ``metrics.jsonl`` has one line a training step."""

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
    dataset: DatasetInput
    base: str | None
    config: dict[str, object]
    numeric_class: NumericClass | None
    ledger: LedgerCounts
    results: TrainingResults
    outputs: dict[str, Digest]

    @property
    def weights(self) -> Digest:
        """The digest of ``model/model.safetensors``."""
        return self.outputs[WEIGHTS_OUTPUT]


class EvalsetInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The eval set of an evaluation run."""

    name: str
    digest: Digest
    n_samples: int


class ModelInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The evaluated model: a run, an untrained model given by its configuration, or a directory.

    Exactly one of ``run_id`` and ``untrained`` is given; neither for a directory from elsewhere,
    whose weights are known by digest alone.
    """

    weights: Digest
    run_id: str | None = None
    untrained: dict[str, object] | None = None


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
    """What several responses a sample say beyond their average score.

    Attributes:
        n_samples: samples of the eval set.
        n_draws: responses to each of them.
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

    Counts are of responses. Where several were drawn to each sample, ``draws`` says more, and
    intervals take the samples, not the responses, as independent. ``overlong`` is absent where
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


class Contamination(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of the eval set is in the data that the model was trained on.

    Attributes:
        method: the name of the rules, ``prompts-1``: see ``tunixrt.eval.contamination``.
        ngram: the length of the grams of the rule ``overlap``, in tokens.
        threshold: the share of a sample's grams from which on it counts, as a decimal.
        datasets: what was trained on, ``KEY/SPLIT``, the datasets of base runs among them.
        complete: whether these are all; False where training began with weights from elsewhere.
        n_prompts: training prompts that were compared.
        n_redacted: members whose prompts are gone.
        n_samples: samples of the eval set.
        n_exact: samples whose prompt is a training prompt, character by character.
        n_normalised: further samples whose prompt is one without case, spaces and punctuation.
        n_overlap: further samples that share at least ``threshold`` of their grams.
        examples: the ids of contaminated samples, the first 20 in the eval set's order.
    """

    method: str
    ngram: int
    threshold: float
    datasets: list[str]
    complete: bool
    n_prompts: int
    n_redacted: int
    n_samples: int
    n_exact: int
    n_normalised: int
    n_overlap: int
    examples: list[str]

    @property
    def n_contaminated(self) -> int:
        """How many samples are in the training data, one way or another."""
        return self.n_exact + self.n_normalised + self.n_overlap


class EvaluationManifest(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="evaluation"
):
    """The manifest of an evaluation run.

    ``contamination`` is null where nobody knows the training data: of untrained models, which have
    none, and of models from elsewhere.
    """

    format: int
    run_id: str
    identity: EvaluationIdentity
    evalset: EvalsetInput
    model: ModelInput
    numeric_class: NumericClass | None
    results: EvaluationResults
    outputs: dict[str, Digest]
    contamination: Contamination | None = None

    @property
    def weights(self) -> Digest:
        """The digest of the weights that answered."""
        return self.model.weights


Manifest = TrainingManifest | EvaluationManifest


class ManifestError(BadInputError):
    """A manifest that cannot be read as one."""

    def __init__(self, path: Path, problem: str) -> None:
        """Name the file and what is wrong with it."""
        self.path = path
        self.problem = problem
        super().__init__(f"{path}: {problem}")


def encode_manifest(manifest: Manifest) -> bytes:
    """The bytes of ``manifest.json``: canonical JSON, no line feed at the end."""
    return canonical.encode(msgspec.to_builtins(manifest))


def read_manifest(path: Path) -> Manifest:
    """Read one ``manifest.json``.

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
