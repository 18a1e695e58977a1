"""Evaluations with several responses drawn to each sample, of a real model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.making.runs import made_evaluation, made_store, made_training
from tests.making.trainings import training_of
from tunixrt.derive import Answer
from tunixrt.eval.compare.draws import by_sample
from tunixrt.jobs.evaluation.evaluate import GreedyDrawsError
from tunixrt.runs.sampling import SamplingError

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt import Store
    from tunixrt.jobs.evaluation.evaluate import EvaluationDone
    from tunixrt.runs.lines import Prediction

DRAWN: dict[str, Any] = {"temperature": 1.0, "top_p": 0.95, "draws": 3}


def evaluate(store: Store, **settings: Any) -> EvaluationDone:
    run_id = training_of(store).run_id
    return store.runs.evaluate(run_id, evalset="sums", max_new_tokens=6, **{**DRAWN, **settings})


def predictions_of(store: Store, done: EvaluationDone) -> tuple[Prediction, ...]:
    return tuple(store.runs[done.run_id].predictions())


def texts(predictions: tuple[Prediction, ...]) -> dict[tuple[str, int | None], str]:
    return {(p.example_id, p.draw): p.generated_response for p in predictions}


def test_settings_are_in_the_manifest_and_the_run_id_and_draws_in_the_predictions(
    copy: Store,
) -> None:
    done = evaluate(copy)
    generation = done.manifest.responses.generation
    assert generation.strategy == "sampling"
    assert str(generation.draws) == "temperature 1, top-p 0.95, 3 responses per sample"
    predictions = predictions_of(copy, done)
    assert [p.draw for p in predictions] == [0, 1, 2] * 4
    assert len(by_sample(predictions)) == 4
    assert len(set(texts(predictions).values())) > 4
    results = done.manifest.results
    assert (results.results_count, results.draws and results.draws.n_draws) == (12, 3)
    assert evaluate(copy).already_done
    others = [evaluate(copy, **change) for change in ({"seed": 1}, {"temperature": 0.7})]
    assert len({d.manifest.run_id for d in (done, *others)}) == 3
    assert len({d.manifest.outputs["predictions.jsonl"] for d in (done, *others)}) == 3
    verdicts = copy.reproduce(done.manifest.run_id)
    assert [v.verdict for v in verdicts] == [Answer.IDENTICAL] * 2
    assert copy.verify().ok


def test_a_response_does_not_depend_on_its_company(copy: Store) -> None:
    three = evaluate(copy)
    alone = evaluate(copy, batch_size=1)
    predictions = "predictions.jsonl"
    assert alone.manifest.outputs[predictions] == three.manifest.outputs[predictions]
    more = texts(predictions_of(copy, evaluate(copy, draws=5)))
    fewer = texts(predictions_of(copy, three))
    assert {key: more[key] for key in fewer} == fewer


def test_settings_that_make_no_sense_are_refused_before_anything_is_made(copy: Store) -> None:
    before = sorted(copy.layout.runs.iterdir())
    with pytest.raises(GreedyDrawsError, match=r"^3 responses to each sample were asked for"):
        evaluate(copy, temperature=0.0, top_p=1.0)
    with pytest.raises(SamplingError, match=r"top_p should be 1 where temperature is 0"):
        evaluate(copy, temperature=0.0, draws=1)
    assert sorted(copy.layout.runs.iterdir()) == before


def test_the_leaderboard_the_report_and_the_site_say_what_several_draws_say(
    tmp_path: Path,
) -> None:
    store = made_store(tmp_path)
    trained = made_training(store)
    before = made_evaluation(store, None, n_right=3, n_draws=4)
    after = made_evaluation(store, trained, n_right=15, n_draws=4)
    made_evaluation(store, trained, n_right=15)
    row = next(r for r in store.runs.leaderboard() if r.run_id == after.run_id)
    # To 15 samples three of four responses are right, but all to two of these are cut off.
    assert row.result == "score 48.8 (33.8 to 63.8), pass@4 65.0, majority 65.0"
    found = store.runs.compare(before.run_id, after.run_id, metric="majority")
    assert (found.a, found.b, found.n_pairs) == (15.0, 65.0, 20)
    store.runs.report(before.run_id, after.run_id, tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    for line in (
        "| pass&#64;4 | 15.0 (0.0 to 35.0) | 65.0 (45.0 to 85.0) |",
        "| Majority vote | 15.0 (5.2 to 36.0) | 65.0 (43.3 to 81.9) |",
        "| Generation | `temperature 0.8, top-p 0.95, 4 responses per sample` | ",
        "| Seed of the draws | `0` | `0` | same |",
        "**Response 4: wrong**. Answer: `no idea` (",
        "**3 of 4** responses are right; the most frequent answer is ",
        (
            f"tunixrt eval {trained.run_id[:12]} --evalset sums --max-new-tokens 96 "
            "--temperature 0.8 --top-p 0.95 --draws 4\n"
        ),
    ):
        assert line in text, line
    store.build_site(tmp_path / "site", title="Sums")
    page = (tmp_path / "site" / "runs" / f"{after.run_id}.html").read_text()
    assert "pass@4" in page
    assert "80 predictions" in page
    assert ">response 4 of 4<" in page
    # It is compared with the other one of four responses, and not with the greedy one.
    assert page.count("../compare/") == 1
    assert "exact 2; temperature 0.8, top-p 0.95, 4" in (tmp_path / "site/runs.html").read_text()
    lines = (store.layout.runs / after.run_id / "predictions.jsonl").read_text().splitlines()
    assert [json.loads(line)["draw"] for line in lines[:5]] == [0, 1, 2, 3, 0]
