"""The part of the facade that trains, evaluates, compares and reports runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from tunixrt.derive import QUIET

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tunixrt.derive import Watch
    from tunixrt.eval.compare.pairs import Comparison
    from tunixrt.eval.compare.seeds import SeedsComparison
    from tunixrt.eval.evalset_import import EvalsetImport
    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.jobs.build_site import SiteBuilt
    from tunixrt.jobs.contamination import CheckedEvalset
    from tunixrt.jobs.dry_run import DryRun
    from tunixrt.jobs.evaluation.evaluate import EvaluationDone
    from tunixrt.jobs.overlong import PromptLengths
    from tunixrt.jobs.promote_run import Promotion
    from tunixrt.jobs.training import TrainingDone
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.log.lock import Waiting
    from tunixrt.runs.leaderboard import RunRow
    from tunixrt.runs.manifests import Manifest
    from tunixrt.runs.promotions import Promotions
    from tunixrt.traces.importers.lines import OpenText
    from tunixrt.traces.importers.table import Rejection


class RunMethods:
    """What `Store` can do with runs.

    A run is given as a unique prefix of its id, as a name, or as ``@last``, ``@last-train`` or
    ``@last-eval``: the run that `train` or `evaluate` last published or found in this checkout.
    """

    layout: Layout
    log: EventLog

    def runs(self) -> list[Manifest]:
        """The manifest of every run, by run id."""
        from tunixrt.runs.directories import read_runs

        return read_runs(self.layout)

    def run(self, prefix: str) -> Manifest:
        """The one run whose id begins with ``prefix``, or that was promoted to it."""
        from tunixrt.runs.directories import find_run

        return find_run(self.layout, prefix)

    def train(
        self,
        config: str,
        *,
        dataset: str,
        base: str | None = None,
        overrides: Sequence[str] = (),
        resume: bool = False,
        as_name: str | None = None,
        recorded_at: str | None = None,
        waiting: Waiting | None = None,
        watch: Watch = QUIET,
    ) -> TrainingDone:
        """Train, and publish the run; find it if it is there already.

        ``resume`` continues from the newest checkpoint of the run, if there is one. When
        ``watch.should_stop`` returns True, a checkpoint is made and `TrainingInterruptedError`
        raised. ``watch.on_progress`` receives a `TrainingProgress` as its detail.
        ``as_name`` promotes the run under that name when it is finished, with ``recorded_at`` and
        ``waiting`` as in `promote_run`; a text that cannot be a name is refused before training.
        """
        from tunixrt.jobs.training import TrainRequest, train_run
        from tunixrt.runs.config import load_config

        self._check_run_name(as_name, recorded_at)
        request = TrainRequest(load_config(config, overrides), dataset, base, resume)
        done = train_run(self.layout, self.log, request, watch)
        run_id = done.manifest.run_id
        promotion = self._name_made_run(run_id, as_name, recorded_at, waiting)
        return dataclasses.replace(done, promotion=promotion)

    def _check_run_name(self, name: str | None, recorded_at: str | None) -> None:
        from tunixrt.jobs.promote_run import check_run_name

        if name is not None:
            check_run_name(name, recorded_at)

    def _name_made_run(
        self, run_id: str, name: str | None, recorded_at: str | None, waiting: Waiting | None
    ) -> Promotion | None:
        from tunixrt.jobs.promote_run import name_made_run

        if name is None:
            return None
        return name_made_run(
            self.layout, self.log, run_id, name, recorded_at=recorded_at, waiting=waiting
        )

    def rehearse_training(
        self,
        config: str,
        *,
        dataset: str,
        base: str | None = None,
        overrides: Sequence[str] = (),
        as_name: str | None = None,
    ) -> DryRun:
        """What `train` would do with the same arguments: nothing is trained or written."""
        from tunixrt.jobs.dry_run import rehearse_training
        from tunixrt.jobs.training import TrainRequest
        from tunixrt.runs.config import load_config

        self._check_run_name(as_name, None)
        request = TrainRequest(load_config(config, overrides), dataset, base)
        return rehearse_training(self.layout, self.log, request)

    def evaluate(
        self,
        model: str,
        *,
        evalset: str,
        max_new_tokens: int | None = None,
        batch_size: int = 64,
        temperature: float = 0.0,
        top_p: float = 1.0,
        samples: int = 1,
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

        ``temperature`` 0 is greedy; above it, ``samples`` responses are drawn to each sample.
        Another judge is another judgement of the same responses: nothing is generated for it.
        ``on_overlong`` says what happens to prompts that leave no room for an answer: ``refuse``
        raises `OverlongPromptsError`, ``wrong`` counts them as wrong, ``omit`` leaves them out.
        ``as_name``, ``recorded_at`` and ``waiting`` are those of `train`.
        """
        from tunixrt.jobs.evaluation.evaluate import EvalRequest, evaluate_run

        self._check_run_name(as_name, recorded_at)
        request = EvalRequest(
            model=model,
            evalset=evalset,
            max_new_tokens=max_new_tokens,
            batch_size=batch_size,
            temperature=temperature,
            top_p=top_p,
            n_draws=samples,
            seed=seed,
            judge=judge,
            fail_on_contamination=fail_on_contamination,
            on_overlong=on_overlong,
        )
        done = evaluate_run(self.layout, self.log, request, watch)
        run_id = done.manifest.run_id
        promotion = self._name_made_run(run_id, as_name, recorded_at, waiting)
        return dataclasses.replace(done, promotion=promotion)

    def compare_runs(
        self,
        a: str,
        b: str,
        *,
        allow_differences: bool = False,
        metric: str = "avg_score",
        category: str | None = None,
    ) -> Comparison:
        """Compare evaluation ``b`` with evaluation ``a``, pair by pair."""
        from tunixrt.jobs.compare_runs import compare_runs

        return compare_runs(
            self.layout,
            a,
            b,
            allow_differences=allow_differences,
            metric=metric,
            category=category,
        )

    def compare_seeds(
        self,
        a: Sequence[str],
        b: Sequence[str],
        *,
        allow_differences: bool = False,
        metric: str = "avg_score",
        category: str | None = None,
    ) -> SeedsComparison:
        """Compare two ways of training, each with several evaluations, seed by seed."""
        from tunixrt.jobs.compare_runs import compare_seeds

        return compare_seeds(
            self.layout,
            a,
            b,
            allow_differences=allow_differences,
            metric=metric,
            category=category,
        )

    def promote_run(
        self,
        run: str,
        name: str,
        *,
        recorded_at: str | None = None,
        waiting: Waiting | None = None,
    ) -> Promotion:
        """Give a run a name, which is then good wherever a run is asked for."""
        from tunixrt.jobs.promote_run import promote_run

        return promote_run(
            self.layout, self.log, run, name, recorded_at=recorded_at, waiting=waiting
        )

    def promotions(self) -> Promotions:
        """The names that runs were given."""
        from tunixrt.runs.promotions import read_promotions

        return read_promotions(self.log)

    def leaderboard(
        self, *, kind: str | None = None, evalset: str | None = None, dataset: str | None = None
    ) -> list[RunRow]:
        """The runs, the best evaluation of each eval set first."""
        from tunixrt.runs.leaderboard import leaderboard

        return leaderboard(self.layout, self.log, kind=kind, evalset=evalset, dataset=dataset)

    def run_row(self, manifest: Manifest) -> RunRow:
        """One run as a row of the leaderboard."""
        from tunixrt.runs.leaderboard import run_row

        return run_row(self.layout, self.log, manifest)

    # Eval sets

    def evalsets(self) -> list[EvalSet]:
        """Every eval set, by name."""
        from tunixrt.eval.evalsets import list_evalsets

        return [self.evalset(name) for name in list_evalsets(self.layout.evalsets)]

    def evalset(self, name: str) -> EvalSet:
        """One eval set; reading it checks every line."""
        from tunixrt.eval.evalsets import find_evalset, load_evalset

        return load_evalset(find_evalset(self.layout.evalsets, name))

    def import_evalset(
        self,
        file: Path | str | OpenText,
        name: str,
        *,
        source_format: str,
        category: str = "unspecified",
        difficulty: str = "unspecified",
        on_rejection: Callable[[Rejection], None] | None = None,
    ) -> EvalsetImport:
        """Make the eval set ``name`` of a file of records; see :mod:`tunixrt.eval.evalset_import`.

        Raises:
            BadInputError: nothing was written; the message says file, line and field.
        """
        from tunixrt.eval.evalset_import import import_evalset
        from tunixrt.traces.importers.lines import OpenText

        return import_evalset(
            self.layout,
            file if isinstance(file, OpenText) else Path(file),
            name,
            source_format=source_format,
            category=category,
            difficulty=difficulty,
            on_rejection=on_rejection,
        )

    def check_evalset(self, name: str, dataset: str, *, split: str | None = None) -> CheckedEvalset:
        """Hold an eval set against a dataset: which samples are in it, and how."""
        from tunixrt.jobs.contamination import check_against_dataset

        return check_against_dataset(self.layout, self.log, self.evalset(name), dataset, split)

    def check_prompts(self, name: str, model: str) -> PromptLengths:
        """Which prompts of an eval set leave a model no room for an answer; generates nothing."""
        from tunixrt.jobs.overlong import check_prompts

        return check_prompts(self.layout, self.evalset(name), model)

    def report(
        self,
        before: str | Sequence[str],
        after: str | Sequence[str],
        directory: Path | str,
        *,
        check: bool = False,
    ) -> list[Path]:
        """Write the report on evaluations into a directory; the files that were written.

        Several on each side are two ways of training, with an evaluation for each seed. ``check``
        writes nothing, and raises `OtherReportError` if the directory holds other bytes.
        """
        from tunixrt.jobs.write_report import write_report

        old, new = ([runs] if isinstance(runs, str) else runs for runs in (before, after))
        return write_report(self.layout, old, new, Path(directory), check=check)

    def build_site(
        self,
        directory: Path | str,
        *,
        title: str = "tunixrt store",
        on_progress: Callable[[int, int], None] | None = None,
    ) -> SiteBuilt:
        """Build a static site of everything here; see :mod:`tunixrt.jobs.build_site`."""
        from tunixrt.jobs.build_site import build_site

        path = Path(directory)
        return build_site(self.layout, self.log, path, title=title, on_progress=on_progress)
