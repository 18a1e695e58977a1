"""An eval set held against what a model was trained on, bases included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.jobs.made_runs import made_evaluation, made_store, made_training, write_evalset
from tunixrt.datasets.exports import ExportError
from tunixrt.errors import AnswerIsNoError, BadInputError
from tunixrt.eval.evalsets import find_evalset, load_evalset
from tunixrt.jobs.contamination import (
    ContaminatedError,
    UncheckedError,
    contamination_of,
    require_clean,
)
from tunixrt.log.digests import digest_bytes
from tunixrt.runs.manifests import Contamination, TrainingManifest, encode_manifest, read_manifest
from tunixrt.traces.facts import redacted

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return made_store(tmp_path)


def prompts_of(store: Store, split: str, key: str = "sums-v1") -> list[str]:
    return [
        store.read_trace(store.find_trace(m.trace)).prompt
        for m in store.members(key)
        if m.split == split
    ]


def check(store: Store, name: str, trained: TrainingManifest) -> Contamination:
    evalset = load_evalset(find_evalset(store.layout.evalsets, name))
    return contamination_of(store.layout, store.log, evalset, trained)


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
    whole = store.check_evalset("mixed", "sums-v1")
    assert [o.example_id for o in whole.overlaps] == ["q0", "q1", "q2"]
    assert whole.contamination.datasets == ["sums-v1"]
    tested = store.check_evalset("mixed", "sums-v1", split="test")
    assert [o.example_id for o in tested.overlaps] == ["q2"]
    with pytest.raises(ExportError, match="splits are train"):
        store.check_evalset("mixed", "sums-v1", split="dev")


def test_what_a_base_was_trained_on_counts_too(store: Store) -> None:
    store.generate_arithmetic(kinds=["subtraction"], n_digits=2, n=5, seed=0)
    store.build_dataset("differences", "v1", where={"kind": "subtraction"})
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


def test_redacted_members_are_counted_and_the_others_compared(store: Store) -> None:
    trained = made_training(store)
    members = [m.trace for m in store.members("sums-v1") if m.split == "train"]
    store.log.append([redacted(members[0], "asked to")])
    found = check(store, "sums", trained)
    assert (found.n_redacted, found.n_prompts) == (1, len(members) - 1)


def test_a_dataset_that_is_gone_cannot_be_compared_with(store: Store) -> None:
    trained = made_training(store)
    (store.layout.datasets / "sums").rename(store.root / "gone")
    with pytest.raises(BadInputError, match=r"sums-v1 with the digest .* is not here"):
        check(store, "sums", trained)


def test_a_gate_asks_for_known_and_clean_training_data(store: Store) -> None:
    write_evalset(store, "seen", prompts_of(store, "train")[:3])
    trained = made_training(store)
    runs = store.layout.runs
    before = sorted(path.name for path in runs.iterdir())
    with pytest.raises(ContaminatedError, match="3 samples 3 word for word") as caught:
        store.evaluate(trained.run_id, evalset="seen", fail_on_contamination=True)
    assert isinstance(caught.value, AnswerIsNoError)
    assert caught.value.contamination.n_contaminated == 3
    foreign = made_training(store, seed=2, base=digest_bytes(b"from elsewhere"))
    with pytest.raises(UncheckedError, match="cannot be ruled out"):
        store.evaluate(foreign.run_id, evalset="sums", fail_on_contamination=True)
    model = str(runs / trained.run_id / "model")
    copied = store.root / "elsewhere"
    (runs / trained.run_id / "model").rename(copied)
    with pytest.raises(UncheckedError):
        store.evaluate(str(copied), evalset="sums", fail_on_contamination=True)
    copied.rename(model)
    assert sorted(p.name for p in runs.iterdir()) == sorted([*before, foreign.run_id])
    require_clean("sums", check(store, "sums", trained), untrained=False)
    require_clean("sums", None, untrained=True)


def test_a_manifest_from_before_the_check_is_read_and_its_report_checks_now(
    store: Store, tmp_path: Path
) -> None:
    write_evalset(store, "seen", prompts_of(store, "train")[:3])
    trained = made_training(store)
    before = made_evaluation(store, None, n_right=1, evalset="seen")
    after = made_evaluation(store, trained, n_right=3, evalset="seen")
    path = store.layout.runs / after.run_id / "manifest.json"
    old = encode_manifest(after).replace(b'"contamination":null,', b"")
    path.write_bytes(old)
    assert read_manifest(path) == after
    store.report(before.run_id, after.run_id, tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    assert "3 of 3 samples of the eval set are in the training data: 3 word for word" in text
    (store.layout.evalsets / "seen.jsonl").unlink()
    store.report(before.run_id, after.run_id, tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    assert "Whether samples of the eval set are in the training data was not checked." in text


def test_an_evaluation_records_what_it_found(copy: Store) -> None:
    """A real evaluation: the counts are in its manifest, and a clean one passes the gate."""
    (trained,) = [m for m in copy.runs() if isinstance(m, TrainingManifest)]
    write_evalset(copy, "two", [prompts_of(copy, "train")[0], "What is 1 - 1?"])
    seen = copy.evaluate(trained.run_id, evalset="two", max_new_tokens=2).manifest
    assert seen.contamination is not None
    assert (seen.contamination.n_exact, seen.contamination.n_samples) == (1, 2)
    strict = copy.evaluate(
        trained.run_id, evalset="sums", max_new_tokens=2, fail_on_contamination=True
    ).manifest
    assert strict.contamination is not None
    assert strict.contamination.n_contaminated == 0
    verbatim = copy.evaluate(
        trained.run_id, evalset="sums", max_new_tokens=2, judge="verbatim"
    ).manifest
    assert verbatim.identity.judge.name == "verbatim"
    assert verbatim.run_id != strict.run_id
    (verdict,) = copy.reproduce(verbatim.run_id)
    assert verdict.verdict == "identical"
    assert copy.verify().ok
