"""What reports and sites show: manifests and lines of runs, with the names that digests have here.

The caller reads these from a store. The report layer reads no files, so that a report is a
function of values.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tunixrt.datasets.render import DataFormat
from tunixrt.eval.compare.conditions import EvaluatedRun, evaluated_run
from tunixrt.log.canonical import encode
from tunixrt.runs.lines import LedgerLine, MetricsLine, Prediction
from tunixrt.runs.manifests import ContaminationManifest, EvaluationManifest, TrainingManifest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunixrt.eval.compare.pairs import Comparison
    from tunixrt.eval.compare.seeds import SeedsComparison


class ShownTraining(msgspec.Struct, frozen=True, dict=True):
    """A training run.

    Attributes:
        manifest: its manifest.
        dataset: the key of the dataset, or a prefix of its digest.
        base: the run that it started from; None for initial weights and external models.
        metrics: its steps, in order.
        ledger: the outcome of each record, in dataset order.
    """

    manifest: TrainingManifest
    dataset: str
    base: str | None
    metrics: tuple[MetricsLine, ...]
    ledger: tuple[LedgerLine, ...]

    @property
    def run_id(self) -> str:
        """The 64 hex digits that name the run."""
        return self.manifest.run_id

    @cached_property
    def settings(self) -> dict[str, str]:
        """The configuration by dotted key, in text."""
        return dotted(self.manifest.config)

    @property
    def base_in_words(self) -> str | None:
        """Where the weights started; None for initial weights."""
        base = self.manifest.identity.base
        if base is None or self.base is not None:
            return self.base
        return f"a model directory with the weights {base.weights}"

    @property
    def seeds(self) -> dict[str, str]:
        """Every seed by what it decides; another version may lack one."""
        keys = {"initial weights": "training.seed", "order of examples": "data.shuffle_seed"}
        return {
            what: self.settings[key] for what, key in keys.items() if self.settings.get(key, "")
        }

    @property
    def n_learned_tokens(self) -> int:
        """The number of tokens in the loss, over all epochs."""
        return sum(row.n_loss_tokens * row.n_times_trained for row in self.ledger)


class ShownRun(msgspec.Struct, frozen=True, dict=True):
    """An evaluation and the model that it evaluated.

    Attributes:
        manifest: its manifest.
        evalset: the name of the eval set, or a prefix of its digest.
        predictions: the judged responses.
        training: the run that trained the model; None for an untrained model or a directory.
        contamination: the check of the eval set against the training data, if it is recorded.
    """

    manifest: EvaluationManifest
    evalset: str
    predictions: tuple[Prediction, ...]
    training: ShownTraining | None = None
    contamination: ContaminationManifest | None = None

    @property
    def run_id(self) -> str:
        """The 64 hex digits that name the evaluation."""
        return self.manifest.run_id

    @cached_property
    def evaluation(self) -> EvaluatedRun:
        """The input of a comparison."""
        return evaluated_run(self.manifest, self.predictions)

    @property
    def model(self) -> str:
        """What was evaluated, in words: ``untrained nano``, ``nano trained on gsm-v1``."""
        if self.training is not None:
            settings = self.training.settings
            data_format = settings.get("data.format", DataFormat.TUNIX_SFT)
            # Only an unusual format is named, such as answers without steps.
            form = "" if data_format == DataFormat.TUNIX_SFT else f" as {data_format}"
            return f"{settings['model.name']} trained on {self.training.dataset}{form}"
        untrained = self.manifest.responses.untrained
        return "a model directory" if untrained is None else f"untrained {_name(untrained)}"


class Pair(NamedTuple):
    """Two evaluations, and the comparison of the second with the first."""

    before: ShownRun
    after: ShownRun
    comparison: Comparison


class Experiment(NamedTuple):
    """Two ways of training with several seeds each: a pair per seed, and their comparison."""

    pairs: tuple[Pair, ...]
    comparison: SeedsComparison


def dotted(config: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Return nested tables as dotted keys, and values as the text that `--set` takes.

    Numbers are canonical JSON: 10000.0 is 10000 in a manifest, and equal.
    """
    flat: dict[str, str] = {}
    for key, value in sorted(config.items()):
        if isinstance(value, dict):
            flat |= dotted(value, f"{prefix}{key}.")
        else:
            text = "" if value is None else value
            flat[prefix + key] = text if isinstance(text, str) else encode(text).decode()
    return flat


def _name(config: Mapping[str, object]) -> str:
    return dotted(config)["model.name"]
