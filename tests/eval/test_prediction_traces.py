from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tunixrt.eval.prediction_traces import PredictionDrop, read_prediction_traces
from tunixrt.runs.lines import Prediction, encode_lines
from tunixrt.traces.importers.records import Dropped, ImportedTrace, Rejection
from tunixrt.traces.schema import parse_payload
from tunixrt.traces.views import flat_view

if TYPE_CHECKING:
    from pathlib import Path

WRITTEN = Prediction(
    example_id="q1",
    prompt="What is 2 + 3?",
    generated_response="1. Add.\nAnswer: 5",
    parsed_steps=("Add.",),
    parsed_answer="5",
    expected_response="5",
    correct=True,
    reason="The answer equals the expected one.",
    score=100.0,
    n_tokens=9,
    stop_reason="end_of_turn",
    category="addition",
    difficulty="easy",
)


def records(path: Path, *changes: dict[str, Any]) -> list[object]:
    predictions = [
        msgspec.structs.replace(WRITTEN, example_id=f"q{i}", **change)
        for i, change in enumerate(changes, start=1)
    ]
    (path / "predictions.jsonl").write_bytes(encode_lines(predictions))
    return list(read_prediction_traces(path / "predictions.jsonl"))


def test_a_prediction_is_a_trace_that_says_how_it_was_judged(tmp_path: Path) -> None:
    (record,) = records(tmp_path, {})
    assert isinstance(record, ImportedTrace)
    trace = flat_view(parse_payload(record.payload))
    assert (trace.prompt, trace.final_answer) == ("What is 2 + 3?", "5")
    assert [(step.i, step.type, step.content) for step in trace.steps] == [(0, "generated", "Add.")]
    assert trace.meta == {
        "category": "addition",
        "correct": True,
        "difficulty": "easy",
        "example_id": "q1",
        "expected_answer": "5",
        "source": "evaluation",
    }
    (unknown,) = records(tmp_path, {"expected_response": None})
    assert isinstance(unknown, ImportedTrace)
    assert "expected_answer" not in parse_payload(unknown.payload).meta
    path = tmp_path / "predictions.jsonl"
    (other,) = read_prediction_traces(path, source="sampling")
    assert isinstance(other, ImportedTrace)
    assert parse_payload(other.payload).meta["source"] == "sampling"


def test_what_is_no_trace_is_dropped_with_its_line_and_reason(tmp_path: Path) -> None:
    path = str(tmp_path / "predictions.jsonl")
    found = records(
        tmp_path, {"parsed_answer": None}, {}, {"parsed_steps": ()}, {"parsed_answer": "5" * 50_001}
    )
    assert found[0] == Dropped(path, 1, PredictionDrop.NO_ANSWER)
    assert found[2] == Dropped(path, 3, PredictionDrop.NO_STEPS)
    assert isinstance(found[3], Rejection)
    assert (found[3].line, found[3].field) == (4, "final_answer")
