"""The responses of a model to an eval set, as a derivation: generated batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from tunixrt.derive import Derivation
from tunixrt.eval.compare.draws import draw_number
from tunixrt.eval.evaluation import Generated
from tunixrt.jobs.evaluation.journal import ResponseJournal
from tunixrt.jobs.machine import code_reasons, describe_environment
from tunixrt.jobs.overlong import overlong_of, prompt_tokens, without
from tunixrt.log.sums import output_digests
from tunixrt.runs.lines import Response, encode_lines
from tunixrt.runs.manifests import MANIFEST_FORMAT, ResponsesManifest
from tunixrt.runs.run import RESPONSES_NAME
from tunixrt.runs.sampling import GREEDY, Sampling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tunixrt.derive import Environment, Watch
    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.runs.identity import GenerationSettings, ResponsesIdentity
    from tunixrt.runs.numeric_class import NumericClass


class Responses(Derivation[ResponsesManifest]):
    """What a model answers; a journal of the batches so far is the interrupted work.

    Attributes:
        n_generated: responses that `make` generated; the others were in the journal.
    """

    kind: ClassVar = "responses"
    records: ClassVar = {RESPONSES_NAME: ("sample", ("example_id", "draw"))}

    def __init__(
        self,
        identity: ResponsesIdentity,
        evalset: EvalSet,
        model: Path,
        numeric_class: NumericClass,
        recorded: ResponsesManifest | None = None,
    ) -> None:
        """Bind an identity to its inputs.

        Args:
            identity: what decides the responses.
            evalset: the questions.
            model: the model directory.
            numeric_class: of this machine.
            recorded: the responses that are made again.
        """
        self._identity = identity
        self._evalset = evalset
        self._model = model
        self._numeric_class = numeric_class
        self._recorded = recorded
        self.n_generated = 0

    @property
    def identity(self) -> ResponsesIdentity:
        """What decides the responses."""
        return self._identity

    def make(self, directory: Path, watch: Watch, work: Path | None) -> ResponsesManifest:
        """Generate into ``directory`` (responses.jsonl).

        Raises:
            DamagedJournalError: a line of the journal does not fit.
        """
        identity = self._identity
        overlong = overlong_of(
            identity.generation.overlong, self._evalset, identity.template, self._model
        )
        evalset = self._evalset if overlong is None else without(self._evalset, overlong.n_tokens)
        journal = None if work is None else ResponseJournal(work, self.id)
        n_before = 0 if journal is None else len(journal.responses)
        generated = generate_responses(identity, evalset, self._model, watch, journal=journal)
        self.n_generated = len(generated) - n_before
        lines = [
            Response(sample, one.text, one.n_tokens, one.stop_reason, draw)
            for (sample, draw), one in zip(asked(identity, evalset), generated, strict=True)
        ]
        (directory / RESPONSES_NAME).write_bytes(encode_lines(lines))
        return ResponsesManifest(
            format=MANIFEST_FORMAT,
            run_id=self.id,
            identity=identity,
            numeric_class=self._numeric_class if identity.numeric_mode == "fast" else None,
            n_responses=len(lines),
            n_tokens=sum(line.n_tokens for line in lines),
            outputs=output_digests(directory),
            overlong=overlong,
        )

    def environment(self, watch: Watch) -> Environment:
        """The machine, and how long it took."""
        return describe_environment(self._numeric_class, watch.execution())

    def reasons(self) -> list[str]:
        """Other packages, or in fast mode another numeric class."""
        if self._recorded is None:
            return []
        return code_reasons(self._identity.code, self._recorded.numeric_class, self._numeric_class)


def asked(identity: ResponsesIdentity, evalset: EvalSet) -> Iterator[tuple[str, int | None]]:
    """Sample and draw of every response to these questions, in their order."""
    draws = identity.generation.draws
    for sample in evalset.samples:
        for draw in [None] if draws is None else range(draws.n):
            yield sample.id, draw


class _Request(NamedTuple):
    tokens: list[int]
    draw: int


def generate_responses(
    identity: ResponsesIdentity,
    evalset: EvalSet,
    model: Path,
    watch: Watch,
    *,
    journal: ResponseJournal | None = None,
) -> list[Generated]:
    """The responses to every sample, those that are drawn to one sample in a row.

    Batches are always the same ones, whatever was generated before: in numeric mode fast an answer
    may depend on the composition of its batch.

    Args:
        identity: what decides the responses.
        evalset: the questions that are asked: those that leave room for an answer.
        model: the model directory.
        watch: receives how many responses there are, and of how many.
        journal: what is there already, and where each batch goes; None keeps nothing.
    """
    responses = [] if journal is None else list(journal.responses)
    requests = _requests(identity, evalset)
    if responses:
        watch.progress(len(responses), len(requests))
    if len(responses) == len(requests):
        return responses
    generate = _generator(identity, model, longest=max(len(r.tokens) for r in requests))
    while len(responses) < len(requests):
        start = len(responses)
        batch = generate(requests[start : start + identity.generation.batch_size])
        if journal is not None:
            journal.append(batch)
        responses += batch
        watch.progress(len(responses), len(requests))
    return responses


def sampling_of(settings: GenerationSettings) -> Sampling:
    """How tokens are chosen."""
    draws = settings.draws
    return GREEDY if draws is None else Sampling(temperature=draws.temperature, top_p=draws.top_p)


def _requests(identity: ResponsesIdentity, evalset: EvalSet) -> list[_Request]:
    requests = []
    draws = identity.generation.draws
    for sample in evalset.samples:
        tokens = prompt_tokens(identity.template, sample.prompt)
        if draws is None:
            requests.append(_Request(tokens, 0))
        else:
            numbers = (draw_number(draws.seed, sample.id, n) for n in range(draws.n))
            requests += [_Request(tokens, number) for number in numbers]
    return requests


def _generator(
    identity: ResponsesIdentity, model: Path, *, longest: int
) -> Callable[[Sequence[_Request]], list[Generated]]:
    from tunixrt.ml.generate import Generator
    from tunixrt.ml.tokenizer import ByteTokenizer

    tokenizer = ByteTokenizer()
    settings = identity.generation
    generator = Generator(
        model,
        max_new_tokens=settings.max_new_tokens,
        batch_size=settings.batch_size,
        numeric_mode=identity.numeric_mode,
        sampling=sampling_of(settings),
    )

    def generate(batch: Sequence[_Request]) -> list[Generated]:
        generations = generator.run(
            [request.tokens for request in batch],
            [request.draw for request in batch],
            longest=longest,
        )
        return [
            Generated(
                text=tokenizer.decode(generation.tokens),
                n_tokens=len(generation.tokens),
                stop_reason=str(generation.stop_reason),
            )
            for generation in generations
        ]

    return generate
