"""Promise 2: whatever branches say, Git merges them in any order into one and the same store.

`python -m tests.merges --n 1000` merges 8 and 32 branches in a thousand orders each.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.git_repository import GitStore
from tests.programs import run_module
from tests.writers import value
from tunixrt.datasets.building import AmbiguousDatasetError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tunixrt import Store
    from tunixrt.traces.state import TraceState

    Say = Callable[[Store, list[str]], object]


def test_forty_orders_of_eight_branches_give_one_tree() -> None:
    done = run_module("tests.merges", "--n", "40", "--branches", "8", "--seed", "5")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert "1 tree, 1 snapshot, 0 problems" in done.stdout


def test_one_growing_file_would_not_merge() -> None:
    done = run_module("tests.merges", "--n", "2", "--branches", "3", "--growing-file")
    assert done.returncode == 1
    assert "Git stopped at" in done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> GitStore:
    return GitStore(tmp_path / "repository")


def _merge(repository: GitStore, first: Say, second: Say, *, swap: bool) -> tuple[Store, list[str]]:
    """Let two branches say something of the same three traces, and merge them."""
    store = repository.store
    ids: list[str] = [store.traces.add(value(f"{n}")).ids[0] for n in range(3)]
    repository.commit("three traces")
    for name, say in (("first", first), ("second", second)):
        repository.branch(name)
        say(store, ids)
        repository.commit(name)
    if swap:
        repository.git("checkout", "-q", "first")
    repository.merge("second" if swap else "first")
    return store, ids


def _state(store: Store, trace: str) -> TraceState:
    return store.traces[trace].state


@pytest.mark.parametrize("swap", [False, True])
def test_a_score_and_a_retraction_both_hold(repository: GitStore, swap: bool) -> None:
    store, ids = _merge(
        repository,
        lambda store, ids: store.traces.score(ids[:1]),
        lambda store, ids: store.traces.retract(ids[:1], reason="wrong"),
        swap=swap,
    )
    found = _state(store, ids[0])
    assert (found.retracted, found.active, list(found.scores)) == (True, False, ["baseline"])
    assert store.status().conflicts == []
    assert repository.problems() == []


_FACTS: dict[str, Say] = {
    "a label": lambda store, ids: store.traces.label(ids[:1], {"quality": "good"}),
    "a score": lambda store, ids: store.traces.score(ids[:1]),
    "a successor": lambda store, ids: store.traces.supersede(ids[:1], by=ids[1]),
    "a retraction": lambda store, ids: store.traces.retract(ids[:1], reason="wrong"),
    "another redaction": lambda store, ids: store.traces.redact(ids[:1], reason="as well"),
    "a dataset of it": lambda store, ids: store.datasets.build("all", "v1"),
}


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("fact", _FACTS)
def test_a_redaction_wins_over_whatever_another_branch_says(
    repository: GitStore, fact: str, swap: bool
) -> None:
    store, ids = _merge(
        repository,
        lambda store, ids: store.traces.redact(ids[:1], reason="asked for"),
        _FACTS[fact],
        swap=swap,
    )
    found = _state(store, ids[0])
    assert (found.redacted, found.kept, found.active) == (True, False, False)
    assert repository.problems() == []
    assert store.status().conflicts == []
    texts = [p.read_bytes() for p in (store.root / "store").rglob("*") if p.is_file()]
    assert not any(b"look at 0" in text for text in texts)
    assert any(b"look at 1" in text for text in texts)


@pytest.mark.parametrize("swap", [False, True])
def test_two_successors_and_two_builds_are_shown_until_somebody_decides(
    repository: GitStore, swap: bool
) -> None:
    def say(n: int) -> Say:
        def both(store: Store, ids: list[str]) -> None:
            store.datasets.build("all", "v1", limit=n)
            store.traces.supersede(ids[:1], by=ids[n])

        return both

    store, ids = _merge(repository, say(1), say(2), swap=swap)
    status = store.status()
    ((key, digests),) = status.ambiguous_datasets.items()
    (conflict,) = status.conflicts
    assert (key, len(digests)) == ("all-v1", 2)
    assert (conflict.trace, conflict.fact) == (ids[0], "superseded")
    assert {claim.value for claim in conflict.claims} == set(ids[1:])
    with pytest.raises(AmbiguousDatasetError) as caught:
        store.datasets["all-v1"]
    assert all(digest in str(caught.value) for digest in digests)
    assert repository.problems() == []
    store.traces.supersede(ids[:1], by=ids[2])
    assert store.status().conflicts == []
    assert _state(store, ids[0]).superseded_by == ids[2]


@pytest.mark.parametrize("swap", [False, True])
def test_traces_that_take_each_others_place_are_shown(repository: GitStore, swap: bool) -> None:
    store, ids = _merge(
        repository,
        lambda store, ids: store.traces.supersede(ids[:1], by=ids[1]),
        lambda store, ids: store.traces.supersede(ids[1:2], by=ids[0]),
        swap=swap,
    )
    with store.traces.projection() as projection:
        assert [state.id for state in projection.active()] == [ids[2]]
    assert store.status().cycles == [sorted(ids[:2])]
    assert json.dumps(store.status().cycles)
    store.traces.supersede(ids[:1], by=ids[2])
    assert store.status().cycles == []
