"""Reverts, cherry-picks, sparse checkouts and pointers of LFS are named, and so is the cure."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.git_repository import POINTER, GitStore
from tests.making.runs import made_evaluation, made_store, made_training
from tunixrt import Store
from tunixrt.errors import ExitCode, TunixrtError
from tunixrt.jobs.status import read_status
from tunixrt.log.segment.header import DamagedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def imported(made: GitStore, seed: int) -> str:
    """Another import, committed; the commit."""
    made.store.traces.generate_arithmetic(kinds=["addition"], n_digits=2, n=3, seed=seed)
    return made.commit(f"import {seed}")


def complaint(made: GitStore) -> str:
    """What the log says when it is read, which is also what `verify` says first."""
    with pytest.raises(DamagedError) as caught:
        Store.open(made.root).log.segments()
    findings = Store.open(made.root).verify().findings
    assert any(str(finding) in str(caught.value) for finding in findings)
    return str(caught.value)


def command(sentence: str, start: str) -> list[str]:
    """The arguments of the Git command that a sentence quotes."""
    (quoted,) = [part for part in sentence.split("`")[1::2] if part.startswith(start)]
    return quoted.removeprefix("git ").split()


@pytest.fixture
def made(tmp_path: Path) -> GitStore:
    return GitStore(tmp_path / "repository")


def test_a_reverted_import_is_named_and_the_command_brings_it_back(made: GitStore) -> None:
    first = imported(made, 1)
    imported(made, 2)
    made.git("revert", "--no-edit", first)
    reverted = made.git("rev-parse", "--short", "HEAD").strip()
    said = complaint(made)
    assert f"The commit {reverted} removed it, as `git revert`" in said
    assert "`tunixrt trace retract` instead" in said
    made.git(*command(said, "git checkout"))
    assert Store.open(made.root).verify().ok


def test_the_newest_import_may_be_reverted(made: GitStore) -> None:
    imported(made, 1)
    second = imported(made, 2)
    made.git("revert", "--no-edit", second)
    assert Store.open(made.root).verify().ok


def test_a_cherry_pick_of_the_second_import_names_the_commit_of_the_first(made: GitStore) -> None:
    made.branch("topic")
    first = imported(made, 1)
    second = imported(made, 2)
    made.git("checkout", "-q", "main")
    made.git("cherry-pick", second)
    said = complaint(made)
    assert f"The commit {first[:7]} added it and is not merged here, as after `git cherry" in said
    made.git(*command(said, "git checkout"))
    assert Store.open(made.root).verify().ok


def test_a_parent_that_no_commit_has_is_to_be_fetched(made: GitStore, tmp_path: Path) -> None:
    elsewhere = GitStore(tmp_path / "elsewhere")
    imported(elsewhere, 1)
    second = imported(elsewhere, 2)
    patch = tmp_path / "patch"
    patch.write_text(elsewhere.git("format-patch", "-1", "--stdout", second))
    made.git("am", "-q", str(patch))
    said = complaint(made)
    assert "No commit here has it: `git fetch` (with `--unshallow` in a shallow clone)" in said


def test_a_segment_that_was_deleted_by_hand_comes_back_by_checkout(made: GitStore) -> None:
    imported(made, 1)
    (segment,) = made.store.layout.log.glob("*/*")
    imported(made, 2)
    shutil.rmtree(segment)
    said = complaint(made)
    assert "Git tracks it, and it was deleted here" in said
    made.git(*command(said, "git checkout"))
    assert Store.open(made.root).verify().ok


def test_a_segment_that_a_sparse_checkout_leaves_out_is_a_failure_that_says_so(
    made: GitStore,
) -> None:
    imported(made, 1)
    (segment,) = made.store.layout.log.glob("*/*")
    imported(made, 2)
    patterns = ("/*", f"!/{made.store.layout.relative(segment)}/")
    made.git("sparse-checkout", "set", "--no-cone", *patterns)
    assert not segment.exists()
    said = complaint(made)
    assert "this sparse checkout leaves it out: `git sparse-checkout add store/log/" in said
    made.git(*command(said, "git sparse-checkout add"))
    assert Store.open(made.root).verify().ok


def test_outside_of_git_the_sentence_still_says_what_is_missing(tmp_path: Path) -> None:
    store = Store.init(tmp_path)
    for seed in (1, 2):
        store.traces.generate_arithmetic(kinds=["addition"], n_digits=2, n=3, seed=seed)
    first = store.log.segments()[0]
    shutil.rmtree(first.path)
    with pytest.raises(DamagedError, match="A parent of the segment is missing") as e:
        Store.open(tmp_path).log.segments()
    assert store.layout.relative(first.path) in str(e.value)


# --- sparse checkouts ----------------------------------------------------------------------------


@pytest.fixture
def full(made: GitStore) -> GitStore:
    """A repository with a dataset, an eval set, a run under a name and its evaluation."""
    store = made_store(made.root)
    trained = made_training(store)
    made_evaluation(store, trained, n_right=3)
    store.runs.promote(trained.run_id, name="best")
    assert store.verify().ok
    made.commit("everything")
    return made


def sparse(made: GitStore, *left_out: str) -> Store:
    made.git("sparse-checkout", "set", "--no-cone", "/*", *(f"!/{path}" for path in left_out))
    return Store.open(made.root)


def test_runs_that_are_not_checked_out_are_named_and_are_no_failure(full: GitStore) -> None:
    runs = [f"runs/{run.run_id}" for run in [run.manifest for run in full.store.runs]]
    found = sparse(full, "runs/").verify()
    assert found.ok
    assert found.not_checked_out == runs
    assert found.counts.n_runs == 0
    status = read_status(full.store.layout, full.store.log)
    assert len(status.not_checked_out) == 1
    assert status.missing_promoted == {}
    with pytest.raises(TunixrtError, match=r"`git sparse-checkout add runs/[0-9a-f]{64}`"):
        Store.open(full.root).runs["best"]
    with pytest.raises(TunixrtError, match="this sparse checkout leaves it out"):
        Store.open(full.root).runs[runs[0].partition("/")[2][:8]]


@pytest.mark.parametrize(
    ("left_out", "missed"),
    [
        ("*.safetensors", "model.safetensors"),
        ("store/datasets/", "store/datasets/sums/v1"),
        ("store/snapshots/", "store/snapshots/"),
        ("evalsets/", "evalsets/sums.jsonl"),
        ("predictions.jsonl", "predictions.jsonl"),
        ("SHA256SUMS", "SHA256SUMS"),
        ("members-*", "store/datasets/sums/v1"),
    ],
)
def test_any_part_but_the_log_may_be_left_out(full: GitStore, left_out: str, missed: str) -> None:
    full.git("sparse-checkout", "set", "--no-cone", "/*", f"!{left_out}")
    found = Store.open(full.root).verify(since="HEAD")
    assert found.findings == []
    assert any(missed in place for place in found.not_checked_out)


def test_what_is_changed_in_a_sparse_checkout_is_still_found(full: GitStore) -> None:
    store = sparse(full, "evalsets/")
    (weights,) = store.layout.runs.glob("*/model/model.safetensors")
    weights.write_bytes(b"other weights")
    assert not store.verify().ok


def test_what_was_deleted_and_is_not_left_out_is_still_found(full: GitStore) -> None:
    store = sparse(full, "evalsets/")
    (weights,) = store.layout.runs.glob("*/model/model.safetensors")
    weights.unlink()
    assert not store.verify().ok


def test_since_compares_what_is_left_out_by_the_blob_that_git_tracks(full: GitStore) -> None:
    old = full.git("rev-parse", "HEAD").strip()
    (manifest,) = full.store.layout.datasets.glob("*/*/*/manifest.json")
    data = manifest.read_bytes()
    manifest.write_bytes(data.replace(b"sums", b"suns"))
    full.commit("tampered")
    store = sparse(full, "store/datasets/")
    assert store.verify().ok
    (finding,) = store.verify(since=old).findings
    assert "datasets" in finding.path


# --- pointers of Git LFS -------------------------------------------------------------------------

POINTED: dict[str, Callable[[Store], object]] = {
    "store/log/*/*/0000.jsonl": lambda s: list(s.log.events()),
    "store/log/*/*/segment.json": lambda s: s.log.segments(),
    "store/snapshots/*.json": lambda s: list(s.snapshots),
    "store/datasets/*/*/*/manifest.json": lambda s: list(s.datasets),
    "store/datasets/*/*/*/members-0000.jsonl": lambda s: list(s.datasets["sums-v1"].members()),
    "runs/*/manifest.json": lambda s: [run.manifest for run in s.runs],
    "runs/*/predictions.jsonl": lambda s: s.runs.compare("best-eval", "best-eval"),
    "runs/*/SHA256SUMS": lambda s: s.verify().findings[0],
    "runs/*/metrics.jsonl": lambda s: s.verify().findings[0],
    "runs/*/model/model.safetensors": lambda s: s.runs.evaluate("best", evalset="sums"),
    "evalsets/sums.jsonl": lambda s: s.evalsets["sums"],
}


@pytest.mark.parametrize("pattern", POINTED)
def test_a_pointer_of_git_lfs_is_called_one_and_the_command_is_named(
    full: GitStore, pattern: str
) -> None:
    for path in full.root.glob(pattern):
        path.write_bytes(POINTER)
    store = Store.open(full.root)
    findings = store.verify().findings
    pointed = [finding for finding in findings if "it is a Git LFS pointer" in finding.problem]
    places = {store.layout.relative(path) for path in full.root.glob(pattern)}
    assert places
    assert {finding.path for finding in pointed} >= places
    assert all("`git lfs pull`" in finding.problem for finding in pointed)
    assert not any("digest" in finding.problem for finding in findings if finding.path in places)


@pytest.mark.parametrize("pattern", [p for p in POINTED if "SUMS" not in p and "metrics" not in p])
def test_a_command_that_meets_a_pointer_of_git_lfs_says_so(full: GitStore, pattern: str) -> None:
    evaluation = next(
        run for run in [run.manifest for run in full.store.runs] if not hasattr(run, "dataset")
    )
    full.store.runs.promote(evaluation.run_id, name="best-eval")
    for path in full.root.glob(pattern):
        path.write_bytes(POINTER)
    with pytest.raises((TunixrtError, OSError), match=r"it is a Git LFS pointer.*`git lfs pull`"):
        POINTED[pattern](Store.open(full.root))


def test_a_file_to_import_that_is_a_pointer_is_called_one(full: GitStore, tmp_path: Path) -> None:
    (tmp_path / "traces.jsonl").write_bytes(POINTER)
    with pytest.raises(TunixrtError, match="git lfs pull") as caught:
        full.store.traces.import_(tmp_path / "traces.jsonl", source_format="tunixrt")
    assert caught.value.exit_code == ExitCode.BAD_INPUT
