"""Judges of an evaluation: a response to a sample in, a judgement out.

``exact`` and the others of ``tunixrt.eval.judge`` compare an answer with the expected one. A judge
``module:function`` is a function that users write::

    def judge(expected, response, sample):
        return {"correct": "42" in response, "reason": "The response contains 42."}

``expected`` is the expected answer, or None where the sample has none; ``response`` is the whole
text that the model generated, whether or not it ended its turn; ``sample`` is a dictionary of
``id``, ``prompt``, ``expected_answer``, ``category``, ``difficulty`` and ``metadata``. It returns a
bool, or a dictionary of ``correct`` (a bool) and where it likes ``reason`` (text) and ``score`` (a
number from 0 to 100; without it, 100 or 0). Its identity is its name, the attribute ``version`` of
the function, if it has one, and the SHA-256 of the file of its module: another source is another
judge.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.eval.judge.answers import parse_response
from tunixrt.eval.judge.judges import REASONING_GYM, AnswerJudge, Judgement, judge_by_name
from tunixrt.functions import FunctionError, UserFunction, load_function
from tunixrt.log.canonical import CanonicalError, encode
from tunixrt.log.digests import digest_bytes
from tunixrt.runs.identity import Judge
from tunixrt.words import plural, quoted, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tunixrt.eval.evalsets import EvalSample, EvalSet

_MAX_SHOWN: Final = 200
_KEYS: Final = {"correct", "reason", "score"}
_EXPECTED: Final = (
    "a bool, or a dictionary of `correct` (a bool) and where wanted `reason` (text) and `score` "
    "(0 to 100)"
)


class NoExpectedAnswerError(BadInputError):
    """A judge that compares answers, and a sample without an expected answer.

    Attributes:
        evalset: the name of the eval set.
        samples: the ids of the samples without an answer.
    """

    def __init__(self, evalset: str, judge: str, samples: Sequence[str]) -> None:
        others = f" and {plural(len(samples) - 1, 'other sample')}" if len(samples) > 1 else ""
        super().__init__(
            f"The eval set {evalset} has no expected answer for the sample {quoted(samples[0])}"
            f"{others}, and the judge {judge} compares with one. Give a judge that is a program: "
            "--judge module:function."
        )
        self.evalset = evalset
        self.samples = tuple(samples)


class JudgeFailedError(BadInputError):
    """A user's judge that raised an error, or returned something else than a judgement.

    Attributes:
        judge: its name.
        sample: the id of the sample.
    """

    def __init__(self, judge: str, sample: str, problem: str) -> None:
        super().__init__(
            f"The judge {judge} {problem}. The sample is {quoted(sample)}. No evaluation was "
            "published; the responses are kept."
        )
        self.judge = judge
        self.sample = sample


class SampleJudge(ABC):
    """Decides whether a response to a sample is right.

    Attributes:
        identity: name, version and source.
    """

    identity: Judge

    def check(self, evalset: EvalSet) -> None:  # noqa: B027  (most eval sets suit most judges)
        """Refuse an eval set that this judge cannot be used with.

        Raises:
            BadInputError: the message names a sample, and what it lacks.
        """

    @abstractmethod
    def judge(self, sample: EvalSample, response: str, *, cut: bool) -> Judgement:
        """Judge one response.

        Args:
            sample: what was asked.
            response: the generated text.
            cut: whether the generation stopped at a limit instead of ending its turn.

        Raises:
            BadInputError: the response has no judgement.
        """


class ComparingJudge(SampleJudge):
    """Compares the answer of a response with the expected one."""

    def __init__(self, judge: AnswerJudge) -> None:
        self._judge = judge
        self.identity = Judge(judge.name, judge.version)

    def check(self, evalset: EvalSet) -> None:
        """Refuse an eval set with samples that have no expected answer.

        Raises:
            NoExpectedAnswerError: it has such samples.
        """
        without = [sample.id for sample in evalset if sample.expected_answer is None]
        if without:
            raise NoExpectedAnswerError(evalset.name, self.identity.name, without)

    def judge(self, sample: EvalSample, response: str, *, cut: bool) -> Judgement:
        """Compare; the sample has an expected answer, see `check`."""
        assert sample.expected_answer is not None
        return self._judge(expected=sample.expected_answer, response=response, cut=cut)


class FunctionJudge(SampleJudge):
    """Asks a function that a user wrote."""

    def __init__(self, function: UserFunction) -> None:
        """Wrap a function.

        Raises:
            FunctionError: it has no source to identify it by, or its version is not text.
        """
        self._function = function
        if function.source is None:
            raise FunctionError(
                function.reference,
                f"The judge {function.reference} is in a module without Python source, so nothing "
                "could state what judged. Call it from a function in a .py file.",
            )
        self.identity = Judge(
            function.reference,
            function.text_attribute("version"),
            digest_bytes(function.source),
        )

    def judge(self, sample: EvalSample, response: str, *, cut: bool) -> Judgement:  # noqa: ARG002
        """Call the function.

        Raises:
            JudgeFailedError: it raised an error, or returned something else than a judgement.
        """
        try:
            found = self._function(sample.expected_answer, response, msgspec.to_builtins(sample))
        except (Exception, SystemExit) as error:
            message = shorten(" ".join(str(error).split()), _MAX_SHOWN)
            problem = f"raised {type(error).__name__}: {message}"
            raise JudgeFailedError(self.identity.name, sample.id, problem) from error
        given: dict[Any, Any] = {"correct": found} if isinstance(found, bool) else {}
        if isinstance(found, dict):
            given = found
        if not {"correct"} <= given.keys() <= _KEYS or not _is_judgement(**given):
            problem = f"should return {_EXPECTED}, but returned {shorten(repr(found), _MAX_SHOWN)}"
            raise JudgeFailedError(self.identity.name, sample.id, problem)
        correct: bool = given["correct"]
        verdict = "right" if correct else "wrong"
        score = given.get("score")
        return Judgement(
            correct=correct,
            reason=given.get("reason", f"{self.identity.name} judged the response {verdict}."),
            parsed=parse_response(response),
            graded=None if score is None else float(score),
        )


def _is_judgement(correct: object, reason: object = "", score: object = 0) -> bool:
    """Whether the values that a function returned are of the right kinds."""
    try:
        encode(reason)
    except CanonicalError:
        return False
    return (
        isinstance(correct, bool)
        and isinstance(reason, str)
        and isinstance(score, int | float)
        and not isinstance(score, bool)
        and 0 <= score <= 100
    )


def sample_judge(name: str, directory: Path | None = None) -> SampleJudge:
    """Return the judge of that name.

    Args:
        name: ``exact`` or another known name, or ``module:function``.
        directory: where the module is searched for before the installed packages.

    Raises:
        UnknownJudgeError: it does not exist.
        MissingExtraError: it needs a library that is not installed.
        FunctionError: ``module:function`` cannot be loaded.
    """
    if name == REASONING_GYM:
        from tunixrt.eval.gym import GymJudge

        return GymJudge()
    if ":" not in name:
        return ComparingJudge(judge_by_name(name))
    return FunctionJudge(
        load_function(
            name,
            what="judge",
            example="my_judges:strict",
            directories=() if directory is None else (directory,),
        )
    )
