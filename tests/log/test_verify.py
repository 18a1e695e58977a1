"""One table of everything that can be wrong with a log, and the sentence that each gets."""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import rfc8785

from tests.making.events import recorded, trace, trace_id, traces
from tunixrt.log.digests import Digest, from_hex, hex_of
from tunixrt.log.merkle import root_of
from tunixrt.log.segment.events import REDACTED, Envelope
from tunixrt.log.segment.sealed import MAX_PART_BYTES, verify_segment
from tunixrt.log.snapshots import save_snapshot, take_snapshot, verify_snapshots

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.findings import Finding
    from tunixrt.log.layout import Layout

pytestmark = pytest.mark.usefixtures("without_fsync")


@dataclass
class Store:
    """Two segments and a snapshot of them; what a case forges goes beside them."""

    log: EventLog
    first: Digest
    second: Digest
    snapshot: Digest
    forged: Digest = field(default=from_hex("00" * 32))

    @property
    def layout(self) -> Layout:
        return self.log.layout

    @property
    def part(self) -> Path:
        return self.layout.segment(self.first) / "0000.jsonl"

    @property
    def header(self) -> Path:
        return self.layout.segment(self.first) / "segment.json"

    def edit(self, path: Path, old: bytes, new: bytes) -> None:
        data = path.read_bytes()
        assert old in data
        path.write_bytes(data.replace(old, new, 1))

    def replace_by_directory(self, path: Path) -> None:
        path.unlink()
        path.mkdir()

    def replace_by_file(self, path: Path) -> None:
        shutil.rmtree(path)
        path.write_bytes(b"")

    def replace_by_link(self, path: Path) -> None:
        elsewhere = path.rename(self.layout.root / "elsewhere")
        path.symlink_to(elsewhere)

    def redact(self, named: Digest, removed: bytes) -> None:
        self.edit(self.part, removed, b"null")
        self.log.append([(Envelope(REDACTED, trace=named), None)])

    def forge(
        self,
        lines: bytes = b"",
        *,
        change: Callable[[dict[str, Any]], object] = lambda header: None,
        raw: bytes | None = None,
    ) -> None:
        """Put a segment beside the others that is right but for what the case says."""
        if not lines:
            envelope, payload = trace(9)
            assert payload is not None
            lines = b"%b\n%b\n" % (rfc8785.dumps(_fields(envelope)), payload)
        envelopes = lines.split(b"\n")[:-1:2]
        root = root_of(envelopes)
        header: dict[str, Any] = {
            "canonicalisation": "rfc8785",
            "format": "tunixrt-segment-1",
            "lamport": 0,
            "n_events": len(envelopes),
            "parents": [],
            "parts": [{"name": "0000.jsonl", "n_events": len(envelopes), "root": root}],
            "root": root,
        }
        change(header)
        data = rfc8785.dumps(header) if raw is None else raw
        self.forged = from_hex(hashlib.sha256(data).hexdigest())
        path = self.layout.segment(self.forged)
        path.mkdir(parents=True)
        (path / "segment.json").write_bytes(data)
        (path / "0000.jsonl").write_bytes(lines)

    def forge_snapshot(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Put a snapshot beside the other that is right but for what the case says."""
        segments = sorted([self.first, self.second])
        snapshot: dict[str, Any] = {
            "format": "tunixrt-snapshot-1",
            "n_events": 4,
            "n_segments": 2,
            "n_traces": 3,
            "root": root_of(bytes.fromhex(digest[7:]) for digest in segments),
            "segments": segments,
        }
        change(snapshot)
        named = {key: value for key, value in snapshot.items() if key != "segments"}
        self.forged = from_hex(hashlib.sha256(rfc8785.dumps(named)).hexdigest())
        self.layout.snapshot(self.forged).write_bytes(rfc8785.dumps(snapshot))


def _fields(envelope: Envelope) -> dict[str, Any]:
    return {"payload": envelope.payload, "type": envelope.type}


@pytest.fixture
def store(log: EventLog) -> Store:
    first = log.append([trace(1), (Envelope("trace.retracted", trace=trace_id(1)), None), trace(2)])
    second = log.append(traces(3))
    assert first is not None
    assert second is not None
    store = Store(log, first, second, save_snapshot(log.layout, take_snapshot(log)))
    assert _verify(store) == []
    return store


def _verify(store: Store) -> list[Finding]:
    return [*store.log.verify(), *verify_snapshots(store.layout)]


@dataclass
class Case:
    """A way to damage a store, and what the finding must say."""

    damage: Callable[[Store], object]
    path: str
    problem: str
    line: int | None = None


# In paths: A and B are the two segments, S the snapshot, F what was forged.
_CASES = {
    # store.json and what lies about
    "store.json is gone": Case(
        lambda s: s.layout.store_json.unlink(), "store/store.json", "cannot be read: No such file"
    ),
    "store.json is of another version": Case(
        lambda s: s.edit(s.layout.store_json, b"store-1", b"store-2"),
        "store/store.json",
        "not that of format tunixrt-store-1",
    ),
    "a stray file in store": Case(
        lambda s: (s.layout.store / "x").write_bytes(b""), "store/x", "Nothing of this name"
    ),
    "a link in place of store.json": Case(
        lambda s: s.replace_by_link(s.layout.store_json),
        "store/store.json",
        "it is a symbolic link",
    ),
    "a file in place of the log": Case(
        lambda s: s.replace_by_file(s.layout.log),
        "store/log",
        "This is not a directory",
    ),
    "a file in place of the snapshots": Case(
        lambda s: s.replace_by_file(s.layout.snapshots),
        "store/snapshots",
        "The directory cannot be listed: Not a directory",
    ),
    "a link in place of the snapshots": Case(
        lambda s: s.replace_by_link(s.layout.snapshots), "store/snapshots", "not a directory"
    ),
    "no store at all": Case(
        lambda s: shutil.rmtree(s.layout.store), "store/store.json", "cannot be read"
    ),
    "a stray file in log": Case(
        lambda s: (s.layout.log / "notes.txt").write_bytes(b""),
        "store/log/notes.txt",
        "not the directory of a segment",
    ),
    "a stray directory in log": Case(
        lambda s: (s.layout.log / "abc" / "d").mkdir(parents=True),
        "store/log/abc",
        "not the directory of a segment",
    ),
    "a stray file on a shelf": Case(
        lambda s: (s.part.parents[1] / "x.orig").write_bytes(b""),
        "store/log/{A:.2}/x.orig",
        "not the directory of a segment",
    ),
    "a segment on another's shelf": Case(
        lambda s: shutil.copytree(s.part.parent, s.layout.log / "zz" / s.part.parent.name),
        "store/log/zz",
        "not the directory of a segment",
    ),
    "a link in place of a segment": Case(
        lambda s: (s.part.parents[1] / hex_of(from_hex(hex_of(s.first)[:2] + "0" * 62))).symlink_to(
            s.part.parent, target_is_directory=True
        ),
        "store/log/{A:.2}/{A:.2}" + "0" * 62,
        "not the directory of a segment",
    ),
    "a file in place of a segment": Case(
        lambda s: (s.part.parents[1] / (hex_of(s.first)[:2] + "0" * 62)).write_bytes(b""),
        "store/log/{A:.2}/{A:.2}" + "0" * 62,
        "not the directory of a segment",
    ),
    # names and headers
    "a segment under another name": Case(
        lambda s: s.part.parent.rename(s.part.parents[1] / (hex_of(s.first)[:2] + "0" * 62)),
        "store/log/{A:.2}/{A:.2}" + "0" * 62 + "/segment.json",
        "The name of the segment is not the digest of its header",
    ),
    "a changed header": Case(
        lambda s: s.edit(s.header, b'"lamport":0', b'"lamport":7'),
        "store/log/{A:.2}/{A}/segment.json",
        "The name of the segment is not the digest of its header",
    ),
    "a header that is gone": Case(
        lambda s: s.header.unlink(),
        "store/log/{A:.2}/{A}/segment.json",
        "The header cannot be read: No such file or directory",
    ),
    "a directory in place of a header": Case(
        lambda s: s.replace_by_directory(s.header),
        "store/log/{A:.2}/{A}/segment.json",
        "The header cannot be read: it is a directory",
    ),
    "an empty header": Case(
        lambda s: s.forge(raw=b""),
        "store/log/{F:.2}/{F}/segment.json",
        "This is not the header of a segment: Input data was truncated",
    ),
    "a header that is no JSON": Case(
        lambda s: s.forge(raw=b"{a}"),
        "store/log/{F:.2}/{F}/segment.json",
        "This is not the header of a segment: JSON is malformed",
    ),
    "a header nested without end": Case(
        lambda s: s.forge(raw=b'{"x":' + b"[" * 100_000),
        "store/log/{F:.2}/{F}/segment.json",
        "This is not the header of a segment",
    ),
    "a header that is not UTF-8": Case(
        lambda s: s.forge(raw=b'{"format":"\xff"}'),
        "store/log/{F:.2}/{F}/segment.json",
        "This is not the header of a segment",
    ),
    "a header without a field": Case(
        lambda s: s.forge(change=lambda h: h.pop("lamport")),
        "store/log/{F:.2}/{F}/segment.json",
        "missing required field `lamport`",
    ),
    "a header with an unknown field": Case(
        lambda s: s.forge(change=lambda h: h.update(written_at="now")),
        "store/log/{F:.2}/{F}/segment.json",
        "unknown field `written_at`",
    ),
    "a header of a wrong type": Case(
        lambda s: s.forge(change=lambda h: h.update(n_events="1")),
        "store/log/{F:.2}/{F}/segment.json",
        "Expected `int`, got `str`",
    ),
    "a header that is not canonical": Case(
        lambda s: s.forge(
            raw=s.header.read_bytes().replace(b'"lamport":0', b'"lamport":0,"lamport":0')
        ),
        "store/log/{F:.2}/{F}/segment.json",
        "The header is not in canonical form",
    ),
    "another format": Case(
        lambda s: s.forge(change=lambda h: h.update(format="tunixrt-segment-2")),
        "store/log/{F:.2}/{F}/segment.json",
        "of format 'tunixrt-segment-2'",
    ),
    "another canonicalisation": Case(
        lambda s: s.forge(change=lambda h: h.update(canonicalisation="olpc")),
        "store/log/{F:.2}/{F}/segment.json",
        "with canonicalisation 'olpc'",
    ),
    "a parent that is no digest": Case(
        lambda s: s.forge(change=lambda h: h.update(parents=["sha256:1"], lamport=1)),
        "store/log/{F:.2}/{F}/segment.json",
        "'sha256:1' is not a digest",
    ),
    "unsorted parents": Case(
        lambda s: s.forge(
            change=lambda h: h.update(parents=sorted([s.first, s.second])[::-1], lamport=2)
        ),
        "store/log/{F:.2}/{F}/segment.json",
        "The parents are not sorted",
    ),
    "a parent twice": Case(
        lambda s: s.forge(change=lambda h: h.update(parents=[s.first] * 2, lamport=1)),
        "store/log/{F:.2}/{F}/segment.json",
        "one is named twice",
    ),
    "a missing parent": Case(
        lambda s: shutil.rmtree(s.part.parent),
        "store/log/{B:.2}/{B}/segment.json",
        "A parent of the segment is missing",
    ),
    "a lamport without parents": Case(
        lambda s: s.forge(change=lambda h: h.update(lamport=3)),
        "store/log/{F:.2}/{F}/segment.json",
        "The lamport is 3 with 0 parents",
    ),
    "a negative lamport": Case(
        lambda s: s.forge(change=lambda h: h.update(lamport=-1)),
        "store/log/{F:.2}/{F}/segment.json",
        "The lamport is -1",
    ),
    "a lamport of 0 with parents": Case(
        lambda s: s.forge(change=lambda h: h.update(parents=[s.first])),
        "store/log/{F:.2}/{F}/segment.json",
        "The lamport is 0 with 1 parents",
    ),
    "a lamport that does not follow the parents'": Case(
        lambda s: s.forge(change=lambda h: h.update(parents=[s.first], lamport=2)),
        "store/log/{F:.2}/{F}/segment.json",
        r"not 1 \+ the largest of the parents'",
    ),
    "a part that climbs out": Case(
        lambda s: s.forge(change=lambda h: h["parts"][0].update(name="../../../store.json")),
        "store/log/{F:.2}/{F}/segment.json",
        "not named 0000.jsonl",
    ),
    "a part with no name for a file": Case(
        lambda s: s.forge(change=lambda h: h["parts"][0].update(name="\x00")),
        "store/log/{F:.2}/{F}/segment.json",
        "not named 0000.jsonl",
    ),
    "a segment without parts": Case(
        lambda s: s.forge(change=lambda h: h.update(parts=[], n_events=0)),
        "store/log/{F:.2}/{F}/segment.json",
        "at least one part",
    ),
    "a part without events": Case(
        lambda s: s.forge(change=lambda h: h["parts"].append(_part(1, 0))),
        "store/log/{F:.2}/{F}/segment.json",
        "a part at least one event",
    ),
    "counts that do not add up": Case(
        lambda s: s.forge(change=lambda h: h.update(n_events=2)),
        "store/log/{F:.2}/{F}/segment.json",
        "do not add up",
    ),
    "a wrong root of the segment": Case(
        lambda s: s.forge(change=lambda h: h.update(root="sha256:" + "0" * 64)),
        "store/log/{F:.2}/{F}/segment.json",
        "The Merkle root of the segment is not that of its envelopes",
    ),
    "a wrong root of a part": Case(
        lambda s: s.forge(change=lambda h: h["parts"][0].update(root="sha256:" + "0" * 64)),
        "store/log/{F:.2}/{F}/0000.jsonl",
        "The Merkle root over the envelopes is not the one in the header",
    ),
    # files of a segment
    "a stray file in a segment": Case(
        lambda s: (s.part.parent / "0001.jsonl").write_bytes(b""),
        "store/log/{A:.2}/{A}/0001.jsonl",
        "The header of the segment names no such file",
    ),
    "a link in place of a part": Case(
        lambda s: s.replace_by_link(s.part),
        "store/log/{A:.2}/{A}/0000.jsonl",
        "The part cannot be read: it is a symbolic link",
    ),
    "a part that is gone": Case(
        lambda s: s.part.unlink(),
        "store/log/{A:.2}/{A}/0000.jsonl",
        "The part cannot be read: No such file or directory",
    ),
    "an empty part": Case(
        lambda s: s.part.write_bytes(b""),
        "store/log/{A:.2}/{A}/0000.jsonl",
        "number of lines is not the one in the header",
    ),
    "a truncated part": Case(
        lambda s: s.part.write_bytes(s.part.read_bytes()[:-9]),
        "store/log/{A:.2}/{A}/0000.jsonl",
        "The last line does not end in a line feed",
        6,
    ),
    "a part without its last event": Case(
        lambda s: s.part.write_bytes(b"\n".join(s.part.read_bytes().split(b"\n")[:4]) + b"\n"),
        "store/log/{A:.2}/{A}/0000.jsonl",
        "number of lines is not the one in the header",
    ),
    "an extra line": Case(
        lambda s: s.part.write_bytes(s.part.read_bytes() + b"{}\n"),
        "store/log/{A:.2}/{A}/0000.jsonl",
        "number of lines is not the one in the header",
    ),
    "an extra line feed": Case(
        lambda s: s.part.write_bytes(s.part.read_bytes() + b"\n"),
        "store/log/{A:.2}/{A}/0000.jsonl",
        "number of lines is not the one in the header",
    ),
    "an extra event": Case(
        lambda s: s.part.write_bytes(
            s.part.read_bytes() + (s.layout.segment(s.second) / "0000.jsonl").read_bytes()
        ),
        "store/log/{A:.2}/{A}/0000.jsonl",
        "an envelope was changed, added, removed or moved",
    ),
    "line ends of another system": Case(
        lambda s: s.part.write_bytes(s.part.read_bytes().replace(b"\n", b"\r\n")),
        "store/log/{A:.2}/{A}/0000.jsonl",
        "a tool has converted the line ends",
        1,
    ),
    "markers of a merge conflict": Case(
        lambda s: s.part.write_bytes(b"<<<<<<< HEAD\n=======\n" + s.part.read_bytes()),
        "store/log/{A:.2}/{A}/0000.jsonl",
        "Git has left a merge conflict here",
        1,
    ),
    "markers of a merge conflict further down": Case(
        lambda s: s.part.write_bytes(s.part.read_bytes() + b"<<<<<<< HEAD\n=======\n"),
        "store/log/{A:.2}/{A}/0000.jsonl",
        "Git has left a merge conflict here",
        7,
    ),
    "a pointer of Git LFS in place of a part": Case(
        lambda s: s.part.write_bytes(b"version https://git-lfs.github.com/spec/v1\nsize 12\n"),
        "store/log/{A:.2}/{A}/0000.jsonl",
        "it is a Git LFS pointer",
    ),
    "events that changed places": Case(
        lambda s: s.part.write_bytes(_swapped(s.part.read_bytes())),
        "store/log/{A:.2}/{A}/0000.jsonl",
        "an envelope was changed, added, removed or moved",
    ),
    "a part of more than 4 MiB": Case(
        lambda s: s.forge(_event("x" * MAX_PART_BYTES) + _event("y")),
        "store/log/{F:.2}/{F}/0000.jsonl",
        "exceeds 4194304 bytes with more than one event",
    ),
    # events
    "a changed payload": Case(
        lambda s: s.edit(s.part, b"What is 2", b"What is 3"),
        "store/log/{A:.2}/{A}/0000.jsonl",
        "The payload is not the one that the envelope names",
        6,
    ),
    "a payload that is null without a redaction": Case(
        lambda s: s.edit(s.part, trace(2)[1] or b"", b"null"),
        "store/log/{A:.2}/{A}/0000.jsonl",
        "no trace.redacted event explains it",
        6,
    ),
    "a payload where there is none": Case(
        lambda s: s.edit(s.part, b"\nnull\n", b"\n{}\n"),
        "store/log/{A:.2}/{A}/0000.jsonl",
        "The envelope names no payload, and there is one",
        4,
    ),
    "a recorded null": Case(
        lambda s: s.forge(_event(None)),
        "store/log/{F:.2}/{F}/0000.jsonl",
        "no trace.redacted event explains it",
        2,
    ),
    "a payload that is not canonical": Case(
        lambda s: s.forge(_line(b'{"a": 1}')),
        "store/log/{F:.2}/{F}/0000.jsonl",
        "The payload is not canonical JSON",
        2,
    ),
    "a payload of another type that is not canonical": Case(
        lambda s: s.forge(_line(b'{"b":1,"a":1}', b"trace.scored")),
        "store/log/{F:.2}/{F}/0000.jsonl",
        "The payload is not canonical JSON",
        2,
    ),
    "a payload that is no JSON": Case(
        lambda s: s.forge(_line(b"hello")),
        "store/log/{F:.2}/{F}/0000.jsonl",
        "The payload is not canonical JSON",
        2,
    ),
    "an envelope that is not canonical": Case(
        lambda s: s.forge(_line(b"{}").replace(b'","type"', b'", "type"')),
        "store/log/{F:.2}/{F}/0000.jsonl",
        "The envelope is not in canonical form",
        1,
    ),
    "an envelope with an unknown field": Case(
        lambda s: s.forge(b'{"author":"me","type":"trace.a"}\nnull\n'),
        "store/log/{F:.2}/{F}/0000.jsonl",
        "This is not the envelope of an event: .*`author`",
        1,
    ),
    "an envelope with a null field": Case(
        lambda s: s.forge(b'{"trace":null,"type":"trace.a"}\nnull\n'),
        "store/log/{F:.2}/{F}/0000.jsonl",
        "The envelope is not in canonical form",
        1,
    ),
    "an envelope nested without end": Case(
        lambda s: s.forge(b'{"x":' + b"[" * 100_000 + b"\nnull\n"),
        "store/log/{F:.2}/{F}/0000.jsonl",
        "This is not the envelope of an event",
        1,
    ),
    "an event type that is none": Case(
        lambda s: s.forge(_line(b"{}", b"Trace Recorded")),
        "store/log/{F:.2}/{F}/0000.jsonl",
        'event type "Trace Recorded"',
        1,
    ),
    "a payload digest that is none": Case(
        lambda s: s.forge(b'{"payload":"md5:1","type":"trace.a"}\n{}\n'),
        "store/log/{F:.2}/{F}/0000.jsonl",
        "The field `payload` is not a digest",
        1,
    ),
    "a trace that is no digest": Case(
        lambda s: s.forge(b'{"trace":"1","type":"trace.a"}\nnull\n'),
        "store/log/{F:.2}/{F}/0000.jsonl",
        "The field `trace` is not a digest",
        1,
    ),
    "a time that is none": Case(
        lambda s: s.forge(b'{"recorded_at":"yesterday","type":"trace.a"}\nnull\n'),
        "store/log/{F:.2}/{F}/0000.jsonl",
        "The field `recorded_at` is not a time",
        1,
    ),
    "a redacted payload in plain text": Case(
        lambda s: s.log.append([(Envelope(REDACTED, trace=trace_id(2)), None)]),
        "store/log/{A:.2}/{A}/0000.jsonl",
        "A payload that was redacted is here in plain text",
        6,
    ),
    "a redaction that names another trace": Case(
        lambda s: s.redact(trace_id(4), trace(2)[1] or b""),
        "store/log/{A:.2}/{A}/0000.jsonl",
        "no trace.redacted event explains it",
        6,
    ),
    # snapshots
    "a stray file in snapshots": Case(
        lambda s: (s.layout.snapshots / "x.json").write_bytes(b"{}"),
        "store/snapshots/x.json",
        "This is not a snapshot",
    ),
    "a directory in place of a snapshot": Case(
        lambda s: (s.layout.snapshots / ("0" * 64 + ".json")).mkdir(),
        "store/snapshots/" + "0" * 64 + ".json",
        "The snapshot cannot be read: it is a directory",
    ),
    "a snapshot that is no JSON": Case(
        lambda s: s.layout.snapshot(s.snapshot).write_bytes(b"{"),
        "store/snapshots/{S}.json",
        "This is not a snapshot: Input data was truncated",
    ),
    "a snapshot that is not UTF-8": Case(
        lambda s: s.layout.snapshot(s.snapshot).write_bytes(b'{"format":"\xff"}'),
        "store/snapshots/{S}.json",
        "This is not a snapshot",
    ),
    "a snapshot under another name": Case(
        lambda s: s.layout.snapshot(s.snapshot).rename(s.layout.snapshot(from_hex("1" * 64))),
        "store/snapshots/" + "1" * 64 + ".json",
        "The name of the snapshot is not the digest",
    ),
    "a snapshot with a line feed": Case(
        lambda s: s.edit(s.layout.snapshot(s.snapshot), b"]}", b"]}\n"),
        "store/snapshots/{S}.json",
        "The snapshot is not in canonical form",
    ),
    "a snapshot of another format": Case(
        lambda s: s.forge_snapshot(lambda h: h.update(format="tunixrt-snapshot-2")),
        "store/snapshots/{F}.json",
        "The format is 'tunixrt-snapshot-2'",
    ),
    "a snapshot without a segment": Case(
        lambda s: s.edit(s.layout.snapshot(s.snapshot), f',"{_last(s)}"'.encode(), b""),
        "store/snapshots/{S}.json",
        "There are 1 segments, not 2",
    ),
    "a snapshot with another root": Case(
        lambda s: s.forge_snapshot(lambda h: h.update(root="sha256:" + "0" * 64)),
        "store/snapshots/{F}.json",
        "The Merkle root is not that of the segments",
    ),
    "a snapshot of unsorted segments": Case(
        lambda s: s.forge_snapshot(lambda h: h["segments"].reverse()),
        "store/snapshots/{F}.json",
        "The segments are not sorted",
    ),
    "a snapshot of what is no segment": Case(
        lambda s: s.forge_snapshot(lambda h: h.update(segments=["a", "b"])),
        "store/snapshots/{F}.json",
        "Not every segment is named by a digest",
    ),
    "a snapshot that counts other events": Case(
        lambda s: s.forge_snapshot(lambda h: h.update(n_events=5)),
        "store/snapshots/{F}.json",
        "The segments hold 4 events, not 5",
    ),
    "a snapshot that counts other traces": Case(
        lambda s: s.forge_snapshot(lambda h: h.update(n_traces=2)),
        "store/snapshots/{F}.json",
        "The segments record 3 traces, not 2",
    ),
    "a snapshot of a segment that is missing": Case(
        lambda s: shutil.rmtree(s.layout.segment(s.second)),
        "store/snapshots/{S}.json",
        "A segment of the snapshot is missing from the log",
    ),
    "a snapshot without a parent of its segment": Case(
        lambda s: s.forge_snapshot(
            lambda h: h.update(
                segments=[s.second],
                n_segments=1,
                n_events=1,
                n_traces=1,
                root=root_of([bytes.fromhex(hex_of(s.second))]),
            )
        ),
        "store/snapshots/{F}.json",
        "without its parent",
    ),
}


def _part(index: int, n_events: int) -> dict[str, Any]:
    return {
        "name": f"{index:04d}.jsonl",
        "n_events": n_events,
        "root": "sha256:" + hashlib.sha256(b"").hexdigest(),
    }


def _event(value: object) -> bytes:
    payload = recorded(value)[1]
    assert payload is not None
    return _line(payload)


def _line(payload: bytes, kind: bytes = b"trace.recorded") -> bytes:
    digest = hashlib.sha256(payload).hexdigest().encode()
    return b'{"payload":"sha256:%b","type":"%b"}\n%b\n' % (digest, kind, payload)


def _swapped(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(lines[4:6] + lines[2:4] + lines[0:2])


def _last(store: Store) -> Digest:
    return max(store.first, store.second)


@pytest.mark.parametrize("name", _CASES)
def test_damage_is_found_and_gets_a_sentence_that_names_the_place(name: str, store: Store) -> None:
    case = _CASES[name]
    case.damage(store)
    findings = _verify(store)
    path = case.path.format(
        A=hex_of(store.first),
        B=hex_of(store.second),
        S=hex_of(store.snapshot),
        F=hex_of(store.forged),
    )
    matching = [
        finding
        for finding in findings
        if finding.path == path
        and re.search(case.problem, finding.problem)
        and (case.line is None or finding.line == case.line)
    ]
    assert matching, "\n".join(str(finding) for finding in findings)
    for finding in findings:
        assert finding.problem.endswith(".")
        assert str(finding).startswith(finding.path)
        str(finding).encode()  # can be printed


def test_what_lies_in_staging_is_no_finding(store: Store) -> None:
    (store.layout.staging / "left-by-a-crash").mkdir()
    assert _verify(store) == []


def test_empty_directories_are_no_finding_since_git_does_not_keep_them(store: Store) -> None:
    (store.layout.log / "zz").mkdir()
    assert _verify(store) == []


def test_a_segment_can_be_verified_by_itself(store: Store) -> None:
    path = store.part.parent
    assert list(verify_segment(path)) == []
    store.edit(store.part, trace(2)[1] or b"", b"null")
    assert list(verify_segment(path)) == []  # only the whole log can say whether that is right
    store.edit(store.part, b"What is 1", b"What is 2")
    (finding,) = verify_segment(path)
    assert finding.path == store.layout.relative(store.part)


def test_a_segment_that_is_not_named_yet_is_misnamed(store: Store) -> None:
    path = store.part.parent.rename(store.layout.root / "segment")
    (finding,) = verify_segment(path)
    assert finding.problem == "The name of the segment is not the digest of its header."
    assert finding.expected == "sha256:segment"
    assert finding.found == store.first


def test_one_damaged_segment_does_not_hide_another(store: Store) -> None:
    store.header.write_bytes(b"")
    store.edit(store.layout.segment(store.second) / "0000.jsonl", b"What", b"Whet")
    paths = {finding.path for finding in store.log.verify()}
    assert paths >= {
        store.layout.relative(store.header),
        store.layout.relative(store.layout.segment(store.second) / "0000.jsonl"),
    }


def test_a_damaged_segment_does_not_hide_plain_text_in_another(store: Store) -> None:
    store.log.append([(Envelope(REDACTED, trace=trace_id(3)), None)])
    store.part.write_bytes(b"")
    problems = [finding.problem for finding in store.log.verify()]
    assert any("redacted is here in plain text" in problem for problem in problems)
