"""Predictions: what a model answered to each sample, and how it was judged.

``predictions.jsonl`` has one canonical JSON object (RFC 8785) per line and response, in the order
of the eval set, so its digest is a function of the model, the eval set and the judge. Where
several responses were drawn to each sample, they follow each other and ``draw`` numbers them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunixrt.runs.lines import LineError, Prediction, read_struct_lines
from tunixrt.words import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.traces.importers.lines import TextSource


def read_predictions(source: TextSource, *, stored: bool = False) -> tuple[Prediction, ...]:
    """Read ``predictions.jsonl``.

    Args:
        source: the file or the stream.
        stored: whether it is a file of a store, which must be a regular file.

    Raises:
        UnreadableFileError: the file is absent or cannot be read as lines.
        LineError: a line is not a prediction, or two lines have the same id and draw.
    """
    return tuple(iterate_predictions(source, stored=stored))


def iterate_predictions(source: TextSource, *, stored: bool = False) -> Iterator[Prediction]:
    """The predictions of ``predictions.jsonl``, one at a time.

    Raises:
        UnreadableFileError, LineError: as of :func:`read_predictions`.
    """
    seen: set[tuple[str, int | None]] = set()
    for line, prediction in read_struct_lines(source, Prediction, "a prediction", stored=stored):
        key = prediction.example_id, prediction.draw
        if key in seen:
            drawn = "" if prediction.draw is None else f", draw {prediction.draw}"
            sentence = f"A second prediction for the sample {quoted(prediction.example_id)}{drawn}."
            raise LineError(source, line, sentence)
        seen.add(key)
        yield prediction
    if not seen:
        raise LineError(source, None, "The file contains no prediction.")
