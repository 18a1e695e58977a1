"""Prompts that fill the model's context: all named beforehand, and then what the caller chose."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.making.runs import made_evaluation, made_store, made_training, write_evalset
from tests.making.trainings import SMALL_MODEL, make_store
from tunixrt.errors import BadInputError
from tunixrt.eval.compare.conditions import NotComparableError
from tunixrt.jobs.overlong import OverlongPromptsError
from tunixrt.runs.manifests import EvaluationManifest, ResponsesManifest, TrainingManifest
from tunixrt.runs.run import Run

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt import Store
    from tunixrt.jobs.evaluation.evaluate import EvaluationDone
    from tunixrt.runs.lines import Prediction

#: nano's context is 128 tokens, and the template takes 16 of them.
PROMPTS = ("1+1", "9" * 200, "2+2", "8" * 112, "7" * 111)
OVERLONG = {"q1": 216, "q3": 128}


@pytest.fixture
def store(copy: Store) -> Store:
    write_evalset(copy, "mixed", PROMPTS)
    write_evalset(copy, "short", ("1+1", "2+2"))
    write_evalset(copy, "long", ("9" * 200, "8" * 150))
    return copy


def trained_id(store: Store) -> str:
    return next(
        run.run_id
        for run in [run.manifest for run in store.runs]
        if isinstance(run, TrainingManifest)
    )


def predictions_of(store: Store, manifest: EvaluationManifest) -> list[Prediction]:
    return list(Run.of(store.layout, manifest.run_id).predictions())


def evaluated(store: Store, *, on_overlong: str, **options: object) -> EvaluationDone:
    arguments = {"evalset": "mixed", "max_new_tokens": 3, "on_overlong": on_overlong} | options
    return store.runs.evaluate(trained_id(store), **arguments)  # type: ignore[arg-type]


def test_every_overlong_sample_is_named_before_anything_is_generated(store: Store) -> None:
    before = sorted(store.root.rglob("*"))
    for model in (trained_id(store), "untrained:nano"):
        with pytest.raises(OverlongPromptsError) as caught:
            store.runs.evaluate(model, evalset="mixed", max_new_tokens=3)
        assert str(caught.value).startswith(
            "2 of 5 prompts of the eval set mixed leave no room for an answer in the model's "
            "context of 128 tokens: q1 (216), q3 (128). "
        )
        assert "--on-overlong wrong" in str(caught.value)
        assert caught.value.lengths.overlong == OVERLONG
    assert sorted(store.root.rglob("*")) == before


def test_a_check_finds_the_same_ones_beforehand(store: Store) -> None:
    for model in (trained_id(store), "untrained:nano"):
        lengths = store.evalsets.check_prompts("mixed", model)
        assert lengths.overlong == OVERLONG
        assert (lengths.max_length, lengths.longest, lengths.n_samples) == (128, 127, 5)
        assert not store.evalsets.check_prompts("short", model).overlong
    assert not store.evalsets.check_prompts("mixed", "untrained:micro").overlong


def test_overlong_prompts_count_as_wrong_answers_where_that_is_chosen(store: Store) -> None:
    done = evaluated(store, on_overlong="wrong")
    results = done.manifest.results
    assert results.results_count == 5
    assert results.stop_reasons["overlong"] == 2
    assert results.overlong is not None
    assert results.overlong.treatment == "wrong"
    assert results.overlong.n_tokens == OVERLONG
    assert done.manifest.responses.generation.overlong == "wrong"
    assert (done.n_generated, done.n_reused) == (3, 0)
    predictions = predictions_of(store, done.manifest)
    assert [p.example_id for p in predictions] == [f"q{i}" for i in range(5)]
    wrong = predictions[1]
    assert (wrong.correct, wrong.score, wrong.n_tokens, wrong.generated_response) == (
        False,
        0.0,
        0,
        "",
    )
    assert wrong.reason == (
        "The prompt has 216 tokens, and the model's context of 128 leaves no room for an answer."
    )


def test_overlong_prompts_are_in_no_figure_where_they_are_left_out(store: Store) -> None:
    done = evaluated(store, on_overlong="omit")
    results = done.manifest.results
    assert results.results_count == 3
    assert results.overlong is not None
    assert results.overlong.n_tokens == OVERLONG
    assert results.overlong.treatment == "omit"
    assert len(done.evalset.samples) == 5
    assert [p.example_id for p in predictions_of(store, done.manifest)] == ["q0", "q2", "q4"]


def test_the_choice_is_part_of_the_identity_only_where_it_changes_the_results(
    store: Store,
) -> None:
    ids = {
        evaluated(store, on_overlong=choice, evalset="short").manifest.run_id
        for choice in ("refuse", "wrong", "omit")
    }
    assert len(ids) == 1
    manifest = store.runs[ids.pop()].manifest
    assert isinstance(manifest, EvaluationManifest)
    for run_id in (manifest.run_id, manifest.responses.run_id):
        assert "overlong" not in (store.layout.runs / run_id / "manifest.json").read_text()
    wrong, omitted = (evaluated(store, on_overlong=c).manifest for c in ("wrong", "omit"))
    assert wrong.run_id != omitted.run_id
    assert wrong.responses.run_id != omitted.responses.run_id
    assert evaluated(store, on_overlong="omit").already_done


def test_what_fits_is_answered_as_if_it_were_alone(store: Store) -> None:
    write_evalset(store, "fitting", (PROMPTS[0], PROMPTS[2], PROMPTS[4]))
    alone = evaluated(store, on_overlong="refuse", evalset="fitting").manifest
    mixed = evaluated(store, on_overlong="omit").manifest

    def responses(manifest: EvaluationManifest) -> list[str]:
        return [p.generated_response for p in predictions_of(store, manifest)]

    assert responses(mixed) == responses(alone)


def test_a_set_of_overlong_prompts_alone_is_refused_whatever_is_chosen(store: Store) -> None:
    for choice in ("refuse", "wrong", "omit"):
        with pytest.raises(OverlongPromptsError, match=r"2 of 2 prompts .* No question is left"):
            evaluated(store, on_overlong=choice, evalset="long")


def test_another_word_is_refused_before_the_model_is_looked_at(store: Store) -> None:
    with pytest.raises(BadInputError, match=r'refuse, wrong or omit\. Did you mean "omit"'):
        evaluated(store, on_overlong="omitt")


def test_draws_another_judge_verifying_and_reproducing_know_of_it(store: Store) -> None:
    drawn = evaluated(store, on_overlong="wrong", temperature=1.0, draws=2).manifest
    assert [(p.example_id, p.draw) for p in predictions_of(store, drawn)] == [
        (f"q{i}", n) for i in range(5) for n in range(2)
    ]
    for choice in ("wrong", "omit"):
        done = evaluated(store, on_overlong=choice)
        judged = evaluated(store, on_overlong=choice, judge="verbatim")
        assert judged.manifest.responses == done.manifest.responses
        assert (judged.n_generated, judged.n_reused) == (0, 3)
        answered = store.runs[judged.manifest.responses.run_id].manifest
        assert isinstance(answered, ResponsesManifest)
        assert answered.n_responses == 3
        assert answered.overlong == judged.manifest.results.overlong
        assert judged.manifest.results.overlong == done.manifest.results.overlong
    assert store.verify(rebuild=True).ok
    verdicts = store.reproduce(None)
    assert {str(verdict.verdict) for verdict in verdicts} == {"identical"}


def test_a_comparison_and_a_report_say_which_samples_were_left_out(store: Store) -> None:
    a = evaluated(store, on_overlong="omit").manifest
    wide = store.root / "wide.toml"
    wide.write_text(
        '[model]\nname = "nano"\nmax_length = 256\n[model.architecture]\nnum_hidden_layers = 1\n'
    )
    b = store.runs.evaluate(
        f"untrained:{wide}", evalset="mixed", max_new_tokens=3, on_overlong="omit"
    ).manifest
    assert b.results.overlong is None
    with pytest.raises(
        NotComparableError, match=r"left out as overlong differs \(q1 q3 against no"
    ):
        store.runs.compare(a.run_id, b.run_id)
    assert store.runs.compare(a.run_id, b.run_id, allow_differences=True).n_pairs == 3
    wrong = evaluated(store, on_overlong="wrong").manifest
    assert store.runs.compare(wrong.run_id, b.run_id).n_pairs == 5
    files = store.runs.report(wrong.run_id, b.run_id, store.root / "report")
    text = next(path for path in files if path.suffix == ".md").read_text()
    assert "2 prompts fill the model's context of 128 tokens; they were not asked" in text
    assert "q1, q3" in text
    assert "--on-overlong wrong" in text
    site = store.build_site(store.root / "site")
    assert site
    page = (store.root / "site" / "runs" / f"{a.run_id}.html").read_text()
    assert "not asked, and in no figure here" in page
    assert "2 overlong left out" in store.runs.row(a).result
    assert "2 overlong counted as wrong" in store.runs.row(wrong).result


def test_a_model_from_elsewhere_without_a_context_says_so(tmp_path: Path) -> None:
    store = made_store(tmp_path)
    made_evaluation(store, made_training(store), n_right=2)
    directory = tmp_path / "model"
    directory.mkdir()
    for name in ("model.safetensors", "tokenizer.json"):
        (directory / name).write_text("{}")
    for config in ("{}", "[]", '{"max_position_embeddings": "many"}', "no JSON"):
        (directory / "config.json").write_text(config)
        with pytest.raises(BadInputError, match=r"config\.json"):
            store.evalsets.check_prompts("sums", str(directory))
    (directory / "config.json").write_text(json.dumps({"max_position_embeddings": 20}))
    assert store.evalsets.check_prompts("sums", str(directory)).overlong


def test_the_default_limit_of_new_tokens_is_what_the_longest_fitting_prompt_leaves(
    tmp_path: Path,
) -> None:
    store = make_store(tmp_path)
    write_evalset(store, "mixed", ("1+1", "9" * 200))
    config = tmp_path / "tiny.toml"
    config.write_text(SMALL_MODEL)
    done = store.runs.evaluate(f"untrained:{config}", evalset="mixed", on_overlong="omit")
    assert done.manifest.responses.generation.max_new_tokens == 128 - 19
