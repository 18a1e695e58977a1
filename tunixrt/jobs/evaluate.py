"""The evaluation job: a model and an eval set in, a published run out."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from tunixrt.data.render import DataFormat, render_prompt
from tunixrt.errors import BadInputError
from tunixrt.eval.evalsets import find_evalset, load_evalset
from tunixrt.eval.evaluation import Generated, evaluate, summarise
from tunixrt.eval.judges import DEFAULT_JUDGE, judge_by_name
from tunixrt.eval.predictions import write_predictions
from tunixrt.jobs.contamination import contamination_of, require_clean
from tunixrt.jobs.machine import describe_environment, prepare_machine
from tunixrt.jobs.train import WEIGHTS_NAME, model_directory, template_of
from tunixrt.log.digests import digest_file
from tunixrt.log.eventlog import EventLog
from tunixrt.log.files import staging_directory
from tunixrt.runs.config import RunConfig, load_config
from tunixrt.runs.directories import MANIFEST, find_run, output_digests, publish_run
from tunixrt.runs.identity import (
    IDENTITY_FORMAT,
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import Literal

    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.jobs.machine import Execution
    from tunixrt.log.layout import Layout
    from tunixrt.runs.manifests import Contamination
    from tunixrt.runs.numeric_class import NumericClass

UNTRAINED = "untrained:"
PREDICTIONS_NAME = "predictions.jsonl"
BATCH_SIZE = 64


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
    judge: str = DEFAULT_JUDGE,
    fail_on_contamination: bool = False,
    stopwatch: Callable[[], Execution] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> EvaluationDone:
    """Evaluate and publish; a run with the same id is found instead of made again.

    Args:
        layout: where runs and eval sets are.
        model: a training run by prefix, a model directory, or ``untrained:CONFIG``.
        evalset_name: the name of an eval set.
        max_new_tokens: the longest answer in tokens; None takes what the model's context leaves
            beside the longest prompt.
        judge: the name of the judge.
        fail_on_contamination: publish nothing if samples of the eval set are in the training data.
        stopwatch: says when the evaluation began and how long it took; recorded, not hashed.
        on_progress: called with how many samples are answered, and of how many.

    Raises:
        BadInputError: model, eval set or judge cannot be used.
        ContaminatedError: samples are in the training data, and that was to fail.
    """
    judge_by_name(judge)
    evalset = load_evalset(find_evalset(layout.evalsets, evalset_name))
    with _open_target(layout, model) as target:
        contamination = _contamination(layout, evalset, target)
        if fail_on_contamination:
            untrained = target.untrained is not None
            require_clean(evalset.name, contamination, untrained=untrained)
        plan = _plan(target, evalset, max_new_tokens=max_new_tokens, judge=judge)
        path = layout.runs / plan.identity.run_id / MANIFEST
        if path.is_file():
            manifest = read_manifest(path)
            assert isinstance(manifest, EvaluationManifest)
            return EvaluationDone(manifest, already_done=True)
        with staging_directory(layout) as staged:
            manifest = execute_evaluation(plan, staged, on_progress=on_progress)
            manifest = msgspec.structs.replace(manifest, contamination=contamination)
            execution = stopwatch() if stopwatch is not None else None
            environment = describe_environment(plan.numeric_class, execution)
            publish_run(layout, staged, manifest, environment)
    return EvaluationDone(manifest, already_done=False)


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
            max_new_tokens=identity.generation.max_new_tokens,
            judge=identity.judge.name,
        )


def execute_evaluation(
    plan: EvaluationPlan,
    directory: Path,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> EvaluationManifest:
    """Generate and judge into ``directory`` (predictions.jsonl) and return the manifest."""
    judge = judge_by_name(plan.identity.judge.name)
    predictions = evaluate(plan.evalset, _generator(plan, on_progress), judge=judge)
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
    from tunixrt.ml.training import MODEL_DIRECTORY, initial_model

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
    target: _Target, evalset: EvalSet, *, max_new_tokens: int | None, judge: str
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
        generation=GenerationSettings(
            strategy="greedy",
            max_new_tokens=max_new_tokens or _room_for_answers(target, evalset),
            batch_size=BATCH_SIZE,
        ),
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
    from tunixrt.ml.weights import load_model

    prompts = _tokens(target.template, [sample.prompt for sample in evalset.samples])
    longest = max(len(prompt) for prompt in prompts)
    return max(1, load_model(target.directory).config.max_length - longest)


def _tokens(template: Template, prompts: Sequence[str]) -> list[list[int]]:
    from tunixrt.ml.tokenizer import ByteTokenizer

    tokenizer = ByteTokenizer()
    return [
        tokenizer.encode(
            render_prompt(
                prompt,
                data_format=DataFormat(template.format),
                system=template.system_instruction,
            )
        )
        for prompt in prompts
    ]


def _generator(
    plan: EvaluationPlan, on_progress: Callable[[int, int], None] | None
) -> Callable[[Sequence[str]], Sequence[Generated]]:
    def generate_texts(prompts: Sequence[str]) -> Sequence[Generated]:
        from tunixrt.ml.generate import Generator
        from tunixrt.ml.tokenizer import ByteTokenizer

        tokenizer = ByteTokenizer()
        settings = plan.identity.generation
        generator = Generator(
            plan.directory,
            max_new_tokens=settings.max_new_tokens,
            batch_size=settings.batch_size,
            numeric_mode=plan.identity.numeric_mode,
        )
        generations = generator.run(
            _tokens(plan.identity.template, prompts), on_progress=on_progress
        )
        return [
            Generated(
                text=tokenizer.decode(generation.tokens),
                n_tokens=len(generation.tokens),
                stop_reason=str(generation.stop_reason),
            )
            for generation in generations
        ]

    return generate_texts
