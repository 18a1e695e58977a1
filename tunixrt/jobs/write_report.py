"""The report job: two evaluation runs in, a directory of report files out."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from tunixrt.datasets.render import DataFormat
from tunixrt.errors import AnswerIsNoError
from tunixrt.eval.compare.pairs import compare
from tunixrt.eval.compare.seeds import compare_seeds
from tunixrt.eval.judge.judges import DEFAULT_JUDGE
from tunixrt.jobs.compare_runs import evaluated_run, find_evaluation
from tunixrt.jobs.contamination import recorded_contamination
from tunixrt.jobs.evaluation.evaluate import BATCH_SIZE
from tunixrt.jobs.models import training_of
from tunixrt.log.canonical import encode
from tunixrt.log.outputs import listed_files, output_directory
from tunixrt.report import (
    Command,
    ExperimentView,
    ReportView,
    RunView,
    TrainingView,
    render_report,
)
from tunixrt.runs.catalogue import Catalogue
from tunixrt.runs.config_sources import load_config
from tunixrt.runs.promotions import looks_like_an_id
from tunixrt.runs.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tunixrt.log.layout import Layout
    from tunixrt.runs.identity import ModelDigests
    from tunixrt.runs.manifests import EvaluationManifest, TrainingManifest


#: The file that lists the files of a report.
REPORT_FILES: Final = "report.json"
_MADE_BY: Final = "tunixrt report"


class OtherReportError(AnswerIsNoError):
    """The directory does not contain the report that follows from the runs.

    Attributes:
        path: the first file that is missing, differs, or is superfluous.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is not what follows from the runs: it is missing, has other bytes, or is of "
            "an older report. Without --check, `tunixrt report` writes the report again."
        )
        self.path = path


def write_report(
    layout: Layout,
    before: Sequence[str],
    after: Sequence[str],
    directory: Path,
    *,
    check: bool = False,
) -> list[Path]:
    """Compare evaluation runs and write ``report.md``, ``report.html`` and the charts.

    An older report in the directory is replaced; everything else in it stays.

    Args:
        layout: where the runs are.
        before: the evaluations to compare with, ids, prefixes or names: one, or one per seed.
        after: the evaluations to compare, in the same order of seeds.
        directory: where the files go: a new or an empty directory, or one of an older report.
        check: write nothing, and compare the bytes with the existing files.

    Returns:
        The files, by name.

    Raises:
        ForeignDirectoryError: the directory contains something else.
        BadInputError: one is not an evaluation, they are not paired, or they answer different
            questions.
        OtherReportError: ``check``, and the directory contains another report.
    """
    catalogue = Catalogue(layout)
    old, new = (list(_found(catalogue, runs)) for runs in (before, after))
    report: ReportView | ExperimentView
    if len(old) == len(new) == 1:
        report = report_view(old[0], new[0])
    else:
        comparison = compare_seeds(
            [run.evaluation for _, run in old], [run.evaluation for _, run in new]
        )
        pairs = tuple(report_view(*pair) for pair in zip(old, new, strict=True))
        report = ExperimentView(pairs=pairs, comparison=comparison)
    files = render_report(report)
    if check:
        _check(files, directory)
    else:
        with output_directory(directory, manifest=REPORT_FILES, made_by=_MADE_BY) as staged:
            for name, data in files.items():
                (staged / name).write_bytes(data)
    return [directory / name for name in files]


def _check(files: Mapping[str, bytes], directory: Path) -> None:
    """Compare a report with the one in a directory.

    Raises:
        ForeignDirectoryError: the directory contains something else.
        OtherReportError: a file is missing, differs, or is superfluous.
    """
    listed = listed_files(directory, manifest=REPORT_FILES, made_by=_MADE_BY)
    for name in sorted(files.keys() | listed):
        path = directory / name
        if name not in files or not path.is_file() or path.read_bytes() != files[name]:
            raise OtherReportError(path)


def _found(
    catalogue: Catalogue, runs: Sequence[str]
) -> Iterator[tuple[EvaluationManifest, RunView]]:
    for run in runs:
        manifest = find_evaluation(catalogue.layout, run)
        yield manifest, run_view(catalogue, manifest)


def report_view(
    before: tuple[EvaluationManifest, RunView], after: tuple[EvaluationManifest, RunView]
) -> ReportView:
    """The comparison of two evaluations, and how both were made.

    Raises:
        NotComparableError: the two answer different questions.
    """
    return ReportView(
        before=before[1],
        after=after[1],
        comparison=compare(before[1].evaluation, after[1].evaluation),
        commands=tuple(
            command
            for manifest, view in (before, after)
            for command in commands_of(manifest, view.training, view.evalset_name)
        ),
    )


def run_view(catalogue: Catalogue, manifest: EvaluationManifest) -> RunView:
    """The view of an evaluation run and its model."""
    responses = manifest.responses
    trained = catalogue.evaluated(responses)
    training = None if trained is None else training_view(catalogue, trained)
    return RunView(
        run_id=manifest.run_id,
        model=_model_in_words(manifest, training),
        weights=manifest.weights,
        evalset_name=catalogue.evalset_name(manifest.evalset),
        evaluation=evaluated_run(catalogue.layout, manifest),
        numeric_mode=responses.numeric_mode,
        numeric_class=responses.numeric_class,
        sources=responses.code.sources,
        versions=responses.code.packages,
        training=training,
        contamination=recorded_contamination(catalogue, manifest),
    )


def _model_in_words(manifest: EvaluationManifest, training: TrainingView | None) -> str:
    if training is not None:
        data_format = training.config.get("data.format", DataFormat.TUNIX_SFT)
        # Only an unusual format is named, such as answers without steps.
        told = "" if data_format == DataFormat.TUNIX_SFT else f" as {data_format}"
        return f"{training.config['model.name']} trained on {training.dataset_key}{told}"
    if manifest.responses.untrained is not None:
        return f"untrained {_dotted(manifest.responses.untrained)['model.name']}"
    return "a model directory"


def training_view(catalogue: Catalogue, manifest: TrainingManifest) -> TrainingView:
    """The view of a training run."""
    run = Run.of(catalogue.layout, manifest.run_id)
    identity = manifest.identity
    config = _dotted(manifest.config)
    return TrainingView(
        run_id=manifest.run_id,
        dataset_key=catalogue.dataset_name(identity.dataset),
        dataset=identity.dataset,
        text=identity.text,
        split=manifest.split,
        base=None if identity.base is None else _base(catalogue, identity.base),
        n_params=manifest.results.n_params,
        seeds={
            what: int(config[key])
            for what, key in (
                ("initial weights", "training.seed"),
                ("order of examples", "data.shuffle_seed"),
            )
            if key in config  # another version may lack the key
        },
        config=config,
        losses=tuple(run.metrics()),
        ledger=tuple(run.ledger()),
    )


def _base(catalogue: Catalogue, base: ModelDigests) -> str:
    run = training_of(catalogue, base)
    return f"a model directory with the weights {base.weights}" if run is None else run.run_id


def _dotted(config: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Nested tables as dotted keys, and values as the text that `--set` takes.

    Numbers are canonical JSON: 10000.0 is 10000 in a manifest, and equal.
    """
    flat: dict[str, str] = {}
    for key, value in sorted(config.items()):
        if isinstance(value, dict):
            flat |= _dotted(value, f"{prefix}{key}.")
        else:
            text = "" if value is None else value
            flat[prefix + key] = text if isinstance(text, str) else encode(text).decode()
    return flat


def commands_of(
    manifest: EvaluationManifest, training: TrainingView | None, evalset: str
) -> list[Command]:
    """The commands that train and evaluate a model again."""
    evaluate = f"--evalset {evalset}{_evaluation_options(manifest)}"
    if training is not None:
        differences = _differences_from_preset(training.config)
        settings = "".join(f" --set {shlex.quote(setting)}" for setting in differences)
        base = ""
        if training.base is not None:
            base = f" --base {training.base if looks_like_an_id(training.base) else 'DIR'}"
        preset, key = training.config["model.name"], training.dataset_key
        return [
            Command("Train", f"tunixrt train {preset} --dataset {key}{base}{settings}"),
            Command("Evaluate", f"tunixrt eval {training.run_id[:12]} {evaluate}"),
        ]
    untrained = manifest.responses.untrained
    if untrained is not None:
        config = _dotted(untrained)
        # A configuration that differs from its preset must be in a file of its own.
        name = "CONFIG.toml" if _differences_from_preset(config) else config["model.name"]
        return [Command("Evaluate untrained", f"tunixrt eval untrained:{name} {evaluate}")]
    return [Command("Evaluate", f"tunixrt eval DIR {evaluate}")]


def _evaluation_options(manifest: EvaluationManifest) -> str:
    """The options that repeat an evaluation exactly."""
    settings, judge = manifest.responses.generation, manifest.identity.judge.name
    options = [f"--max-new-tokens {settings.max_new_tokens}"]
    if settings.batch_size != BATCH_SIZE:
        options.append(f"--batch-size {settings.batch_size}")
    if (draws := settings.draws) is not None:
        options.append(f"--temperature {encode(draws.temperature).decode()}")
        options += [f"--top-p {encode(draws.top_p).decode()}"] if draws.top_p != 1 else []
        options += [f"--draws {draws.n}"] if draws.n != 1 else []
        options += [f"--seed {draws.seed}"] if draws.seed else []
    if settings.overlong is not None:
        options.append(f"--on-overlong {settings.overlong}")
    if judge != DEFAULT_JUDGE:
        options.append(f"--judge {judge}")
    return "".join(f" {option}" for option in options)


def _differences_from_preset(config: Mapping[str, str]) -> list[str]:
    """The `--set` values that turn the preset into this configuration."""
    preset = _dotted(load_config(config["model.name"]).identity())
    return [f"{key}={value}" for key, value in config.items() if preset.get(key) != value]
