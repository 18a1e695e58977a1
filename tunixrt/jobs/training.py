"""The training job: dataset and configuration in, a published run out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tunixrt.datasets.building import load_dataset
from tunixrt.datasets.exports import ExportFormat, OmitReason, export_dataset, render_dataset
from tunixrt.datasets.render import TEMPLATE_VERSION, DataFormat, Example
from tunixrt.errors import AnswerIsNoError, BadInputError
from tunixrt.jobs.machine import Execution, describe_environment, prepare_machine
from tunixrt.log import canonical
from tunixrt.log.digests import Digest, digest_bytes, digest_file, from_hex
from tunixrt.log.files import staging_directory
from tunixrt.runs.checkpoints import (
    newest_whole,
    remove_checkpoints,
    steps_saved,
    training_lock,
)
from tunixrt.runs.directories import MANIFEST, find_run, output_digests, publish_run
from tunixrt.runs.identity import (
    IDENTITY_FORMAT,
    Template,
    TrainingIdentity,
    current_code,
)
from tunixrt.runs.manifests import (
    MANIFEST_FORMAT,
    DatasetInput,
    LedgerCounts,
    TrainingManifest,
    TrainingResults,
    read_manifest,
)
from tunixrt.runs.numeric_class import beyond_the_promise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tunixrt.datasets.exports import RenderedExamples
    from tunixrt.datasets.files import Dataset
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.ml.input.batches import LedgerEntry
    from tunixrt.ml.metrics import TrainingProgress
    from tunixrt.ml.training import TrainingOutcome
    from tunixrt.runs.config import RunConfig
    from tunixrt.runs.numeric_class import NumericClass

WEIGHTS_NAME = "model.safetensors"
METRICS_NAME = "metrics.jsonl"
LEDGER_NAME = "ledger.jsonl"


class NotReproducibleError(AnswerIsNoError):
    """Members of the dataset were redacted, so what was trained on is gone."""


@dataclass(frozen=True)
class TrainingDone:
    """A training run that is published; ``already_done`` when it was there before."""

    manifest: TrainingManifest
    already_done: bool


@dataclass(frozen=True)
class TrainingControl:
    """Who hears of a training, and may stop it.

    Attributes:
        stopwatch: says when it was started and how long it took.
        should_stop: asked every few steps.
        on_notice: called with sentences about checkpoints.
        on_progress: called every ``training.logging_steps`` steps.
    """

    stopwatch: Callable[[], Execution] | None = None
    should_stop: Callable[[], bool] | None = None
    on_notice: Callable[[str], None] | None = None
    on_progress: Callable[[TrainingProgress], None] | None = None


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that a training run needs, resolved; executing it is a pure function of it."""

    config: RunConfig
    identity: TrainingIdentity
    dataset: DatasetInput
    base_name: str | None
    base: Path | None
    examples: tuple[Example, ...]
    validation: tuple[Example, ...]
    n_redacted: int
    numeric_class: NumericClass


def train_run(
    layout: Layout,
    log: EventLog,
    config: RunConfig,
    *,
    dataset_key: str,
    base: str | None = None,
    resume: bool = False,
    control: TrainingControl | None = None,
) -> TrainingDone:
    """Train and publish; a run with the same id is found instead of made again.

    Checkpoints are kept in ``.tunixrt/checkpoints/<run id>/`` while the run is not finished.

    Args:
        layout: where runs and checkpoints go.
        log: what the dataset selects from.
        config: every decision about the run.
        dataset_key: what it is trained on.
        base: a run or a model directory whose weights training starts from.
        resume: go on from the newest checkpoint of this very run, if there is one.
        control: who hears of it, and may stop it.

    Raises:
        BadInputError: configuration, dataset, split or base cannot be used.
        AnswerIsNoError: training ended in numbers that are not finite.
        RunInTrainingError: another process trains the same run.
        TrainingInterruptedError: ``control.should_stop`` said so; a checkpoint is there.
    """
    control = control or TrainingControl()
    plan = plan_training(layout, log, config, dataset_key=dataset_key, base=base)
    unproven = beyond_the_promise(plan.numeric_class)
    if unproven and plan.identity.numeric_mode == "portable" and control.on_notice is not None:
        control.on_notice(
            f"Portable mode promises its bits on x86-64 CPUs with AVX2 and FMA, and {unproven}: "
            "let another machine `tunixrt reproduce` the run before you rely on its digest."
        )
    run_id = plan.identity.run_id
    if (manifest := _published(layout, run_id)) is not None:
        return TrainingDone(manifest, already_done=True)
    with training_lock(layout, run_id) as checkpoints:
        # Whoever held the lock a moment ago may have published the run.
        if (manifest := _published(layout, run_id)) is not None:
            return TrainingDone(manifest, already_done=True)
        start = _starting_point(checkpoints, run_id, resume, control.on_notice)
        with staging_directory(layout) as staged:
            manifest = execute_training(
                plan,
                staged,
                checkpoints=checkpoints,
                resume_from=start,
                should_stop=control.should_stop,
                on_progress=control.on_progress,
            )
            execution = control.stopwatch() if control.stopwatch is not None else None
            environment = describe_environment(plan.numeric_class, execution)
            publish_run(layout, staged, manifest, environment)
        remove_checkpoints(checkpoints)
    return TrainingDone(manifest, already_done=False)


def _published(layout: Layout, run_id: str) -> TrainingManifest | None:
    path = layout.runs / run_id / MANIFEST
    if not path.is_file():
        return None
    manifest = read_manifest(path)
    assert isinstance(manifest, TrainingManifest)
    return manifest


def _starting_point(
    checkpoints: Path, run_id: str, resume: bool, on_notice: Callable[[str], None] | None
) -> Path | None:
    """The checkpoint to go on from; says which, and why not another."""
    say = on_notice if on_notice is not None else _nobody
    if not resume:
        if steps := steps_saved(checkpoints):
            say(
                f"A checkpoint of this run after step {steps[-1]:,} is here. This training starts "
                "with the first step all the same; --resume goes on from the checkpoint."
            )
        return None
    found = newest_whole(checkpoints, run_id, say)
    if found is None:
        say("There is no checkpoint of this run that could be used: training starts at step 1.")
        return None
    say(f"Training goes on after step {found[0]:,}.")
    return found[1]


def _nobody(_: str) -> None:
    """Nobody listens."""


def plan_training(
    layout: Layout,
    log: EventLog,
    config: RunConfig,
    *,
    dataset_key: str,
    base: str | None = None,
) -> TrainingPlan:
    """Resolve every input of a training run and derive its identity; trains nothing."""
    dataset = load_dataset(layout, dataset_key)
    rendered = _render(layout, log, dataset, config, config.data.split)
    validation: tuple[Example, ...] = ()
    if config.training.eval_steps:
        validation = _render(layout, log, dataset, config, config.data.validation_split).examples
    code = current_code()
    mode = config.training.numeric_mode
    numeric_class = prepare_machine(mode, code)
    from tunixrt.ml.tokenizer import ByteTokenizer

    base_path = None if base is None else model_directory(layout, base)
    identity = TrainingIdentity(
        format=IDENTITY_FORMAT,
        dataset=dataset.manifest.digest,
        base=None if base_path is None else digest_file(base_path / WEIGHTS_NAME),
        config=config.identity(),
        tokenizer=digest_bytes(ByteTokenizer().tokenizer_json()),
        template=template_of(config.data.format, config.system_instruction),
        numeric_mode=mode,
        numeric_class=numeric_class.digest if mode == "fast" else None,
        code=code,
    )
    return TrainingPlan(
        config=config,
        identity=identity,
        dataset=DatasetInput(
            key=dataset_key,
            digest=dataset.manifest.digest,
            split=config.data.split,
            snapshot=dataset.manifest.snapshot,
            export=export_digest(layout, log, dataset_key, config),
        ),
        base_name=_lasting_name(layout, base, base_path),
        base=base_path,
        examples=rendered.examples,
        validation=validation,
        n_redacted=rendered.omitted.get(OmitReason.REDACTED, 0),
        numeric_class=numeric_class,
    )


def _render(
    layout: Layout, log: EventLog, dataset: Dataset, config: RunConfig, split: str
) -> RenderedExamples:
    rendered = render_dataset(
        layout,
        log,
        dataset.key,
        data_format=config.data.format,
        split=split,
        system=config.system_instruction,
    )
    if not rendered.examples:
        n_redacted = rendered.omitted.get(OmitReason.REDACTED, 0)
        counts = ", ".join(f"{n:,} {name}" for name, n in dataset.manifest.split_counts.items())
        raise BadInputError(
            f"The dataset {dataset.key} has no examples in the split {split} "
            f"({n_redacted:,} redacted). Its members are: {counts}."
        )
    return rendered


def _lasting_name(layout: Layout, base: str | None, path: Path | None) -> str | None:
    """How the manifest names a base: a run by its whole id, since names and prefixes move on."""
    if path is not None and path.parent.parent == layout.runs:
        return path.parent.name
    return base


def template_of(data_format: DataFormat, system: str | None) -> Template:
    """The template that a data format and a system instruction mean."""
    return Template(format=str(data_format), version=TEMPLATE_VERSION, system_instruction=system)


def model_directory(layout: Layout, model: str) -> Path:
    """The Hugging Face directory of a run (by prefix or name), or a path with a config.json."""
    path = Path(model)
    if (path / "config.json").is_file():
        return path
    manifest = find_run(layout, model)
    if not isinstance(manifest, TrainingManifest):
        raise BadInputError(
            f"The run {model} is an evaluation and holds no weights; name the training run "
            "that it evaluated."
        )
    return layout.runs / manifest.run_id / "model"


def export_digest(layout: Layout, log: EventLog, key: str, config: RunConfig) -> Digest | None:
    """The SHA-256 of the export that the run was trained on, where its format is an export format.

    Equal to ``tunixrt dataset export KEY --format FORMAT --split SPLIT | sha256sum``, so anyone can
    check which text a run has seen.
    """
    data_format = str(config.data.format)
    if data_format not in list(ExportFormat):
        return None
    with Path(os.devnull).open("wb") as nowhere:
        report = export_dataset(
            layout,
            log,
            key,
            ExportFormat(data_format),
            nowhere,
            split=config.data.split,
            system=config.system_instruction,
        )
    return from_hex(report.sha256)


def execute_training(
    plan: TrainingPlan,
    directory: Path,
    *,
    checkpoints: Path | None = None,
    resume_from: Path | None = None,
    should_stop: Callable[[], bool] | None = None,
    on_progress: Callable[[TrainingProgress], None] | None = None,
) -> TrainingManifest:
    """Train into ``directory`` (model/, metrics.jsonl, ledger.jsonl) and return the manifest.

    Without ``checkpoints``, none are made.
    """
    # Not in one line with what imports jax: the flags of XLA come first.
    from tunixrt.ml import environment

    environment.prepare(plan.identity.numeric_mode)
    from tunixrt.ml.course import Saving
    from tunixrt.ml.training import train

    saving = None
    if checkpoints is not None:
        saving = Saving(checkpoints, plan.identity.run_id, resume_from)
    outcome = train(
        plan.config,
        plan.examples,
        directory,
        base=plan.base,
        validation=plan.validation,
        saving=saving,
        should_stop=should_stop,
        on_progress=on_progress,
    )
    (directory / LEDGER_NAME).write_bytes(b"".join(_ledger_lines(outcome)))
    mode = plan.identity.numeric_mode
    return TrainingManifest(
        format=MANIFEST_FORMAT,
        run_id=plan.identity.run_id,
        identity=plan.identity,
        dataset=plan.dataset,
        base=plan.base_name,
        config=plan.config.resolved(),
        numeric_class=plan.numeric_class if mode == "fast" else None,
        ledger=count_ledger(outcome.ledger, plan.n_redacted),
        results=TrainingResults(
            n_params=outcome.n_params,
            n_steps=outcome.num_steps,
            first_loss=outcome.initial_loss,
            last_loss=outcome.final_loss,
            n_loss_tokens=outcome.n_loss_tokens,
        ),
        outputs=output_digests(directory),
    )


def _ledger_lines(outcome: TrainingOutcome) -> Iterator[bytes]:
    for entry in outcome.ledger:
        line = msgspec.to_builtins(entry)
        del line["example"]  # follows from the trace and the template
        yield canonical.encode(line) + b"\n"


def count_ledger(ledger: Sequence[LedgerEntry], n_redacted: int) -> LedgerCounts:
    """How many records are kept and dropped, and how many tokens those that are kept have."""
    kept = [entry for entry in ledger if entry.outcome == "kept"]
    return LedgerCounts(
        n_records=len(ledger) + n_redacted,
        n_kept=len(kept),
        n_dropped=len(ledger) - len(kept),
        n_truncated=0,
        n_redacted=n_redacted,
        n_tokens=sum(entry.n_tokens for entry in kept),
        n_loss_tokens=sum(entry.n_loss_tokens for entry in kept),
    )
