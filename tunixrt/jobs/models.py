"""Models by what people write (a run, a name, a path) and by what decides them (digests)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tunixrt.derive import NotReproducibleError
from tunixrt.errors import BadInputError
from tunixrt.log.digests import digest_file
from tunixrt.runs.directories import find_run
from tunixrt.runs.identity import ModelDigests
from tunixrt.runs.manifests import TrainingManifest
from tunixrt.runs.run import MODEL_DIRECTORY, WEIGHTS_NAME, Run

if TYPE_CHECKING:
    from tunixrt.log.layout import Layout
    from tunixrt.runs.catalogue import Catalogue

_CONFIG = "config.json"
_TOKENIZER = "tokenizer.json"


def model_directory(layout: Layout, model: str) -> Path:
    """The Hugging Face directory of a run (by prefix or name), or a path with a config.json.

    Raises:
        BadInputError: it names neither, or a run without weights.
    """
    path = Path(model)
    if (path / _CONFIG).is_file():
        return path
    manifest = find_run(layout, model)
    if not isinstance(manifest, TrainingManifest):
        raise BadInputError(
            f"The run {model} is an evaluation and holds no weights; name the training run "
            "that it evaluated."
        )
    return Run.of(layout, manifest.run_id).model


def model_digests(directory: Path) -> ModelDigests:
    """What decides what the model in a directory computes.

    Raises:
        BadInputError: a file is missing.
    """
    try:
        return ModelDigests(
            weights=digest_file(directory / WEIGHTS_NAME),
            model_config=digest_file(directory / _CONFIG),
            tokenizer=digest_file(directory / _TOKENIZER),
        )
    except OSError as error:
        raise BadInputError(
            f"{error.filename} cannot be read ({error.strerror}). A model directory holds "
            f"{_CONFIG}, {WEIGHTS_NAME} and {_TOKENIZER}."
        ) from error


def digests_of(trained: TrainingManifest) -> ModelDigests:
    """The model that a training run made."""
    outputs = trained.outputs
    return ModelDigests(
        weights=trained.weights,
        model_config=outputs[f"{MODEL_DIRECTORY}/{_CONFIG}"],
        tokenizer=outputs[f"{MODEL_DIRECTORY}/{_TOKENIZER}"],
    )


def training_of(catalogue: Catalogue, model: ModelDigests) -> TrainingManifest | None:
    """The training run that made a model, wherever the model's directory was found."""
    run = catalogue.training_of(model.weights)
    return run if run is not None and digests_of(run) == model else None


def find_model(catalogue: Catalogue, model: ModelDigests) -> Path:
    """A model directory here that holds a model.

    Raises:
        NotReproducibleError: there is none; its owner can make the run again.
    """
    run = training_of(catalogue, model)
    if run is None:
        raise NotReproducibleError(
            f"the model with the weights {model.weights} is from elsewhere: no training run here "
            "made it"
        )
    return Run.of(catalogue.layout, run.run_id).model
