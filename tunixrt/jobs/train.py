"""The training job: dataset and configuration in, a published run out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tunixrt.data.datasets import load_dataset
from tunixrt.data.exports import ExportFormat, OmitReason, export_dataset, render_dataset
from tunixrt.data.render import TEMPLATE_VERSION, DataFormat, Example
from tunixrt.errors import AnswerIsNoError, BadInputError
from tunixrt.jobs.machine import Execution, describe_environment, prepare_machine
from tunixrt.log import canonical
from tunixrt.log.digests import Digest, digest_bytes, digest_file, from_hex
from tunixrt.log.files import staging_directory
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.ml.training import TrainingOutcome, TrainingProgress
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
class TrainingPlan:
    """Everything that a training run needs, resolved; executing it is a pure function of it."""

    config: RunConfig
    identity: TrainingIdentity
    dataset: DatasetInput
    base_name: str | None
    base: Path | None
    examples: tuple[Example, ...]
    n_redacted: int
    numeric_class: NumericClass


def train_run(
    layout: Layout,
    log: EventLog,
    config: RunConfig,
    *,
    dataset_key: str,
    base: str | None = None,
    stopwatch: Callable[[], Execution] | None = None,
    on_progress: Callable[[TrainingProgress], None] | None = None,
) -> TrainingDone:
    """Train and publish; a run with the same id is found instead of made again.

    Raises:
        BadInputError: configuration, dataset, split or base cannot be used.
        AnswerIsNoError: training ended in numbers that are not finite.
    """
    plan = plan_training(layout, log, config, dataset_key=dataset_key, base=base)
    path = layout.runs / plan.identity.run_id / MANIFEST
    if path.is_file():
        manifest = read_manifest(path)
        assert isinstance(manifest, TrainingManifest)
        return TrainingDone(manifest, already_done=True)
    with staging_directory(layout) as staged:
        manifest = execute_training(plan, staged, on_progress=on_progress)
        execution = stopwatch() if stopwatch is not None else None
        publish_run(layout, staged, manifest, describe_environment(plan.numeric_class, execution))
    return TrainingDone(manifest, already_done=False)


def plan_training(
    layout: Layout,
    log: EventLog,
    config: RunConfig,
    *,
    dataset_key: str,
    base: str | None = None,
) -> TrainingPlan:
    """Resolve every input of a training run and derive its identity; trains nothing.

    Imports jax: the numeric class includes how XLA was set up.
    """
    dataset = load_dataset(layout, dataset_key)
    rendered = render_dataset(
        layout,
        log,
        dataset_key,
        data_format=config.data.format,
        split=config.data.split,
        system=config.system_instruction,
    )
    n_redacted = rendered.omitted.get(OmitReason.REDACTED, 0)
    if not rendered.examples:
        counts = ", ".join(f"{n:,} {name}" for name, n in dataset.manifest.split_counts.items())
        raise BadInputError(
            f"The dataset {dataset_key} has no examples in the split {config.data.split} "
            f"({n_redacted:,} redacted). Its members are: {counts}."
        )
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
        n_redacted=n_redacted,
        numeric_class=numeric_class,
    )


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
    on_progress: Callable[[TrainingProgress], None] | None = None,
) -> TrainingManifest:
    """Train into ``directory`` (model/, metrics.jsonl, ledger.jsonl) and return the manifest."""
    from tunixrt.ml.training import train

    outcome = train(plan.config, plan.examples, directory, base=plan.base, on_progress=on_progress)
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
        ledger=_counts(outcome, plan.n_redacted),
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


def _counts(outcome: TrainingOutcome, n_redacted: int) -> LedgerCounts:
    kept = [entry for entry in outcome.ledger if entry.outcome == "kept"]
    return LedgerCounts(
        n_records=len(outcome.ledger) + n_redacted,
        n_kept=len(kept),
        n_dropped=len(outcome.ledger) - len(kept),
        n_truncated=0,
        n_redacted=n_redacted,
        n_tokens=sum(entry.n_tokens for entry in kept),
        n_loss_tokens=sum(entry.n_loss_tokens for entry in kept),
    )
