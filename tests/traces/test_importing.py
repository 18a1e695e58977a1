"""Importing: all or nothing, once and for all, and every record accounted for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.making.traces import Place, trace, value, write_lines
from tunixrt.traces import id_set
from tunixrt.traces import state_table as trace_index
from tunixrt.traces.facts import redacted, retracted
from tunixrt.traces.importers.table import SourceFormat, imported, read_traces
from tunixrt.traces.importing import OnError, RejectedError, import_traces
from tunixrt.traces.spill import SpillDatabase, SpillError, spill
from tunixrt.traces.state import project
from tunixrt.traces.times import TimeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunixrt.traces.importers.records import Record, Rejection


def test_what_was_recorded_is_in_the_log_as_one_segment(place: Place, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "t.jsonl", [value(), value(prompt="Other?")])
    report = place.take(path)
    assert (report.recorded, report.duplicates, report.rejected, report.n_steps) == (2, 0, 0, 4)
    assert [ref.digest for ref in place.log.segments()] == [report.segment]
    assert [event.payload for event in place.log.events()] == [
        record.payload  # type: ignore[union-attr]
        for record in read_traces(path, SourceFormat.TUNIXRT)
    ]


def test_importing_again_records_nothing_and_creates_no_file(place: Place, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "t.jsonl", [value(), value(prompt="Other?"), value()])
    first = place.take(path)
    assert (first.recorded, first.duplicates) == (2, 1)
    before = place.files()
    again = place.take(path)
    assert (again.recorded, again.duplicates, again.segment) == (0, 3, None)
    assert place.files() == before


def test_one_bad_record_stops_the_import_and_says_how_many_more_are_bad(
    place: Place, tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "t.jsonl", [value(), value(prompt=5), value(), [], {}])
    before = place.files()
    with pytest.raises(RejectedError) as error:
        place.take(path)
    assert str(error.value) == (
        f'{path}, line 2: The field "prompt" should be text of 1 to 50,000 characters, but is the '
        "number 5. 2 more records are bad. Nothing was recorded; fix the file, or import with "
        "--on-error quarantine to record the good records and set the bad ones aside."
    )
    assert (error.value.n_rejected, error.value.rejection.line) == (3, 2)
    assert place.files() == before


def test_a_single_bad_record_is_not_said_to_have_others(place: Place, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "t.jsonl", [value(), {}])
    with pytest.raises(RejectedError) as error:
        place.take(path)
    assert "more" not in str(error.value).partition("Nothing was recorded")[0]
    path = write_lines(tmp_path / "t.jsonl", [{}, value(), {}])
    with pytest.raises(RejectedError, match=r"1 more record is bad\."):
        place.take(path)


def test_a_bad_file_among_several_records_none_of_them(place: Place, tmp_path: Path) -> None:
    good = write_lines(tmp_path / "good.jsonl", [value()])
    bad = write_lines(tmp_path / "bad.jsonl", [{}])
    records = [r for p in (good, bad) for r in read_traces(p, SourceFormat.TUNIXRT)]
    before = place.files()
    with pytest.raises(RejectedError, match=r"bad\.jsonl, line 1"):
        import_traces(place.log, records)
    assert place.files() == before


def test_quarantine_records_the_rest_and_hands_the_bad_records_over(
    place: Place, tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "t.jsonl", [value(), {}, value(prompt="Other?")])
    handed: list[Rejection] = []
    report = import_traces(
        place.log,
        read_traces(path, SourceFormat.TUNIXRT),
        on_error=OnError.QUARANTINE,
        on_rejection=handed.append,
    )
    assert (report.recorded, report.rejected, report.rejections) == (2, 1, ())
    assert [(r.line, r.raw) for r in handed] == [(2, b"{}")]
    collected = import_traces(
        place.log, read_traces(path, SourceFormat.TUNIXRT), on_error=OnError.QUARANTINE
    )
    assert collected.rejections == tuple(handed)


def test_what_is_dropped_is_counted_and_named(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    line = json.dumps(value()).encode()
    path.write_bytes(b"\n" + line + b"\n\n")
    report = place.take(path)
    assert report.dropped == {"blank line between records": 2}
    assert [(drop.file, drop.line) for drop in report.drops] == [(str(path), 1), (str(path), 3)]


def test_a_withdrawn_trace_does_not_come_back(place: Place) -> None:
    kept, taken_back, forgotten = place.record(trace("a"), trace("b"), trace("c"))
    place.say(retracted(taken_back), redacted(forgotten), retracted(forgotten))
    report = import_traces(
        place.log, [imported(trace(p), file="f", line=n) for n, p in enumerate("abcd", 1)]
    )
    assert (report.recorded, report.duplicates) == (1, 1)
    assert report.dropped == {"redacted before": 1, "retracted before": 1}
    assert [(d.line, d.reason) for d in report.drops] == [
        (2, "retracted before"),
        (3, "redacted before"),
    ]
    assert kept not in {forgotten, taken_back}


def test_a_trace_that_was_redacted_before_it_was_ever_recorded_stays_out(place: Place) -> None:
    place.say(redacted(imported(trace()).id))
    report = import_traces(place.log, [imported(trace())])
    assert (report.recorded, report.dropped) == (0, {"redacted before": 1})


def test_a_time_is_stated_only_where_it_is_given(place: Place) -> None:
    place.record(trace("a"))
    place.record(trace("b"), recorded_at="2026-11-24T12:00:00Z")
    times = [event.envelope.recorded_at for event in place.log.events()]
    assert times == [None, "2026-11-24T12:00:00Z"]


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2026-11-24",
        "2026-11-24T12:00:00",
        "2026-11-24T12:00:00+01:00",
        "2026-02-30T12:00:00Z",
    ],
)
def test_a_time_that_is_none_is_refused_and_nothing_is_recorded(place: Place, text: str) -> None:
    before = place.files()
    with pytest.raises(TimeError, match="The time of the recording"):
        place.record(trace(), recorded_at=text)
    assert place.files() == before


def test_a_reader_that_fails_midway_leaves_no_trace(place: Place, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "t.jsonl", [value()])
    records = iter([*read_traces(path, SourceFormat.TUNIXRT)])

    def failing() -> Iterator[Record]:
        yield next(records)
        raise KeyboardInterrupt

    before = place.files()
    with pytest.raises(KeyboardInterrupt):
        import_traces(place.log, failing())
    assert place.files() == before
    assert list(place.layout.staging.iterdir()) == []


def test_known_ids_that_spilled_to_disk_are_still_known(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(id_set, "IDS_IN_MEMORY", 3)
    prompts = [f"Problem {i}" for i in range(20)]
    records = [imported(trace(prompt)) for prompt in prompts]
    first = import_traces(place.log, [*records[:10], *records[:10]])
    assert (first.recorded, first.duplicates) == (10, 10)
    second = import_traces(place.log, [*records, *records])
    assert (second.recorded, second.duplicates) == (10, 30)
    with project(place.log) as projection:
        assert projection.n_traces == 20


def _small(n_pages: int) -> SpillDatabase:
    database = spill()
    database.execute(f"PRAGMA max_page_count = {n_pages}")
    return database


def test_a_full_disk_under_the_table_of_known_ids_is_said_in_a_sentence(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.record(*(trace(f"Problem {n}") for n in range(300)))
    monkeypatch.setattr(id_set, "IDS_IN_MEMORY", 100)
    monkeypatch.setattr(id_set, "spill", lambda: _small(2))
    before = place.files()
    with pytest.raises(SpillError, match=r"could not be kept on disk: database or disk is full\."):
        place.record(trace("one more"))
    assert place.files() == before


@pytest.mark.parametrize("n_pages", [7, 10])  # full under the rows, full under their index
def test_a_full_disk_under_a_projection_is_said_in_a_sentence(
    place: Place, monkeypatch: pytest.MonkeyPatch, n_pages: int
) -> None:
    place.record(*(trace(f"Problem {n}") for n in range(300)))
    monkeypatch.setattr(trace_index, "spill", lambda: _small(n_pages))
    with pytest.raises(SpillError, match=r"could not be kept on disk: database or disk is full\."):
        project(place.log).n_traces  # noqa: B018


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(batches=st.lists(st.lists(st.integers(0, 5), max_size=6), max_size=4))
def test_importing_is_idempotent_however_the_traces_are_batched(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]]
) -> None:
    place = Place.at(tmp_path_factory.mktemp("s") / "root")
    seen: set[int] = set()
    for batch in batches:
        report = import_traces(place.log, [imported(trace(str(number))) for number in batch])
        assert report.recorded == len(set(batch) - seen)
        assert report.recorded + report.duplicates == len(batch)
        seen |= set(batch)
    with project(place.log) as projection:
        assert projection.n_traces == len(seen)
        before = place.files()
        import_traces(place.log, [imported(trace(str(number))) for number in seen])
        assert place.files() == before
