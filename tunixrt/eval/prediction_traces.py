"""Predictions as traces: model output ready to import, for example for rejection sampling.

A trace has the question as its prompt, and the steps and the answer parsed from the response. Its
metadata records that it comes from an evaluation and how it was judged, so that ``--where
correct=true`` selects the right ones. A response in which no step or no answer was found is not a
trace: it is dropped and counted. Training on such traces is training on the eval set, and
``tunixrt eval`` reports it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from tunixrt.eval.predictions import iterate_predictions
from tunixrt.runs.lines import encode_lines
from tunixrt.traces.importers.records import Dropped, Rejection
from tunixrt.traces.importers.table import imported
from tunixrt.traces.schema import TRACE_VERSION, Trace, TraceStep
from tunixrt.traces.violations import TraceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.runs.lines import Prediction
    from tunixrt.traces.importers.lines import TextSource
    from tunixrt.traces.importers.records import Record

PREDICTIONS: Final = "predictions"
SOURCE: Final = "evaluation"
_STEP_TYPE: Final = "generated"


class PredictionDrop(StrEnum):
    """Why a prediction is not a trace."""

    NO_ANSWER = "no final answer in the response"
    NO_STEPS = "no reasoning step in the response"


def read_prediction_traces(path: TextSource, *, source: str | None = None) -> Iterator[Record]:
    """Read a ``predictions.jsonl`` as traces.

    Args:
        path: the file, or an open stream.
        source: becomes ``meta.source``; ``evaluation`` where it is None.

    Raises:
        UnreadableFileError: the file is absent or not text.
        LineError: a line is not a prediction.
    """
    for line, prediction in enumerate(iterate_predictions(path), start=1):
        yield _record(str(path), line, prediction, source or SOURCE)


def _record(name: str, line: int, prediction: Prediction, source: str) -> Record:
    if prediction.parsed_answer is None:
        return Dropped(name, line, PredictionDrop.NO_ANSWER)
    if not prediction.parsed_steps:
        return Dropped(name, line, PredictionDrop.NO_STEPS)
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
            "expected_answer": prediction.expected_response,
            "source": source,
        },
    )
    try:
        return imported(trace, file=name, line=line)
    except TraceError as error:
        raw = encode_lines([prediction]).removesuffix(b"\n")
        return Rejection(name, line, str(error), raw, field=error.violation.field)
