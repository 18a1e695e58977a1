"""Facts about traces: stated once, and disputed ones decided by stating them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.making.traces import trace
from tunixrt.log.redaction import redact
from tunixrt.traces import stating as statements
from tunixrt.traces.facts import EventContentError
from tunixrt.traces.lookup import TraceLookupError
from tunixrt.traces.scores import baseline_score
from tunixrt.traces.state import project
from tunixrt.traces.stating import StatementError
from tunixrt.traces.times import TimeError

if TYPE_CHECKING:
    from tests.making.traces import Place
    from tunixrt.log.digests import Digest
    from tunixrt.traces.state import TraceState


def state_of(place: Place, wanted: Digest) -> TraceState:
    with project(place.log) as projection:
        state = projection.get(wanted)
    assert state is not None
    return state


def test_a_score_is_recorded_once(place: Place) -> None:
    a, b = place.record(trace("A?"), trace("B?"))
    stated, scores = statements.score(
        place.log, [a[7:20], b, a], recorded_at="2026-01-31T12:00:00Z"
    )
    assert (stated.traces, stated.n_new) == ((a, b), 2)
    expected = baseline_score(trace("A?"))
    assert scores == [expected, expected]
    assert state_of(place, a).scores == {"baseline": expected.score}
    before = place.files()
    again, scores = statements.score(place.log, [a, b])
    assert (again.n_new, again.segment) == (0, None)
    assert len(scores) == 2
    assert place.files() == before
    *_, last = place.log.events()
    assert last.envelope.recorded_at == "2026-01-31T12:00:00Z"


def test_a_trace_without_text_is_not_scored(place: Place) -> None:
    (a,) = place.record(trace("A?"))
    redact(place.log, [a])
    before = place.files()
    with pytest.raises(StatementError, match="was redacted, so it cannot be scored"):
        statements.score(place.log, [a])
    assert place.files() == before


def test_a_trace_that_only_events_speak_of_is_not_scored(place: Place) -> None:
    from tunixrt.log.digests import from_hex
    from tunixrt.traces.facts import retracted

    place.say(retracted(from_hex("ab" * 32)))
    with pytest.raises(StatementError, match="is not recorded here"):
        statements.score(place.log, ["ab" * 32])


def test_traces_are_reinstated_once_and_never_after_a_redaction(place: Place) -> None:
    a, b, c = place.record(trace("A?"), trace("B?"), trace("C?"))
    statements.retract(place.log, [a])
    statements.supersede(place.log, [b], c)
    stated = statements.reinstate(place.log, [a, b, c], reason="looked at again")
    assert (stated.traces, stated.n_new) == ((a, b, c), 2)
    assert state_of(place, a).active
    assert state_of(place, b).active
    assert statements.reinstate(place.log, [a, b]).segment is None
    assert statements.retract(place.log, [a]).n_new == 1
    redact(place.log, [a])
    before = place.files()
    with pytest.raises(StatementError, match="was redacted, which is final"):
        statements.reinstate(place.log, [a])
    assert place.files() == before


def test_a_reinstated_trace_may_take_the_place_of_the_one_that_superseded_it(place: Place) -> None:
    a, b = place.record(trace("A?"), trace("B?"))
    statements.supersede(place.log, [a], b)
    statements.reinstate(place.log, [a])
    statements.supersede(place.log, [b], a)
    assert (state_of(place, a).active, state_of(place, b).superseded_by) == (True, a)


def test_labels_are_given_and_taken_away_once(place: Place) -> None:
    (a,) = place.record(trace("A?"))
    stated = statements.label(place.log, [a], {"quality": "good", "seen": "yes"})
    assert stated.n_new == 2
    assert state_of(place, a).labels == {"quality": "good", "seen": "yes"}
    assert statements.label(place.log, [a], {"seen": "yes"}).n_new == 0
    assert statements.label(place.log, [a], {"seen": None, "quality": "good"}).n_new == 1
    assert state_of(place, a).labels == {"quality": "good"}
    assert statements.label(place.log, [a], {"seen": None}).segment is None
    with pytest.raises(EventContentError, match="1 to 200 characters"):
        statements.label(place.log, [a], {"": "x"})


def test_retracting_and_superseding_say_so_once(place: Place) -> None:
    a, b, c = place.record(trace("A?"), trace("B?"), trace("C?"))
    assert statements.retract(place.log, [a], reason="wrong").n_new == 1
    assert statements.retract(place.log, [a]).n_new == 0
    assert statements.supersede(place.log, [b], c, reason="a typo").n_new == 1
    assert statements.supersede(place.log, [b], c).n_new == 0
    with project(place.log) as projection:
        assert [state.id for state in projection.active()] == [c]
        assert state_of(place, b).superseded_by == c


def test_traces_do_not_supersede_each_other_in_a_circle(place: Place) -> None:
    a, b, c, d = place.record(trace("A?"), trace("B?"), trace("C?"), trace("D?"))
    statements.supersede(place.log, [a], b)
    statements.supersede(place.log, [b], c)
    with pytest.raises(StatementError, match="neither would count"):
        statements.supersede(place.log, [c], a)
    with pytest.raises(EventContentError, match="cannot supersede itself"):
        statements.supersede(place.log, [c], c)
    # Two branches can make a circle between them; a third trace can still follow one of it.
    from tunixrt.traces.facts import superseded

    place.say(superseded(c, a))
    assert statements.supersede(place.log, [d], a).n_new == 1


def test_a_wrong_prefix_or_time_states_nothing(place: Place) -> None:
    (a,) = place.record(trace("A?"))
    before = place.files()
    with pytest.raises(TraceLookupError):
        statements.retract(place.log, [a, "abcdef"])
    with pytest.raises(TimeError):
        statements.retract(place.log, [a], recorded_at="today")
    assert place.files() == before


def test_what_branches_dispute_is_decided_by_saying_it_again(place: Place) -> None:
    from tests.making.traces import Place as Other

    a, b, c = place.record(trace("A?"), trace("B?"), trace("C?"))
    other = Other.at(place.layout.root.parent / "other")
    other.record(trace("A?"), trace("B?"), trace("C?"))
    for at, label, by in ((place, "good", b), (other, "bad", c)):
        statements.label(at.log, [a], {"quality": label})
        statements.supersede(at.log, [a], by)
    for ref in other.log.segments():
        target = place.layout.segment(ref.digest)
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            ref.path.rename(target)
    with project(place.log) as projection:
        assert [c.fact for c in projection.conflicts()] == ["label:quality", "superseded"]
        counts = projection.get(a)
    assert counts is not None
    # Even what counts already is stated again, since that is what decides.
    assert statements.label(place.log, [a], counts.labels).n_new == 1
    assert statements.supersede(place.log, [a], counts.superseded_by or "").n_new == 1
    with project(place.log) as projection:
        assert list(projection.conflicts()) == []
    assert statements.label(place.log, [a], counts.labels).n_new == 0
