"""identical, close or diverged: what each demands, and the first difference by name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.making.identities import D, evaluation_identity, training_identity
from tests.making.manifests import evaluation_manifest
from tunixrt.derive import Answer, Verdict, compare, encode_manifest
from tunixrt.eval.evalsets import EvalSet
from tunixrt.eval.sample_judges import sample_judge
from tunixrt.jobs.evaluation.judgement import Judgement
from tunixrt.jobs.training import Training
from tunixrt.runs.identity import Judge
from tunixrt.runs.run import Run
from tunixrt.runs.tolerance import losses_beyond_tolerance

if TYPE_CHECKING:
    from pathlib import Path

LOSSES = [3.0, 2.5, 2.0, 1.5, 1.2, 1.0, 0.8, 0.6, 0.5, 0.4]
OTHER_CLASS = ["numeric mode fast, and cpu_vendor differs here"]


class Remade(Training):
    """A training that is compared and never made."""

    def __init__(self, reasons: list[str]) -> None:
        self._identity = training_identity()
        self._reasons = reasons

    def reasons(self) -> list[str]:
        return self._reasons


def write_run(directory: Path, losses: list[float], weights: str = "same") -> None:
    lines = [line | {"loss": losses[line["step"] - 1]} for line in lines_of(len(losses))]
    write_lines(directory, lines, weights)


def write_lines(directory: Path, lines: list[dict[str, Any]], weights: str = "same") -> None:
    (directory / "model").mkdir(parents=True)
    (directory / "model/model.safetensors").write_text(weights)
    encoded = (json.dumps(line, sort_keys=True, separators=(",", ":")) for line in lines)
    (directory / "metrics.jsonl").write_text("".join(line + "\n" for line in encoded))


def judge(
    tmp_path: Path, losses: list[float], *, weights: str = "same", reasons: list[str] | None = None
) -> Verdict:
    write_run(tmp_path / "old", LOSSES)
    write_run(tmp_path / "new", losses, weights)
    return compare(Remade(reasons or []), tmp_path / "old", tmp_path / "new")


def test_the_same_bytes_are_identical(tmp_path: Path) -> None:
    verdict = judge(tmp_path, LOSSES)
    assert verdict.verdict is Answer.IDENTICAL
    assert verdict.first_difference is None
    assert verdict.kind == "training"
    assert all(file.same for file in verdict.files)


def test_where_identity_is_promised_one_bit_is_divergence_and_the_step_is_named(
    tmp_path: Path,
) -> None:
    losses = [*LOSSES[:6], 0.8000001, *LOSSES[7:]]
    verdict = judge(tmp_path, losses)
    assert verdict.verdict is Answer.DIVERGED
    assert verdict.first_difference == (
        "step 7: the gradient norm is the same, the loss was 0.8, is 0.8000001"
    )


def test_on_another_numeric_class_a_near_curve_is_close(tmp_path: Path) -> None:
    losses = [loss * 1.001 for loss in LOSSES]
    verdict = judge(tmp_path, losses, weights="rounded otherwise", reasons=OTHER_CLASS)
    assert verdict.verdict is Answer.CLOSE
    assert verdict.expected is Answer.CLOSE
    assert verdict.reasons == OTHER_CLASS
    assert verdict.first_difference is not None
    assert "step 1" in verdict.first_difference


def test_on_another_numeric_class_a_far_curve_has_diverged(tmp_path: Path) -> None:
    verdict = judge(tmp_path, [3.2, *LOSSES[1:]], reasons=OTHER_CLASS)
    assert verdict.verdict is Answer.DIVERGED
    assert verdict.first_difference is not None
    assert verdict.first_difference.startswith("The loss of step 1 was 3, is 3.2")


@pytest.mark.parametrize(
    ("losses", "fragment"),
    [
        (LOSSES, None),
        ([3.05, *LOSSES[1:]], None),
        ([3.07, *LOSSES[1:]], "step 1"),
        ([*LOSSES[:-1], 0.59], None),
        ([*LOSSES[:-1], 0.61], "last 1 steps"),
        (LOSSES[:-1], "10 training steps, now there are 9"),
    ],
)
def test_the_tolerances_of_close(losses: list[float], fragment: str | None) -> None:
    found = losses_beyond_tolerance(LOSSES, losses)
    if fragment is None:
        assert found is None
    else:
        assert found is not None
        assert fragment in found


def test_small_losses_may_differ_by_five_hundredths() -> None:
    assert losses_beyond_tolerance([1.0] * 5 + [0.001], [1.0] * 5 + [0.05]) is None
    assert losses_beyond_tolerance([1.0] * 5 + [0.001], [1.0] * 5 + [0.06]) is not None


def judge_evaluation(tmp_path: Path, score: float, reasons: list[str]) -> Verdict:
    for name, answer, average in (("old", "42", 50.0), ("new", "43", score)):
        (tmp_path / name).mkdir()
        line = {"example_id": "eval-001", "generated_response": answer * 40}
        (tmp_path / name / "predictions.jsonl").write_text(json.dumps(line) + "\n")
        manifest = evaluation_manifest()
        results = msgspec.structs.replace(manifest.results, avg_score=average)
        manifest = msgspec.structs.replace(manifest, results=results)
        (tmp_path / name / "manifest.json").write_bytes(encode_manifest(manifest))
    judge = sample_judge("exact")
    judgement = Judgement(
        evaluation_identity(judge.identity),
        EvalSet("sums", D, ()),
        Run(tmp_path),
        judge,
        reasons,
    )
    return compare(judgement, tmp_path / "old", tmp_path / "new")


def test_an_evaluation_is_close_within_five_points(tmp_path: Path) -> None:
    verdict = judge_evaluation(tmp_path, 54.9, OTHER_CLASS)
    assert verdict.verdict is Answer.CLOSE
    assert verdict.kind == "evaluation"
    assert verdict.first_difference is not None
    assert "sample eval-001" in verdict.first_difference
    assert "…" in verdict.first_difference


def test_other_versions_of_judge_and_figures_are_reasons_to_be_close_only(tmp_path: Path) -> None:
    identity = evaluation_identity(Judge("exact", "1"), summary=2)
    assert Judgement(
        identity, EvalSet("sums", D, ()), Run(tmp_path), sample_judge("exact")
    ).reasons() == [
        "the judge exact is version 2 here and was 1",
        "figures are version 1 here and were 2",
    ]


def test_an_evaluation_beyond_five_points_has_diverged(tmp_path: Path) -> None:
    verdict = judge_evaluation(tmp_path, 44.9, OTHER_CLASS)
    assert verdict.verdict is Answer.DIVERGED
    assert verdict.first_difference is not None
    assert "was 50.00, is 44.90" in verdict.first_difference


def test_a_shorter_metrics_file_says_where_it_ends(tmp_path: Path) -> None:
    verdict = judge(tmp_path, LOSSES[:4])
    assert verdict.first_difference == "step 5: there were 10 steps, now 4"


def lines_of(n: int = 40, **fields: Any) -> list[dict[str, Any]]:
    """The lines that a training of n steps may have written."""
    return [
        {
            "grad_norm": 2.5,
            "learning_rate": 0.01,
            "loss": 1.5,
            "n_loss_tokens": 40,
            "step": step,
            "weights_fingerprint": f"{step * 2654435761 % 2**32:08x}",
            **fields,
        }
        for step in range(1, n + 1)
    ]


def judge_lines(
    tmp_path: Path,
    old: list[dict[str, Any]],
    new: list[dict[str, Any]],
    *,
    reasons: list[str] | None = None,
    weights: tuple[str, str] = ("same", "same"),
) -> Verdict:
    write_lines(tmp_path / "old", old, weights[0])
    write_lines(tmp_path / "new", new, weights[1])
    return compare(Remade(reasons or []), tmp_path / "old", tmp_path / "new")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"weights_fingerprint": "00000000"},
            "the loss and the gradient norm are the same, the weights after the update differ",
        ),
        (
            {"loss": 1.25, "weights_fingerprint": "00000000"},
            (
                "the gradient norm is the same, the loss was 1.5, is 1.25; the weights after "
                "the update differ"
            ),
        ),
        (
            {"grad_norm": 2.25},
            "the loss is the same, the gradient norm was 2.5, is 2.25",
        ),
        (
            {"loss": 1.25, "grad_norm": 2.25},
            "the loss was 1.5, is 1.25; the gradient norm was 2.5, is 2.25",
        ),
        (
            {"learning_rate": 0.02},
            "the loss and the gradient norm are the same, the learning rate was 0.01, is 0.02",
        ),
        (
            {"n_loss_tokens": 41},
            (
                "the loss and the gradient norm are the same, the number of learned tokens was 40, "
                "is 41"
            ),
        ),
    ],
)
def test_the_first_step_says_what_is_the_same_in_it_and_what_differs(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    changed = [line | changes if line["step"] >= 37 else line for line in lines_of()]
    verdict = judge_lines(tmp_path, lines_of(), changed)
    assert verdict.verdict is Answer.DIVERGED
    assert verdict.first_difference == f"step 37: {sentence}"


def test_a_validation_loss_that_differs_is_named(tmp_path: Path) -> None:
    old, new = lines_of(3, validation_loss=2.0), lines_of(3, validation_loss=2.5)
    assert judge_lines(tmp_path, old, new).first_difference == (
        "step 1: the loss and the gradient norm are the same, the validation loss was 2, is 2.5"
    )


def test_metrics_that_are_no_metrics_are_named_by_line(tmp_path: Path) -> None:
    broken = [line for line in lines_of(3) if line["step"] != 2]
    write_lines(tmp_path / "old", lines_of(3))
    write_lines(tmp_path / "new", [*broken, {"step": "three"}])
    verdict = compare(Remade([]), tmp_path / "old", tmp_path / "new")
    assert verdict.first_difference is not None
    assert verdict.first_difference.startswith("metrics.jsonl, line 2: step 2: ")


def test_on_another_numeric_class_fingerprints_are_not_compared(tmp_path: Path) -> None:
    new = lines_of(weights_fingerprint="00000000")
    verdict = judge_lines(
        tmp_path, lines_of(), new, reasons=OTHER_CLASS, weights=("one", "another")
    )
    assert verdict.verdict is Answer.CLOSE
    assert verdict.first_difference == (
        "model/model.safetensors: the weights after step 40, the last; loss and gradient norm of "
        "every step are the same"
    )


def test_weights_that_are_not_those_of_the_fingerprints_are_a_matter_of_the_file(
    tmp_path: Path,
) -> None:
    verdict = judge_lines(tmp_path, lines_of(), lines_of(), weights=("one", "another"))
    assert verdict.verdict is Answer.DIVERGED
    assert verdict.first_difference == (
        "model/model.safetensors: loss and gradient norm of every step are the same, and so are "
        "the weights' fingerprints; the file is not"
    )
