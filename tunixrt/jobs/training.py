"""The training as a derivation: text and configuration in, a published run out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tunixrt.datasets.building import load_dataset
from tunixrt.datasets.exports import parse_split
from tunixrt.datasets.reading import DatasetReader
from tunixrt.datasets.releases import read_releases
from tunixrt.datasets.render import TEMPLATE_VERSION, DataFormat
from tunixrt.datasets.text import Text
from tunixrt.derive import QUIET, Derivation, NotReproducibleError, obtain
from tunixrt.errors import BadInputError
from tunixrt.jobs.machine import code_reasons, describe_environment, prepare_machine
from tunixrt.jobs.models import find_model, model_digests, model_directory
from tunixrt.jobs.promote_run import name_made_run
from tunixrt.jobs.published import PublishedRun
from tunixrt.log.digests import digest_bytes
from tunixrt.log.sums import output_digests
from tunixrt.runs.checkpoints import newest_whole, steps_saved
from tunixrt.runs.config import RunConfig
from tunixrt.runs.identity import IDENTITY_FORMAT, Template, TrainingIdentity, current_code
from tunixrt.runs.latest import note_latest
from tunixrt.runs.lines import encode_lines, with_redacted
from tunixrt.runs.manifests import (
    MANIFEST_FORMAT,
    LedgerCounts,
    TrainingManifest,
    TrainingResults,
)
from tunixrt.runs.numeric_class import beyond_the_promise
from tunixrt.runs.run import LEDGER_NAME, METRICS_NAME, MODEL_DIRECTORY, WEIGHTS_NAME, Run
from tunixrt.runs.tolerance import (
    explain_training,
    losses_beyond_tolerance,
    only_fingerprints_differ,
)
from tunixrt.words import plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tunixrt.datasets.files import Dataset
    from tunixrt.derive import Environment, Watch
    from tunixrt.jobs.promote_run import PromoteRequest
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.runs.catalogue import Catalogue
    from tunixrt.runs.lines import LedgerLine
    from tunixrt.runs.numeric_class import NumericClass


@dataclass(frozen=True)
class TrainRequest:
    """The request of a training.

    Attributes:
        config: the configuration.
        dataset: the key of the dataset to train on.
        base: a run or a model directory whose weights training starts from.
        resume: continue from the newest checkpoint of the same run, if one exists.
        promote: the name to give to the run; None for none.
    """

    config: RunConfig
    dataset: str
    base: str | None = None
    resume: bool = False
    promote: PromoteRequest | None = None


@dataclass(frozen=True, kw_only=True, repr=False)
class TrainingDone(PublishedRun[TrainingManifest]):
    """A published training run."""

    def __repr__(self) -> str:
        loss = self.manifest.results.last_loss
        return f"<training {self.run_id[:12]}, loss {loss:.4f} at last>"


class Training(Derivation[TrainingManifest]):
    """A training run; checkpoints are its interrupted work."""

    kind: ClassVar = "training"
    records: ClassVar = {
        LEDGER_NAME: ("record", ("trace",)),
        METRICS_NAME: ("step", ("step",)),
        f"{MODEL_DIRECTORY}/{WEIGHTS_NAME}": ("tensor", ()),
    }

    def __init__(
        self,
        identity: TrainingIdentity,
        config: RunConfig,
        text: Text,
        validation: Text | None,
        *,
        base: Path | None,
        numeric_class: NumericClass,
        resume: bool = False,
        recorded: TrainingManifest | None = None,
    ) -> None:
        """Bind an identity to its inputs.

        Args:
            identity: what determines the run.
            config: the configuration, including logging and saving intervals.
            text: the examples.
            validation: the examples of the validation loss; None where none is requested.
            base: the model directory that training starts from.
            numeric_class: of this machine.
            resume: continue from the newest checkpoint.
            recorded: the run that is rebuilt.
        """
        self._identity = identity
        self.config = config
        self.text = text
        self.validation = validation
        self.numeric_class = numeric_class
        self._base = base
        self._resume = resume
        self._recorded = recorded

    @property
    def identity(self) -> TrainingIdentity:
        """What determines the bytes of the run."""
        return self._identity

    def make(self, directory: Path, watch: Watch, work: Path | None) -> TrainingManifest:
        """Train into ``directory``: model/, metrics.jsonl, ledger.jsonl.

        Raises:
            AnswerIsNoError: training ended in numbers that are not finite.
            TrainingInterruptedError: the watch asked to stop; a checkpoint was made.
        """
        from tunixrt.ml.course import Saving
        from tunixrt.ml.training import train

        saving = None
        if work is not None:
            saving = Saving(work, self.id, self._starting_point(work, watch))
        outcome = train(
            self.config,
            self.text.examples,
            directory,
            base=self._base,
            validation=() if self.validation is None else self.validation.examples,
            saving=saving,
            should_stop=watch.should_stop,
            on_progress=lambda now: watch.progress(now.step, now.num_steps, now),
        )
        ledger = with_redacted(outcome.ledger, self.text.redacted)
        (directory / LEDGER_NAME).write_bytes(encode_lines(ledger))
        return TrainingManifest(
            format=MANIFEST_FORMAT,
            run_id=self.id,
            identity=self._identity,
            numeric_class=self.numeric_class if self._identity.numeric_mode == "fast" else None,
            ledger=count_ledger(outcome.ledger, self.text.n_redacted),
            results=TrainingResults(
                n_params=outcome.n_params,
                n_steps=outcome.num_steps,
                first_loss=outcome.initial_loss,
                last_loss=outcome.final_loss,
                n_loss_tokens=outcome.n_loss_tokens,
            ),
            outputs=output_digests(directory),
        )

    def _starting_point(self, work: Path, watch: Watch) -> Path | None:
        """The checkpoint to continue from; a notice names it, or states why none is used."""
        if not self._resume:
            if steps := steps_saved(work):
                watch.notice(
                    f"A checkpoint of this run after step {steps[-1]:,} exists. This training "
                    "still starts at the first step; --resume continues from the "
                    "checkpoint."
                )
            return None
        found = newest_whole(work, self.id, watch.notice)
        if found is None:
            watch.notice("No usable checkpoint of this run exists: training starts at step 1.")
            return None
        watch.notice(f"Training continues after step {found[0]:,}.")
        return found[1]

    def environment(self, watch: Watch) -> Environment:
        """The machine and the durations."""
        return describe_environment(self.numeric_class, watch.execution())

    def reasons(self) -> list[str]:
        """Other packages, or in fast mode another numeric class."""
        if self._recorded is None:
            return []
        return code_reasons(self._identity.code, self._recorded.numeric_class, self.numeric_class)

    def beyond_tolerance(self, recorded: Path, rebuilt: Path) -> str | None:
        """Whether the loss curves are within the tolerance."""
        old, new = ([m.loss for m in Run(path).metrics()] for path in (recorded, rebuilt))
        return losses_beyond_tolerance(old, new)

    def explain(self, file: str, recorded: Path, rebuilt: Path, *, promised: bool) -> str | None:
        """The first step that differs, and its fields."""
        return explain_training(file, Run(recorded), Run(rebuilt), promised=promised)

    def ignores(self, file: str, recorded: Path, rebuilt: Path, *, promised: bool) -> bool:
        """Fingerprints of weights that need not be the same."""
        if promised or file != METRICS_NAME:
            return False
        return only_fingerprints_differ(Run(recorded), Run(rebuilt))


def train_run(
    layout: Layout, log: EventLog, request: TrainRequest, watch: Watch = QUIET
) -> TrainingDone:
    """Train and publish; an existing run with the same id is reused.

    Raises:
        BadInputError: configuration, dataset, split, base or name cannot be used.
        AnswerIsNoError: training ended in numbers that are not finite.
        WorkHeldError: another process trains the same run.
        TrainingInterruptedError: the watch asked to stop; a checkpoint was made.
        NotNamedError: the run is published, and another process holds the store's lock.
    """
    training = plan_training(layout, log, request)
    deprecated = read_releases(log).notice(training.identity.dataset, request.dataset)
    if deprecated is not None:
        watch.notice(deprecated)
    unproven = beyond_the_promise(training.numeric_class)
    if unproven and training.identity.numeric_mode == "portable":
        watch.notice(
            f"Portable mode promises its bits on x86-64 CPUs with AVX2 and FMA, and {unproven}: "
            "let another machine `tunixrt reproduce` the run before you rely on its digest."
        )
    run = Run.of(layout, training.id)
    made = obtain(layout, training, run.directory, watch)
    manifest = made or run.manifest
    assert isinstance(manifest, TrainingManifest)
    note_latest(layout, manifest)
    return TrainingDone(
        manifest=manifest,
        run=run,
        already_done=made is None,
        promotion=name_made_run(layout, log, manifest.run_id, request.promote),
    )


def plan_training(layout: Layout, log: EventLog, request: TrainRequest) -> Training:
    """Resolve every input of a training run and derive its identity; trains nothing."""
    if request.promote is not None:
        request.promote.check()
    dataset = load_dataset(layout, request.dataset)
    base = None if request.base is None else model_directory(layout, request.base)
    config = request.config
    with DatasetReader(log) as reader:
        text, validation = _read(reader, dataset, config)
    for read in (text, validation):
        if read is not None and not read.examples:
            counts = ", ".join(f"{n:,} {name}" for name, n in dataset.manifest.split_counts.items())
            raise BadInputError(
                f"The dataset {dataset.key} has no examples in the split {read.split} "
                f"({read.n_redacted:,} redacted). Its members are: {counts}."
            )
    code = current_code()
    mode = config.training.numeric_mode
    numeric_class = prepare_machine(mode, code)
    from tunixrt.ml.tokenizer import ByteTokenizer

    identity = TrainingIdentity(
        format=IDENTITY_FORMAT,
        dataset=dataset.digest,
        text=text.digest,
        validation_text=None if validation is None else validation.digest,
        base=None if base is None else model_digests(base),
        config=config.identity(),
        tokenizer=digest_bytes(ByteTokenizer().tokenizer_json()),
        template=template_of(config.data.format, config.system_instruction),
        numeric_mode=mode,
        numeric_class=numeric_class.digest if mode == "fast" else None,
        code=code,
    )
    return Training(
        identity,
        config,
        text,
        validation,
        base=base,
        numeric_class=numeric_class,
        resume=request.resume,
    )


def plan_training_again(
    catalogue: Catalogue, reader: DatasetReader, manifest: TrainingManifest
) -> Training:
    """A recorded training, with its inputs found by digest.

    Raises:
        NotReproducibleError: the dataset, its text or the base no longer exists here.
    """
    identity = manifest.identity
    config = RunConfig.from_resolved(identity.config)
    text, validation = _read(reader, dataset_of(catalogue, manifest), config)
    require_text(catalogue, manifest, text)
    if validation is not None and validation.digest != identity.validation_text:
        raise NotReproducibleError(
            f"the validation split is not the text that was used: {validation.n_redacted:,} "
            "redacted"
        )
    base = None if identity.base is None else find_model(catalogue, identity.base)
    return Training(
        identity,
        config,
        text,
        validation,
        base=base,
        numeric_class=prepare_machine(identity.numeric_mode, current_code()),
        recorded=manifest,
    )


def _read(reader: DatasetReader, dataset: Dataset, config: RunConfig) -> tuple[Text, Text | None]:
    """The texts of both splits, in one pass over the dataset."""
    data, system = config.data, config.system_instruction
    text = Text(data.format, parse_split(data.split), system=system)
    validation = None
    if config.training.eval_steps:
        validation = Text(data.format, parse_split(data.validation_split), system=system)
    reader.pour(dataset, [text] if validation is None else [text, validation])
    return text, validation


def dataset_of(catalogue: Catalogue, manifest: TrainingManifest) -> Dataset:
    """The dataset that a run was trained on, found by digest, whatever its key is now.

    Raises:
        NotReproducibleError: it does not exist here.
    """
    dataset = catalogue.dataset(manifest.identity.dataset)
    if dataset is None:
        raise NotReproducibleError(
            f"the dataset {manifest.identity.dataset} that was trained on is not here: bring its "
            "directory back from Git"
        )
    return dataset


def text_of(manifest: TrainingManifest, *, keep: bool = False) -> Text:
    """An empty text, to be filled with the training text of a run."""
    template = manifest.identity.template
    return Text(
        DataFormat(template.format),
        manifest.split,
        system=template.system_instruction,
        keep=keep,
    )


def require_text(catalogue: Catalogue, manifest: TrainingManifest, text: Text) -> None:
    """Reject a text that differs from the one that a run was trained on.

    Raises:
        NotReproducibleError: it differs; the message states how many members are redacted.
    """
    if text.digest == manifest.identity.text:
        return
    key = catalogue.dataset_name(manifest.identity.dataset)
    version = manifest.identity.template.version
    if version != TEMPLATE_VERSION:
        why = f"the template is version {TEMPLATE_VERSION} here and was {version}"
    elif text.n_redacted:
        why = f"{plural(text.n_redacted, 'redacted member')} of {key}"
    else:
        why = (
            f"the text of {key} has the digest {text.digest}, and the run was trained on "
            f"{manifest.identity.text}"
        )
    raise NotReproducibleError(why)


def template_of(data_format: DataFormat, system: str | None) -> Template:
    """The template of a data format and a system instruction."""
    return Template(format=str(data_format), version=TEMPLATE_VERSION, system_instruction=system)


def count_ledger(ledger: Sequence[LedgerLine], n_redacted: int) -> LedgerCounts:
    """The numbers of kept and dropped records, and the tokens of the kept ones."""
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
