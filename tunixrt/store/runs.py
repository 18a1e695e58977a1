"""The runs of a store: training, evaluating, comparing, naming and reporting them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tunixrt.derive import QUIET
from tunixrt.errors import BadInputError
from tunixrt.store.datasets import dataset_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TypeAlias

    from tunixrt.datasets.building import BuildReport
    from tunixrt.datasets.files import Dataset
    from tunixrt.derive import Watch
    from tunixrt.eval.compare.pairs import Comparison
    from tunixrt.eval.compare.seeds import SeedsComparison
    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.jobs.compare_runs import RunComparison
    from tunixrt.jobs.dry_run import DryRun
    from tunixrt.jobs.evaluation.evaluate import EvaluationDone
    from tunixrt.jobs.promote_run import PromoteRequest, Promotion
    from tunixrt.jobs.training import TrainingDone, TrainRequest
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.log.lock import Waiting
    from tunixrt.runs.config import RunConfig
    from tunixrt.runs.leaderboard import RunRow
    from tunixrt.runs.manifests import Manifest
    from tunixrt.runs.promotions import Promotions
    from tunixrt.runs.run import Run

    #: A run by id, prefix, name or ``@last``; or an object that stands for it.
    AnyRun: TypeAlias = str | Run | Manifest | TrainingDone | EvaluationDone
    AnyConfig: TypeAlias = str | Path | RunConfig
    AnyDataset: TypeAlias = str | Dataset | BuildReport
    Overrides: TypeAlias = Mapping[str, object] | Sequence[str]


class Runs:
    """The runs of a store, by run id; iterating yields each as a `Run`.

    A run is given as a unique prefix of its id, as a name, as ``@last``, ``@last-train`` or
    ``@last-eval`` (the run that `train` or `evaluate` last published or found in this checkout), or
    as what `train`, `evaluate` or ``runs[...]`` returned.
    """

    def __init__(self, layout: Layout, log: EventLog) -> None:
        """The runs of a store."""
        self._layout, self._log = layout, log

    def __repr__(self) -> str:
        return f"<runs of {self._layout.root}>"

    def __iter__(self) -> Iterator[Run]:
        from tunixrt.runs.directories import read_runs
        from tunixrt.runs.run import Run

        return (Run.of(self._layout, manifest.run_id) for manifest in read_runs(self._layout))

    def __len__(self) -> int:
        from tunixrt.runs.directories import list_run_ids

        return len(list_run_ids(self._layout))

    def __getitem__(self, run: str) -> Run:
        """The one run whose id begins with ``run``, or that has this name.

        Raises:
            UnknownRunError: none or several do.
            UnfinishedRunError: it was begun and not published whole.
        """
        from tunixrt.runs.directories import find_run
        from tunixrt.runs.run import Run

        return Run.of(self._layout, find_run(self._layout, run).run_id)

    def __contains__(self, run: object) -> bool:
        """Whether a prefix or a name stands for one run that is here."""
        from tunixrt.runs.promotions import UnknownRunError

        try:
            return isinstance(run, str) and self[run] is not None
        except UnknownRunError:
            return False

    def train(
        self,
        config: AnyConfig,
        *,
        dataset: AnyDataset,
        base: AnyRun | Path | None = None,
        overrides: Overrides = (),
        resume: bool = False,
        as_name: str | None = None,
        recorded_at: str | None = None,
        waiting: Waiting | None = None,
        watch: Watch = QUIET,
    ) -> TrainingDone:
        """Train, and publish the run; find it if it is there already.

        Args:
            config: a preset, the path of a TOML file, or a configuration.
            dataset: the key of a dataset, or one.
            base: a run or a model directory whose weights training starts from.
            overrides: ``{"training.num_steps": 50}``, ``{"training": {"num_steps": 50}}``, or
                ``KEY=VALUE`` texts as on the command line.
            resume: continue from the newest checkpoint of the run, if there is one.
            as_name: promote the run under this name when it is finished; a text that cannot be a
                name is refused before training.
            recorded_at: as in `promote`.
            waiting: as in `promote`.
            watch: when its ``should_stop`` returns True, a checkpoint is made and training stops;
                its ``on_progress`` receives a `TrainingProgress` as its detail.

        Raises:
            ConfigError: something in the configuration is wrong.
            TrainingInterruptedError: the watch asked to stop.
        """
        from tunixrt.jobs.training import train_run

        promote = _promotion(as_name, recorded_at, waiting)
        request = _request(config, overrides, dataset, base, promote, resume=resume)
        return train_run(self._layout, self._log, request, watch)

    def rehearse(
        self,
        config: AnyConfig,
        *,
        dataset: AnyDataset,
        base: AnyRun | Path | None = None,
        overrides: Overrides = (),
        as_name: str | None = None,
    ) -> DryRun:
        """What `train` would do with the same arguments: nothing is trained or written."""
        from tunixrt.jobs.dry_run import rehearse_training

        request = _request(config, overrides, dataset, base, _promotion(as_name))
        return rehearse_training(self._layout, self._log, request)

    def evaluate(
        self,
        model: AnyRun | Path,
        *,
        evalset: str | EvalSet,
        max_new_tokens: int | None = None,
        batch_size: int = 64,
        temperature: float = 0.0,
        top_p: float = 1.0,
        draws: int = 1,
        seed: int = 0,
        judge: str = "exact",
        fail_on_contamination: bool = False,
        on_overlong: str = "refuse",
        as_name: str | None = None,
        recorded_at: str | None = None,
        waiting: Waiting | None = None,
        watch: Watch = QUIET,
    ) -> EvaluationDone:
        """Evaluate a run, a model directory or ``untrained:CONFIG``, and publish the run.

        ``temperature`` 0 is greedy; above it, that many ``draws`` are made for each sample.
        Another judge is another judgement of the same responses: nothing is generated for it.
        ``judge`` may be ``module:function``; see `tunixrt.eval.sample_judges`.
        ``on_overlong`` says what happens to prompts that leave no room for an answer: ``refuse``
        raises `OverlongPromptsError`, ``wrong`` counts them as wrong, ``omit`` leaves them out.
        ``as_name``, ``recorded_at`` and ``waiting`` are those of `train`.
        """
        from tunixrt.jobs.evaluation.evaluate import EvalRequest, evaluate_run

        request = EvalRequest(
            model=run_name(model),
            evalset=evalset if isinstance(evalset, str) else evalset.name,
            max_new_tokens=max_new_tokens,
            batch_size=batch_size,
            temperature=temperature,
            top_p=top_p,
            n_draws=draws,
            seed=seed,
            judge=judge,
            fail_on_contamination=fail_on_contamination,
            on_overlong=on_overlong,
            promote=_promotion(as_name, recorded_at, waiting),
        )
        return evaluate_run(self._layout, self._log, request, watch)

    def compare(
        self,
        a: AnyRun,
        b: AnyRun,
        *,
        allow_differences: bool = False,
        metric: str = "avg_score",
        category: str | None = None,
        directory: Path | str | None = None,
        check: bool = False,
    ) -> Comparison:
        """Compare evaluation ``b`` with evaluation ``a``, pair by pair.

        The figures and the scores of each sample are written to a ``directory`` if there is one;
        with ``check`` they are compared with what it contains.

        Raises:
            NotComparableError: something other than the model differs.
            OtherContentError: ``check``, and the directory has other content.
        """
        from tunixrt.eval.compare.pairs import Comparison
        from tunixrt.jobs.compare_runs import RunComparison

        comparison = RunComparison(
            self._layout,
            [run_name(a)],
            [run_name(b)],
            allow_differences=allow_differences,
            metric=metric,
            category=category,
        )
        self._deliver(comparison, directory, check=check)
        assert isinstance(comparison.results, Comparison)
        return comparison.results

    def compare_seeds(
        self,
        a: Sequence[AnyRun],
        b: Sequence[AnyRun],
        *,
        allow_differences: bool = False,
        metric: str = "avg_score",
        category: str | None = None,
        directory: Path | str | None = None,
        check: bool = False,
    ) -> SeedsComparison:
        """Compare two ways of training, each with several evaluations, seed by seed.

        ``directory`` and ``check`` are those of `compare`.
        """
        from tunixrt.eval.compare.seeds import SeedsComparison
        from tunixrt.jobs.compare_runs import RunComparison

        comparison = RunComparison(
            self._layout,
            [run_name(run) for run in a],
            [run_name(run) for run in b],
            allow_differences=allow_differences,
            metric=metric,
            category=category,
            by_seed=True,
        )
        self._deliver(comparison, directory, check=check)
        assert isinstance(comparison.results, SeedsComparison)
        return comparison.results

    def promote(
        self,
        run: AnyRun,
        name: str,
        *,
        recorded_at: str | None = None,
        waiting: Waiting | None = None,
    ) -> Promotion:
        """Give a run a name, which is then good wherever a run is asked for."""
        from tunixrt.jobs.promote_run import PromoteRequest, promote_run

        request = PromoteRequest(name, recorded_at, waiting)
        return promote_run(self._layout, self._log, run_name(run), request)

    def promotions(self) -> Promotions:
        """The names that runs were given."""
        from tunixrt.runs.promotions import read_promotions

        return read_promotions(self._log)

    def leaderboard(
        self, *, kind: str | None = None, evalset: str | None = None, dataset: str | None = None
    ) -> list[RunRow]:
        """The runs, the best evaluation of each eval set first."""
        from tunixrt.runs.leaderboard import leaderboard

        return leaderboard(self._layout, self._log, kind=kind, evalset=evalset, dataset=dataset)

    def row(self, manifest: Manifest) -> RunRow:
        """One run as a row of the leaderboard."""
        from tunixrt.runs.leaderboard import run_row

        return run_row(self._layout, self._log, manifest)

    def report(
        self,
        before: AnyRun | Sequence[AnyRun],
        after: AnyRun | Sequence[AnyRun],
        directory: Path | str,
        *,
        check: bool = False,
    ) -> list[Path]:
        """Write the report on evaluations into a directory, and return its files.

        Several on each side are two ways of training, with an evaluation for each seed. ``check``
        writes nothing and compares the report with what the directory contains.

        Raises:
            NotComparableError: something other than the model differs.
            OtherContentError: ``check``, and the directory has other content.
        """
        from tunixrt.derive.delivery import deliver
        from tunixrt.jobs.write_report import Report

        old, new = (
            [run_name(run) for run in side] if isinstance(side, list | tuple) else [run_name(side)]
            for side in (before, after)
        )
        place = Path(directory)
        done = deliver(self._layout, Report(self._layout, old, new), place, check=check)
        return [place / name for name in done.sizes]

    def check_report(self, directory: Path | str) -> list[Path]:
        """Compare the report in a directory with the one on the runs that it states.

        Raises:
            BadInputError: the directory contains no report that states its runs.
            OtherContentError: the report has other content.
        """
        from tunixrt.jobs.write_report import runs_of_report

        return self.report(*runs_of_report(Path(directory)), directory, check=True)

    def _deliver(
        self, comparison: RunComparison, directory: Path | str | None, *, check: bool
    ) -> None:
        from tunixrt.derive.delivery import deliver

        if directory is not None:
            deliver(self._layout, comparison, Path(directory), check=check)


def _request(
    config: AnyConfig,
    overrides: Overrides,
    dataset: AnyDataset,
    base: AnyRun | Path | None,
    promote: PromoteRequest | None,
    *,
    resume: bool = False,
) -> TrainRequest:
    from tunixrt.jobs.training import TrainRequest
    from tunixrt.runs.config import RunConfig
    from tunixrt.runs.config_sources import load_config

    if isinstance(config, RunConfig):
        if overrides:
            raise BadInputError("Overrides go with a preset or a file, not with a configuration.")
    else:
        config = load_config(str(config), overrides)
    start = None if base is None else run_name(base)
    return TrainRequest(config, dataset_key(dataset), start, resume, promote)


def _promotion(
    name: str | None, recorded_at: str | None = None, waiting: Waiting | None = None
) -> PromoteRequest | None:
    from tunixrt.jobs.promote_run import PromoteRequest

    return None if name is None else PromoteRequest(name, recorded_at, waiting)


def run_name(run: object) -> str:
    """The text that names a run or a model directory."""
    from tunixrt.runs.run import Run

    if isinstance(run, str | Path):
        return str(run)
    name = run.id if isinstance(run, Run) else getattr(run, "run_id", None)
    if isinstance(name, str):
        return name
    raise BadInputError(
        f"A run is given by its id or name, or as what training or evaluating returned; "
        f"found {run!r}."
    )
