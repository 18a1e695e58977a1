"""Predictions, read from a file, and as traces: model output ready to import.

``predictions.jsonl`` has one canonical JSON object (RFC 8785) per line and response, in the order
of the eval set, so its digest is a function of the model, the eval set and the judge. Where
several responses were drawn to each sample, they follow each other and ``draw`` numbers them.

A trace has the question as its prompt, and the steps and the answer parsed from the response. Its
metadata records that it comes from an evaluation and how it was judged, so that ``--where
correct=true`` selects the right ones. A response in which no step or no answer was found is not a
trace: it is dropped and counted. Training on such traces is training on the eval set, and
``tunixrt eval`` reports it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from tunixrt.runs.lines import LineError, Prediction, encode_lines, read_struct_lines
from tunixrt.traces.importers.records import Dropped, Rejection
from tunixrt.traces.importers.table import imported
from tunixrt.traces.schema import TRACE_VERSION, Trace, TraceStep
from tunixrt.traces.violations import TraceError
from tunixrt.words import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.traces.importers.lines import TextSource
    from tunixrt.traces.importers.records import Record

PREDICTIONS: Final = "predictions"
SOURCE: Final = "evaluation"
_STEP_TYPE: Final = "generated"


class PredictionDrop(StrEnum):
    """Why a prediction is not a trace."""

    NO_ANSWER = "no final answer in the response"
    NO_STEPS = "no reasoning step in the response"


def read_predictions(source: TextSource) -> Iterator[Prediction]:
    """The predictions of ``predictions.jsonl``, one at a time.

    Args:
        source: the file or the stream.

    Raises:
        UnreadableFileError: the file is absent or cannot be read as lines.
        LineError: a line is not a prediction, or two lines have the same id and draw.
    """
    seen: set[tuple[str, int | None]] = set()
    for line, prediction in read_struct_lines(source, Prediction, "a prediction", stored=False):
        key = prediction.example_id, prediction.draw
        if key in seen:
            drawn = "" if prediction.draw is None else f", draw {prediction.draw}"
            sentence = f"A second prediction for the sample {quoted(prediction.example_id)}{drawn}."
            raise LineError(source, line, sentence)
        seen.add(key)
        yield prediction
    if not seen:
        raise LineError(source, None, "The file contains no prediction.")


def read_prediction_traces(path: TextSource, *, source: str | None = None) -> Iterator[Record]:
    """Read a ``predictions.jsonl`` as traces.

    Args:
        path: the file, or an open stream.
        source: becomes ``meta.source``; ``evaluation`` where it is None.

    Raises:
        UnreadableFileError: the file is absent or not text.
        LineError: a line is not a prediction.
    """
    for line, prediction in enumerate(read_predictions(path), start=1):
        yield _record(str(path), line, prediction, source or SOURCE)


def _record(name: str, line: int, prediction: Prediction, source: str) -> Record:
    if prediction.parsed_answer is None:
        return Dropped(name, line, PredictionDrop.NO_ANSWER)
    if not prediction.parsed_steps:
        return Dropped(name, line, PredictionDrop.NO_STEPS)
    expected = prediction.expected_response
    trace = Trace(
        trace_version=TRACE_VERSION,
        prompt=prediction.prompt,
        steps=tuple(
            TraceStep(i=i, type=_STEP_TYPE, content=text)
            for i, text in enumerate(prediction.parsed_steps)
        ),
        final_answer=prediction.parsed_answer,
        meta={
            "category": prediction.category,
            "correct": prediction.correct,
            "difficulty": prediction.difficulty,
            "example_id": prediction.example_id,
            "source": source,
        }
        | ({} if expected is None else {"expected_answer": expected}),
    )
    try:
        return imported(trace, file=name, line=line)
    except TraceError as error:
        raw = encode_lines([prediction]).removesuffix(b"\n")
        return Rejection(name, line, str(error), raw, field=error.violation.field)
