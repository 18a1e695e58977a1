"""Where payloads are: one pass over the log finds what the fold finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.making.conversations import conversation, turns
from tests.making.traces import Place, trace
from tunixrt.datasets.recipes import Split
from tunixrt.datasets.selection import Member
from tunixrt.log.digests import Digest, from_raw, raw_of
from tunixrt.log.findings import DamagedError
from tunixrt.log.redaction import redact
from tunixrt.traces.facts import redacted, retracted
from tunixrt.traces.payloads import read_payload
from tunixrt.traces.recordings import Recordings
from tunixrt.traces.state import project

if TYPE_CHECKING:
    from collections.abc import Sequence


def segments(place: Place) -> list[Digest]:
    return [ref.digest for ref in place.log.segments()]


def by_fold(place: Place) -> list[tuple[Any, ...]]:
    with project(place.log) as projection:
        states = sorted(projection.traces(), key=lambda state: state.id)
        return [(s.id, s.recorded_at, read_payload(place.log, s)) for s in states if s.location]


def by_pass(place: Place, listed: Sequence[Digest] | None = None) -> list[tuple[Any, ...]]:
    with Recordings(place.log, listed or segments(place)) as recordings:
        ids = [Member(from_raw(found.raw), Split.TRAIN) for found in recordings.by_id()]
        return [
            (member.trace, recordings.recorded_at(found), payload)
            for member, found, payload in recordings.read(ids)
        ]


@pytest.mark.parametrize("run", [3, 200_000])
def test_one_pass_finds_what_the_fold_finds(
    place: Place, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In memory, and in runs on disk that are merged."""
    monkeypatch.setattr("tunixrt.traces.recordings._RUN", run)
    monkeypatch.setattr("tunixrt.traces.recordings._READ_AT_ONCE", 2)
    for n in range(5):
        place.record(*(trace(f"Problem {n * 3 + k}") for k in range(6)))  # half of them again
    a, b = place.record(trace("a"), trace("b"), recorded_at="2026-11-24T12:00:00Z")
    place.record(conversation(), turns("Hello?", "Yes."))
    place.say(retracted(b))
    redact(place.log, [a])
    found = by_pass(place)
    assert found == by_fold(place)
    assert len(found) == 22
    assert (a, "2026-11-24T12:00:00Z", None) in found


def test_a_redaction_in_a_later_segment_is_known(place: Place) -> None:
    (a,) = place.record(trace("a"))
    before = segments(place)
    place.say(redacted(a))
    with Recordings(place.log, before) as recordings:
        assert recordings.forgotten == {raw_of(a)}
        members = [Member(a, Split.TRAIN)]
        assert [payload for _, _, payload in recordings.read(members)] == [None]


def test_conversations_and_their_tools_are_known_without_reading_them_again(place: Place) -> None:
    ids = place.record(trace("a"), turns("Hello?", "Yes."), conversation())
    with Recordings(place.log, segments(place)) as recordings:
        known = {
            from_raw(found.raw): (found.is_conversation, found.may_have_tools)
            for found in recordings.by_id()
        }
    assert [known[one] for one in ids] == [(False, False), (True, False), (True, True)]


def test_a_flipped_byte_of_a_payload_is_damage(place: Place) -> None:
    (a,) = place.record(trace())
    part = next(place.layout.log.rglob("0000.jsonl"))
    part.write_bytes(part.read_bytes().replace(b"What", b"Whau", 1))
    with pytest.raises(DamagedError) as error:
        by_pass(place)
    assert a in str(error.value)


def test_an_envelope_that_is_none_is_damage_with_its_line(place: Place) -> None:
    place.record(trace("a"), trace("b"))
    part = next(place.layout.log.rglob("0000.jsonl"))
    lines = part.read_bytes().split(b"\n")
    lines[2] = lines[2].replace(b"sha256", b"sha257")
    part.write_bytes(b"\n".join(lines))
    with pytest.raises(DamagedError, match=r"0000\.jsonl, line 3: .*payload"):
        by_pass(place)
