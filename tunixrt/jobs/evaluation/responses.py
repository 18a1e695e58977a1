"""Generating the responses of an evaluation, batch by batch, from where its journal ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tunixrt.datasets.render import DataFormat, render_prompt
from tunixrt.eval.compare.draws import draw_number
from tunixrt.eval.evaluation import Generated
from tunixrt.runs.sampling import GREEDY, Sampling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.jobs.evaluation.journal import ResponseJournal
    from tunixrt.runs.identity import EvaluationIdentity, GenerationSettings, Template


class _Request(NamedTuple):
    tokens: list[int]
    draw: int


def generate_responses(
    identity: EvaluationIdentity,
    evalset: EvalSet,
    model: Path,
    *,
    journal: ResponseJournal | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Generated]:
    """The responses to every sample, those that are drawn to one sample in a row.

    Batches are always the same ones, whatever was generated before: in numeric mode fast the
    company that a prompt is in may change its answer.

    Args:
        identity: what decides the responses.
        evalset: the questions.
        model: the model directory.
        journal: what is there already, and where each batch goes; None keeps nothing.
        on_progress: called with how many responses there are, and of how many.
    """
    responses = [] if journal is None else list(journal.responses)
    requests = _requests(identity, evalset)
    if on_progress is not None and responses:
        on_progress(len(responses), len(requests))
    if len(responses) == len(requests):
        return responses
    generate = _generator(identity, model, longest=max(len(r.tokens) for r in requests))
    while len(responses) < len(requests):
        start = len(responses)
        batch = generate(requests[start : start + identity.generation.batch_size])
        if journal is not None:
            journal.append(batch)
        responses += batch
        if on_progress is not None:
            on_progress(len(responses), len(requests))
    return responses


def prompt_tokens(template: Template, prompt: str) -> list[int]:
    """A question as the model sees it."""
    from tunixrt.ml.tokenizer import ByteTokenizer

    text = render_prompt(
        prompt, data_format=DataFormat(template.format), system=template.system_instruction
    )
    return ByteTokenizer().encode(text)


def sampling_of(settings: GenerationSettings) -> Sampling:
    """How tokens are chosen."""
    draws = settings.draws
    return GREEDY if draws is None else Sampling(temperature=draws.temperature, top_p=draws.top_p)


def _requests(identity: EvaluationIdentity, evalset: EvalSet) -> list[_Request]:
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
    identity: EvaluationIdentity, model: Path, *, longest: int
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
