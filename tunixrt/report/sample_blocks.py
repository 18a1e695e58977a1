"""The part of a report that shows samples: question, both answers, and what the judge said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tunixrt.report.document import (
    Block,
    Code,
    Column,
    Columns,
    Heading,
    Listing,
    Paragraph,
    Strong,
    Text,
)
from tunixrt.report.escape import shortened
from tunixrt.report.numbers import count
from tunixrt.report.samples import RULE, choose_samples

if TYPE_CHECKING:
    from tunixrt.eval.predictions import Prediction
    from tunixrt.report.samples import ShownSample
    from tunixrt.report.view import ReportView

#: A response that rambles on is shown up to here; ``predictions.jsonl`` has all of it.
_MAX_RESPONSE: Final = 2_000
_MAX_ANSWER: Final = 200


def sample_blocks(view: ReportView, *, heading: str = "Samples") -> list[Block]:
    """The samples that the rule chooses."""
    shown = choose_samples(view.before.evaluation.predictions, view.after.evaluation.predictions)
    intro = Paragraph(
        (
            Text(RULE),
            Text(" All predictions stand in the runs' "),
            Code("predictions.jsonl"),
            Text("."),
        )
    )
    blocks: list[Block] = [Heading(2, (Text(heading),)), intro]
    for sample in shown:
        blocks += _blocks(sample)
    return blocks


def _blocks(sample: ShownSample) -> list[Block]:
    question = sample.before
    return [
        Heading(3, (Text(f"{str(sample.group).capitalize()}: "), Code(question.example_id))),
        Paragraph(
            (
                Text("Expected answer: "),
                Code(shortened(question.expected_response, _MAX_ANSWER)),
                Text("; category "),
                Code(question.category),
                Text(", difficulty "),
                Code(question.difficulty),
                Text("."),
            )
        ),
        Listing("Prompt:", shortened(question.prompt, _MAX_RESPONSE)),
        Columns((_column("Before", sample.before), _column("After", sample.after))),
    ]


def _column(title: str, prediction: Prediction) -> Column:
    answer = prediction.parsed_answer
    return Column(
        title=title,
        blocks=(
            Paragraph(
                (
                    Strong("Right" if prediction.correct else "Wrong"),
                    Text(". Answer: "),
                    Text("none") if answer is None else Code(shortened(answer, _MAX_ANSWER)),
                    Text(f" ({count(len(prediction.parsed_steps), 'step')}, "),
                    Text(f"{count(prediction.n_tokens, 'token')}, stopped by "),
                    Code(prediction.stop_reason),
                    Text(")."),
                )
            ),
            Paragraph((Text(f"Judge: {prediction.reason}"),)),
            Listing("Response:", shortened(prediction.generated_response, _MAX_RESPONSE)),
        ),
    )
