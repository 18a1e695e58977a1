"""`@last`: the run that was made or found last in this checkout; and runs named when they end."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.making.locks import held
from tests.making.runs import made_evaluation, made_store, made_training
from tests.making.trainings import TINY
from tunixrt.datasets.names import BadNameError
from tunixrt.errors import ExitCode
from tunixrt.jobs.models import NoModelError
from tunixrt.jobs.promote_run import NotNamedError
from tunixrt.log.files import WriteError
from tunixrt.log.lock import Waiting
from tunixrt.runs.latest import note_latest
from tunixrt.runs.promotions import RunNameError, UnknownRunError
from tunixrt.traces.times import TimeError

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return made_store(tmp_path)


@pytest.mark.parametrize("text", ["@last", "@last-train", "@last-eval"])
def test_before_the_first_run_the_names_of_the_last_one_say_what_makes_one(
    text: str, store: Store
) -> None:
    made_training(store)  # in runs/, as from a clone: no command has made or found it here
    with pytest.raises(UnknownRunError, match=f"^{text} is the run that `tunixrt ") as caught:
        store.runs[text]
    assert caught.value.exit_code is ExitCode.BAD_INPUT


def test_each_name_follows_the_runs_of_its_kind(store: Store) -> None:
    trained = made_training(store)
    other = made_training(store, seed=1)
    evaluation = made_evaluation(store, trained, n_right=3)
    for made in (trained, evaluation, other):
        note_latest(store.layout, made)
    assert store.runs["@last"].id == other.run_id
    assert store.runs["@last-train"].manifest == other
    assert store.runs["@last-eval"].manifest == evaluation
    note_latest(store.layout, evaluation)
    assert store.runs["@last"].id == evaluation.run_id
    assert store.runs.promote("@last", "newest").run_id == evaluation.run_id
    assert store.runs.compare("@last", "newest").delta == 0.0
    with pytest.raises(NoModelError, match=f"evaluated, {trained.run_id[:12]}"):
        store.evalsets.check_prompts("sums", "@last")


def test_other_words_after_the_sign_are_refused(store: Store) -> None:
    with pytest.raises(
        UnknownRunError, match=r'@last-train or @last-eval\. Did you mean "@last-tra'
    ):
        store.runs["@last-training"]


def test_a_last_run_that_was_removed_is_named(store: Store) -> None:
    trained = made_training(store)
    note_latest(store.layout, trained)
    shutil.rmtree(store.layout.runs / trained.run_id)
    with pytest.raises(UnknownRunError, match=f"the run {trained.run_id[:12]}, which is not here"):
        store.runs["@last"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"kind":"other"}', b"\xff"])
def test_what_is_derived_may_be_deleted_or_damaged_and_is_made_again(
    content: bytes, store: Store
) -> None:
    trained = made_training(store)
    note_latest(store.layout, trained)
    (store.layout.derived / "last.json").write_bytes(content)
    with pytest.raises(UnknownRunError):
        store.runs["@last"]
    note_latest(store.layout, trained)
    assert store.runs["@last"].manifest == trained
    assert store.verify().ok


def test_a_note_that_cannot_be_changed_never_passes_off_another_run_as_the_last(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, other = made_training(store), made_training(store, seed=1)
    store.layout.derived.mkdir(exist_ok=True)
    (store.layout.derived / "last.json").mkdir()  # no file can take its place
    note_latest(store.layout, trained)
    (store.layout.derived / "last.json").rmdir()
    note_latest(store.layout, trained)
    shutil.rmtree(store.layout.staging, ignore_errors=True)
    store.layout.staging.write_text("not a directory")
    with pytest.raises(WriteError):
        note_latest(store.layout, other)


def test_a_text_that_cannot_be_a_name_is_refused_before_anything_is_trained(store: Store) -> None:
    for name, error in (("No/Name", BadNameError), ("00aabb", RunNameError)):
        with pytest.raises(error):
            store.runs.train("nano", dataset="sums-v1", as_name=name)
        with pytest.raises(error):
            store.runs.rehearse("nano", dataset="sums-v1", as_name=name)
        with pytest.raises(error):
            store.runs.evaluate("untrained:nano", evalset="sums", as_name=name)
    with pytest.raises(TimeError):
        store.runs.train("nano", dataset="sums-v1", as_name="first", recorded_at="yesterday")
    assert not [run.manifest for run in store.runs]


def test_a_run_is_named_when_it_is_finished_and_when_it_is_found(store: Store) -> None:
    done = store.runs.train(
        "nano",
        dataset="sums-v1",
        overrides=TINY,
        as_name="first",
        recorded_at="2026-01-31T12:00:00Z",
    )
    assert store.runs["first"].manifest == store.runs["@last"].manifest == done.manifest
    assert done.promotion is not None
    assert done.promotion.segment is not None
    event = list(store.log.events())[-1]
    assert event.envelope.recorded_at == "2026-01-31T12:00:00Z"
    again = store.runs.train("nano", dataset="sums-v1", overrides=TINY, as_name="second")
    assert again.already_done
    assert store.runs.promotions().names_of(done.manifest.run_id) == ["first", "second"]
    with held(store.layout), pytest.raises(NotNamedError) as caught:
        store.runs.train(
            "nano", dataset="sums-v1", overrides=TINY, as_name="third", waiting=Waiting(0.0)
        )
    assert f"The run {done.manifest.run_id[:12]} is published, but not named third" in str(
        caught.value
    )
    assert caught.value.exit_code is ExitCode.STORE_LOCKED
    evaluated = store.runs.evaluate("@last", evalset="sums", max_new_tokens=2, as_name="after")
    assert store.runs["after"].manifest == store.runs["@last-eval"].manifest == evaluated.manifest
    assert store.runs["@last-train"].manifest == done.manifest
