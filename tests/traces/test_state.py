"""The state of every trace: a fold over the log that decides conflicts the same way everywhere."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.making.traces import Place, branch, merged, trace
from tunixrt.log.digests import Digest, digest_bytes
from tunixrt.log.redaction import redact
from tunixrt.log.segment.events import Envelope
from tunixrt.log.segment.header import DamagedError
from tunixrt.log.snapshots import take_snapshot
from tunixrt.traces import facts as events
from tunixrt.traces.facts import (
    EventContentError,
    labelled,
    redacted,
    reinstated,
    retracted,
    scored,
    superseded,
)
from tunixrt.traces.importers.table import imported
from tunixrt.traces.importing import import_traces
from tunixrt.traces.known_traces import KnownTraces
from tunixrt.traces.scores import baseline_score
from tunixrt.traces.state import Ancestry, Projection, TraceState, fold, project
from tunixrt.traces.state_table import Location

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from tunixrt.log.segment.events import StoredEvent

UNKNOWN = digest_bytes(b"unknown")


def state(place: Place, trace_id: Digest) -> TraceState:
    with project(place.log) as projection:
        found = projection.get(trace_id)
    assert found is not None
    return found


def test_a_recorded_trace_is_active_and_says_where_its_payload_is(place: Place) -> None:
    ids = place.record(trace("a"), trace("b"), recorded_at="2026-11-24T12:00:00Z")
    with project(place.log) as projection:
        states = list(projection.active())
        assert [s.id for s in states] == ids
        assert [s.place for s in states] == [0, 1]
        assert states[0].recorded_at == "2026-11-24T12:00:00Z"
        at = states[1].location
        assert isinstance(at, Location)
        payload = place.log.read_payload(at.segment, at.part, at.offset, at.length)
        assert payload is not None
        assert digest_bytes(payload) == ids[1]
        assert (projection.n_traces, projection.n_active) == (2, 2)


def test_the_place_of_a_trace_is_its_first_recording(place: Place, tmp_path: Path) -> None:
    other = branch(place, tmp_path / "other")
    (a,) = place.record(trace("a"))
    (b,) = other.record(trace("b"))
    other.record(trace("a"))
    merged(place, other)
    with project(place.log) as projection:
        assert {s.id for s in projection.active()} == {a, b}
        assert projection.n_traces == 2
        # The recording of the lowest lamport counts, in whatever order its segment is named.
        assert [s.place for s in projection.active()] == [0, 1]


def test_scores_and_labels_hold_until_the_next_of_their_name(place: Place) -> None:
    (a,) = place.record(trace())
    score = baseline_score(trace())
    place.say(scored(a, score), labelled(a, "quality", "good"), labelled(a, "topic", "sums"))
    assert state(place, a).scores == {"baseline": score.score}
    place.say(labelled(a, "quality", "bad"), labelled(a, "topic", None))
    found = state(place, a)
    assert (found.labels, found.active) == ({"quality": "bad"}, True)


def test_a_superseded_and_a_retracted_trace_is_not_active(place: Place) -> None:
    a, b, c = place.record(trace("a"), trace("b"), trace("c"))
    place.say(superseded(a, b, "typing error"), retracted(c))
    assert state(place, a).superseded_by == b
    assert state(place, c).retracted
    with project(place.log) as projection:
        assert [s.id for s in projection.active()] == [b]
        assert [s.id for s in projection.traces()] == [a, b, c]
        assert projection.n_active == 1


def test_a_reinstated_trace_is_active_again_until_the_next_retraction(place: Place) -> None:
    a, b, c = place.record(trace("a"), trace("b"), trace("c"))
    place.say(superseded(a, b), retracted(c), retracted(a))
    place.say(reinstated(a, "the successor was wrong"), reinstated(c))
    for one in (a, c):
        found = state(place, one)
        assert (found.active, found.retracted, found.superseded_by) == (True, False, None)
    with project(place.log) as projection:
        assert [s.id for s in projection.active()] == [a, b, c]
        assert projection.n_active == 3
        assert projection.circles() == []
    place.say(retracted(a))
    assert state(place, a).retracted


def test_a_retraction_and_a_reinstatement_on_two_branches_are_a_conflict_and_the_last_counts(
    place: Place, tmp_path: Path
) -> None:
    (a,) = place.record(trace("a"))
    other = branch(place, tmp_path / "other")
    ours = place.say(retracted(a), reinstated(a))
    theirs = other.say(retracted(a))
    merged(place, other)
    with project(place.log) as projection:
        (conflict,) = projection.conflicts()
        assert (conflict.trace, conflict.fact) == (a, "retracted")
        assert {claim.segment: claim.value for claim in conflict.claims} == {
            ours: False,
            theirs: True,
        }
        assert projection.get(a).retracted == (theirs > ours)  # type: ignore[union-attr]
    place.say(reinstated(a))
    with project(place.log) as projection:
        assert list(projection.conflicts()) == []
        assert [s.id for s in projection.active()] == [a]


def test_a_redaction_beats_a_later_reinstatement(place: Place) -> None:
    (a,) = place.record(trace("a"))
    place.say(redacted(a, "as asked"))
    place.say(reinstated(a))
    found = state(place, a)
    assert (found.redacted, found.active) == (True, False)
    with project(place.log) as projection:
        assert projection.n_active == 0


def test_a_redacted_trace_is_not_active_and_keeps_no_payload(place: Place) -> None:
    a, b = place.record(trace("a"), trace("b"))
    redact(place.log, [a])
    found = state(place, a)
    assert (found.redacted, found.kept, found.active) == (True, False, False)
    assert state(place, b).active


def test_a_redaction_beats_every_later_event(place: Place) -> None:
    (a,) = place.record(trace("a"))
    place.say(redacted(a, "as asked"))
    place.say(labelled(a, "quality", "good"))
    found = state(place, a)
    assert (found.redacted, found.active, found.labels) == (True, False, {"quality": "good"})


def test_events_on_a_trace_that_nothing_records_are_kept_for_a_later_merge(place: Place) -> None:
    place.say(labelled(UNKNOWN, "quality", "good"))
    found = state(place, UNKNOWN)
    assert (found.place, found.location, found.active) == (None, None, False)
    assert found.labels == {"quality": "good"}
    with project(place.log) as projection:
        assert projection.n_traces == 0
        assert projection.get(digest_bytes(b"nobody speaks of it")) is None


def test_two_branches_that_differ_are_a_conflict_and_the_last_in_order_counts(
    place: Place, tmp_path: Path
) -> None:
    (a,) = place.record(trace("a"))
    other = branch(place, tmp_path / "other")
    ours = place.say(labelled(a, "quality", "good"))
    theirs = other.say(labelled(a, "quality", "bad"))
    merged(place, other)
    with project(place.log) as projection:
        (conflict,) = projection.conflicts()
        assert (conflict.trace, conflict.fact) == (a, "label:quality")
        said = {claim.segment: claim.value for claim in conflict.claims}
        assert said == {ours: "good", theirs: "bad"}
        last = max(ours, theirs)
        assert projection.get(a).labels == {"quality": said[last]}  # type: ignore[union-attr]


def test_two_branches_that_agree_are_no_conflict(place: Place, tmp_path: Path) -> None:
    (a,) = place.record(trace("a"))
    other = branch(place, tmp_path / "other")
    place.say(labelled(a, "quality", "good"), retracted(a, "ours"))
    other.say(labelled(a, "quality", "good"), labelled(a, "x", "y"), retracted(a, "theirs"))
    merged(place, other)
    with project(place.log) as projection:
        assert list(projection.conflicts()) == []


def test_an_event_that_has_seen_both_sides_decides_a_conflict(place: Place, tmp_path: Path) -> None:
    a, b, c = place.record(trace("a"), trace("b"), trace("c"))
    other = branch(place, tmp_path / "other")
    place.say(superseded(a, b))
    other.say(superseded(a, c))
    merged(place, other)
    with project(place.log) as projection:
        (conflict,) = projection.conflicts()
        assert conflict.fact == "superseded"
    place.say(superseded(a, b))
    with project(place.log) as projection:
        assert list(projection.conflicts()) == []
        assert projection.get(a).superseded_by == b  # type: ignore[union-attr]


def test_without_a_history_every_event_follows_the_one_before(place: Place) -> None:
    (a,) = place.record(trace("a"))
    place.say(labelled(a, "quality", "good"))
    place.say(labelled(a, "quality", "bad"))
    with fold(place.log.events()) as projection:
        assert list(projection.conflicts()) == []
        assert projection.get(a).labels == {"quality": "bad"}  # type: ignore[union-attr]


def test_a_projection_at_earlier_segments_knows_nothing_later(place: Place) -> None:
    (a,) = place.record(trace("a"))
    first = [ref.digest for ref in place.log.segments()]
    place.say(retracted(a))
    with project(place.log, first) as projection:
        assert projection.get(a).active  # type: ignore[union-attr]


def test_an_event_that_makes_no_sense_is_reported_and_changes_nothing(place: Place) -> None:
    (a,) = place.record(trace("a"))
    odd = b'{"label":"quality"}'
    none = b'{"by":"nobody"}'
    place.say(
        (Envelope(type=events.LABELLED, payload=digest_bytes(odd), trace=a), odd),
        (Envelope(type=events.SUPERSEDED, payload=digest_bytes(none), trace=a), none),
        (Envelope(type=events.RETRACTED), None),
        (Envelope(type=events.SCORED, trace=a), None),
        (Envelope(type="dataset.released"), None),
        (Envelope(type="run.promoted"), None),
    )
    with project(place.log) as projection:
        assert projection.get(a).active  # type: ignore[union-attr]
        sentences = [problem.sentence for problem in projection.problems]
    assert [problem.line for problem in projection.problems] == [1, 3, 5, 7]
    assert sentences[0].startswith("An event of the type trace.labelled cannot be read: Object mis")
    assert "what it names is not a trace id" in sentences[1]
    assert "it does not name its trace" in sentences[2]


@pytest.mark.parametrize("named", [None, "sha256:" + "0" * 63, "sha256:" + "0" * 63 + "g"])
def test_a_recording_that_names_no_trace_is_damage_and_not_passed_over(
    place: Place, named: str | None
) -> None:
    place.record(trace())
    (event,) = place.log.events()
    digest = None if named is None else Digest(named)
    damaged = msgspec.structs.replace(
        event, envelope=msgspec.structs.replace(event.envelope, payload=digest)
    )
    with pytest.raises(
        DamagedError, match=r"/0000\.jsonl, line 1: A trace\.recorded event does not"
    ):
        fold([damaged])


def test_a_fact_whose_content_was_redacted_is_passed_over(place: Place) -> None:
    (a,) = place.record(trace("a"))
    place.say(labelled(a, "quality", "good"))
    stored = [
        msgspec.structs.replace(event, payload=None)
        if event.envelope.type == events.LABELLED
        else event
        for event in place.log.events()
    ]
    with fold(stored) as projection:
        assert projection.problems == ()
        assert projection.get(a).labels == {}  # type: ignore[union-attr]


def test_labels_have_limits_and_nothing_supersedes_itself() -> None:
    for label, text in (("", "x"), ("x", ""), ("x" * 201, None), ("x", "y" * 201)):
        with pytest.raises(EventContentError, match="should be text of 1 to 200 characters"):
            labelled(UNKNOWN, label, text)
    with pytest.raises(EventContentError, match="cannot supersede itself"):
        superseded(UNKNOWN, UNKNOWN)


def test_ancestry_is_reflexive_and_transitive(place: Place, tmp_path: Path) -> None:
    place.record(trace("a"))
    other = branch(place, tmp_path / "other")
    place.record(trace("b"))
    other.record(trace("c"))
    merged(place, other)
    place.record(trace("d"))
    base, left, right, top = (ref.digest for ref in place.log.segments())
    is_ancestor = Ancestry(place.log.segments())
    for older, newer in ((base, base), (base, left), (base, top), (left, top), (right, top)):
        assert is_ancestor(older, newer)
    for older, newer in ((left, base), (left, right), (right, left), (top, base)):
        assert not is_ancestor(older, newer)


# Property tests


def dump(projection: Projection) -> object:
    return [*projection.traces()], [*projection.conflicts()]


def last_of(types: list[str], *wanted: str) -> str | None:
    """The last of these types of events, if any of them is among them."""
    return next((name for name in reversed(types) if name in wanted), None)


def branches_of(root: Path, moves: list[tuple[int, int, int]]) -> list[Place]:
    """Branches of a log: each move appends to one of those that there were, and is a new one."""
    branches = [Place.at(root / "0")]
    ids = [imported(trace(str(n))).id for n in range(3)]
    for number, (onto, subject, what) in enumerate(moves, start=1):
        new = branch(branches[onto % len(branches)], root / str(number))
        match what:
            case 0 | 1:
                import_traces(new.log, [imported(trace(str(subject)))])
            case 2:
                new.say(labelled(ids[subject], "q", str(number)))
            case 3:
                new.say(superseded(ids[subject], ids[(subject + 1) % 3]))
            case 4:
                new.say(retracted(ids[subject]))
            case 6 | 7:
                new.say(reinstated(ids[subject]))
            case _:
                new.say(redacted(ids[subject]))
        branches.append(new)
    return branches


def history(root: Path, moves: list[tuple[int, int, int]]) -> Place:
    """A log in which all of these branches have been merged."""
    first, *others = branches_of(root, moves)
    merged(first, *others)
    return first


@settings(max_examples=20)
@given(
    moves=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 7)), min_size=1, max_size=6
    ),
    shuffle=st.randoms(use_true_random=False),
)
def test_the_fold_does_not_depend_on_the_order_in_which_segments_are_listed(
    tmp_path_factory: pytest.TempPathFactory,
    moves: list[tuple[int, int, int]],
    shuffle: random.Random,
) -> None:
    place = history(tmp_path_factory.mktemp("h"), moves)
    segments = [ref.digest for ref in place.log.segments()]
    shuffle.shuffle(segments)
    with project(place.log) as one, project(place.log, segments) as other:
        assert dump(one) == dump(other)
        # A redaction is final; of retractions and reinstatements the last in the order counts, and
        # so it does of successors. A writer, who reads envelopes alone, sees the same.
        said: dict[Digest | None, list[str]] = {}
        for event in place.log.events():
            said.setdefault(event.envelope.trace, []).append(event.envelope.type)
        with KnownTraces(place.log.events()) as known:
            for found in one.traces():
                types = said.get(found.id, [])
                assert found.redacted == ("trace.redacted" in types)
                assert found.retracted == (
                    last_of(types, events.RETRACTED, events.REINSTATED) == events.RETRACTED
                )
                assert (found.superseded_by is not None) == (
                    last_of(types, events.SUPERSEDED, events.REINSTATED) == events.SUPERSEDED
                )
                assert found.retracted == (found.id in known.retracted)
        assert [s.id for s in one.active()] == [s.id for s in one.traces() if s.active]
        assert one.n_active == sum(s.active for s in one.traces())


@settings(max_examples=15)
@given(
    moves=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 7)), min_size=2, max_size=5
    ),
    three=st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)),
)
def test_merging_is_commutative_associative_and_idempotent(
    tmp_path_factory: pytest.TempPathFactory,
    moves: list[tuple[int, int, int]],
    three: tuple[int, int, int],
) -> None:
    root = tmp_path_factory.mktemp("m")
    branches = branches_of(root / "branches", moves)
    a, b, c = (branches[n % len(branches)] for n in three)

    def merge(name: str, *sides: Place) -> Place:
        new = branch(sides[0], root / name)
        merged(new, *sides[1:])
        return new

    def is_one(*places: Place) -> bool:
        dumps = []
        for place in places:
            with project(place.log) as projection:
                dumps.append((dump(projection), take_snapshot(place.log)))
        return all(found == dumps[0] for found in dumps)

    ab, bc = merge("ab", a, b), merge("bc", b, c)
    assert is_one(ab, merge("ba", b, a))
    assert is_one(merge("(ab)c", ab, c), merge("a(bc)", a, bc), merge("cba", c, b, a))
    assert is_one(ab, merge("aba", ab, a), merge("abab", ab, ab))
    assert is_one(a, merge("aa", a, a))


@settings(max_examples=20)
@given(numbers=st.lists(st.integers(0, 4), max_size=12), cut=st.integers(0, 12))
def test_the_first_recording_of_each_trace_counts(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], cut: int
) -> None:
    place = Place.at(tmp_path_factory.mktemp("f") / "root")
    records = [imported(trace(str(n))) for n in numbers]
    for part in (records[:cut], records[cut:]):
        place.log.append(events.recorded(r.id, r.payload) for r in part)
    stored: list[StoredEvent] = list(place.log.events())
    firsts: dict[Digest | None, int] = {}
    for number, event in enumerate(stored):
        firsts.setdefault(event.envelope.payload, number)
    with fold(stored) as projection:
        assert {s.id: s.place for s in projection.traces()} == firsts
        assert projection.n_traces == projection.n_active == len(firsts)
        places = [s.place for s in projection.active()]
    assert all(a < b for a, b in itertools.pairwise(places))  # type: ignore[operator]
