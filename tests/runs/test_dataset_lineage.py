"""What a dataset comes from and what came from it: found by digest, from what is in the store."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.making.runs import made_evaluation, made_store, made_training
from tunixrt.runs.dataset_lineage import DatasetRef, TrainedRun

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The datasets sums-v1, its children sums-v2 and more-v1, and a grandchild sums-v3."""
    store = made_store(tmp_path / "a")
    store.datasets.build("sums", "v2", limit=5, parent="sums-v1")
    store.datasets.build("more", "v1", limit=6, parent="sums-v1")
    store.datasets.build("sums", "v3", limit=4, parent="sums-v2")
    return store


def _ref(store: Store, key: str, *, is_here: bool = True) -> DatasetRef:
    return DatasetRef(key, store.datasets[key].digest, is_here=is_here)


def test_a_dataset_knows_its_parent_its_children_and_its_trainings(store: Store) -> None:
    trained = made_training(store)
    made_evaluation(store, trained, n_right=3)
    other = made_training(store, seed=1, key="sums-v2")
    store.runs.promote(other.run_id, "short")
    first, second, third = (store.datasets.lineage(f"sums-v{n}") for n in (1, 2, 3))
    assert first.parents == []
    assert first.children == [_ref(store, "more-v1"), _ref(store, "sums-v2")]
    assert first.runs == [TrainedRun(trained.run_id, [])]
    assert second.parents == [_ref(store, "sums-v1")]
    assert second.children == [_ref(store, "sums-v3")]
    assert second.runs == [TrainedRun(other.run_id, ["short"])]
    assert (third.parents, third.children, third.runs) == ([_ref(store, "sums-v2")], [], [])


def test_the_same_members_under_another_key_have_the_same_lineage(store: Store) -> None:
    made_training(store)
    store.datasets.build("copied", "v1", splits={"test": "0.2"}, parent="more-v1")
    copied = store.datasets.lineage("copied-v1")
    assert copied == store.datasets.lineage("sums-v1")
    assert copied.parents == [_ref(store, "more-v1")]
    assert [child.dataset_key for child in copied.children] == ["more-v1", "sums-v2"]


def test_a_parent_that_is_gone_is_named_as_not_here(store: Store) -> None:
    gone = _ref(store, "sums-v1", is_here=False)
    shutil.rmtree(store.layout.datasets / "sums" / "v1")
    assert store.datasets.lineage("sums-v2").parents == [gone]


def test_what_is_damaged_does_not_hide_the_others(store: Store) -> None:
    damaged, whole = made_training(store), made_training(store, seed=1)
    (store.layout.runs / damaged.run_id / "manifest.json").unlink()
    assert store.datasets.lineage("sums-v1").runs == [TrainedRun(whole.run_id, [])]
    (path,) = (store.layout.datasets / "more" / "v1").iterdir()
    (path / "manifest.json").write_bytes(b"{}")
    assert [c.dataset_key for c in store.datasets.lineage("sums-v1").children] == ["sums-v2"]
