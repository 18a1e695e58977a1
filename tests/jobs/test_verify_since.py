"""`verify --since REV`: nothing that was in that revision's store is changed, gone or reordered."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.git_repository import ENVIRONMENT, GitStore
from tests.making.traces import trace
from tunixrt import Store
from tunixrt.errors import ExitCode
from tunixrt.jobs import verify_since as module
from tunixrt.jobs.verify_since import SinceCheck, verify_since
from tunixrt.log.git import BlobReader, GitError, git, list_tree

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.log.digests import Digest


@pytest.fixture(params=[".", "deep/inside"])
def repository(tmp_path: Path, request: pytest.FixtureRequest) -> GitStore:
    """A store with two segments, a snapshot and a dataset, committed as ``old``."""
    repository = GitStore(tmp_path / "repository", request.param)
    record(repository.store, "A?")
    record(repository.store, "B?")
    repository.store.datasets.build("all", "v1")
    repository.commit("old")
    repository.git("tag", "old")
    return repository


def record(store: Store, *prompts: str) -> list[Digest]:
    return [store.traces.add(trace(prompt)).ids[0] for prompt in prompts]


def check(repository: GitStore, revision: str = "old") -> SinceCheck:
    return verify_since(repository.store.layout, repository.store.log, revision)


def problem(repository: GitStore) -> str:
    (finding,) = check(repository).findings
    return str(finding)


def test_a_store_that_only_grew_has_no_findings(repository: GitStore) -> None:
    found = check(repository)
    assert (found.findings, found.n_redacted) == ([], 0)
    assert found.commit == repository.git("rev-parse", "old").strip()
    n_files = sum(path.is_file() for path in (repository.root / "store").rglob("*"))
    assert found.n_files == n_files
    record(repository.store, "C?")
    repository.store.datasets.build("all", "v2")
    assert check(repository).findings == []
    verification = repository.store.verify(since="old")
    assert verification.ok
    assert verification.since is not None
    assert verification.since.n_files == n_files


def test_a_redaction_since_then_is_counted_and_one_without_an_event_is_found(
    repository: GitStore,
) -> None:
    (ref, _) = repository.store.log.segments()
    path = ref.path / "0000.jsonl"
    original = path.read_bytes()
    envelope = original.split(b"\n")[0]
    path.write_bytes(envelope + b"\nnull\n")
    assert "a payload is gone, and no event redacts it" in problem(repository)
    path.write_bytes(original)
    (event,) = repository.store.log.events([ref.digest])
    assert event.envelope.payload is not None
    repository.store.traces.redact([event.envelope.payload], reason="r")
    found = check(repository)
    assert (found.findings, found.n_redacted) == ([], 1)
    repository.commit("redacted")
    # And against the revision that has redacted it, its return is found.
    path.write_bytes(original)
    (finding,) = check(repository, "HEAD").findings
    assert "a payload that was redacted has come back" in str(finding)
    assert finding.line == 2


def test_a_segment_that_was_taken_away_with_all_that_followed_is_found(
    repository: GitStore,
) -> None:
    """Such a store is whole: only the comparison with what was can tell."""
    record(repository.store, "C?")
    repository.commit("more")
    *_, last = repository.store.log.segments()
    for path in last.path.iterdir():
        path.unlink()
    last.path.rmdir()
    assert list(repository.store.log.verify()) == []
    (finding,) = check(repository, "HEAD").findings
    assert finding.path == repository.store.layout.relative(last.path)
    assert "a store only grows" in finding.problem
    assert check(repository).findings == []


def test_a_dataset_a_snapshot_or_a_description_that_is_missing_is_found(
    repository: GitStore,
) -> None:
    (dataset,) = list(repository.store.datasets)
    (snapshot,) = repository.store.layout.snapshots.iterdir()
    for path in dataset.path.iterdir():
        path.unlink()
    dataset.path.rmdir()
    snapshot.unlink()
    repository.store.layout.store_json.unlink()
    layout = repository.store.layout
    assert {finding.path for finding in check(repository).findings} == {
        layout.relative(dataset.path),
        layout.relative(snapshot),
        "store/store.json",
    }


def test_a_file_that_became_a_link_is_found(repository: GitStore, tmp_path: Path) -> None:
    (snapshot,) = repository.store.layout.snapshots.iterdir()
    (tmp_path / "elsewhere").write_bytes(snapshot.read_bytes())
    snapshot.unlink()
    snapshot.symlink_to(tmp_path / "elsewhere")
    assert "it is a symbolic link" in problem(repository)


def test_every_changed_byte_is_found_and_the_line_is_named(repository: GitStore) -> None:
    lines = {}
    for path in sorted((repository.root / "store").rglob("*")):
        if path.is_file():
            original = path.read_bytes()
            path.write_bytes(original[:-2] + bytes([original[-2] ^ 1]) + original[-1:])
            finding = next(iter(check(repository).findings))
            assert finding.path == repository.store.layout.relative(path)
            lines[path.name] = finding.line
            path.write_bytes(original)
    assert lines["0000.jsonl"] == 2
    assert lines["segment.json"] is None
    assert check(repository).findings == []


def test_lines_that_were_added_or_envelopes_that_were_changed_are_found(
    repository: GitStore,
) -> None:
    (ref, _) = repository.store.log.segments()
    path = ref.path / "0000.jsonl"
    original = path.read_bytes()
    path.write_bytes(original + original)
    assert "it has 4 lines and not 2" in problem(repository)
    path.write_bytes(b"x" + original)
    assert ", line 1: " in problem(repository)
    path.write_bytes(b"x" * 5)
    path.write_bytes(original.replace(b"A?", b"Z?"))
    assert ", line 2: " in problem(repository)


def test_what_cannot_be_judged_in_a_damaged_log_is_a_finding(repository: GitStore) -> None:
    ref, other = repository.store.log.segments()
    path = ref.path / "0000.jsonl"
    path.write_bytes(path.read_bytes().split(b"\n")[0] + b"\nnull\n")
    (other.path / "0000.jsonl").write_bytes(b"")
    problems = [str(finding) for finding in check(repository).findings]
    assert any("the log is damaged" in text for text in problems)
    # The revision itself may hold a damaged envelope or header.
    repository.git("checkout", "-q", ".")
    path.write_bytes(b"no envelope\n{}\n")
    (ref.path / "segment.json").write_bytes(b"{")
    repository.commit("damaged")
    path.write_bytes(b"no envelope\nnull\n")
    problems = [str(finding) for finding in check(repository, "HEAD").findings]
    assert problems != []


def test_an_envelope_that_cannot_be_read_explains_no_redaction(repository: GitStore) -> None:
    (ref, _) = repository.store.log.segments()
    path = ref.path / "0000.jsonl"
    original = path.read_bytes()
    path.write_bytes(b"no envelope\n{}\n")
    repository.commit("damaged")
    # The log as a whole must be readable, or that is what is said.
    comparison = module._Comparison(repository.store.layout, repository.store.log, "HEAD")
    comparison._redacted = set()
    findings = list(
        comparison._compare_lines(path, "p", b"no envelope\n{}\n", b"no envelope\nnull\n")
    )
    assert "its envelope cannot be read" in str(findings[0])
    assert original


def test_segments_in_another_order_are_found(repository: GitStore) -> None:
    comparison = module._Comparison(repository.store.layout, repository.store.log, "old")
    first, second = (ref.digest for ref in repository.store.log.segments())
    comparison._order = [(1, first), (0, second)]
    (finding,) = comparison._compare_order()
    assert "not where it is in the order of old" in str(finding)
    assert (finding.expected, finding.found) == (second, first)


def test_large_files_are_compared_in_pieces(
    repository: GitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PART_FILE_BYTES", 100)
    monkeypatch.setattr(module, "_CHUNK_BYTES", 64)
    assert check(repository).findings == []
    (snapshot,) = repository.store.layout.snapshots.iterdir()
    original = snapshot.read_bytes()
    for changed in (original + b" ", original[:70] + b"x" + original[71:], original[:200]):
        snapshot.write_bytes(changed)
        assert "never changes" in problem(repository)
    snapshot.write_bytes(original)
    # A small file that has become a large one is not read either.
    repository.store.layout.store_json.write_bytes(b" " * 101)
    assert "never changes" in problem(repository)
    snapshot.unlink()
    assert len(check(repository).findings) == 2


def test_a_revision_without_a_store_has_nothing_to_compare(repository: GitStore) -> None:
    repository.git("checkout", "-q", "--orphan", "empty")
    repository.git("rm", "-rfq", "--cached", ".")
    empty = repository.git("commit", "-q", "--allow-empty", "-m", "empty") or "empty"
    assert check(repository, empty).n_files == 0


@pytest.mark.parametrize("revision", ["absent", "--all", "", "HEAD:store"])
def test_a_revision_that_is_not_there_gets_a_sentence(repository: GitStore, revision: str) -> None:
    with pytest.raises(
        GitError, match=r"The revision .* does not exist in this repository"
    ) as caught:
        check(repository, revision)
    assert caught.value.exit_code == ExitCode.BAD_INPUT


def test_a_shallow_clone_without_the_revision_is_told_how_to_get_it(
    repository: GitStore, tmp_path: Path
) -> None:
    record(repository.store, "C?")
    repository.commit("more")
    clone = tmp_path / "clone"
    subprocess.run(
        ["git", "clone", "-q", "--depth=1", f"file://{repository.repository}", str(clone)],
        env=ENVIRONMENT,
        check=True,
    )
    folder = repository.root.relative_to(repository.repository)
    store = Store.open(clone / folder)
    with pytest.raises(GitError, match="fetch-depth: 0") as caught:
        store.verify(since=repository.git("rev-parse", "old").strip())
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert store.verify(since="HEAD").ok


def test_a_store_outside_of_git_gets_a_sentence(tmp_path: Path) -> None:
    store = Store.init(tmp_path)
    with pytest.raises(GitError, match="not in the work tree of a Git repository"):
        store.verify(since="main")


def test_without_git_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitError, match=r"Git cannot be run: .*Is it installed"):
        git(tmp_path, "status")


def test_objects_that_git_does_not_have_get_a_sentence(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    with BlobReader(tmp_path) as blobs, pytest.raises(GitError, match="does not have the contents"):
        blobs.open("0" * 40)
    with pytest.raises(GitError, match="Git cannot list"):
        list(list_tree(tmp_path, "0" * 40, ("store",)))
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "full").write_bytes(b"abc")
    empty = git(tmp_path, "hash-object", "-w", "empty").decode().strip()
    full = git(tmp_path, "hash-object", "-w", "full").decode().strip()
    with BlobReader(tmp_path) as blobs:
        assert blobs.open(empty) == 0
        assert blobs.read(1) == b""
        assert blobs.open(full) == 3
        assert blobs.read(2) + blobs.read(2) + blobs.read(2) == b"abc"
        assert blobs.open(full) == 3
        blobs._process.kill()
        blobs._process.wait()
        blobs._left = 10**6
        with pytest.raises(GitError, match="stopped in the middle"):
            blobs.read(10**6)
