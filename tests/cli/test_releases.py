"""`tunixrt dataset release|deprecate|show`: the states and the relations of datasets."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.making.files import tree
from tests.making.runs import made_store, made_training
from tests.making.traces import Place, merged
from tests.making.trainings import TINY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome
    from tunixrt import Store

_DEPRECATE = ("dataset", "deprecate", "sums-v1", "--reason", "it leaks; use v2")
_NOTICE = "The dataset sums-v1 is deprecated: it leaks; use v2\n"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return made_store(tmp_path)


def test_list_and_status_show_the_state(cli: Callable[..., Outcome], store: Store) -> None:
    assert cli("dataset", "release", "sums-v1").err == "sums-v1 is released now.\n"
    assert "released datasets: sums-v1" in cli("status").out
    (listed,) = cli("dataset", "list", "--json").document["datasets"]
    assert (listed["state"], listed["deprecated_reason"]) == ("released", None)
    outcome = cli(*_DEPRECATE)
    assert outcome.err == "sums-v1 is deprecated now; before, it was released.\n"
    assert cli(*_DEPRECATE).err == "Nothing was recorded: sums-v1 is deprecated already.\n"
    assert cli("dataset", "list").out.splitlines()[-1].endswith("deprecated")
    (listed,) = cli("dataset", "list", "--json").document["datasets"]
    assert (listed["state"], listed["deprecated_reason"]) == ("deprecated", "it leaks; use v2")
    assert "deprecated dataset: sums-v1: it leaks; use v2" in cli("status").out
    assert cli("status", "--json").document["deprecated_datasets"] == {
        "sums-v1": "it leaks; use v2"
    }
    found = cli("dataset", "release", "sums-v1", "--json").document
    assert found["before"] == {"state": "deprecated", "reason": "it leaks; use v2"}
    assert found["segment"] == store.log.segments()[-1].digest


def test_a_child_of_a_deprecated_dataset_is_built_and_the_reason_reported(
    cli: Callable[..., Outcome], store: Store
) -> None:
    build = ("dataset", "build", "sums", "v2", "--limit", "5", "--parent", "sums-v1")
    assert "deprecated" not in cli(*build).err
    assert cli(*_DEPRECATE).code == 0
    outcome = cli(*build, "--json")
    assert outcome.err == _NOTICE
    assert outcome.document["created"] is False


def test_training_on_a_deprecated_dataset_reports_the_reason(
    cli: Callable[..., Outcome], store: Store
) -> None:
    assert cli(*_DEPRECATE).code == 0
    train = ("train", "nano", "--dataset", "sums-v1", *(f"--set={one}" for one in TINY), "--json")
    for more in (["--dry-run"], []):
        outcome = cli(*train, *more)
        assert outcome.code == 0
        assert _NOTICE in outcome.err
    assert cli("dataset", "release", "sums-v1").code == 0
    again = cli(*train)
    assert again.document["already_done"] is True
    assert _NOTICE not in again.err


def test_status_shows_a_release_that_another_branch_contradicts(
    cli: Callable[..., Outcome], store: Store, tmp_path: Path
) -> None:
    other = made_store(tmp_path / "other")
    other.datasets.deprecate("sums-v1", reason="leaks")
    store.datasets.release("sums-v1")
    merged(Place(store.layout, store.log), Place(other.layout, other.log))
    assert (
        "conflict: the dataset sums-v1 was released on one branch and deprecated on another; "
        "`tunixrt dataset release sums-v1` or `tunixrt dataset deprecate sums-v1` decides"
    ) in cli("status").out


def test_show_has_the_state_and_the_relations(cli: Callable[..., Outcome], store: Store) -> None:
    trained = made_training(store)
    store.runs.promote(trained.run_id, "baseline")
    child = store.datasets.build("sums", "v2", limit=5, parent="sums-v1").digest
    assert cli(*_DEPRECATE).code == 0
    found = cli("dataset", "show", "sums-v1", "--json").document
    assert found["manifest"]["dataset_key"] == "sums-v1"
    assert (found["state"], found["deprecated_reason"]) == ("deprecated", "it leaks; use v2")
    assert found["parents"] == []
    assert found["children"] == [{"dataset_key": "sums-v2", "digest": child, "is_here": True}]
    assert found["runs"] == [{"run_id": trained.run_id, "names": ["baseline"]}]
    lines = dict(line.split(None, 1) for line in cli("dataset", "show", "sums-v1").out.splitlines())
    assert lines["state"] == "deprecated"
    assert lines["children"] == "sums-v2"
    assert lines["runs"] == f"{trained.run_id[:12]} baseline"
    assert "parents" not in lines
    shutil.rmtree(store.layout.datasets / "sums" / "v1")
    lines = dict(line.split(None, 1) for line in cli("dataset", "show", "sums-v2").out.splitlines())
    assert lines["parents"] == "sums-v1 (not here)"
    assert {"state", "children", "runs"}.isdisjoint(lines)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("release", "sums-v3"), 'Did you mean "sums-v1"'),
        (("deprecate", "sums-v1"), "--reason"),
        (("deprecate", "sums-v1", "--reason", ""), "1 to 1,000"),
        (("release", "sums-v1", "--recorded-at", "now"), "now"),
    ],
)
def test_what_cannot_be_stated_is_refused(
    cli: Callable[..., Outcome], store: Store, arguments: tuple[str, ...], sentence: str
) -> None:
    before = tree(store.root)
    outcome = cli("dataset", *arguments)
    assert outcome.code == 2
    assert sentence in outcome.err
    assert tree(store.root) == before
