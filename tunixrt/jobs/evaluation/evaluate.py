"""The evaluation job: a model and an eval set in, a published run out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.eval.evalsets import find_evalset, load_evalset
from tunixrt.eval.evaluation import evaluate, summarise
from tunixrt.eval.judge.judges import DEFAULT_JUDGE, judge_by_name
from tunixrt.eval.predictions import PREDICTIONS_NAME, write_predictions
from tunixrt.jobs.contamination import contamination_of, require_clean
from tunixrt.jobs.evaluation.finished_responses import finished_responses
from tunixrt.jobs.evaluation.journal import response_journal
from tunixrt.jobs.evaluation.plan import open_target, plan_evaluation, room_for_answers
from tunixrt.jobs.evaluation.responses import generate_responses
from tunixrt.jobs.machine import describe_environment
from tunixrt.log.eventlog import EventLog
from tunixrt.log.files import staging_directory
from tunixrt.runs.directories import MANIFEST, output_digests, publish_run
from tunixrt.runs.identity import Draws, GenerationSettings
from tunixrt.runs.manifests import (
    MANIFEST_FORMAT,
    EvalsetInput,
    EvaluationManifest,
    read_manifest,
)
from tunixrt.runs.sampling import GREEDY, Sampling

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.eval.evaluation import Generated
    from tunixrt.jobs.evaluation.plan import EvaluationPlan, Target
    from tunixrt.jobs.machine import Execution
    from tunixrt.log.findings import Finding
    from tunixrt.log.layout import Layout
    from tunixrt.runs.manifests import Contamination

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
    """An evaluation run that is published.

    Attributes:
        manifest: the run.
        already_done: whether the run was there before.
        n_generated: responses that were generated for it now.
        responses_from: the run id of the finished evaluation that the responses were taken from.
    """

    manifest: EvaluationManifest
    already_done: bool
    n_generated: int = 0
    responses_from: str | None = None

    @property
    def n_reused(self) -> int:
        """Responses that were there before: in a finished run, or of an interrupted evaluation."""
        return self.manifest.results.results_count - self.n_generated


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
    on_finding: Callable[[Finding], None] | None = None,
) -> EvaluationDone:
    """Evaluate and publish; a run with the same id is found instead of made again.

    Responses are kept in a journal batch by batch. An evaluation that was interrupted goes on where
    its journal ends when the same is asked for again. The responses of a finished run that differs
    in the judge alone are taken from it.

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
        on_finding: called with what is wrong with a finished run that has the responses, and is
            not used for that reason.

    Raises:
        BadInputError: model, eval set, judge or settings cannot be used; the journal is damaged.
        EvaluationGoesOnError: another process generates the same responses.
        ContaminatedError: samples are in the training data, and that was to fail.
    """
    judge_by_name(judge)
    draws = _draws(sampling, n_draws, seed)
    evalset = load_evalset(find_evalset(layout.evalsets, evalset_name))
    with open_target(layout, model) as target:
        contamination = _contamination(layout, evalset, target)
        if fail_on_contamination:
            untrained = target.untrained is not None
            require_clean(evalset.name, contamination, untrained=untrained)
        generation = GenerationSettings(
            strategy="greedy" if draws is None else "sampling",
            max_new_tokens=max_new_tokens or room_for_answers(target, evalset),
            batch_size=batch_size,
            draws=draws,
        )
        plan = plan_evaluation(target, evalset, generation=generation, judge=judge)
        if found := _published(layout, plan):
            return EvaluationDone(found, already_done=True)
        with (
            response_journal(layout, plan.identity.responses_id) as journal,
            staging_directory(layout) as staged,
        ):
            if found := _published(layout, plan):  # by the process that has just let go of it
                return EvaluationDone(found, already_done=True)
            taken = finished_responses(layout, plan.identity, evalset, on_finding=on_finding)
            n_there = len(journal.responses)
            responses = (
                generate_responses(
                    plan.identity, evalset, plan.directory, journal=journal, on_progress=on_progress
                )
                if taken is None
                else taken.responses
            )
            manifest = judge_responses(plan, responses, staged)
            manifest = msgspec.structs.replace(manifest, contamination=contamination)
            execution = stopwatch() if stopwatch is not None else None
            environment = describe_environment(plan.numeric_class, execution)
            if taken is not None:
                environment["responses_from"] = taken.run_id
            publish_run(layout, staged, manifest, environment)
    return EvaluationDone(
        manifest,
        already_done=False,
        n_generated=len(responses) - n_there if taken is None else 0,
        responses_from=None if taken is None else taken.run_id,
    )


def _contamination(layout: Layout, evalset: EvalSet, target: Target) -> Contamination | None:
    """What of the eval set the model was trained on; None where nobody knows, or nothing was."""
    if target.trained is None:
        return None
    return contamination_of(layout, EventLog(layout), evalset, target.trained)


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


def judge_responses(
    plan: EvaluationPlan, responses: list[Generated], directory: Path
) -> EvaluationManifest:
    """Judge into ``directory`` (predictions.jsonl) and return the manifest.

    Args:
        plan: the evaluation.
        responses: what the model answered, in the order of the requests.
        directory: where to.
    """
    judge = judge_by_name(plan.identity.judge.name)
    draws = plan.identity.generation.draws
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
