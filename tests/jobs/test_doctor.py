"""The doctor says what is the matter around a store, and touches nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.git_repository import GitStore
from tests.making.events import tree
from tests.making.locks import held
from tunixrt import Store
from tunixrt.derive import work_directory
from tunixrt.jobs import doctor
from tunixrt.jobs.doctor import Check, examine

if TYPE_CHECKING:
    from pathlib import Path


def checks(store: Store) -> dict[str, Check]:
    before = tree(store.root)
    found = {check.name: check for check in examine(store.layout)}
    assert tree(store.root) == before
    return found


@pytest.fixture
def repository(tmp_path: Path) -> GitStore:
    return GitStore(tmp_path / "repository", "inside")


def test_a_sound_store_in_a_repository_needs_nothing(repository: GitStore) -> None:
    found = checks(repository.store)
    assert all(check.ok for check in found.values())
    assert "format tunixrt-store-1" in found["store format"].found
    assert "every byte" in found["git attributes"].found
    assert "No writer left anything" in found["leftovers"].found
    assert "No process holds" in found["lock"].found
    assert "Python 3." in found["machine"].found
    assert "msgspec" in found["packages"].found


@pytest.mark.parametrize(
    ("file", "text", "name", "sentence"),
    [
        (".gitattributes", "", "git attributes", "text is unspecified"),
        (".gitattributes", "/store/** binary\n", "git attributes", "merge is unset"),
        (".gitattributes", "* -text filter=lfs\n", "git attributes", "filter is lfs"),
        (".gitignore", "", "git ignore", "does not ignore"),
        ("store/store.json", "{}", "store format", "does not describe a store of format"),
    ],
)
def test_what_git_could_do_to_a_store_is_said(
    repository: GitStore, file: str, text: str, name: str, sentence: str
) -> None:
    (repository.root / file).write_text(text)
    found = checks(repository.store)
    assert not found[name].ok
    assert sentence in found[name].found
    assert [check.name for check in found.values() if not check.ok] == [name]


def test_a_store_outside_of_git_is_told_what_it_misses(tmp_path: Path) -> None:
    found = checks(Store.init(tmp_path))
    assert found["git"].ok
    assert "no history to return to" in found["git"].found
    assert "git attributes" not in found


def test_leftovers_and_the_holder_of_the_lock_are_named(repository: GitStore) -> None:
    left = repository.store.layout.staging / "tmpdead" / "staged"
    left.mkdir(parents=True)
    (left / "0000.jsonl").write_bytes(b"half")
    found = checks(repository.store)
    assert "store/.tmp/tmpdead (1 files)" in found["leftovers"].found
    assert "delete it when no tunixrt process runs here" in found["leftovers"].found
    assert found["leftovers"].ok
    with held(repository.store.layout) as process:
        assert f"held by process {process.pid} on" in checks(repository.store)["lock"].found
        (repository.store.layout.derived / "store.lock.holder").unlink()
        assert "left no note" in checks(repository.store)["lock"].found


def test_an_evaluation_that_was_interrupted_is_named(repository: GitStore) -> None:
    run_id = "ab" * 32
    directory = work_directory(repository.store.layout, "responses", run_id)
    directory.mkdir(parents=True)
    (directory / "journal.jsonl").touch()
    found = checks(repository.store)["unfinished"]
    assert found.ok
    assert f".tunixrt/work/responses/{run_id} holds a part of a responses run" in found.found
    assert "`tunixrt eval`" in found.found


def test_what_cannot_be_looked_at_is_said(
    repository: GitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = repository.store.layout
    layout.derived.mkdir()
    layout.lock.mkdir()
    found = checks(repository.store)
    assert not found["lock"].ok
    monkeypatch.setattr(doctor, "_PACKAGES", ("tunixrt", "absent-package"))
    assert "absent-package is not installed" in checks(repository.store)["packages"].found
    (repository.repository / ".git" / "index").write_bytes(b"damaged")
    assert not checks(repository.store)["git attributes"].ok


def test_the_numeric_class_of_this_machine_is_shown(
    repository: GitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XLA_FLAGS", "")
    found = checks(repository.store)["numeric class"]
    assert found.ok
    assert re.match(r"[0-9a-f]{12}: ", found.found)
    assert "threads, caches " in found.found
    assert "portable mode" in found.found
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    refused = checks(repository.store)["numeric class"]
    assert not refused.ok
    assert "xla_cpu_enable_fast_math" in refused.found


def test_a_run_that_is_not_finished_is_shown(repository: GitStore) -> None:
    directory = work_directory(repository.store.layout, "training", "ab" * 32)
    (directory / "step-00000040").mkdir(parents=True)
    found = checks(repository.store)["unfinished"].found
    assert f".tunixrt/work/training/{'ab' * 32} holds a checkpoint after step 40" in found
    assert "--resume" in found
