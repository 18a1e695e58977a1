"""Resolves MODEL arguments, and identifies models by digests.

One resolver of MODEL arguments for `train --base`, `eval` and `evalset check --model`. A model
is a training run (an id, a prefix, a name, ``@last``) or a directory in Hugging Face's layout. An
argument that looks like a path is a path, never a prefix of a run id.

A model is identified by the digests of its files, independently of the argument's spelling.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunixrt.derive import NotReproducibleError
from tunixrt.errors import BadInputError
from tunixrt.log.digests import digest_file
from tunixrt.runs.catalogue import Catalogue
from tunixrt.runs.config import ConfigError
from tunixrt.runs.directories import find_run, model_of
from tunixrt.runs.identity import ModelDigests
from tunixrt.runs.manifests import (
    EvaluationManifest,
    ResponsesManifest,
    TrainingManifest,
    kind_of,
)
from tunixrt.runs.presets import PRESETS
from tunixrt.runs.promotions import UnknownRunError
from tunixrt.runs.run import MODEL_DIRECTORY, WEIGHTS_NAME
from tunixrt.words import nearest, series

if TYPE_CHECKING:
    from tunixrt.log.layout import Layout
    from tunixrt.runs.manifests import Manifest

#: The prefix of a configuration: its initial weights.
UNTRAINED: Final = "untrained:"
CONFIG_NAME: Final = "config.json"
TOKENIZER_NAME: Final = "tokenizer.json"

_FILES: Final = (CONFIG_NAME, WEIGHTS_NAME, TOKENIZER_NAME)
#: What other writers produce instead of one ``model.safetensors``.
_OTHER_WEIGHTS: Final = (
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


class NoModelError(BadInputError):
    """A text that names neither a training run nor a model directory.

    Attributes:
        model: the text.
    """

    def __init__(self, model: str, sentence: str) -> None:
        super().__init__(sentence)
        self.model = model


def model_directory(layout: Layout, model: str) -> Path:
    """The directory with a model's ``config.json``, weights and tokenizer.

    A run's own directory is returned for a run in any spelling, also as a path into ``runs/``:
    what is derived from a model must not depend on the spelling.

    Args:
        layout: where the runs are.
        model: a training run, or the path of a directory. What contains a slash, or starts with
            ``.`` or ``~``, is a path; anything else is a run if it exists, else a path.

    Raises:
        NoModelError: neither a run nor a directory of that name exists, or it lacks a file.
        UnknownRunError: several runs have the prefix, or branches gave the name to different ones.
    """
    if model.startswith(UNTRAINED):
        raise NoModelError(
            model,
            f"{model} are the weights that training with that configuration starts from anyway: "
            "leave it out, or name a run or a directory.",
        )
    if _is_written_as_path(model):
        return _directory_at(layout, model)
    try:
        manifest = find_run(layout, model)
    except UnknownRunError as error:
        if Path(model).exists():
            return _directory_at(layout, model)
        raise NoModelError(model, f"{error}{_hint(model)}") from error
    if (Path(model) / CONFIG_NAME).is_file():
        raise NoModelError(
            model,
            f"{model} is both a run and a directory with a model here: write ./{model} for the "
            f"directory, or {manifest.run_id[:12]} for the run.",
        )
    return _of_run(layout, model, manifest)


def _is_written_as_path(model: str) -> bool:
    separators = {"/", os.sep, os.altsep or "/"}
    return model.startswith((".", "~")) or any(separator in model for separator in separators)


def _of_run(layout: Layout, model: str, manifest: Manifest) -> Path:
    if isinstance(manifest, TrainingManifest):
        return model_of(layout, manifest.run_id)
    raise NoModelError(model, f"The run {model} is {_without_weights(Catalogue(layout), manifest)}")


def _without_weights(catalogue: Catalogue, manifest: Manifest) -> str:
    """The end of a message on a run without weights: its kind, and the right run."""
    match manifest:
        case EvaluationManifest():
            what, which, asked = "an evaluation", " that it evaluated", manifest.responses
        case ResponsesManifest():
            what, which, asked = "a run of responses", " that answered", manifest.identity
        case _:
            return f"of the kind {kind_of(manifest)} and holds no weights; name a training run."
    trained = catalogue.evaluated(asked)
    name = "" if trained is None else f", {trained.run_id[:12]}"
    return f"{what} and holds no weights; name the training run{which}{name}."


def _directory_at(layout: Layout, model: str) -> Path:
    path = Path(model)
    if not path.is_dir():
        raise NoModelError(model, _no_directory(model, path))
    run = _run_at(layout, path)
    if run is not None:
        return _of_run(layout, model, find_run(layout, run))
    for name in _FILES:
        if not (path / name).is_file():
            raise NoModelError(model, f"The directory {model} has no {name}{_instead(path, name)}")
    return path


def _no_directory(model: str, path: Path) -> str:
    if path.is_file():
        return f"{model} is a file: name the directory with {series(_FILES)}."
    if model.startswith("~"):
        return (
            f"The directory {model} does not exist: "
            "the shell expands ~ only where it is not quoted."
        )
    parent = path.parent
    if not parent.is_dir():
        return f"The directory {model} does not exist: neither does {parent}."
    near = nearest(path.name, sorted(below.name for below in parent.iterdir() if below.is_dir()))
    problem = f"The directory {model} does not exist."
    return problem + (f" Did you mean {parent / near}?" if near else "")


def _instead(path: Path, name: str) -> str:
    """The end of a message on a missing file: what exists instead."""
    expected = f": expected a model in Hugging Face's layout ({series(_FILES)})."
    if name == CONFIG_NAME:
        below = sorted(p.parent.name for p in path.glob(f"*/{CONFIG_NAME}"))
        return expected + (f" Did you mean {path / below[0]}?" if below else "")
    if name == WEIGHTS_NAME:
        for other in _OTHER_WEIGHTS:
            if (path / other).is_file():
                return (
                    f", but {other}: expected all weights in one {WEIGHTS_NAME}, as "
                    "`save_pretrained(..., max_shard_size='100GB')` of transformers writes them."
                )
    return expected


def _run_at(layout: Layout, path: Path) -> str | None:
    """The id of the run that a path into ``runs/`` names, as the run or its model."""
    try:
        parts = path.resolve().relative_to(layout.runs.resolve()).parts
    except ValueError:
        return None
    if len(parts) == 1 or (len(parts) == 2 and parts[1] == MODEL_DIRECTORY):
        return parts[0]
    return None


def _hint(model: str) -> str:
    if model in PRESETS or model.endswith(".toml"):
        return f" The untrained weights of a configuration are {UNTRAINED}{model}."
    return " A directory of that name does not exist here either."


def is_untrained(model: str) -> bool:
    """Whether a text means the initial weights of a configuration.

    Raises:
        ConfigError: it does, but the configuration is missing.
    """
    if model == UNTRAINED:
        raise ConfigError(
            UNTRAINED,
            [f" lacks the configuration: a preset or a TOML file, as in {UNTRAINED}nano."],
        )
    return model.startswith(UNTRAINED)


def model_digests(directory: Path) -> ModelDigests:
    """The digests that determine what the model in a directory computes.

    Raises:
        NoModelError: a file cannot be read.
    """
    try:
        return ModelDigests(
            weights=digest_file(directory / WEIGHTS_NAME),
            model_config=digest_file(directory / CONFIG_NAME),
            tokenizer=digest_file(directory / TOKENIZER_NAME),
        )
    except OSError as error:
        raise NoModelError(
            str(directory), f"{error.filename} cannot be read ({error.strerror})."
        ) from error


def training_of(catalogue: Catalogue, model: ModelDigests) -> TrainingManifest | None:
    """The training run that made a model, wherever the model's directory was found."""
    run = catalogue.training_of(model.weights)
    if run is None:
        return None
    # One by one, since a damaged manifest may name the weights only.
    named = (run.outputs.get(f"{MODEL_DIRECTORY}/{name}") for name in (CONFIG_NAME, TOKENIZER_NAME))
    return run if tuple(named) == (model.model_config, model.tokenizer) else None


def find_model(catalogue: Catalogue, model: ModelDigests) -> Path:
    """The directory in this store that contains a model.

    Raises:
        NotReproducibleError: it does not exist; only the model's owner can reproduce the run.
        DamagedError: something in it is not a plain file, or a pointer of Git LFS.
    """
    run = training_of(catalogue, model)
    if run is None:
        raise NotReproducibleError(
            f"the model with the weights {model.weights} is from elsewhere: no training run here "
            "made it"
        )
    return model_of(catalogue.layout, run.run_id)
