"""An eval set held against what a model was trained on, bases included."""

from __future__ import annotations

import itertools
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.making.runs import made_evaluation, made_store, made_training, write_evalset
from tunixrt.datasets.exports import ExportError
from tunixrt.datasets.reading import DatasetReader
from tunixrt.derive import QUIET, Answer, Watch
from tunixrt.errors import AnswerIsNoError
from tunixrt.eval.contamination import Contamination, ContaminationCheck
from tunixrt.eval.evalsets import EvalSample
from tunixrt.jobs.contamination import (
    ContaminatedError,
    TrainingCheck,
    UncheckedError,
    check_training,
    require_clean,
)
from tunixrt.log.digests import digest_bytes
from tunixrt.log.redaction import redact
from tunixrt.runs.catalogue import Catalogue
from tunixrt.runs.manifests import TrainingManifest

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return made_store(tmp_path)


def prompts_of(store: Store, split: str, key: str = "sums-v1") -> list[str]:
    return [
        store.traces[m.trace].flat.prompt for m in store.datasets[key].members() if m.split == split
    ]


def check(store: Store, name: str, trained: TrainingManifest) -> Contamination:
    found = unpublished(store, name, trained)
    assert found is not None
    return found.found


def unpublished(
    store: Store, name: str, trained: TrainingManifest, watch: Watch = QUIET
) -> TrainingCheck | None:
    with DatasetReader(store.log) as reader:
        return check_training(Catalogue(store.layout), reader, store.evalsets[name], trained, watch)


def test_held_out_problems_are_clean(store: Store) -> None:
    found = check(store, "sums", made_training(store))
    assert (found.n_samples, found.n_contaminated, found.complete) == (20, 0, True)
    assert found.datasets == ["sums-v1/train"]
    assert found.n_prompts == len(prompts_of(store, "train"))


def test_only_the_split_that_was_trained_on_counts(store: Store) -> None:
    train, test = prompts_of(store, "train"), prompts_of(store, "test")
    write_evalset(store, "mixed", [train[0], f"  {train[1]} !", test[0], "Why?"])
    found = check(store, "mixed", made_training(store))
    assert (found.n_exact, found.n_normalised, found.n_overlap) == (1, 1, 0)
    assert found.examples == ["q0", "q1"]
    whole = store.evalsets.check("mixed", "sums-v1")
    assert [o.example_id for o in whole.overlaps] == ["q0", "q1", "q2"]
    assert whole.contamination.datasets == ["sums-v1"]
    tested = store.evalsets.check("mixed", "sums-v1", split="test")
    assert [o.example_id for o in tested.overlaps] == ["q2"]
    with pytest.raises(ExportError, match="splits are train"):
        store.evalsets.check("mixed", "sums-v1", split="dev")


def test_what_a_base_was_trained_on_counts_too(store: Store) -> None:
    store.traces.generate_arithmetic(kinds=["subtraction"], n_digits=2, n=5, seed=0)
    store.datasets.build("differences", "v1", where={"kind": "subtraction"})
    first = made_training(store)
    tuned = made_training(store, seed=1, key="differences-v1", base=first.weights)
    write_evalset(store, "mine", prompts_of(store, "train")[:2])
    found = check(store, "mine", tuned)
    assert found.datasets == ["differences-v1/train", "sums-v1/train"]
    assert (found.n_exact, found.complete) == (2, True)
    again = made_training(store, seed=3, base=digest_bytes(b"weights 3"))
    assert check(store, "mine", again).datasets == ["sums-v1/train"]
    twice = made_training(store, seed=4, base=first.weights)
    assert check(store, "mine", twice).datasets == ["sums-v1/train"]
    foreign = made_training(store, seed=2, base=digest_bytes(b"from elsewhere"))
    assert check(store, "sums", foreign).complete is False


def test_what_cannot_be_compared_any_more_is_said(store: Store) -> None:
    trained = made_training(store)
    notices: list[str] = []
    watch = Watch(on_notice=notices.append)
    member = next(m.trace for m in store.datasets["sums-v1"].members() if m.split == "train")
    redact(store.log, [member])
    assert unpublished(store, "sums", trained, watch) is None
    (store.layout.datasets / "sums").rename(store.root / "gone")
    assert unpublished(store, "sums", trained, watch) is None
    assert "1 redacted member of sums-v1" in notices[0]
    assert f"the dataset {trained.identity.dataset} that was trained on is not here" in notices[1]


def test_a_recorded_check_outlives_the_text_and_says_so_when_it_is_made_again(
    store: Store,
) -> None:
    trained = made_training(store)
    write_evalset(store, "seen", prompts_of(store, "train")[:3])
    found = unpublished(store, "seen", trained)
    assert found is not None
    found.publish(store.layout)
    (verdict,) = [v for v in store.verify(rebuild=True).rebuilt if v.kind == "contamination"]
    assert verdict.verdict is Answer.IDENTICAL
    before = check(store, "seen", trained)
    member = next(m.trace for m in store.datasets["sums-v1"].members() if m.split == "train")
    redact(store.log, [member])
    assert check(store, "seen", trained) == before
    (verdict,) = [v for v in store.verify(rebuild=True).rebuilt if v.kind == "contamination"]
    assert (verdict.verdict, verdict.reasons) == (
        Answer.NOT_REPRODUCIBLE,
        ["1 redacted member of sums-v1"],
    )


def test_the_order_of_the_texts_does_not_matter() -> None:
    samples = [EvalSample("q", "one two three four five six seven eight nine", "1")]
    prompts = [samples[0].prompt, samples[0].prompt.upper(), f"{samples[0].prompt} ten"]
    found = set()
    for order in itertools.permutations(range(3)):
        comparison = ContaminationCheck(samples)
        for i in order:
            comparison.add(digest_bytes(b"%d" % i), prompts[i])
        found.add(tuple(comparison.overlaps()))
    assert len(found) == 1


def test_a_gate_asks_for_known_and_clean_training_data(store: Store) -> None:
    write_evalset(store, "seen", prompts_of(store, "train")[:3])
    trained = made_training(store)
    runs = store.layout.runs
    before = sorted(path.name for path in runs.iterdir())
    with pytest.raises(ContaminatedError, match="3 samples 3 word for word") as caught:
        store.runs.evaluate(trained.run_id, evalset="seen", fail_on_contamination=True)
    assert isinstance(caught.value, AnswerIsNoError)
    assert caught.value.contamination.n_contaminated == 3
    foreign = made_training(store, seed=2, base=digest_bytes(b"from elsewhere"))
    with pytest.raises(UncheckedError, match="cannot be ruled out"):
        store.runs.evaluate(foreign.run_id, evalset="sums", fail_on_contamination=True)
    elsewhere = store.root / "elsewhere"
    shutil.copytree(runs / trained.run_id / "model", elsewhere)
    with pytest.raises(ContaminatedError):  # a copy is the same model
        store.runs.evaluate(str(elsewhere), evalset="seen", fail_on_contamination=True)
    (elsewhere / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(UncheckedError):
        store.runs.evaluate(str(elsewhere), evalset="sums", fail_on_contamination=True)
    assert sorted(p.name for p in runs.iterdir()) == sorted([*before, foreign.run_id])
    require_clean("sums", check(store, "sums", trained), untrained=False)
    require_clean("sums", None, untrained=True)


def test_a_report_says_what_is_recorded_and_nothing_else(store: Store, tmp_path: Path) -> None:
    write_evalset(store, "seen", prompts_of(store, "train")[:3])
    trained = made_training(store)
    before = made_evaluation(store, None, n_right=1, evalset="seen")
    after = made_evaluation(store, trained, n_right=3, evalset="seen")
    store.runs.report(before.run_id, after.run_id, tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    assert "Whether samples of the eval set are in the training data was not checked." in text
    found = unpublished(store, "seen", trained)
    assert found is not None
    found.publish(store.layout)
    store.runs.report(before.run_id, after.run_id, tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    assert "3 of 3 samples of the eval set are in the training data: 3 word for word" in text


def test_an_evaluation_records_what_it_found(copy: Store) -> None:
    """A real evaluation: the counts are in its manifest, and a clean one passes the gate."""
    (trained,) = [m for m in [run.manifest for run in copy.runs] if isinstance(m, TrainingManifest)]
    write_evalset(copy, "two", [prompts_of(copy, "train")[0], "What is 1 - 1?"])
    seen = copy.runs.evaluate(trained.run_id, evalset="two", max_new_tokens=2)
    assert seen.contamination is not None
    assert (seen.contamination.n_exact, seen.contamination.n_samples) == (1, 2)
    strict = copy.runs.evaluate(
        trained.run_id, evalset="sums", max_new_tokens=2, fail_on_contamination=True
    )
    assert strict.contamination is not None
    assert strict.contamination.n_contaminated == 0
    verbatim = copy.runs.evaluate(
        trained.run_id, evalset="sums", max_new_tokens=2, judge="verbatim"
    ).manifest
    assert verbatim.identity.judge.name == "verbatim"
    assert verbatim.run_id != strict.manifest.run_id
    assert [v.verdict for v in copy.reproduce(verbatim.run_id)] == ["identical"] * 2
    assert copy.verify().ok
