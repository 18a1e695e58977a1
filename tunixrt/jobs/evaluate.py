"""The evaluation job: a model and an eval set in, a published run out."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from tunixrt.data.render import DataFormat
from tunixrt.errors import BadInputError
from tunixrt.eval.evalsets import find_evalset, load_evalset
from tunixrt.eval.evaluation import evaluate, summarise
from tunixrt.eval.judges import DEFAULT_JUDGE, judge_by_name
from tunixrt.eval.predictions import write_predictions
from tunixrt.jobs.contamination import contamination_of, require_clean
from tunixrt.jobs.machine import describe_environment, prepare_machine
from tunixrt.jobs.response_journal import response_journal
from tunixrt.jobs.responses import generate_responses, prompt_tokens
from tunixrt.jobs.train import WEIGHTS_NAME, model_directory, template_of
from tunixrt.log.digests import digest_file
from tunixrt.log.eventlog import EventLog
from tunixrt.log.files import staging_directory
from tunixrt.runs.config import RunConfig, load_config
from tunixrt.runs.directories import MANIFEST, find_run, output_digests, publish_run
from tunixrt.runs.identity import (
    IDENTITY_FORMAT,
    Draws,
    EvaluationIdentity,
    GenerationSettings,
    Template,
    current_code,
)
from tunixrt.runs.manifests import (
    MANIFEST_FORMAT,
    EvalsetInput,
    EvaluationManifest,
    ModelInput,
    TrainingManifest,
    read_manifest,
)
from tunixrt.runs.sampling import GREEDY, Sampling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Literal

    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.jobs.machine import Execution
    from tunixrt.jobs.response_journal import ResponseJournal
    from tunixrt.log.layout import Layout
    from tunixrt.runs.manifests import Contamination
    from tunixrt.runs.numeric_class import NumericClass

UNTRAINED = "untrained:"
PREDICTIONS_NAME = "predictions.jsonl"
BATCH_SIZE = 64


class GreedyDrawsError(BadInputError):
    """Several responses to each sample, which would all be the same one.

    Attributes:
        n: how many.
    """

    def __init__(self, n: int) -> None:
        super().__init__(
            f"{n:,} responses to each sample were asked for, and at temperature 0 (greedy) they "
            "would all be the same: say --temperature, such as 0.8, or leave --samples out."
        )
        self.n = n


@dataclass(frozen=True)
class EvaluationDone:
    """An evaluation run that is published; ``already_done`` when it was there before."""

    manifest: EvaluationManifest
    already_done: bool


@dataclass(frozen=True)
class EvaluationPlan:
    """Everything that an evaluation needs, resolved; executing it is a pure function of it."""

    identity: EvaluationIdentity
    evalset: EvalSet
    model: ModelInput
    directory: Path
    numeric_class: NumericClass


@dataclass(frozen=True)
class _Target:
    """A model to evaluate: where it is, what the manifest says of it, how it was trained."""

    directory: Path
    run_id: str | None
    untrained: dict[str, Any] | None
    template: Template
    numeric_mode: Literal["fast", "portable"]
    trained: TrainingManifest | None = None


def evaluate_run(
    layout: Layout,
    model: str,
    *,
    evalset_name: str,
    max_new_tokens: int | None = None,
    batch_size: int = BATCH_SIZE,
    sampling: Sampling = GREEDY,
    n_draws: int = 1,
    seed: int = 0,
    judge: str = DEFAULT_JUDGE,
    fail_on_contamination: bool = False,
    stopwatch: Callable[[], Execution] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> EvaluationDone:
    """Evaluate and publish; a run with the same id is found instead of made again.

    Responses are kept in a journal batch by batch. An evaluation that was interrupted goes on where
    its journal ends when the same is asked for again.

    Args:
        layout: where runs and eval sets are.
        model: a training run by prefix, a model directory, or ``untrained:CONFIG``.
        evalset_name: the name of an eval set.
        max_new_tokens: the longest answer in tokens; None takes what the model's context leaves
            beside the longest prompt.
        batch_size: prompts that are answered side by side.
        sampling: how tokens are chosen.
        n_draws: responses to each sample; more than one only where tokens are sampled.
        seed: what the responses are drawn from.
        judge: the name of the judge.
        fail_on_contamination: publish nothing if samples of the eval set are in the training data.
        stopwatch: says when the evaluation began and how long it took; recorded, not hashed.
        on_progress: called with how many responses there are, and of how many.

    Raises:
        BadInputError: model, eval set, judge or settings cannot be used; the journal is damaged.
        EvaluationGoesOnError: another process makes the same evaluation.
        ContaminatedError: samples are in the training data, and that was to fail.
    """
    judge_by_name(judge)
    draws = _draws(sampling, n_draws, seed)
    evalset = load_evalset(find_evalset(layout.evalsets, evalset_name))
    with _open_target(layout, model) as target:
        contamination = _contamination(layout, evalset, target)
        if fail_on_contamination:
            untrained = target.untrained is not None
            require_clean(evalset.name, contamination, untrained=untrained)
        generation = GenerationSettings(
            strategy="greedy" if draws is None else "sampling",
            max_new_tokens=max_new_tokens or _room_for_answers(target, evalset),
            batch_size=batch_size,
            draws=draws,
        )
        plan = _plan(target, evalset, generation=generation, judge=judge)
        if found := _published(layout, plan):
            return EvaluationDone(found, already_done=True)
        with (
            response_journal(layout, plan.identity.run_id) as journal,
            staging_directory(layout) as staged,
        ):
            if found := _published(layout, plan):  # by the process that has just let go of it
                return EvaluationDone(found, already_done=True)
            manifest = execute_evaluation(plan, staged, journal=journal, on_progress=on_progress)
            manifest = msgspec.structs.replace(manifest, contamination=contamination)
            execution = stopwatch() if stopwatch is not None else None
            environment = describe_environment(plan.numeric_class, execution)
            publish_run(layout, staged, manifest, environment)
    return EvaluationDone(manifest, already_done=False)


def _published(layout: Layout, plan: EvaluationPlan) -> EvaluationManifest | None:
    path = layout.runs / plan.identity.run_id / MANIFEST
    if not path.is_file():
        return None
    manifest = read_manifest(path)
    assert isinstance(manifest, EvaluationManifest)
    return manifest


def _draws(sampling: Sampling, n: int, seed: int) -> Draws | None:
    if not sampling.is_greedy:
        return Draws(temperature=sampling.temperature, top_p=sampling.top_p, n=n, seed=seed)
    if n != 1:
        raise GreedyDrawsError(n)
    return None


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
        yield _plan(
            target,
            evalset,
            generation=identity.generation,
            judge=identity.judge.name,
        )


def execute_evaluation(
    plan: EvaluationPlan,
    directory: Path,
    *,
    journal: ResponseJournal | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> EvaluationManifest:
    """Generate and judge into ``directory`` (predictions.jsonl) and return the manifest.

    With a journal, what it has is not generated again.
    """
    judge = judge_by_name(plan.identity.judge.name)
    draws = plan.identity.generation.draws
    responses = generate_responses(
        plan.identity, plan.evalset, plan.directory, journal=journal, on_progress=on_progress
    )
    predictions = evaluate(
        plan.evalset, lambda _: responses, judge=judge, n_draws=None if draws is None else draws.n
    )
    write_predictions(directory / PREDICTIONS_NAME, predictions)
    mode = plan.identity.numeric_mode
    return EvaluationManifest(
        format=MANIFEST_FORMAT,
        run_id=plan.identity.run_id,
        identity=plan.identity,
        evalset=EvalsetInput(
            name=plan.evalset.name,
            digest=plan.evalset.digest,
            n_samples=len(plan.evalset.samples),
        ),
        model=plan.model,
        numeric_class=plan.numeric_class if mode == "fast" else None,
        results=summarise(predictions),
        outputs=output_digests(directory),
    )


def _open_target(layout: Layout, model: str) -> Any:
    """A context manager of the :class:`_Target` that ``model`` names."""
    if model.startswith(UNTRAINED):
        return _open_untrained(layout, load_config(model.removeprefix(UNTRAINED)))
    directory = model_directory(layout, model)
    if directory.is_relative_to(layout.runs):
        manifest = find_run(layout, directory.parent.name)
        assert isinstance(manifest, TrainingManifest)
        return _open_trained(directory, manifest.run_id, manifest.identity, manifest)
    return _open_trained(directory, None, None)


@contextmanager
def _open_trained(
    directory: Path,
    run_id: str | None,
    identity: Any,
    trained: TrainingManifest | None = None,
) -> Iterator[_Target]:
    """A model that exists; without an identity the defaults of template and mode are used."""
    yield _Target(
        directory=directory,
        run_id=run_id,
        untrained=None,
        template=template_of(DataFormat.TUNIX_SFT, None) if identity is None else identity.template,
        numeric_mode="portable" if identity is None else identity.numeric_mode,
        trained=trained,
    )


@contextmanager
def _open_untrained(layout: Layout, config: RunConfig) -> Iterator[_Target]:
    """The weights that training with ``config`` starts from, in a directory for the time being."""
    prepare_machine(config.training.numeric_mode, current_code())
    from tunixrt.ml.training import initial_model
    from tunixrt.ml.weights import MODEL_DIRECTORY

    with staging_directory(layout) as staged:
        initial_model(config, staged)
        yield _Target(
            directory=staged / MODEL_DIRECTORY,
            run_id=None,
            untrained=config.resolved(),
            template=template_of(config.data.format, config.system_instruction),
            numeric_mode=config.training.numeric_mode,
        )


def _contamination(layout: Layout, evalset: EvalSet, target: _Target) -> Contamination | None:
    """What of the eval set the model was trained on; None where nobody knows, or nothing was."""
    if target.trained is None:
        return None
    return contamination_of(layout, EventLog(layout), evalset, target.trained)


def _plan(
    target: _Target, evalset: EvalSet, *, generation: GenerationSettings, judge: str
) -> EvaluationPlan:
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


def _room_for_answers(target: _Target, evalset: EvalSet) -> int:
    """How many tokens the context leaves beside the longest prompt; at least 1."""
    from tunixrt.ml.environment import set_flags

    set_flags(target.numeric_mode)  # before anything imports jax
    from tunixrt.ml.weights import load_model

    longest = max(len(prompt_tokens(target.template, sample.prompt)) for sample in evalset.samples)
    return max(1, load_model(target.directory).config.max_length - longest)
