from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
import rfc8785

from tests.making.events import recorded, trace, tree
from tests.making.golden import GOLDEN_HEADER, GOLDEN_NAME, GOLDEN_PART
from tunixrt.errors import ExitCode
from tunixrt.log.canonical import encode
from tunixrt.log.digests import Digest, digest_bytes, from_hex, hex_of
from tunixrt.log.segment.sealed import (
    MAX_PART_BYTES,
    MAX_PAYLOAD_BYTES,
    DamagedError,
    Envelope,
    EventError,
    SegmentWriter,
    StoredEvent,
    read_header,
    read_segment,
    verify_segment,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.making.events import Event

_TRACE = (
    b'{"final_answer":"42","meta":{},"prompt":"What is 15 + 27?",'
    b'"steps":[{"content":"Add","i":0,"type":"compute"}],"trace_version":"1.0"}'
)
_LABEL = b'{"label":"quality","value":"good"}'


def _seal(directory: Path, events: Iterable[Event], parents: tuple[Digest, ...] = ()) -> Path:
    """Write a segment below a directory under its own name."""
    staged = directory / "staged"
    staged.mkdir()
    with SegmentWriter(staged) as writer:
        for envelope, payload in events:
            writer.append(envelope, payload)
        digest = writer.seal(parents, 1 if parents else 0)
    return staged.rename(directory / hex_of(digest))


def test_a_segment_is_written_as_the_format_page_says(tmp_path: Path) -> None:
    """Golden bytes: docs/format.md shows the same segment."""
    trace_digest = Digest(f"sha256:{sha256(_TRACE).hexdigest()}")
    label_digest = Digest(f"sha256:{sha256(_LABEL).hexdigest()}")
    parent = from_hex("00" * 32)
    path = _seal(
        tmp_path,
        [
            (Envelope("trace.recorded", payload=trace_digest), _TRACE),
            (
                Envelope(
                    "trace.labelled",
                    payload=label_digest,
                    trace=trace_digest,
                    recorded_at="2026-01-31T12:00:00Z",
                ),
                _LABEL,
            ),
            (Envelope("trace.retracted", trace=trace_digest), None),
        ],
        (parent,),
    )
    assert tree(path) == {"0000.jsonl": GOLDEN_PART, "segment.json": GOLDEN_HEADER}
    assert path.name == GOLDEN_NAME


def test_the_digests_of_the_golden_segment_follow_from_its_bytes() -> None:
    envelopes = GOLDEN_PART.split(b"\n")[0:6:2]
    first, second, third = (sha256(b"\x00" + envelope).digest() for envelope in envelopes)
    pair = sha256(b"\x01" + first + second).digest()
    root = "sha256:" + sha256(b"\x01" + pair + third).hexdigest()
    header: dict[str, Any] = {
        "canonicalisation": "rfc8785",
        "format": "tunixrt-segment-1",
        "lamport": 1,
        "n_events": 3,
        "parents": ["sha256:" + "00" * 32],
        "parts": [{"name": "0000.jsonl", "n_events": 3, "root": root}],
        "root": root,
    }
    assert rfc8785.dumps(header) == GOLDEN_HEADER
    assert sha256(GOLDEN_HEADER).hexdigest() == GOLDEN_NAME
    assert rfc8785.dumps(json.loads(_TRACE)) == _TRACE


def test_a_segment_reads_back_as_it_was_written(tmp_path: Path) -> None:
    events: list[Event] = [
        recorded({"a": "line\nfeed and \u2028"}),
        (Envelope("trace.retracted", trace=from_hex("11" * 32)), None),
        recorded("é"),
    ]
    path = _seal(tmp_path, events)
    stored = list(read_segment(path))
    assert [(event.envelope, event.payload) for event in stored] == events
    digest = from_hex(path.name)
    assert [(event.segment, event.position, event.part, event.line) for event in stored] == [
        (digest, 0, "0000.jsonl", 1),
        (digest, 1, "0000.jsonl", 3),
        (digest, 2, "0000.jsonl", 5),
    ]
    data = (path / "0000.jsonl").read_bytes()
    for event in stored:
        line = data[event.offset : event.offset + event.length]
        assert line == (event.payload or b"null")
        assert data[event.offset + event.length :].startswith(b"\n")
    header = read_header(path / "segment.json")
    assert (header.n_events, header.parents, header.lamport) == (3, (), 0)
    assert list(verify_segment(path)) == []


def test_parents_are_sorted_whatever_their_order(tmp_path: Path) -> None:
    low, high = from_hex("00" * 32), from_hex("ff" * 32)
    path = _seal(tmp_path, [trace(1)], (high, low))
    assert read_header(path / "segment.json").parents == (low, high)


def _trace_of_size(n_bytes: int, n: int) -> Event:
    """A trace whose two lines have this size together, line feeds included."""
    envelope, payload = recorded({"n": n, "text": ""})
    assert payload is not None
    n_missing = n_bytes - len(encode(envelope)) - len(payload) - 2
    return recorded({"n": n, "text": "x" * n_missing})


def test_a_part_ends_before_it_exceeds_4_mib(tmp_path: Path) -> None:
    half = MAX_PART_BYTES // 2
    sizes = [half, half, half, half + 1, MAX_PART_BYTES, MAX_PART_BYTES + 1, 200, 200]
    events = [_trace_of_size(size, n) for n, size in enumerate(sizes)]
    path = _seal(tmp_path, events)
    header = read_header(path / "segment.json")
    assert [(part.name, part.n_events) for part in header.parts] == [
        ("0000.jsonl", 2),
        ("0001.jsonl", 1),
        ("0002.jsonl", 1),
        ("0003.jsonl", 1),
        ("0004.jsonl", 1),
        ("0005.jsonl", 2),
    ]
    written = [(path / part.name).stat().st_size for part in header.parts]
    assert written == [2 * half, half, half + 1, MAX_PART_BYTES, MAX_PART_BYTES + 1, 400]
    assert list(verify_segment(path)) == []
    stored = list(read_segment(path))
    assert [event.position for event in stored] == list(range(len(sizes)))
    assert [(event.envelope, event.payload) for event in stored] == events


def test_the_largest_payload_is_32_mib(tmp_path: Path) -> None:
    empty = len(encode({"text": ""}))
    largest = recorded({"text": "x" * (MAX_PAYLOAD_BYTES - empty)})
    path = _seal(tmp_path, [largest])
    assert list(verify_segment(path)) == []
    (event,) = read_segment(path)
    assert event.payload == largest[1]
    larger = recorded({"text": "x" * (MAX_PAYLOAD_BYTES - empty + 1)})
    (tmp_path / "other").mkdir()
    with (
        SegmentWriter(tmp_path / "other") as writer,
        pytest.raises(EventError, match="33554433 bytes; at most 33554432") as caught,
    ):
        writer.append(*larger)
    assert caught.value.exit_code == ExitCode.BAD_INPUT


_DIGEST = digest_bytes(b"{}")


@pytest.mark.parametrize(
    ("envelope", "payload", "sentence"),
    [
        (Envelope("trace.recorded"), b"{}", "The envelope names the payload None"),
        (Envelope("trace.recorded", payload=_DIGEST), None, "names a payload; none was given"),
        (Envelope("trace.recorded", payload=_DIGEST), b"[]", "the digest of the payload is sha256"),
        (
            Envelope("trace.recorded", payload=digest_bytes(b"[\n]")),
            b"[\n]",
            "not canonical JSON other than null",
        ),
        (
            Envelope("trace.recorded", payload=digest_bytes(b"[\r]")),
            b"[\r]",
            "not canonical JSON other than null",
        ),
        (
            Envelope("trace.recorded", payload=digest_bytes(b"null")),
            b"null",
            "not canonical JSON other than null",
        ),
        (
            Envelope("trace.recorded", payload=digest_bytes(b"")),
            b"",
            "not canonical JSON other than null",
        ),
        (Envelope("recorded"), None, 'event type "recorded" is not lower-case words and dots'),
        (Envelope("trace.Recorded"), None, "is not lower-case words and dots"),
        (Envelope("trace." + "x" * 64), None, "is not lower-case words and dots"),
        (Envelope("trace.retracted", trace=Digest("sha256:12")), None, "`trace` is not a digest"),
        (Envelope("trace.a", payload=Digest("12")), b"{}", "`payload` is not a digest"),
        (Envelope("trace.a", recorded_at="2026-01-31"), None, "`recorded_at` is not a time"),
        (
            Envelope("trace.a", recorded_at="2026-02-30T00:00:00Z"),
            None,
            "`recorded_at` is not a time",
        ),
        (
            Envelope("trace.a", recorded_at="2026-01-31T12:00:00+00:00"),
            None,
            "`recorded_at` is not a time",
        ),
        (
            Envelope("trace.a", recorded_at="2026-01-31T12:00:00.1234567890Z"),
            None,
            "`recorded_at` is not a time",
        ),
    ],
)
def test_an_event_that_does_not_fit_the_format_is_refused(
    tmp_path: Path, envelope: Envelope, payload: bytes | None, sentence: str
) -> None:
    with SegmentWriter(tmp_path) as writer:
        writer.append(*trace(1))
        with pytest.raises(EventError, match=sentence) as caught:
            writer.append(envelope, payload)
    assert str(caught.value).startswith("Event 1 of the batch: ")


def test_a_time_may_have_a_fraction_of_a_second(tmp_path: Path) -> None:
    events: list[Event] = [
        (Envelope("trace.a", recorded_at="2026-01-31T12:00:00.123456789Z"), None),
        (Envelope("trace.a_b.c1", recorded_at="2024-02-29T23:59:59Z"), None),
    ]
    assert list(verify_segment(_seal(tmp_path, events))) == []


def test_a_segment_without_events_cannot_be_sealed(tmp_path: Path) -> None:
    with SegmentWriter(tmp_path) as writer, pytest.raises(EventError, match="without events"):
        writer.seal([], 0)
    assert list(tmp_path.iterdir()) == []


def _read_all(path: Path) -> list[StoredEvent]:
    return list(read_segment(path))


def test_reading_a_damaged_segment_gets_a_sentence_and_not_half_of_it(tmp_path: Path) -> None:
    path = _seal(tmp_path, [trace(1), trace(2)])
    part = path / "0000.jsonl"
    whole = part.read_bytes()
    for damaged, sentence in (
        (whole[:-1], "0000.jsonl, line 4: The last line does not end in a line feed"),
        (whole + b"\n", "number of lines is not the one in the header. Expected 4 lines"),
        (whole.replace(b"\n", b"\r\n"), "0000.jsonl, line 1: There is a carriage return"),
        (b"{}" + whole[2:], "0000.jsonl, line 1: This is not the envelope of an event"),
        (whole.replace(b'"type"', b'"typo"'), "0000.jsonl, line 1: This is not the envelope"),
        (whole.replace(b'"sha256:', b'"sha257:'), "line 1: The field `payload` is not a digest"),
    ):
        part.write_bytes(damaged)
        with pytest.raises(DamagedError, match=sentence) as caught:
            _read_all(path)
        assert caught.value.exit_code == ExitCode.ANSWER_IS_NO
        assert "`tunixrt verify` lists everything" in str(caught.value)
    part.unlink()
    with pytest.raises(DamagedError, match=r"0000\.jsonl: The part cannot be read: No such file"):
        _read_all(path)
    (path / "segment.json").unlink()
    with pytest.raises(DamagedError, match=r"segment\.json: The header cannot be read"):
        _read_all(path)


def test_a_part_that_cannot_be_one_is_not_read_into_memory(tmp_path: Path) -> None:
    path = _seal(tmp_path, [trace(1)])
    with (path / "0000.jsonl").open("r+b") as file:
        file.truncate(10 * 1024**4)  # sparse: ten tebibytes that take no space
    with pytest.raises(DamagedError, match="larger than any part may be"):
        _read_all(path)
