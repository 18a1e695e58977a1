"""What a MODEL argument means: one resolver for `train --base`, `eval` and `evalset check --model`.

A model is a training run (an id, its beginning, a name, ``@last``) or a directory in Hugging Face's
layout. What is written like a path is a path: it is never taken for the digits of a run id.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunixrt.errors import BadInputError
from tunixrt.runs.config import ConfigError
from tunixrt.runs.directories import find_run, model_of
from tunixrt.runs.manifests import TrainingManifest
from tunixrt.runs.presets import PRESETS
from tunixrt.runs.promotions import UnknownRunError
from tunixrt.words import nearest

if TYPE_CHECKING:
    from tunixrt.log.layout import Layout
    from tunixrt.runs.manifests import Manifest

#: Before a configuration: the weights that training with it starts from.
UNTRAINED: Final = "untrained:"
CONFIG_NAME: Final = "config.json"
WEIGHTS_NAME: Final = "model.safetensors"
TOKENIZER_NAME: Final = "tokenizer.json"

_MODEL: Final = "model"
_FILES: Final = (CONFIG_NAME, WEIGHTS_NAME, TOKENIZER_NAME)
#: What other writers put in the place of one ``model.safetensors``.
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

    A run's own directory is returned for a run however it was spelt, as a path into ``runs/`` too:
    what is made of a model must not depend on the spelling.

    Args:
        layout: where the runs are.
        model: a training run, or the path of a directory. What holds a slash, or begins with ``.``
            or ``~``, is a path; anything else is a run if there is one, and then a path.

    Raises:
        NoModelError: there is no such run and no such directory, or it lacks a file.
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
    evaluated = manifest.model.run_id
    which = "" if evaluated is None else f", {evaluated[:12]}"
    raise NoModelError(
        model,
        f"The run {model} is an evaluation and holds no weights; name the training run "
        f"that it evaluated{which}.",
    )


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
        return f"{model} is a file: name the directory that holds {', '.join(_FILES)}."
    if model.startswith("~"):
        return f"There is no directory {model}: the shell expands ~ only where it is not quoted."
    parent = path.parent
    if not parent.is_dir():
        return f"There is no directory {model}: {parent} does not exist either."
    near = nearest(path.name, sorted(below.name for below in parent.iterdir() if below.is_dir()))
    return f"There is no directory {model}." + (f" Did you mean {parent / near}?" if near else "")


def _instead(path: Path, name: str) -> str:
    """How a message on a missing file ends: what is there in its place."""
    expected = f": expected a model in Hugging Face's layout ({', '.join(_FILES)})."
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
    """The id of the run that a path into ``runs/`` is, or is the model of."""
    try:
        parts = path.resolve().relative_to(layout.runs.resolve()).parts
    except ValueError:
        return None
    if len(parts) == 1 or (len(parts) == 2 and parts[1] == _MODEL):
        return parts[0]
    return None


def _hint(model: str) -> str:
    if model in PRESETS or model.endswith(".toml"):
        return f" The untrained weights of a configuration are {UNTRAINED}{model}."
    return " There is no directory of that name here, either."


def is_untrained(model: str) -> bool:
    """Whether a text means the weights that a configuration starts from.

    Raises:
        ConfigError: it does, and names no configuration.
    """
    if model == UNTRAINED:
        raise ConfigError(
            UNTRAINED,
            [f" lacks the configuration: a preset or a TOML file, as in {UNTRAINED}nano."],
        )
    return model.startswith(UNTRAINED)
