"""What an evaluation needs before the first token: model, eval set, settings, run id.

A plan is made from what somebody asks for, or again from a recorded evaluation.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunixrt.datasets.render import DataFormat
from tunixrt.errors import BadInputError
from tunixrt.eval.evalsets import find_evalset, load_evalset
from tunixrt.eval.judge.judges import judge_by_name
from tunixrt.jobs.evaluation.responses import prompt_tokens
from tunixrt.jobs.machine import prepare_machine
from tunixrt.jobs.training import WEIGHTS_NAME, model_directory, template_of
from tunixrt.log.digests import digest_file
from tunixrt.log.files import staging_directory
from tunixrt.runs.config import RunConfig, load_config
from tunixrt.runs.directories import find_run
from tunixrt.runs.identity import (
    IDENTITY_FORMAT,
    EvaluationIdentity,
    GenerationSettings,
    Template,
    current_code,
)
from tunixrt.runs.manifests import EvaluationManifest, ModelInput, TrainingManifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Literal

    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.log.layout import Layout
    from tunixrt.runs.numeric_class import NumericClass

UNTRAINED = "untrained:"


@dataclass(frozen=True)
class EvaluationPlan:
    """Everything that an evaluation needs, resolved; executing it is a pure function of it."""

    identity: EvaluationIdentity
    evalset: EvalSet
    model: ModelInput
    directory: Path
    numeric_class: NumericClass


@dataclass(frozen=True)
class Target:
    """A model to evaluate: where it is, what the manifest says of it, how it was trained."""

    directory: Path
    run_id: str | None
    untrained: dict[str, Any] | None
    template: Template
    numeric_mode: Literal["fast", "portable"]
    trained: TrainingManifest | None = None


def open_target(layout: Layout, model: str) -> Any:
    """A context manager of the :class:`Target` that ``model`` names."""
    if model.startswith(UNTRAINED):
        return _open_untrained(layout, load_config(model.removeprefix(UNTRAINED)))
    directory = model_directory(layout, model)
    if directory.is_relative_to(layout.runs):
        manifest = find_run(layout, directory.parent.name)
        assert isinstance(manifest, TrainingManifest)
        return _open_trained(directory, manifest.run_id, manifest.identity, manifest)
    return _open_trained(directory, None, None)


@contextmanager
def plan_evaluation_again(
    layout: Layout, manifest: EvaluationManifest, model: Path | None
) -> Iterator[EvaluationPlan]:
    """Plan a recorded evaluation again.

    Args:
        layout: where runs and eval sets are.
        manifest: the recorded evaluation.
        model: the model directory to evaluate; None for the one that the manifest names.

    Raises:
        BadInputError: the model was a directory from elsewhere, which nobody can find again.
    """
    evalset = load_evalset(find_evalset(layout.evalsets, manifest.evalset.name))
    identity = manifest.identity
    name = manifest.model.run_id
    if manifest.model.untrained is not None:
        opened = _open_untrained(layout, RunConfig.from_resolved(manifest.model.untrained))
    elif name is not None or model is not None:
        directory = model or model_directory(layout, name or "")
        opened = _open_trained(directory, name, identity)
    else:
        raise BadInputError(
            f"The run {manifest.run_id[:12]} evaluated a directory that is no run; it can be made "
            "again only by somebody who has the weights "
            f"{manifest.weights}: tunixrt eval DIR --evalset {manifest.evalset.name}"
        )
    with opened as target:
        yield plan_evaluation(
            target,
            evalset,
            generation=identity.generation,
            judge=identity.judge.name,
        )


def plan_evaluation(
    target: Target, evalset: EvalSet, *, generation: GenerationSettings, judge: str
) -> EvaluationPlan:
    """The plan of an evaluation; the flags of its numeric mode are set, and no jax is imported."""
    code = current_code()
    numeric_class = prepare_machine(target.numeric_mode, code)
    weights = digest_file(target.directory / WEIGHTS_NAME)
    identity = EvaluationIdentity(
        format=IDENTITY_FORMAT,
        weights=weights,
        model_config=digest_file(target.directory / "config.json"),
        tokenizer=digest_file(target.directory / "tokenizer.json"),
        evalset=evalset.digest,
        template=target.template,
        generation=generation,
        judge=judge_by_name(judge).identity,
        numeric_mode=target.numeric_mode,
        numeric_class=numeric_class.digest if target.numeric_mode == "fast" else None,
        code=code,
    )
    return EvaluationPlan(
        identity=identity,
        evalset=evalset,
        model=ModelInput(weights=weights, run_id=target.run_id, untrained=target.untrained),
        directory=target.directory,
        numeric_class=numeric_class,
    )


def room_for_answers(target: Target, evalset: EvalSet) -> int:
    """How many tokens the context leaves beside the longest prompt; at least 1."""
    from tunixrt.ml.environment import set_flags

    set_flags(target.numeric_mode)  # before anything imports jax
    from tunixrt.ml.weights import read_config

    longest = max(len(prompt_tokens(target.template, sample.prompt)) for sample in evalset.samples)
    return max(1, read_config(target.directory).max_length - longest)


@contextmanager
def _open_trained(
    directory: Path,
    run_id: str | None,
    identity: Any,
    trained: TrainingManifest | None = None,
) -> Iterator[Target]:
    """A model that exists; without an identity the defaults of template and mode are used."""
    yield Target(
        directory=directory,
        run_id=run_id,
        untrained=None,
        template=template_of(DataFormat.TUNIX_SFT, None) if identity is None else identity.template,
        numeric_mode="portable" if identity is None else identity.numeric_mode,
        trained=trained,
    )


@contextmanager
def _open_untrained(layout: Layout, config: RunConfig) -> Iterator[Target]:
    """The weights that training with ``config`` starts from, in a directory for the time being."""
    prepare_machine(config.training.numeric_mode, current_code())
    from tunixrt.ml.training import initial_model
    from tunixrt.ml.weights import MODEL_DIRECTORY

    with staging_directory(layout) as staged:
        initial_model(config, staged)
        yield Target(
            directory=staged / MODEL_DIRECTORY,
            run_id=None,
            untrained=config.resolved(),
            template=template_of(config.data.format, config.system_instruction),
            numeric_mode=config.training.numeric_mode,
        )
