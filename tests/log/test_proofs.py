from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.making.events import trace, trace_id, traces
from tunixrt.errors import ExitCode
from tunixrt.log.canonical import encode
from tunixrt.log.digests import from_hex
from tunixrt.log.proofs import NotInSnapshotError, Proof, ProofError, check_proof, prove
from tunixrt.log.redaction import redact
from tunixrt.log.segment.events import Envelope
from tunixrt.log.snapshots import take_snapshot

if TYPE_CHECKING:
    from tunixrt.log.eventlog import EventLog

pytestmark = pytest.mark.usefixtures("without_fsync")


@pytest.fixture
def grown(log: EventLog) -> EventLog:
    log.append(traces(*range(13)))
    log.append(traces(20, 3))
    log.append([(Envelope("trace.retracted", trace=trace_id(3)), None), trace(21)])
    return log


def test_every_trace_of_a_snapshot_can_be_proven_without_the_store(grown: EventLog) -> None:
    snapshot = take_snapshot(grown)
    for n in (*range(13), 20, 21):
        proof = prove(grown, snapshot, trace_id(n))
        sent = msgspec.json.decode(encode(proof), type=Proof)
        assert sent == proof
        check_proof(sent, snapshot.digest, trace_id(n))


def test_a_proof_stays_valid_when_the_trace_is_redacted_and_the_log_grows(
    grown: EventLog,
) -> None:
    snapshot = take_snapshot(grown)
    proof = prove(grown, snapshot, trace_id(3))
    redact(grown, [trace_id(3)])
    grown.append(traces(30))
    assert prove(grown, snapshot, trace_id(3)) == proof
    check_proof(proof, snapshot.digest, trace_id(3))
    assert (trace(3)[1] or b"").decode() not in encode(proof).decode()


def test_what_a_snapshot_does_not_hold_cannot_be_proven(grown: EventLog) -> None:
    snapshot = take_snapshot(grown)
    grown.append(traces(30))
    with pytest.raises(NotInSnapshotError, match="does not hold the trace") as caught:
        prove(grown, snapshot, trace_id(30))
    assert caught.value.trace == trace_id(30)
    assert caught.value.exit_code == ExitCode.BAD_INPUT


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"format": "x"}, "not a proof of format"),
        ({"trace": trace_id(4)}, "not a proof of format .* for the trace"),
        ({"envelope": Envelope("trace.recorded", payload=trace_id(4))}, "does not record"),
        (
            {"envelope": Envelope("trace.scored", payload=trace_id(3), trace=trace_id(3))},
            "does not record",
        ),
        (
            {
                "envelope": Envelope(
                    "trace.recorded", payload=trace_id(3), recorded_at="2026-01-31T12:00:00Z"
                )
            },
            "envelope in the proof is not part of the segment",
        ),
        ({"position": 4}, "envelope in the proof is not part of the segment"),
        ({"position": -1}, "envelope in the proof is not part of the segment"),
        ({"position": 13}, "envelope in the proof is not part of the segment"),
        ({"envelope_path": ()}, "envelope in the proof is not part of the segment"),
        ({"envelope_path": ("zz",)}, "envelope in the proof is not part of the segment"),
        ({"segment_path": ()}, "in the proof is not part of the snapshot"),
        ({"segment_index": 3}, "in the proof is not part of the snapshot"),
    ],
)
def test_a_proof_that_was_changed_proves_nothing(
    grown: EventLog, changes: dict[str, object], sentence: str
) -> None:
    snapshot = take_snapshot(grown)
    proof = msgspec.structs.replace(prove(grown, snapshot, trace_id(3)), **changes)
    with pytest.raises(ProofError, match=sentence) as caught:
        check_proof(proof, snapshot.digest, trace_id(3))
    assert caught.value.exit_code == ExitCode.ANSWER_IS_NO


def test_a_proof_for_one_snapshot_is_none_for_another(grown: EventLog) -> None:
    snapshot = take_snapshot(grown)
    proof = prove(grown, snapshot, trace_id(3))
    with pytest.raises(ProofError, match="not for sha256:1111"):
        check_proof(proof, from_hex("1" * 64), trace_id(3))
    other = msgspec.structs.replace(proof.segment, lamport=9)
    changed = msgspec.structs.replace(proof, segment=other)
    with pytest.raises(ProofError, match="in the proof is not part of the snapshot"):
        check_proof(changed, snapshot.digest, trace_id(3))
