"""Predictions: what a model answered to each sample, and how it was judged.

``predictions.jsonl`` has one canonical JSON object (RFC 8785) and a line feed a response, in the
order of the eval set, so its digest is a function of the model, the eval set and the judge. Where
several responses were drawn to each sample, they follow each other and ``draw`` numbers them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunixrt.runs.lines import LineError, Prediction, read_struct_lines
from tunixrt.traces.violations import quoted

if TYPE_CHECKING:
    from pathlib import Path


def read_predictions(path: Path) -> tuple[Prediction, ...]:
    """Read ``predictions.jsonl``.

    Raises:
        UnreadableFileError: the file is absent or cannot be read as lines.
        LineError: a line is not a prediction, or two lines have one id and draw.
    """
    predictions: dict[tuple[str, int | None], Prediction] = {}
    for line, prediction in read_struct_lines(path, Prediction, "a prediction"):
        key = prediction.example_id, prediction.draw
        if key in predictions:
            drawn = "" if prediction.draw is None else f", draw {prediction.draw}"
            sentence = f"A second prediction for the sample {quoted(prediction.example_id)}{drawn}."
            raise LineError(path, line, sentence)
        predictions[key] = prediction
    if not predictions:
        raise LineError(path, None, "There is no prediction in the file.")
    return tuple(predictions.values())
