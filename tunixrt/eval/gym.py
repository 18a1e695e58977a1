"""Tasks of the library reasoning-gym: generated, frozen, and judged by its own verifiers.

Most of its tasks have many right answers, or forms of one. A verifier of the task reads an answer
and the metadata of the item, and gives 0 to 1. Items are generated once and kept as traces and eval
sets, since another version of the library may generate others; the metadata is kept whole, and its
field ``source_dataset`` names the task.
"""

from __future__ import annotations

import json
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.eval.judge.answers import parse_response
from tunixrt.eval.judge.judges import REASONING_GYM, Judgement, shown, unanswered
from tunixrt.eval.sample_judges import SampleJudge
from tunixrt.extras import GYM, require
from tunixrt.log.canonical import encode
from tunixrt.runs.identity import Judge
from tunixrt.traces.conversation import CONVERSATION_VERSION, Conversation, Message, Role
from tunixrt.traces.importers.records import Dropped
from tunixrt.traces.importers.table import imported
from tunixrt.words import quoted, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tunixrt.eval.evalsets import EvalSample, EvalSet
    from tunixrt.traces.importers.records import ImportedTrace

_VERSION: Final = "1"
_NO_ANSWER: Final = "item without an answer of its own"
#: The key of an item's metadata that names its task.
TASK: Final = "source_dataset"


class UnknownTaskError(BadInputError):
    """A task that the installed reasoning-gym does not have, or that cannot be frozen.

    Attributes:
        task: what was asked for.
    """

    def __init__(self, task: str, sentence: str) -> None:
        super().__init__(sentence)
        self.task = task


class NoTaskError(BadInputError):
    """A sample whose metadata names no task of the installed reasoning-gym.

    Attributes:
        sample: its id.
    """

    def __init__(self, evalset: str, sample: str) -> None:
        super().__init__(
            f"The sample {quoted(sample)} of the eval set {evalset} is not an item of "
            f"reasoning-gym: expected the name of a task in the field {TASK} of its metadata. "
            "`tunixrt evalset generate reasoning-gym` makes such eval sets."
        )
        self.sample = sample


class GymItem(msgspec.Struct, frozen=True):
    """One item of a task; ``answer`` is None where a task states no answer of its own."""

    question: str
    answer: str | None
    metadata: dict[str, Any]

    def trace(self) -> Conversation | None:
        """Return question and answer as a trace of schema 1.1; None without an answer."""
        if self.answer is None:
            return None
        return Conversation(
            trace_version=CONVERSATION_VERSION,
            messages=(Message(Role.USER, self.question), Message(Role.ASSISTANT, self.answer)),
            final_answer=self.answer,
            meta={"source": REASONING_GYM} | self.metadata,
        )

    def sample(self) -> dict[str, object]:
        """Return the item as a sample of an eval set, without an id."""
        sample: dict[str, object] = {"prompt": self.question, "metadata": self.metadata}
        if self.answer is not None:
            sample["expected_answer"] = self.answer
        return sample | {"category": self.metadata[TASK]}


def generate_items(task: str, *, n: int, seed: int) -> Iterator[GymItem]:
    """Yield ``n`` items of a task, frozen: metadata as JSON holds it.

    Raises:
        MissingExtraError: the library is not installed.
        UnknownTaskError: the task does not exist, or its verifier rejects a frozen item's answer.
    """
    require(GYM, "Generating tasks of reasoning-gym")
    import reasoning_gym
    from reasoning_gym.factory import DATASETS

    if task not in DATASETS:
        raise UnknownTaskError(
            task,
            f"reasoning-gym {_installed()} has no task {quoted(task)}."
            f"{suggestion(task, sorted(DATASETS))}",
        )
    try:
        items = reasoning_gym.create_dataset(task, size=n, seed=seed)
        for item in items:
            frozen = GymItem(item["question"], item["answer"], _as_json(item["metadata"]))
            if frozen.answer and _score(items.score_answer, frozen.answer, frozen) < 1:
                raise UnknownTaskError(
                    task,
                    f"The task {task} cannot be frozen: its verifier does not accept the answer of "
                    "its own item once the metadata are JSON. Choose another task.",
                )
            yield frozen
    except (AssertionError, TypeError, ValueError) as error:
        raise UnknownTaskError(task, f"The task {task} cannot be generated: {error}") from error


def generate_traces(task: str, *, n: int, seed: int) -> Iterator[ImportedTrace | Dropped]:
    """Yield the items of a task as traces; see `generate_items`."""
    for number, item in enumerate(generate_items(task, n=n, seed=seed), start=1):
        trace = item.trace()
        if trace is None:
            yield Dropped(task, number, _NO_ANSWER)
        else:
            yield imported(trace, file=task, line=number)


class GymJudge(SampleJudge):
    """Asks the verifier of the task that the metadata of a sample name."""

    def __init__(self) -> None:
        """Find the library.

        Raises:
            MissingExtraError: it is not installed.
        """
        require(GYM, f"The judge {REASONING_GYM}")
        self.identity = Judge(REASONING_GYM, f"{_VERSION}+{REASONING_GYM}-{_installed()}")
        self._verifiers: dict[str, Callable[..., object]] = {}

    def check(self, evalset: EvalSet) -> None:
        """Refuse an eval set with a sample that names no task.

        Raises:
            NoTaskError: the metadata of a sample name none.
        """
        from reasoning_gym.factory import DATASETS

        for sample in evalset:
            task = sample.metadata.get(TASK)
            if not isinstance(task, str) or task not in DATASETS:
                raise NoTaskError(evalset.name, sample.id)

    def judge(self, sample: EvalSample, response: str, *, cut: bool) -> Judgement:
        """Verify the final answer, or all text from it on, whichever the verifier scores higher.

        An answer that the verifier cannot read is wrong, with that reason.
        """
        parsed = parse_response(response)
        problem = unanswered(response, parsed, cut=cut)
        if problem is not None:
            return Judgement(correct=False, reason=problem, parsed=parsed)
        task = sample.metadata[TASK]
        if task not in self._verifiers:
            from reasoning_gym import get_score_answer_fn

            self._verifiers[task] = get_score_answer_fn(task)
        item = GymItem(sample.prompt, sample.expected_answer, sample.metadata)
        # An answer of several lines, such as a grid, is in the remainder; if the generation was cut
        # off, its end may be missing.
        answers = dict.fromkeys([parsed.answer or "", "" if cut else parsed.remainder])
        scores = {}
        for answer in filter(None, answers):
            try:
                scores[answer] = _score(self._verifiers[task], answer, item)
            except Exception as error:  # a verifier may raise anything at what a model wrote
                problem = (
                    f"The verifier of {task} cannot read {shown(answer)}: {type(error).__name__}."
                )
        if not scores:
            reason = problem or f"The verifier of {task} found no answer."
            return Judgement(correct=False, reason=reason, parsed=parsed)
        best = max(scores, key=lambda answer: scores[answer])
        return Judgement(
            correct=scores[best] >= 1,
            reason=f"The verifier of {task} gives {shown(best)} {scores[best]:g} of 1.",
            parsed=parsed,
            graded=round(100 * scores[best], 6),
        )


def _score(verifier: Callable[..., object], answer: str, item: GymItem) -> float:
    """Return 0 to 1. The verifier gets its own copy of the item."""
    entry = msgspec.to_builtins(item)
    return min(1.0, max(0.0, float(f"{verifier(answer, entry)}")))


def _as_json(value: object) -> dict[str, Any]:
    """Return a value as it is after it was written and read: tuples are lists, keys are text."""
    found: dict[str, Any] = json.loads(json.dumps(value))
    encode(found)  # refuses what the store cannot hold, such as NaN
    return found


def _installed() -> str:
    # The library's own `__version__` is not that of the package.
    return metadata.version(REASONING_GYM)
