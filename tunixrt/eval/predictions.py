"""Predictions: what a model answered to each sample, and how it was judged.

``predictions.jsonl`` has one canonical JSON object (RFC 8785) and a line feed a response, in the
order of the eval set, so its digest is a function of the model, the eval set and the judge. Where
several responses were drawn to each sample, they follow each other and ``draw`` numbers them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log.canonical import CanonicalError, decode, encode
from tunixrt.log.digests import digest_bytes
from tunixrt.traces.importers.lines import read_lines
from tunixrt.traces.violations import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tunixrt.log.digests import Digest

PREDICTIONS_NAME: Final = "predictions.jsonl"


class Prediction(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One sample, the response to it and the judge's verdict.

    Attributes:
        example_id: the id of the sample.
        prompt: the question as the eval set has it, without the template.
        generated_response: the text that the model generated.
        parsed_steps: the reasoning steps that were found in it.
        parsed_answer: the final answer that was found in it; None if there is none.
        expected_response: the expected answer of the eval set.
        correct: the judge's verdict.
        reason: why, as a sentence.
        score: 0 to 100.
        n_tokens: how many tokens were generated.
        stop_reason: why the generation ended: ``end_of_turn``, ``eos``, ``length`` (the limit of
            new tokens) or ``context`` (the model's longest text).
        category: of the sample.
        difficulty: of the sample.
        draw: the number of the response among those drawn to the sample, from 0; None, and absent
            from the file, where nothing was drawn.
    """

    example_id: str
    prompt: str
    generated_response: str
    parsed_steps: tuple[str, ...]
    parsed_answer: str | None
    expected_response: str
    correct: bool
    reason: str
    score: float
    n_tokens: int
    stop_reason: str
    category: str
    difficulty: str
    draw: int | None = None


class PredictionsError(BadInputError):
    """A file of predictions that cannot be read as one.

    Attributes:
        path: the file.
        line: the line, from 1; None where the whole file is meant.
    """

    def __init__(self, path: Path, line: int | None, sentence: str) -> None:
        where = f"{path}" if line is None else f"{path}, line {line}"
        super().__init__(f"{where}: {sentence}")
        self.path = path
        self.line = line


def encode_predictions(predictions: Iterable[Prediction]) -> bytes:
    """The bytes of ``predictions.jsonl``.

    Raises:
        CanonicalError: a text holds a lone surrogate.
    """
    return b"".join(encode(prediction) + b"\n" for prediction in predictions)


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> Digest:
    """Write ``predictions.jsonl`` and return its digest."""
    data = encode_predictions(predictions)
    path.write_bytes(data)
    return digest_bytes(data)


def read_predictions(path: Path) -> tuple[Prediction, ...]:
    """Read ``predictions.jsonl``.

    Raises:
        UnreadableFileError: the file is absent or cannot be read as lines.
        PredictionsError: a line is not a prediction, or two lines have one id and draw.
    """
    predictions: dict[tuple[str, int | None], Prediction] = {}
    for line, raw in read_lines(path):
        try:
            prediction = msgspec.convert(decode(raw), Prediction)
        except (CanonicalError, msgspec.ValidationError) as error:
            raise PredictionsError(path, line, f"The line is not a prediction: {error}") from error
        key = prediction.example_id, prediction.draw
        if key in predictions:
            drawn = "" if prediction.draw is None else f", draw {prediction.draw}"
            sentence = f"A second prediction for the sample {quoted(prediction.example_id)}{drawn}."
            raise PredictionsError(path, line, sentence)
        predictions[key] = prediction
    if not predictions:
        raise PredictionsError(path, None, "There is no prediction in the file.")
    return tuple(predictions.values())
