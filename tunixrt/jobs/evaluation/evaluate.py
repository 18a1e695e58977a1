"""The evaluation job: a model and an eval set in, responses and their judgement published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunixrt.datasets.reading import DatasetReader
from tunixrt.derive import QUIET, obtain
from tunixrt.errors import BadInputError
from tunixrt.eval.evalsets import find_evalset, load_evalset
from tunixrt.eval.evaluation import SUMMARY_VERSION
from tunixrt.eval.judge.judges import DEFAULT_JUDGE
from tunixrt.eval.sample_judges import sample_judge
from tunixrt.extras import TRAIN, require
from tunixrt.jobs.contamination import check_training, require_clean
from tunixrt.jobs.evaluation.judgement import Judgement
from tunixrt.jobs.evaluation.responses import Responses
from tunixrt.jobs.evaluation.target import open_target
from tunixrt.jobs.machine import prepare_machine
from tunixrt.jobs.overlong import (
    REFUSE,
    check_treatment,
    context_length,
    prompt_lengths,
    treatment_of,
)
from tunixrt.jobs.promote_run import name_made_run
from tunixrt.jobs.published import PublishedRun
from tunixrt.log.findings import DamagedError
from tunixrt.runs.catalogue import Catalogue
from tunixrt.runs.directories import verify_run
from tunixrt.runs.identity import (
    BATCH_SIZE,
    IDENTITY_FORMAT,
    Draws,
    EvaluationIdentity,
    GenerationSettings,
    ResponsesIdentity,
    current_code,
)
from tunixrt.runs.latest import note_latest
from tunixrt.runs.manifests import EvaluationManifest, ResponsesManifest
from tunixrt.runs.run import Run
from tunixrt.runs.sampling import Sampling

if TYPE_CHECKING:
    from tunixrt.derive import Watch
    from tunixrt.eval.contamination import Contamination
    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.jobs.overlong import PromptLengths
    from tunixrt.jobs.promote_run import PromoteRequest
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout


class GreedyDrawsError(BadInputError):
    """Several greedy responses per sample, which would all be equal.

    Attributes:
        n: how many.
    """

    def __init__(self, n: int) -> None:
        super().__init__(
            f"{n:,} responses to each sample were asked for, and at temperature 0 (greedy) they "
            "would all be the same: give --temperature, such as 0.8, or leave --draws out."
        )
        self.n = n


@dataclass(frozen=True)
class EvalRequest:
    """The request of an evaluation.

    Attributes:
        model: a training run by prefix or name, a model directory, or ``untrained:CONFIG``.
        evalset: the name of an eval set.
        max_new_tokens: the longest answer in tokens; None means what the longest prompt that fits
            leaves of the model's context.
        batch_size: prompts per batch.
        temperature: 0 is greedy.
        top_p: nucleus sampling: the total probability of the most probable tokens to draw from.
        n_draws: responses per sample; more than one only where tokens are sampled.
        seed: the seed of the draws.
        judge: the name of the judge, or ``module:function``; the module is searched for in the
            directory of the store first.
        fail_on_contamination: publish nothing if samples of the eval set are in the training data.
        on_overlong: what happens to samples whose prompts leave no room for an answer: ``refuse``,
            ``wrong`` or ``omit``.
        promote: the name to give to the run; None for none.
    """

    model: str
    evalset: str
    max_new_tokens: int | None = None
    batch_size: int = BATCH_SIZE
    temperature: float = 0.0
    top_p: float = 1.0
    n_draws: int = 1
    seed: int = 0
    judge: str = DEFAULT_JUDGE
    fail_on_contamination: bool = False
    on_overlong: str = REFUSE
    promote: PromoteRequest | None = None

    def draws(self) -> Draws | None:
        """How responses are sampled; None for greedy ones.

        Raises:
            BadInputError: temperature or top-p cannot be used.
            GreedyDrawsError: several greedy responses were requested.
        """
        sampling = Sampling(temperature=self.temperature, top_p=self.top_p)
        if not sampling.is_greedy:
            return Draws(
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                n=self.n_draws,
                seed=self.seed,
            )
        if self.n_draws != 1:
            raise GreedyDrawsError(self.n_draws)
        return None


@dataclass(frozen=True, kw_only=True, repr=False)
class EvaluationDone(PublishedRun[EvaluationManifest]):
    """A published evaluation run.

    Attributes:
        evalset: what was asked.
        n_responses: responses that were judged.
        n_generated: those generated now; the others existed before.
        contamination: the overlap of eval set and training data; None where it is unknown.
    """

    evalset: EvalSet
    n_responses: int
    n_generated: int = 0
    contamination: Contamination | None = None

    def __repr__(self) -> str:
        name = self.evalset.name
        return f"<evaluation {self.run_id[:12]} on {name}, score {self.score:.1f} of 100>"

    @property
    def score(self) -> float:
        """The share of right answers, 0 to 100."""
        return self.manifest.results.avg_score

    @property
    def n_reused(self) -> int:
        """Responses that existed before: published, or from an interrupted evaluation."""
        return self.n_responses - self.n_generated


def evaluate_run(
    layout: Layout, log: EventLog, request: EvalRequest, watch: Watch = QUIET
) -> EvaluationDone:
    """Generate, judge and publish; existing results are reused.

    The responses are published first, under an id of their own: another judge reads the same ones.
    An evaluation that was interrupted continues where its journal ends.

    Raises:
        BadInputError: model, eval set, judge or settings cannot be used; the journal is damaged.
        WorkHeldError: another process generates the same responses.
        ContaminatedError: samples are in the training data, and the request was to fail then.
        DamagedError: existing responses do not match their digests.
        OverlongPromptsError: prompts leave no room for an answer, and the request refuses them.
        MissingExtraError: the packages that generate are not installed.
        NotNamedError: the run is published, and another process holds the store's lock.
    """
    if request.promote is not None:
        request.promote.check()
    judge = sample_judge(request.judge, layout.root)
    check_treatment(request.on_overlong)
    draws = request.draws()
    evalset = load_evalset(find_evalset(layout.evalsets, request.evalset))
    judge.check(evalset)
    require(TRAIN, "Generating responses")
    catalogue = Catalogue(layout)
    with open_target(catalogue, request.model) as target, DatasetReader(log) as reader:
        check = check_training(catalogue, reader, evalset, target.trained, watch)
        if request.fail_on_contamination:
            untrained = target.untrained is not None
            require_clean(evalset.name, None if check is None else check.found, untrained=untrained)
        lengths = prompt_lengths(evalset, target.template, context_length(target.directory))
        code = current_code()
        numeric_class = prepare_machine(target.numeric_mode, code)
        identity = ResponsesIdentity(
            format=IDENTITY_FORMAT,
            model=target.model,
            untrained=target.untrained,
            evalset=evalset.digest,
            template=target.template,
            generation=GenerationSettings(
                strategy="greedy" if draws is None else "sampling",
                overlong=treatment_of(request.on_overlong, lengths),
                max_new_tokens=request.max_new_tokens or room_for_answers(lengths),
                batch_size=request.batch_size,
                draws=draws,
            ),
            numeric_mode=target.numeric_mode,
            numeric_class=numeric_class.digest if target.numeric_mode == "fast" else None,
            code=code,
        )
        responses = Responses(identity, evalset, target.directory, numeric_class)
        answered = Run.of(layout, responses.id)
        if obtain(layout, responses, answered.directory, watch) is None:
            # They are an input now, so they are checked.
            for finding in verify_run(layout, answered.id):
                raise DamagedError(finding)
    judged = Judgement(
        EvaluationIdentity(IDENTITY_FORMAT, identity, judge.identity, SUMMARY_VERSION),
        evalset,
        answered,
        judge,
    )
    run = Run.of(layout, judged.id)
    made = obtain(layout, judged, run.directory, watch)
    if check is not None:
        check.publish(layout, watch)
    manifest, judged_of = made or run.manifest, answered.manifest
    assert isinstance(manifest, EvaluationManifest)
    assert isinstance(judged_of, ResponsesManifest)
    note_latest(layout, manifest)
    return EvaluationDone(
        manifest=manifest,
        run=run,
        evalset=evalset,
        already_done=made is None,
        promotion=name_made_run(layout, log, manifest.run_id, request.promote),
        n_responses=judged_of.n_responses,
        n_generated=responses.n_generated,
        contamination=None if check is None else check.found,
    )


def room_for_answers(lengths: PromptLengths) -> int:
    """The tokens that the longest prompt that fits leaves of the context; at least 1."""
    return lengths.max_length - lengths.longest
