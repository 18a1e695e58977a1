"""Names of runs: events that move, merge and are good wherever a run is asked for."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.making.locks import held
from tests.making.runs import made_evaluation, made_store, made_training
from tunixrt.datasets.names import BadNameError
from tunixrt.derive import work_directory
from tunixrt.errors import ExitCode
from tunixrt.log.digests import digest_bytes
from tunixrt.log.lock import LockHeldError, Waiting
from tunixrt.log.segment.events import Envelope
from tunixrt.runs.directories import UnfinishedRunError
from tunixrt.runs.leaderboard import NoSuchFilterError
from tunixrt.runs.promotions import (
    PROMOTED,
    PromotedNameError,
    RunNameError,
    UnknownRunError,
    promoted,
)
from tunixrt.traces.times import TimeError

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt import Store
    from tunixrt.runs.manifests import EvaluationManifest, TrainingManifest

    Runs = tuple[TrainingManifest, EvaluationManifest, EvaluationManifest]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return made_store(tmp_path / "a")


@pytest.fixture
def runs(store: Store) -> Runs:
    trained = made_training(store)
    before = made_evaluation(store, None, n_right=3)
    return trained, before, made_evaluation(store, trained, n_right=15)


def test_a_name_is_good_wherever_a_run_is_asked_for(store: Store, runs: Runs) -> None:
    trained, before, after = runs
    store.runs.promote(trained.run_id[:8], "model")
    store.runs.promote(before.run_id, "baseline", recorded_at="2026-01-31T12:00:00Z")
    store.runs.promote(after.run_id, "candidate")
    assert store.runs["model"].manifest == trained
    assert store.runs.compare("baseline", "candidate").delta == 50.0
    assert [p.name for p in store.runs.report("baseline", "candidate", store.root / "r")]
    assert store.runs.promote("candidate", "best").run_id == after.run_id
    assert store.runs.promotions().names_of(after.run_id) == ["best", "candidate"]
    assert store.status().promoted["model"] == trained.run_id
    assert store.verify().ok


def test_promoting_again_records_nothing_and_promoting_another_moves_the_name(
    store: Store, runs: Runs
) -> None:
    _, before, after = runs
    first = store.runs.promote(before.run_id, "baseline")
    assert (first.before, first.segment is not None) == ((), True)
    n = len(store.log.segments())
    assert store.runs.promote(before.run_id, "baseline").segment is None
    assert len(store.log.segments()) == n
    moved = store.runs.promote(after.run_id, "baseline")
    assert moved.before == (before.run_id,)
    assert store.runs["baseline"].manifest == after
    assert store.runs.promote(before.run_id, "baseline").before == (after.run_id,)


def git(store: Store, *arguments: str) -> None:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=store.root, check=True, capture_output=True)


def test_two_branches_that_differ_merge_and_are_reported_until_somebody_decides(
    store: Store, runs: Runs
) -> None:
    _, before, after = runs
    git(store, "init", "-q", "-b", "main")
    git(store, "add", "-A")
    git(store, "commit", "-qm", "runs")
    for branch, run in (("one", before), ("two", after)):
        git(store, "checkout", "-qb", branch, "main")
        store.runs.promote(run.run_id, "baseline")
        store.runs.promote(after.run_id, "shared")
        git(store, "add", "-A")
        git(store, "commit", "-qm", branch)
    git(store, "merge", "-q", "--no-edit", "one")
    both = sorted([before.run_id, after.run_id])
    status = store.status()
    assert status.ambiguous_promotions == {"baseline": both}
    assert status.promoted == {"shared": after.run_id}
    with pytest.raises(PromotedNameError, match="different runs on different branches") as caught:
        store.runs["baseline"]
    assert all(run in str(caught.value) for run in both)
    decided = store.runs.promote(after.run_id, "baseline")
    assert sorted(decided.before) == both
    assert store.runs["baseline"].manifest == after
    assert store.status().ambiguous_promotions == {}
    assert store.verify().ok


@pytest.mark.parametrize("name", ["Base line", "nul", "a..b", ""])
def test_a_name_follows_the_rules_of_names(store: Store, runs: Runs, name: str) -> None:
    with pytest.raises(BadNameError, match="name of a run"):
        store.runs.promote(runs[0].run_id, name)


def test_a_name_that_could_be_an_id_is_refused(store: Store, runs: Runs) -> None:
    n = len(store.log.segments())
    with pytest.raises(RunNameError, match="beginning of a run id"):
        store.runs.promote(runs[0].run_id, "decade")
    with pytest.raises(TimeError):
        store.runs.promote(runs[0].run_id, "fine", recorded_at="yesterday")
    with pytest.raises(UnknownRunError):
        store.runs.promote("abcdef", "fine")
    assert len(store.log.segments()) == n


def test_an_unknown_name_says_which_ones_there_are(store: Store, runs: Runs) -> None:
    with pytest.raises(PromotedNameError, match="at least 6 hex digits"):
        store.runs["baselin"]
    store.runs.promote(runs[1].run_id, "baseline")
    with pytest.raises(PromotedNameError, match='Did you mean "baseline"'):
        store.runs["baselin"]


def test_a_name_whose_run_is_gone_says_so(store: Store, runs: Runs) -> None:
    store.runs.promote(runs[1].run_id, "baseline")
    shutil.rmtree(store.layout.runs / runs[1].run_id)
    with pytest.raises(UnknownRunError, match="which is not here"):
        store.runs["baseline"]
    assert store.status().missing_promoted == {"baseline": runs[1].run_id}
    (finding,) = store.verify().findings
    assert finding.path == f"runs/{runs[1].run_id}"
    assert finding.problem.startswith("The name baseline was given to this run")
    # Another run under the name is what mends it: the log keeps that it was elsewhere before.
    store.runs.promote(runs[2].run_id, "baseline")
    assert store.status().missing_promoted == {}
    assert store.verify().ok


def test_a_damaged_log_is_found_before_any_name_is_looked_up(store: Store, runs: Runs) -> None:
    store.runs.promote(runs[1].run_id, "baseline")
    (*_, last) = store.log.segments()
    (last.path / "segment.json").write_bytes(b"{}")
    paths = {finding.path for finding in store.verify().findings}
    assert f"store/log/{last.path.parent.name}/{last.path.name}/segment.json" in paths


def test_who_promotes_waits_for_the_lock(store: Store, runs: Runs) -> None:
    n = len(store.log.segments())
    with held(store.layout), pytest.raises(LockHeldError) as caught:
        store.runs.promote(runs[1].run_id, "baseline", waiting=Waiting(timeout_s=0.05))
    assert caught.value.exit_code == ExitCode.STORE_LOCKED
    assert len(store.log.segments()) == n


def test_events_that_make_no_sense_are_passed_over(store: Store, runs: Runs) -> None:
    payloads = [b'{"name":"x"}', b'{"name":"x","run":"short"}']
    store.log.append([(Envelope(type=PROMOTED, payload=digest_bytes(p)), p) for p in payloads])
    store.log.append([(Envelope(type=PROMOTED), None)])
    assert store.runs.promotions().names == {}
    event, payload = promoted("x", runs[0].run_id)
    assert payload == b'{"name":"x","run":"%s"}' % runs[0].run_id.encode()
    assert event.type == "run.promoted"


def test_a_run_without_a_manifest_is_not_finished(store: Store, runs: Runs) -> None:
    run_id = runs[0].run_id
    (store.layout.runs / run_id / "manifest.json").unlink()
    with pytest.raises(UnfinishedRunError, match=r"not finished \(runs/.*manifest.json is missing"):
        store.runs[run_id[:8]]
    with pytest.raises(UnfinishedRunError):
        [run.manifest for run in store.runs]
    assert store.status().unfinished_runs == [run_id]
    problems = {finding.path: finding.problem for finding in store.verify().findings}
    assert problems[f"runs/{run_id}/manifest.json"].startswith("The manifest ")


def test_a_run_that_is_only_a_checkpoint_is_not_finished(store: Store) -> None:
    directory = work_directory(store.layout, "training", "ab" * 32)
    (directory / "step-00000002").mkdir(parents=True)
    with pytest.raises(UnfinishedRunError, match="only interrupted work of the training is here"):
        store.runs["ababab"]


def test_the_leaderboard_has_the_best_first_and_filters(store: Store, runs: Runs) -> None:
    trained, before, after = runs
    store.runs.promote(after.run_id, "best")
    rows = store.runs.leaderboard()
    assert [r.run_id for r in rows] == [after.run_id, before.run_id, trained.run_id]
    assert [r.score for r in rows] == [65.0, 15.0, None]
    assert [r.names for r in rows] == [["best"], [], []]
    assert rows[0].what == f"{trained.run_id[:12]} (nano on sums-v1) on sums"
    assert rows[1].what == "untrained on sums"
    assert [r.run_id for r in store.runs.leaderboard(kind="training")] == [trained.run_id]
    assert len(store.runs.leaderboard(evalset="sums")) == 2
    assert [r.run_id for r in store.runs.leaderboard(dataset="sums-v1")] == [
        after.run_id,
        trained.run_id,
    ]
    with pytest.raises(NoSuchFilterError, match='Did you mean "sums"'):
        store.runs.leaderboard(evalset="sum")
    with pytest.raises(NoSuchFilterError, match="sums-v1"):
        store.runs.leaderboard(dataset="sums-v2")
    shutil.rmtree(store.layout.runs / trained.run_id)
    # Without the training, the weights are from elsewhere.
    assert store.runs.leaderboard()[0].what == f"weights {trained.weights[7:19]} on sums"
    shutil.rmtree(store.layout.runs / before.run_id)
    shutil.rmtree(store.layout.runs / after.run_id)
    with pytest.raises(NoSuchFilterError, match="The store has none yet"):
        store.runs.leaderboard(evalset="sums")
