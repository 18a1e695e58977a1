"""An independent reader of a store: docs/format.md in Python, and nothing of tunixrt.

`python format_reader.py DIRECTORY` computes every digest again, and raises ValueError at the first
thing that is not as the page says.
"""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import rfc8785

Event = tuple[dict[str, Any], bytes]  # an envelope and its payload line
ENVELOPE_FIELDS = {"payload", "recorded_at", "trace", "type"}
TRACE_FIELDS = {"final_answer", "meta", "prompt", "steps", "trace_version"}
CHAT_FIELDS = {"final_answer", "messages", "meta", "tools", "trace_version"}


def check(condition: bool, path: Path, problem: str) -> None:
    if not condition:
        raise ValueError(f"{path}: {problem}")


def digest(data: bytes) -> str:
    return "sha256:" + sha256(data).hexdigest()


def merkle_root(leaves: list[bytes]) -> bytes:
    """RFC 9162, section 2.1.1."""
    if len(leaves) < 2:
        return sha256(b"\x00" + leaves[0] if leaves else b"").digest()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + merkle_root(leaves[:k]) + merkle_root(leaves[k:])).digest()


def root_of(leaves: list[bytes]) -> str:
    return "sha256:" + merkle_root(leaves).hex()


def canonical(path: Path, data: bytes) -> Any:
    """Parse JSON that must be canonical; every number is a double, as RFC 8785 has it."""
    value = json.loads(data, parse_int=float)
    check(rfc8785.dumps(value) == data, path, "is not canonical JSON")
    return value


def check_trace(path: Path, trace: dict[str, Any]) -> None:
    """Check the fields and the order of a trace of either schema."""
    if "messages" not in trace:
        check(trace.keys() == TRACE_FIELDS, path, "has a trace with other fields")
        indices = [step["i"] for step in trace["steps"]]
        check(indices == sorted(set(indices)), path, "has steps out of order")
        return
    check({"meta"} < trace.keys() <= CHAT_FIELDS, path, "has a conversation with other fields")
    check(trace["trace_version"] == "1.1", path, "has a conversation of another version")
    roles = ["", *(message["role"] for message in trace["messages"])]
    check("assistant" in roles and "system" not in roles[2:], path, "has roles out of order")
    for number, role in enumerate(roles[1:]):
        check(role == "tool" or role != roles[number], path, "has two turns of one role")


def read_segment(directory: Path) -> tuple[dict[str, Any], list[Event]]:
    """One segment: its header, and its events as (envelope, payload line)."""
    path = directory / "segment.json"
    data = path.read_bytes()
    check(sha256(data).hexdigest() == directory.name, path, "has another digest than its name")
    check(directory.parent.name == directory.name[:2], path, "lies on another shelf")
    header = canonical(path, data)
    check(header["format"] == "tunixrt-segment-1", path, "is of another format")
    check(header["canonicalisation"] == "rfc8785", path, "has another canonicalisation")
    check(header["parents"] == sorted(set(header["parents"])), path, "has unsorted parents")
    names = [f"{index:04d}.jsonl" for index in range(len(header["parts"]))]
    check([part["name"] for part in header["parts"]] == names, path, "names parts out of order")
    check({p.name for p in directory.iterdir()} == {*names, path.name}, path, "has stray files")
    events, all_envelopes = [], []
    for part in header["parts"]:
        path = directory / part["name"]
        data = path.read_bytes()
        *lines, rest = data.split(b"\n")
        check(rest == b"", path, "is cut off")
        check(len(lines) == 2 * part["n_events"], path, "has another number of lines")
        envelopes = lines[::2]
        check(root_of(envelopes) == part["root"], path, "has another root")
        check(len(data) <= 4 * 1024**2 or len(lines) == 2, path, "is too large")
        for line, payload in zip(envelopes, lines[1::2], strict=True):
            envelope = canonical(path, line)
            check(envelope.keys() <= ENVELOPE_FIELDS, path, "has an envelope with unknown fields")
            if payload != b"null":
                check(envelope.get("payload") == digest(payload), path, "has another payload")
                value = canonical(path, payload)
                if envelope["type"] == "trace.recorded":
                    check_trace(path, value)
            events.append((envelope, payload))
        all_envelopes += envelopes
    check(len(events) == header["n_events"], path, "has another number of events")
    check(root_of(all_envelopes) == header["root"], path, "has another root")
    return header, events


def check_redactions(log: Path, events: list[Event]) -> None:
    redacted = {e["trace"] for e, _ in events if e["type"] == "trace.redacted" and "trace" in e}
    for envelope, payload in events:
        if "payload" in envelope:
            gone = envelope["payload"] in redacted
            check((payload == b"null") == gone, log, f"{envelope['payload']} is null or should be")


def read_log(root: Path) -> tuple[dict[str, Any], list[Event]]:
    """All segments by digest, and all events in the order of the log."""
    log = root / "store" / "log"
    segments = {"sha256:" + p.name: read_segment(p) for p in log.glob("*/*")}
    for name, (header, _) in segments.items():
        check(set(header["parents"]) <= segments.keys(), log, f"{name} misses a parent")
        lamports = [segments[parent][0]["lamport"] for parent in header["parents"]]
        check(header["lamport"] == 1 + max(lamports, default=-1), log, f"{name}: other lamport")
    order = sorted(segments, key=lambda name: (segments[name][0]["lamport"], name))
    return segments, [event for name in order for event in segments[name][1]]


def read_snapshots(root: Path, segments: dict[str, Any]) -> list[str]:
    paths = sorted((root / "store" / "snapshots").glob("*"))
    for path in paths:
        snapshot = canonical(path, path.read_bytes())
        members = snapshot.pop("segments")
        check(path.name == sha256(rfc8785.dumps(snapshot)).hexdigest() + ".json", path, "misnamed")
        check(members == sorted(set(members)), path, "has unsorted segments")
        check(root_of([bytes.fromhex(m[7:]) for m in members]) == snapshot["root"], path, "root")
        events = [event for member in members for event in segments[member][1]]
        parents = {parent for member in members for parent in segments[member][0]["parents"]}
        traces = {e["payload"] for e, _ in events if e["type"] == "trace.recorded"}
        check(parents <= set(members), path, "lacks a parent of its segments")
        counts = [snapshot[name] for name in ("n_segments", "n_events", "n_traces")]
        check(counts == [len(members), len(events), len(traces)], path, "has other counts")
    return ["sha256:" + path.stem for path in paths]


def lines_of(directory: Path, kind: str) -> list[bytes]:
    files = sorted(directory.glob(f"{kind}-*.jsonl"), key=lambda p: (len(p.name), p.name))
    return [line for file in files for line in file.read_bytes().split(b"\n")[:-1]]


def read_datasets(root: Path, snapshots: list[str]) -> dict[str, str]:
    found = {}
    for path in sorted((root / "store" / "datasets").glob("*/*/*/manifest.json")):
        data = path.read_bytes()
        manifest = canonical(path, data)
        check(sha256(data).hexdigest() == path.parent.name, path, "has another digest")
        lines = lines_of(path.parent, "members")
        check(root_of(lines) == manifest["members_root"], path, "has other members")
        if "dedupe" in manifest:
            repeats = lines_of(path.parent, "duplicates")
            check(root_of(repeats) == manifest["duplicates_root"], path, "has other duplicates")
        check(len(lines) == manifest["trace_count"], path, "has another number of members")
        check(lines == sorted(lines, key=lambda m: json.loads(m)["trace"]), path, "is unsorted")
        check(manifest["snapshot"] in snapshots, path, "names a snapshot that is not here")
        recipe = ["filters", "limit", "seed", "selection_strategy", "splits"]
        given = ("where", "sql", "group_by", "stratify", "dedupe")
        recipe += [key for key in given if key in manifest]
        named = {key: manifest[key] for key in ("dataset_schema_version", "members_root")}
        named |= {"n_members": len(lines), "recipe": {key: manifest[key] for key in recipe}}
        check(digest(rfc8785.dumps(named)) == manifest["digest"], path, "has another digest")
        found[path.parent.relative_to(root).as_posix()] = manifest["digest"]
    return found


def read_runs(root: Path) -> None:
    for path in sorted((root / "runs").glob("*/manifest.json")):
        manifest = canonical(path, path.read_bytes())
        name = sha256(rfc8785.dumps(manifest["identity"])).hexdigest()
        check(path.parent.name == manifest["run_id"] == name, path, "has another id")
        for file, expected in manifest["outputs"].items():
            check(digest((path.parent / file).read_bytes()) == expected, path, f"{file} differs")


if __name__ == "__main__":
    found, replay = read_log(where := Path(sys.argv[1]))
    check_redactions(where, replay)
    read_datasets(where, read_snapshots(where, found))
    read_runs(where)
    print(f"{len(found)} segments with {len(replay)} events: every digest is right.")
