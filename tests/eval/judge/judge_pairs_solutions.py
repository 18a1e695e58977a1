"""Pairs of real text: four models' answers to GSM8K, with the labels that their authors published.

The file (``example_model_solutions.jsonl`` of https://github.com/openai/grade-school-math, MIT) is
not part of this repository. Its solutions end in ``A: 42``; here each is also compared with another
question's ground truth, so that the wrong pairs are as many as the right ones and more.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.eval.judge.judge_grammar import Pair

if TYPE_CHECKING:
    from collections.abc import Iterator

MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")


def solutions_file() -> Path | None:
    """The file that ``TUNIXRT_GSM8K_SOLUTIONS`` names, or the one beside the repository."""
    beside = Path(__file__).resolve().parents[3] / "shared/data/gsm8k"
    named = os.environ.get("TUNIXRT_GSM8K_SOLUTIONS")
    path = Path(named) if named else beside / "example_model_solutions.jsonl"
    return path if path.is_file() else None


def public_labels(path: Path) -> Iterator[Pair]:
    """Each solution with the ground truth of its question, and the published label."""
    for row in _rows(path):
        for model in MODELS:
            yield Pair(model, _answer(row), _response(row, model), row[model]["is_correct"])


def other_questions(path: Path) -> Iterator[Pair]:
    """Each solution with the ground truth of the next question whose answer is another number.

    Only where the label says that the solution is right: then it is wrong for the other question.
    """
    rows = list(_rows(path))
    for at, row in enumerate(rows):
        own = _number(_answer(row))
        others = (_answer(rows[(at + n) % len(rows)]) for n in range(1, len(rows)))
        other = next(answer for answer in others if _number(answer) != own)
        for model in MODELS:
            if row[model]["is_correct"]:
                yield Pair(f"{model}, another question", other, _response(row, model), False)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _answer(row: dict[str, Any]) -> str:
    return str(row["ground_truth"]).rpartition("\nA: ")[2].strip()


def _response(row: dict[str, Any], model: str) -> str:
    return str(row[model]["solution"])


def _number(answer: str) -> float:
    return float(answer.replace(",", ""))
