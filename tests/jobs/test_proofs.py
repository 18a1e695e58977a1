"""Proofs that anyone can check: a trace in a snapshot or dataset, one snapshot in another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.making.traces import trace
from tunixrt import Store
from tunixrt.datasets.member_proofs import NotAMemberError, check_member
from tunixrt.errors import BadInputError, ExitCode
from tunixrt.jobs import proofs
from tunixrt.jobs.proofs import ProofFileError, check_proof_file
from tunixrt.log.canonical import encode
from tunixrt.log.digests import Digest, from_hex
from tunixrt.log.proofs import NotInSnapshotError, ProofError
from tunixrt.log.snapshot_diff import NotContainedError, check_extension, prove_extension

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.init(tmp_path)


def record(store: Store, *prompts: str) -> list[Digest]:
    return [store.traces.add(trace(prompt)).ids[0] for prompt in prompts]


def write(tmp_path: Path, proof: object) -> Path:
    path = tmp_path / "proof.json"
    path.write_bytes(encode(proof) + b"\n")
    return path


def test_every_member_of_a_dataset_can_be_proven_and_nothing_else(
    store: Store, tmp_path: Path
) -> None:
    ids = record(store, *"ABCDEFG")
    dataset = store.datasets.build("all", "v1", splits={"test": "0.3"}).dataset
    (other,) = record(store, "Z")
    for wanted in ids:
        proof = store.datasets.prove(wanted[7:19], "all-v1")
        proven = check_proof_file(write(tmp_path, proof), frozenset({wanted, dataset.digest}))
        assert (proven.trace, proven.dataset) == (wanted, dataset.digest)
        assert f"in the split {proof.member.split}" in proven.statement
    with pytest.raises(NotAMemberError, match="all-v1 does not list the trace") as caught:
        store.datasets.prove(other, "all-v1")
    assert caught.value.trace == other
    with pytest.raises(ProofError, match=r"for the dataset sha256:.*, not for sha256:1111"):
        check_member(proof, from_hex("1" * 64), wanted)
    with pytest.raises(ProofError, match="not a proof of format"):
        check_member(proof, dataset.digest, other)


def test_a_trace_is_proven_in_a_snapshot_that_was_taken_for_it(
    store: Store, tmp_path: Path
) -> None:
    a, b = record(store, "A", "B")
    proof = store.snapshots.prove(a)
    proven = check_proof_file(write(tmp_path, proof))
    (snapshot,) = list(store.snapshots)
    assert (proven.trace, proven.snapshot) == (a, snapshot.digest)
    (c,) = record(store, "C")
    assert store.snapshots.prove(b, snapshot.digest[7:20]).snapshot == proof.snapshot
    with pytest.raises(NotInSnapshotError):
        store.snapshots.prove(c, snapshot.digest)


def test_a_snapshot_is_proven_to_contain_the_older_one(store: Store, tmp_path: Path) -> None:
    record(store, "A")
    old = store.snapshots.create()
    record(store, "B", "C")
    proof = store.snapshots.prove_containing(old.digest[7:20])
    (new,) = (s for s in store.snapshots if s != old)
    proven = check_proof_file(write(tmp_path, proof), frozenset({old.digest, new.digest}))
    assert (proven.contained, proven.snapshot) == (old.digest, new.digest)
    assert "and 2 more segments" in proven.statement
    with pytest.raises(NotContainedError, match="lacks 2 of its segments") as caught:
        store.snapshots.prove_containing(new.digest, old.digest)
    assert len(caught.value.missing) == 2
    for names, what in (((new.digest, new.digest), "old"), ((old.digest, old.digest), "new")):
        with pytest.raises(ProofError, match=f"The {what} snapshot in the proof is"):
            check_extension(proof, *names)
    with pytest.raises(ProofError, match="not a proof of format"):
        check_extension(msgspec.structs.replace(proof, format="x"), old.digest, new.digest)
    empty = check_proof_file(write(tmp_path, prove_extension(old, old)))
    assert empty.contained == empty.snapshot == old.digest


def change(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    *parents, last = path.split(".")
    inner = document
    for name in parents:
        inner = inner[name]
    inner[last] = value(inner[last]) if callable(value) else value
    return document


@pytest.mark.parametrize(
    ("kind", "path", "value", "sentence"),
    [
        ("member", "index", 1, "not part of the dataset"),
        ("member", "path", lambda p: p[:-1], "not part of the dataset"),
        ("member", "path", ["zz"], "not part of the dataset"),
        ("member", "member.split", "validation", "not part of the dataset"),
        ("member", "dataset.n_members", 9, "not part of the dataset"),
        ("extension", "segments", lambda s: s * 2, "twice"),
        ("extension", "segments", list, None),
        ("extension", "added", ["x"], "named by a digest"),
        ("extension", "added", lambda s: s[1:], "not those of the new snapshot"),
        ("extension", "segments", lambda s: s[1:], "not those of the old snapshot"),
        ("extension", "old.n_segments", 9, "not those of the old snapshot"),
        ("recorded", "position", 1, "not part of the segment"),
    ],
)
def test_a_proof_that_was_changed_proves_nothing(
    store: Store,
    tmp_path: Path,
    kind: str,
    path: str,
    value: Callable[[Any], Any] | object,
    sentence: str | None,
) -> None:
    a, *_ = record(store, "A", "B", "C")
    store.datasets.build("all", "v1")
    (old,) = list(store.snapshots)
    record(store, "D", "E")
    made: dict[str, object] = {
        "member": store.datasets.prove(a, "all-v1"),
        "extension": store.snapshots.prove_containing(old.digest),
        "recorded": store.snapshots.prove(a),
    }
    changed = change(json.loads(encode(made[kind])), path, value)
    if sentence is None:
        assert check_proof_file(write(tmp_path, changed)).snapshot
        return
    # `index` may be that of the very member; then move it elsewhere.
    if path == "index" and changed["index"] == json.loads(encode(made[kind]))["index"]:
        changed["index"] = 0
    with pytest.raises(ProofError, match=sentence) as caught:
        check_proof_file(write(tmp_path, changed))
    assert caught.value.exit_code == ExitCode.ANSWER_IS_NO


def test_a_proof_about_something_else_does_not_pass(store: Store, tmp_path: Path) -> None:
    (a,) = record(store, "A")
    path = write(tmp_path, store.snapshots.prove(a))
    with pytest.raises(ProofError, match=r"not about sha256:1111.*It proves this: The snapshot"):
        check_proof_file(path, frozenset({a, from_hex("1" * 64)}))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The text is empty"),
        (b"[]", "its `format` is not tunixrt-proof-1, tunixrt-member-proof-1"),
        (b'{"format":1}', "its `format` is not tunixrt-proof-1"),
        (b'{"format":"tunixrt-proof-2"}', "its `format` is not tunixrt-proof-1"),
        (b'{"format":"tunixrt-proof-1"}', "missing required field"),
        (b'{"format":"x","format":"y"}', "format"),
    ],
)
def test_a_file_that_is_no_proof_gets_a_sentence(
    tmp_path: Path, data: bytes, sentence: str
) -> None:
    path = tmp_path / "proof.json"
    path.write_bytes(data)
    with pytest.raises(ProofFileError, match="is not a proof") as caught:
        check_proof_file(path)
    assert sentence in str(caught.value)
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert caught.value.path == path


def test_a_file_that_is_absent_huge_or_about_no_trace_gets_a_sentence(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ProofFileError, match="cannot be read"):
        check_proof_file(tmp_path / "absent")
    (a,) = record(store, "A")
    document = json.loads(encode(store.snapshots.prove(a)))
    path = write(tmp_path, document | {"trace": "A"})
    with pytest.raises(ProofFileError, match="`trace` is not a digest"):
        check_proof_file(path)
    monkeypatch.setattr(proofs, "MAX_PROOF_BYTES", 10)
    with pytest.raises(ProofFileError, match="larger than 10 bytes"):
        check_proof_file(path)


def test_snapshots_are_compared(store: Store) -> None:
    a, *_ = record(store, "A", "B")
    first = store.snapshots.create()
    store.traces.retract([a])
    record(store, "C")
    second = store.snapshots.create()
    found = store.snapshots.diff(first.digest, second.digest)
    assert (found.relation, found.n_common) == ("contained", 2)
    assert found.only_b.events == {"trace.recorded": 1, "trace.retracted": 1}
    assert found.only_a.segments == ()
    assert store.snapshots.diff(second.digest, first.digest).relation == "contains"
    same = store.snapshots.diff(first.digest, first.digest)
    assert (same.relation, same.only_a.events) == ("same", {})
    with pytest.raises(BadInputError, match="No snapshot begins with"):
        store.snapshots["abcdef"]
    with pytest.raises(BadInputError, match="too short"):
        store.snapshots["abc"]


def test_snapshots_of_branches_stand_apart(tmp_path: Path) -> None:
    from tunixrt.log.snapshot_diff import diff_snapshots
    from tunixrt.log.snapshots import take_snapshot

    store = Store.init(tmp_path)
    (tmp_path / "other").mkdir()
    other = Store.init(tmp_path / "other")
    record(store, "A")
    record(other, "B")
    a, b = take_snapshot(store.log), take_snapshot(other.log)
    (ref,) = other.log.segments()
    target = store.layout.segment(ref.digest)
    target.parent.mkdir(exist_ok=True)
    ref.path.rename(target)
    found = diff_snapshots(store.log, a, b)
    assert (found.relation, found.n_common) == ("apart", 0)
    with pytest.raises(NotContainedError):
        prove_extension(a, b)
