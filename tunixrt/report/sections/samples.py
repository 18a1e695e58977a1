"""The part of a report that shows samples: question, both answers, and the judge's reason."""

from __future__ import annotations

from difflib import ndiff
from itertools import islice
from typing import TYPE_CHECKING, Final

from tunixrt.eval.compare.draws import are_drawn, majority
from tunixrt.eval.judge.not_text import legible_quotes
from tunixrt.report.blocks import (
    Block,
    Bullets,
    CodeBlock,
    CodeSpan,
    Column,
    Columns,
    Heading,
    Paragraph,
    Strong,
)
from tunixrt.report.escape import shortened
from tunixrt.report.numbers import count
from tunixrt.report.sections.choosing import RULE, choose_samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.report.blocks import Inline, Inlines
    from tunixrt.report.sections.choosing import ShownSample
    from tunixrt.report.shown import Pair
    from tunixrt.runs.lines import Prediction

#: A long response is shown up to this length; ``predictions.jsonl`` has all of it.
_MAX_RESPONSE: Final = 2_000
_MAX_ANSWER: Final = 200
#: At most this many responses to a sample are listed.
_MAX_DRAWS: Final = 16


def sample_blocks(pair: Pair, *, heading: str = "Samples") -> list[Block]:
    """The samples that the rule chooses."""
    shown = choose_samples(pair.before.predictions, pair.after.predictions)
    intro = Paragraph(
        (RULE, " All predictions are in the runs' ", CodeSpan("predictions.jsonl"), ".")
    )
    blocks: list[Block] = [Heading(2, heading), intro]
    for sample in shown:
        blocks += _blocks(sample)
    return blocks


def _blocks(sample: ShownSample) -> list[Block]:
    question = sample.before[0]
    expected = question.expected_response
    return [
        Heading(3, (f"{str(sample.outcome).capitalize()}: ", CodeSpan(question.example_id))),
        Paragraph(
            (
                "Expected answer: ",
                "none" if expected is None else CodeSpan(shortened(expected, _MAX_ANSWER)),
                "; category ",
                CodeSpan(question.category),
                ", difficulty ",
                CodeSpan(question.difficulty),
                ".",
            )
        ),
        CodeBlock("Prompt:", shortened(question.prompt, _MAX_RESPONSE)),
        Columns((_column("Before", sample.before), _column("After", sample.after))),
        *_difference(sample),
    ]


def _column(title: str, responses: Sequence[Prediction]) -> Column:
    if not are_drawn(responses):
        return Column(title, _response(responses[0]))
    contrary = (p for p in responses if p.correct != responses[0].correct)
    shown = [responses[0], *islice(contrary, 1)]
    return Column(
        title,
        (
            _vote(responses),
            Bullets(tuple(map(_line, responses[:_MAX_DRAWS]))),
            *(block for response in shown for block in _response(response)),
        ),
    )


def _vote(responses: Sequence[Prediction]) -> Paragraph:
    """How many of the responses are right, and the most frequent answer."""
    n_right = sum(response.correct for response in responses)
    are = "is" if n_right == 1 else "are"
    winner = majority(responses)
    if winner is None:
        vote: tuple[Inline, ...] = (" and none has an answer.",)
    else:
        verdict = "right" if winner.correct else "wrong"
        vote = ("; the most frequent answer is ", _answer(winner), f" ({verdict}).")
    return Paragraph(
        (Strong(f"{n_right:,} of {len(responses):,}"), f" responses {are} right", *vote)
    )


def _line(response: Prediction) -> Inlines:
    return (
        f"{(response.draw or 0) + 1}: {'right' if response.correct else 'wrong'}, ",
        _answer(response),
    )


def _answer(response: Prediction) -> Inline:
    answer = response.parsed_answer
    return "none" if answer is None else CodeSpan(shortened(answer, _MAX_ANSWER))


def _response(prediction: Prediction) -> tuple[Paragraph | CodeBlock, ...]:
    name = "Response" if prediction.draw is None else f"Response {prediction.draw + 1}"
    verdict = "right" if prediction.correct else "wrong"
    return (
        Paragraph(
            (
                Strong(verdict.capitalize() if prediction.draw is None else f"{name}: {verdict}"),
                ". Answer: ",
                _answer(prediction),
                f" ({count(len(prediction.parsed_steps), 'step')}, ",
                f"{count(prediction.n_tokens, 'token')}, stopped by ",
                CodeSpan(prediction.stop_reason),
                ").",
            )
        ),
        Paragraph(f"Judge: {legible_quotes(prediction.reason)}"),
        CodeBlock(f"{name}:", shortened(prediction.generated_response, _MAX_RESPONSE)),
    )


def _difference(sample: ShownSample) -> list[Block]:
    """A line diff of the first responses, where they share some lines and differ in others."""
    before, after = (
        shortened(responses[0].generated_response, _MAX_RESPONSE).splitlines()
        for responses in (sample.before, sample.after)
    )
    lines = [line for line in ndiff(before, after) if not line.startswith("?")]
    kinds = {line[0] for line in lines}
    if " " not in kinds or kinds == {" "}:
        return []
    return [CodeBlock("From before (-) to after (+):", "\n".join(lines), language="diff")]
