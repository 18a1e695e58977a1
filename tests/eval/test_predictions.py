from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import rfc8785

from tunixrt.eval.prediction_traces import read_predictions
from tunixrt.log.canonical import CanonicalError
from tunixrt.runs.lines import LineError, Prediction, encode_lines

if TYPE_CHECKING:
    from pathlib import Path

ONE = Prediction(
    example_id="eval-001",
    prompt="What is 15 + 27?",
    generated_response="Reasoning:\n1. Add\nAnswer: 42",
    parsed_steps=("Add",),
    parsed_answer="42",
    expected_response="42",
    correct=True,
    reason="Because.",
    score=100.0,
    n_tokens=29,
    stop_reason="end_of_turn",
    category="arithmetic",
    difficulty="easy",
)
TWO = msgspec.structs.replace(ONE, example_id="é", parsed_answer=None, correct=False, score=12.5)


def test_predictions_are_canonical_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    path.write_bytes(encode_lines([ONE, TWO]))
    data = path.read_bytes()
    assert data == b"".join(rfc8785.dumps(msgspec.to_builtins(p)) + b"\n" for p in (ONE, TWO))
    assert data.splitlines()[0] == (
        b'{"category":"arithmetic","correct":true,"difficulty":"easy","example_id":"eval-001",'
        b'"expected_response":"42","generated_response":"Reasoning:\\n1. Add\\nAnswer: 42",'
        b'"n_tokens":29,"parsed_answer":"42","parsed_steps":["Add"],"prompt":"What is 15 + 27?",'
        b'"reason":"Because.","score":100,"stop_reason":"end_of_turn"}'
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    path.write_bytes(encode_lines([ONE, TWO]))
    assert list(read_predictions(path)) == [ONE, TWO]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", "line 2: The line is not a prediction: "),
        (b'{"example_id": "x"}', "line 2: The line is not a prediction: "),
        (b"", "line 2: The line is not a prediction: "),
    ],
)
def test_a_line_that_is_not_a_prediction_is_named(
    tmp_path: Path, line: bytes, problem: str
) -> None:
    path = tmp_path / "predictions.jsonl"
    path.write_bytes(encode_lines([ONE]) + line + b"\n")
    with pytest.raises(LineError, match=problem) as caught:
        list(read_predictions(path))
    assert (caught.value.source, caught.value.line) == (path, 2)


def test_two_predictions_for_one_sample_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    path.write_bytes(encode_lines([ONE, ONE]))
    with pytest.raises(LineError, match='A second prediction for the sample "eval-001"'):
        list(read_predictions(path))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    path.write_bytes(b"")
    with pytest.raises(LineError, match="The file contains no prediction") as caught:
        list(read_predictions(path))
    assert caught.value.line is None


def test_a_text_that_json_cannot_say_is_refused() -> None:
    with pytest.raises(CanonicalError):
        encode_lines([msgspec.structs.replace(ONE, generated_response="\ud800")])
