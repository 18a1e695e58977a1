"""Promise 9: forgetting works, and says what it cannot reach."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.git_repository import GitStore
from tests.making.traces import trace
from tunixrt.jobs.redact import redact_traces
from tunixrt.log.digests import from_hex
from tunixrt.log.findings import DamagedError
from tunixrt.log.snapshots import take_snapshot
from tunixrt.traces.importers.table import imported
from tunixrt.traces.lookup import TraceLookupError
from tunixrt.traces.times import TimeError

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt import Store
    from tunixrt.log.digests import Digest

SECRET = trace("What is the secret of Ada? Ünsaid", meta={"owner": "Ada"})


@pytest.fixture
def repository(tmp_path: Path) -> GitStore:
    return GitStore(tmp_path / "repository")


def record(store: Store, *prompts: str) -> list[Digest]:
    return [store.traces.add(trace(prompt)).ids[0] for prompt in prompts]


def holds(root: Path, text: str = "secret of Ada") -> list[str]:
    return [
        path.relative_to(root).as_posix()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".git" not in path.parts and text.encode() in path.read_bytes()
    ]


def test_a_redacted_trace_is_nowhere_in_the_working_tree_and_everything_still_verifies(
    repository: GitStore,
) -> None:
    store = repository.store
    (secret,), _ = store.traces.add(SECRET)
    record(store, "A?", "B?")
    store.datasets.build("all", "v1")
    snapshot = store.snapshots.create()
    assert holds(repository.root)
    repository.commit("three traces")
    done = store.traces.redact([secret[7:15]], reason="asked for by its author")
    assert (done.traces, done.n_new, done.n_unknown, len(done.removed)) == ([secret], 1, 0, 1)
    assert done.segment is not None
    assert done.remains.datasets == ["all-v1"]
    assert done.remains.n_commits == 1
    assert holds(repository.root) == []
    assert repository.problems() == []
    assert store.snapshots[snapshot.digest] == snapshot
    again = store.traces.redact([secret], reason="asked for by its author")
    assert (again.n_new, again.segment, again.removed) == (0, None, ())
    assert repository.problems() == []


def test_a_redaction_survives_merges_in_both_directions_with_a_branch_that_never_heard_of_it(
    repository: GitStore,
) -> None:
    store = repository.store
    (secret,), _ = store.traces.add(SECRET)
    record(store, "A?")
    repository.commit("two traces")
    repository.branch("redacts")
    store.traces.redact([secret], reason="r")
    repository.commit("redact one")
    repository.branch("goes-on", "main")
    record(store, "B?", "C?")
    store.traces.label([secret], {"quality": "good"})
    store.datasets.build("all", "v1")
    repository.commit("go on")
    digests = set()
    for into, other in (("redacts", "goes-on"), ("goes-on", "redacts")):
        repository.branch("merged", into)
        repository.merge(other)
        assert holds(repository.root) == []
        assert repository.problems() == []
        with store.traces.projection() as projection:
            state = projection.get(secret)
        assert state is not None
        assert state.redacted
        assert not state.active
        digests.add(take_snapshot(store.log).digest)
    assert len(digests) == 1


def test_plain_text_that_comes_back_fails_verification_until_it_is_swept(
    repository: GitStore,
) -> None:
    store = repository.store
    record(store, "A?")
    repository.commit("one trace")
    repository.branch("redacts")
    # It is redacted here before it was ever recorded here.
    secret = imported(SECRET).id
    done = store.traces.redact([secret], reason="r")
    assert (done.n_new, done.n_unknown, done.removed) == (1, 1, ())
    repository.commit("redact it")
    repository.branch("records", "main")
    store.traces.add(SECRET)
    repository.commit("record it")
    repository.merge("redacts")
    (problem,) = repository.problems()
    assert "redacted is here in plain text" in problem
    done = store.traces.sweep()
    assert len(done.removed) == 1
    assert holds(repository.root) == []
    assert repository.problems() == []
    # Importing it again drops it.
    (_,), report = store.traces.add(SECRET)
    assert (report.recorded, report.dropped) == (0, {"redacted before": 1})


def test_a_merge_that_stops_at_a_redaction_is_mended_by_a_sweep(repository: GitStore) -> None:
    """Two branches import the same file, which neither had in common, and one redacts."""
    store = repository.store
    for branch in ("left", "right"):
        repository.branch(branch)
        (secret,), _ = store.traces.add(SECRET)
        record(store, "A?", "B?")
        if branch == "right":
            store.traces.redact([secret], reason="r")
        tip = repository.commit(branch)
    repository.merge("left", expect=1)
    assert any("redact --sweep` joins the two sides" in text for text in repository.problems())
    done = store.traces.sweep()
    assert len(done.repaired) == 1
    assert holds(repository.root) == []
    assert repository.problems() == []
    repository.commit("merged")
    repository.branch("other-way", "left")
    repository.git("-c", "merge.conflictStyle=diff3", "merge", "-q", tip, expect=1)
    assert len(store.traces.sweep().repaired) == 1
    assert repository.problems() == []
    assert repository.git("diff", "right", "--", "store") == ""


def test_a_conflict_that_is_more_than_a_redaction_is_left_alone(repository: GitStore) -> None:
    store = repository.store
    record(store, "A?")
    (ref,) = store.log.segments()
    path = ref.path / "0000.jsonl"
    envelope, payload, _ = path.read_bytes().split(b"\n")
    for ours, theirs in (
        (envelope + b"\n" + payload, envelope + b"\n{}"),
        (envelope, envelope + b"\n" + payload),
    ):
        conflict = b"<<<<<<< a\n%b\n=======\n%b\n>>>>>>> b\n" % (ours, theirs)
        path.write_bytes(conflict)
        with pytest.raises(DamagedError, match="differ in more than a redaction"):
            store.traces.sweep()
        assert path.read_bytes() == conflict
    path.write_bytes(b"<<<<<<< a\n%b\n" % envelope)
    with pytest.raises(DamagedError, match="git checkout --ours"):
        store.traces.sweep()


def test_files_that_quote_the_prompt_are_named(repository: GitStore) -> None:
    store = repository.store
    (secret,), _ = store.traces.add(SECRET)
    run = repository.root / "runs" / "x"
    run.mkdir()
    (run / "model.safetensors").write_text(SECRET.prompt)
    far = "x" * (1024 * 1024 - 10)
    (run / "notes.md").write_text(far + SECRET.prompt, encoding="utf-8")
    for name, ascii_only in (("escaped", True), ("plain", False)):
        line = json.dumps({"prompt": SECRET.prompt}, ensure_ascii=ascii_only)
        (repository.root / "evalsets" / f"{name}.jsonl").write_text(line, encoding="utf-8")
    (repository.root / "evalsets" / "other.jsonl").write_text("{}")
    (run / "manifest.json").unlink(missing_ok=True)
    from tunixrt.jobs.remains import _quoting

    found = [path.name for path in _quoting(store.layout, [SECRET.prompt], [])]
    assert found == ["escaped.jsonl", "plain.jsonl", "notes.md"]
    assert secret


def test_the_weights_and_predictions_that_have_seen_a_trace_are_named(copy: Store) -> None:
    trained = next(
        run.run_id for run in [run.manifest for run in copy.runs] if hasattr(run, "ledger")
    )
    member = next(iter(copy.datasets["sums-v1"].members())).trace
    done = copy.traces.redact([member], reason="r")
    assert done.remains.datasets == ["sums-v1"]
    assert done.remains.training_runs == [trained]
    assert len(done.remains.evaluation_runs) == 1
    assert done.remains.n_commits is None
    assert copy.verify(rebuild=True).ok


def test_perturbed_copies_are_named_until_they_are_redacted_too(repository: GitStore) -> None:
    store = repository.store
    steps = [{"i": i, "type": "t", "content": text} for i, text in enumerate(("1+2=3", "read"))]
    (secret,), _ = store.traces.add(trace("Add 1 and 2.", steps=steps))
    # A trace that only quotes what a copy says about its original is not a copy.
    record(store, f'"perturbed_from":"{secret}"')
    for kind in ("digit", "swap"):
        store.traces.perturb([secret], kind=kind, seed=0)
    copies = [found.id for found in store.traces.select({"perturbed_from": secret})]
    assert len(copies) == 2
    assert store.traces.redact([secret], reason="r").remains.copies == copies
    assert store.traces.redact([copies[0]], reason="r").remains.copies == []
    assert store.traces.sweep().remains.copies == copies[1:]


def test_the_command_for_git_history_removes_the_payload_and_nothing_else(
    repository: GitStore,
) -> None:
    """`git filter-repo` calls the text between the quotation marks with each blob."""
    store = repository.store
    (secret,), _ = store.traces.add(SECRET)
    others = record(store, "A?")
    parts = {path: path.read_bytes() for path in (repository.root / "store").rglob("*.jsonl")}
    done = store.traces.redact([secret], reason="r")
    head, body, tail = done.history_command.split("'")
    assert (head, tail) == ("git filter-repo --force --blob-callback ", "")

    class Blob:
        data = b""

    blob = Blob()
    code = compile("def callback(blob):\n" + textwrap.indent(body, "    "), "callback", "exec")
    names: dict[str, object] = {}
    exec(code, names)
    for path, data in parts.items():
        blob.data = data
        names["callback"](blob)  # type: ignore[operator]
        assert blob.data == path.read_bytes()
    blob.data = b"\x00binary\n\nnull"
    names["callback"](blob)  # type: ignore[operator]
    assert blob.data == b"\x00binary\n\nnull"
    assert others


def test_a_repository_without_commits_has_no_history(tmp_path: Path) -> None:
    from tunixrt import Store
    from tunixrt.log.git import git

    git(tmp_path, "init", "-q")
    store = Store.init(tmp_path)
    (a,) = record(store, "A?")
    assert store.traces.redact([a], reason="r").remains.n_commits == 0
    assert store.traces.redact([a], reason="r").remains.n_commits == 0


def test_a_redaction_of_nothing_known_by_a_prefix_or_at_no_time_changes_nothing(
    repository: GitStore,
) -> None:
    store = repository.store
    record(store, "A?")
    with pytest.raises(TraceLookupError):
        store.traces.redact(["abcdef12"], reason="r")
    with pytest.raises(TimeError):
        redact_traces(
            store.layout, store.log, [from_hex("1" * 64)], reason="r", recorded_at="today"
        )
    assert repository.git("status", "--porcelain", "store").count("segment") == 0
    assert len(store.log.segments()) == 1


def test_what_cannot_be_read_does_not_stop_a_redaction(repository: GitStore) -> None:
    store = repository.store
    (secret,), _ = store.traces.add(SECRET)
    dataset = store.datasets.build("all", "v1").dataset
    repository.commit("a dataset")
    (dataset.path / "manifest.json").write_bytes(b"{}")
    (repository.root / "runs" / ("a" * 64)).mkdir()
    for pack in (repository.root / ".git" / "objects").glob("??/*"):
        pack.unlink()
    done = store.traces.redact([secret], reason="r")
    assert done.n_new == 1
    assert len(done.remains.unreadable) == 2
    assert done.remains.n_commits is None
    assert holds(repository.root) == []


def test_facts_that_branches_state_differently_are_in_status_until_they_are_decided(
    repository: GitStore,
) -> None:
    store = repository.store
    (secret,), _ = store.traces.add(SECRET)
    repository.commit("a trace")
    for name in ("good", "bad"):
        repository.branch(name)
        store.traces.label([secret], {"quality": name})
        store.datasets.build("d", "v1", limit=1 if name == "good" else None)
        repository.commit(name)
    repository.merge("good")
    status = store.status()
    (conflict,) = status.conflicts
    assert (conflict.trace, conflict.fact) == (secret, "label:quality")
    assert {claim.value for claim in conflict.claims} == {"good", "bad"}
    assert list(status.ambiguous_datasets) == ["d-v1"]
    assert store.traces.label([secret], {"quality": "good"}).n_new == 1
    assert store.status().conflicts == []
    assert store.traces[secret].state.labels == {"quality": "good"}
