"""Promise 5: one flipped bit anywhere in the store is found and located."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.making.events import recorded, trace, trace_id, traces, tree
from tunixrt.log.canonical import encode
from tunixrt.log.digests import digest_bytes
from tunixrt.log.eventlog import EventLog
from tunixrt.log.layout import init
from tunixrt.log.redaction import redact
from tunixrt.log.segment.events import Envelope
from tunixrt.log.snapshots import save_snapshot, take_snapshot, verify_snapshots

if TYPE_CHECKING:
    from tunixrt.log.findings import Finding


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> EventLog:
    """A store with everything that the log layer can write in it."""
    log = EventLog(init(tmp_path_factory.mktemp("store")))
    label = encode({"label": "quality", "value": "good"})
    log.append(
        [
            trace(1),
            trace(2),
            (
                Envelope(
                    "trace.labelled",
                    payload=digest_bytes(label),
                    trace=trace_id(1),
                    recorded_at="2026-01-31T12:00:00Z",
                ),
                label,
            ),
            (Envelope("trace.retracted", trace=trace_id(2)), None),
        ]
    )
    save_snapshot(log.layout, take_snapshot(log))
    log.append([recorded({"big": 1e16, "é": "\U0001f600\ue000", "list": [None, True, -0.5]})])
    log.append(traces(3))
    redact(log, [trace_id(3)], payload=encode({"reason": "asked for"}))
    save_snapshot(log.layout, take_snapshot(log))
    assert _verify(log) == []
    return log


def _verify(log: EventLog) -> list[Finding]:
    return [*log.verify(), *verify_snapshots(log.layout)]


def _changed(data: bytes, how: str, offset: int, byte: int) -> bytes:
    match how:
        case "flip":
            return data[:offset] + bytes([data[offset] ^ byte]) + data[offset + 1 :]
        case "insert":
            return data[:offset] + bytes([byte]) + data[offset:]
        case "remove":
            return data[:offset] + data[offset + 1 :]
        case _:
            return data[:offset]


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from(["flip", "flip", "flip", "insert", "remove", "truncate"]),
    st.one_of(st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128]), st.integers(1, 255)),
)
def test_any_changed_byte_is_found_and_its_file_is_named(
    sealed: EventLog, place: int, how: str, byte: int
) -> None:
    root = sealed.layout.root
    files = {name: data for name, data in tree(root).items() if name.startswith("store/")}
    # By bytes, not by files: every byte of the store is equally likely.
    places = [(name, at) for name, content in files.items() for at in range(len(content))]
    name, offset = places[place % len(places)]
    path, data = root / name, files[name]
    path.write_bytes(_changed(data, how, offset, byte))
    try:
        findings = _verify(sealed)
        assert name in {finding.path for finding in findings}
    finally:
        path.write_bytes(data)


def test_every_single_bit_of_a_payload_is_located_to_its_line(sealed: EventLog) -> None:
    event = next(sealed.events())
    path = sealed.layout.segment(event.segment) / event.part
    data = path.read_bytes()
    for offset in range(event.offset, event.offset + event.length):
        bit = 1 << offset % 8
        path.write_bytes(_changed(data, "flip", offset, bit))
        lines = {finding.line for finding in sealed.verify()}
        path.write_bytes(data)
        # A flip that makes a line feed moves what follows; any other stays on its line.
        if data[offset] ^ bit != 0x0A:
            assert event.line + 1 in lines
