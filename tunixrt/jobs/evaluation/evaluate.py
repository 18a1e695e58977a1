"""The evaluation job: a model and an eval set in, a published run out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.eval.compare.draws import by_sample
from tunixrt.eval.evalsets import find_evalset, load_evalset
from tunixrt.eval.evaluation import evaluate, overlong_prediction, summarise
from tunixrt.eval.judge.judges import DEFAULT_JUDGE, judge_by_name
from tunixrt.eval.predictions import PREDICTIONS_NAME, write_predictions
from tunixrt.extras import TRAIN, require
from tunixrt.jobs.contamination import contamination_of, require_clean
from tunixrt.jobs.evaluation.finished_responses import finished_responses
from tunixrt.jobs.evaluation.journal import response_journal
from tunixrt.jobs.evaluation.plan import (
    measure_prompts,
    open_target,
    plan_evaluation,
    room_for_answers,
)
from tunixrt.jobs.evaluation.responses import generate_responses
from tunixrt.jobs.machine import describe_environment
from tunixrt.jobs.overlong import REFUSE, check_treatment, treatment_of
from tunixrt.log.eventlog import EventLog
from tunixrt.log.files import staging_directory
from tunixrt.runs.directories import MANIFEST, output_digests, publish_run
from tunixrt.runs.identity import Draws, GenerationSettings
from tunixrt.runs.latest import note_latest
from tunixrt.runs.manifests import (
    MANIFEST_FORMAT,
    EvalsetInput,
    EvaluationManifest,
    OverlongPrompts,
    read_manifest,
)
from tunixrt.runs.sampling import GREEDY, Sampling

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.eval.evaluation import Generated
    from tunixrt.eval.predictions import Prediction
    from tunixrt.jobs.evaluation.plan import EvaluationPlan, Target
    from tunixrt.jobs.machine import Execution
    from tunixrt.jobs.promote_run import Promotion
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
        promotion: the name that the run was given, if one was asked for.
    """

    manifest: EvaluationManifest
    already_done: bool
    n_generated: int = 0
    responses_from: str | None = None
    promotion: Promotion | None = None

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
    on_overlong: str = REFUSE,
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
        on_overlong: what happens to samples whose prompts leave no room for an answer: ``refuse``,
            ``wrong`` or ``omit``.
        stopwatch: says when the evaluation began and how long it took; recorded, not hashed.
        on_progress: called with how many responses there are, and of how many.
        on_finding: called with what is wrong with a finished run that has the responses, and is
            not used for that reason.

    Raises:
        BadInputError: model, eval set, judge or settings cannot be used; the journal is damaged.
        EvaluationGoesOnError: another process generates the same responses.
        ContaminatedError: samples are in the training data, and that was to fail.
        OverlongPromptsError: prompts leave no room for an answer, and are to be refused.
        MissingExtraError: the packages that generate are not installed.
    """
    judge_by_name(judge)
    check_treatment(on_overlong)
    draws = _draws(sampling, n_draws, seed)
    evalset = load_evalset(find_evalset(layout.evalsets, evalset_name))
    require(TRAIN, "Generating responses")
    with open_target(layout, model) as target:
        contamination = _contamination(layout, evalset, target)
        if fail_on_contamination:
            untrained = target.untrained is not None
            require_clean(evalset.name, contamination, untrained=untrained)
        lengths = measure_prompts(target, evalset)
        generation = GenerationSettings(
            strategy="greedy" if draws is None else "sampling",
            overlong=treatment_of(on_overlong, lengths),
            max_new_tokens=max_new_tokens or room_for_answers(lengths),
            batch_size=batch_size,
            draws=draws,
        )
        plan = plan_evaluation(target, evalset, generation=generation, judge=judge, lengths=lengths)
        if found := _published(layout, plan):
            note_latest(layout, found)
            return EvaluationDone(found, already_done=True)
        with (
            response_journal(layout, plan.identity.responses_id) as journal,
            staging_directory(layout) as staged,
        ):
            if found := _published(layout, plan):  # by the process that has just let go of it
                note_latest(layout, found)
                return EvaluationDone(found, already_done=True)
            taken = finished_responses(layout, plan.identity, plan.asked, on_finding=on_finding)
            n_there = len(journal.responses)
            responses = (
                generate_responses(
                    plan.identity,
                    plan.asked,
                    plan.directory,
                    journal=journal,
                    on_progress=on_progress,
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
    note_latest(layout, manifest)
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
    if not os.path.lexists(path):
        return None
    manifest = read_manifest(path)
    assert isinstance(manifest, EvaluationManifest)
    return manifest


def _overlong(plan: EvaluationPlan) -> OverlongPrompts | None:
    treatment, lengths = plan.identity.generation.overlong, plan.lengths
    if treatment is None:
        return None
    return OverlongPrompts(treatment, lengths.max_length, dict(sorted(lengths.overlong.items())))


def _with_overlong(
    plan: EvaluationPlan, answered: tuple[Prediction, ...], n_draws: int | None
) -> tuple[Prediction, ...]:
    """The predictions with those of overlong prompts, in the order of the eval set."""
    by_id = {group[0].example_id: group for group in by_sample(answered)}
    draws = [None] if n_draws is None else range(n_draws)
    lengths = plan.lengths
    predictions: list[Prediction] = []
    for sample in plan.evalset.samples:
        n_tokens = lengths.overlong.get(sample.id)
        predictions += (
            by_id[sample.id]
            if n_tokens is None
            else (
                overlong_prediction(sample, n_tokens, lengths.max_length, draw=draw)
                for draw in draws
            )
        )
    return tuple(predictions)


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
    n_draws = None if draws is None else draws.n
    predictions = evaluate(plan.asked, lambda _: responses, judge=judge, n_draws=n_draws)
    if plan.identity.generation.overlong == "wrong":
        predictions = _with_overlong(plan, predictions, n_draws)
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
        results=msgspec.structs.replace(summarise(predictions), overlong=_overlong(plan)),
        outputs=output_digests(directory),
    )
