"""The evaluation as a derivation: responses, judged. Another judge is another judgement of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec

from tunixrt.derive import Derivation
from tunixrt.errors import BadInputError
from tunixrt.eval.compare.draws import by_sample
from tunixrt.eval.evaluation import (
    SUMMARY_VERSION,
    evaluate,
    overlong_prediction,
    summarise,
)
from tunixrt.jobs.evaluation.responses import asked
from tunixrt.jobs.machine import describe_environment
from tunixrt.jobs.overlong import without
from tunixrt.log.sums import MANIFEST, output_digests
from tunixrt.runs.lines import encode_lines
from tunixrt.runs.manifests import (
    MANIFEST_FORMAT,
    EvaluationManifest,
    ResponsesManifest,
    read_manifest,
)
from tunixrt.runs.run import PREDICTIONS_NAME, Run
from tunixrt.runs.tolerance import score_beyond_tolerance

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.derive import Environment, Watch
    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.eval.sample_judges import SampleJudge
    from tunixrt.runs.identity import EvaluationIdentity
    from tunixrt.runs.lines import Prediction
    from tunixrt.runs.manifests import OverlongPrompts


class OtherResponsesError(BadInputError):
    """A file of responses that does not answer the eval set.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path, evalset: str) -> None:
        super().__init__(
            f"{path} does not contain the responses to the samples of {evalset} in order; "
            "`tunixrt reproduce` generates them again and compares."
        )
        self.path = path


class Judgement(Derivation[EvaluationManifest]):
    """The predictions and figures of one judge on responses."""

    kind: ClassVar = "evaluation"
    records: ClassVar = {PREDICTIONS_NAME: ("sample", ("example_id", "draw"))}

    def __init__(
        self,
        identity: EvaluationIdentity,
        evalset: EvalSet,
        responses: Run,
        judge: SampleJudge,
        reasons: list[str] | None = None,
    ) -> None:
        """Bind an identity to its inputs.

        Args:
            identity: which responses, and which judge.
            evalset: the questions.
            responses: the responses on disk.
            judge: the judge of the identity, as it is here.
            reasons: why these responses may differ from the recorded ones.
        """
        self._identity = identity
        self._evalset = evalset
        self._responses = responses
        self._judge = judge
        self._reasons = reasons or []

    @property
    def identity(self) -> EvaluationIdentity:
        """Which responses, and which judge."""
        return self._identity

    def make(self, directory: Path, watch: Watch, work: Path | None) -> EvaluationManifest:  # noqa: ARG002
        """Judge into ``directory`` (predictions.jsonl).

        Raises:
            OtherResponsesError: the responses answer other questions.
            BadInputError: the judge cannot be used here, or has no judgement of a response.
        """
        overlong = self._overlong()
        evalset = self._evalset if overlong is None else without(self._evalset, overlong.n_tokens)
        responses = list(self._responses.responses())
        order = list(asked(self._identity.responses, evalset))
        if [(response.example_id, response.draw) for response in responses] != order:
            raise OtherResponsesError(self._responses.directory, self._evalset.name)
        draws = self._identity.responses.generation.draws
        n_draws = None if draws is None else draws.n
        predictions = evaluate(
            evalset,
            lambda _: responses,
            judge=self._judge,
            n_draws=n_draws,
        )
        if overlong is not None and overlong.treatment == "wrong":
            predictions = _with_overlong(self._evalset, overlong, predictions, n_draws)
        (directory / PREDICTIONS_NAME).write_bytes(encode_lines(predictions))
        return EvaluationManifest(
            format=MANIFEST_FORMAT,
            run_id=self.id,
            identity=self._identity,
            results=msgspec.structs.replace(summarise(predictions), overlong=overlong),
            outputs=output_digests(directory),
        )

    def _overlong(self) -> OverlongPrompts | None:
        """The prompts that left no room for an answer, as recorded in the responses."""
        if self._identity.responses.generation.overlong is None:
            return None
        manifest = self._responses.manifest
        if not isinstance(manifest, ResponsesManifest) or manifest.overlong is None:
            raise OtherResponsesError(self._responses.directory / MANIFEST, self._evalset.name)
        return manifest.overlong

    def environment(self, watch: Watch) -> Environment:
        """The durations, the generation of the responses included."""
        return describe_environment(None, watch.execution())

    def reasons(self) -> list[str]:
        """The reasons of the responses, and another version of the judge or of the figures."""
        judge, summary = self._identity.judge, self._identity.summary
        here = self._judge.identity.version
        others = []
        if here != judge.version:
            others.append(f"the judge {judge.name} is version {here} here and was {judge.version}")
        if summary != SUMMARY_VERSION:
            others.append(f"figures are version {SUMMARY_VERSION} here and were {summary}")
        return [*others, *self._reasons]

    def beyond_tolerance(self, recorded: Path, rebuilt: Path) -> str | None:
        """Whether the average scores are within the tolerance."""
        old, new = (read_manifest(path / MANIFEST) for path in (recorded, rebuilt))
        assert isinstance(old, EvaluationManifest)
        assert isinstance(new, EvaluationManifest)
        return score_beyond_tolerance(old.results.avg_score, new.results.avg_score)


def _with_overlong(
    evalset: EvalSet,
    overlong: OverlongPrompts,
    answered: tuple[Prediction, ...],
    n_draws: int | None,
) -> tuple[Prediction, ...]:
    """The predictions with those of overlong prompts, in the order of the eval set."""
    by_id = {group[0].example_id: group for group in by_sample(answered)}
    draws = [None] if n_draws is None else range(n_draws)
    predictions: list[Prediction] = []
    for sample in evalset.samples:
        n_tokens = overlong.n_tokens.get(sample.id)
        predictions += (
            by_id[sample.id]
            if n_tokens is None
            else (
                overlong_prediction(sample, n_tokens, overlong.max_length, draw=draw)
                for draw in draws
            )
        )
    return tuple(predictions)
