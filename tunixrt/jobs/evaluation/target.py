"""The model of an evaluation: a run, a directory, or the initial weights of a configuration."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunixrt.datasets.render import DataFormat
from tunixrt.jobs.models import (
    UNTRAINED,
    is_untrained,
    model_digests,
    model_directory,
    training_of,
)
from tunixrt.jobs.training import template_of
from tunixrt.log.files import staging_directory
from tunixrt.runs.config_sources import load_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Literal

    from tunixrt.log.layout import Layout
    from tunixrt.runs.catalogue import Catalogue
    from tunixrt.runs.config import RunConfig
    from tunixrt.runs.identity import ModelDigests, Template
    from tunixrt.runs.manifests import TrainingManifest


@dataclass(frozen=True)
class Target:
    """A model to evaluate.

    Attributes:
        directory: the directory of its files.
        model: the digests of the files.
        untrained: the configuration whose initial weights these are; None for other models.
        template: how questions are asked.
        numeric_mode: how answers are computed.
        trained: the training run in this store that made it, wherever the directory is, or None.
    """

    directory: Path
    model: ModelDigests
    untrained: dict[str, Any] | None
    template: Template
    numeric_mode: Literal["fast", "portable"]
    trained: TrainingManifest | None


@contextmanager
def open_target(catalogue: Catalogue, model: str) -> Iterator[Target]:
    """The model of an argument: a run, a model directory or ``untrained:CONFIG``.

    A model of this store is recognised by any path, and as a copy elsewhere. Template and numeric
    mode are those of its training; other models have the defaults.

    Raises:
        BadInputError: it is not one of these.
    """
    if is_untrained(model):
        config = load_config(model.removeprefix(UNTRAINED))
        with untrained_model(catalogue.layout, config) as directory:
            yield Target(
                directory=directory,
                model=model_digests(directory),
                untrained=config.identity(),
                template=template_of(config.data.format, config.system_instruction),
                numeric_mode=config.training.numeric_mode,
                trained=None,
            )
        return
    directory = model_directory(catalogue.layout, model)
    digests = model_digests(directory)
    trained = training_of(catalogue, digests)
    yield Target(
        directory=directory,
        model=digests,
        untrained=None,
        template=template_of_model(trained),
        numeric_mode="portable" if trained is None else trained.identity.numeric_mode,
        trained=trained,
    )


def template_of_model(trained: TrainingManifest | None) -> Template:
    """The template: that of the run that made the model, or the default."""
    if trained is None:
        return template_of(DataFormat.TUNIX_SFT, None)
    return trained.identity.template


@contextmanager
def untrained_model(layout: Layout, config: RunConfig) -> Iterator[Path]:
    """The weights that training with ``config`` starts from, in a directory for the time being."""
    from tunixrt.ml.training import initial_model
    from tunixrt.ml.weights import MODEL_DIRECTORY

    with staging_directory(layout) as staged:
        initial_model(config, staged)
        yield staged / MODEL_DIRECTORY
