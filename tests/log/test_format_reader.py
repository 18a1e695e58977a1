"""Promise 6: checkable without us. Another reader, made from the format page, agrees."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import format_reader
from tests.making.conversations import conversation_value
from tests.making.events import recorded, tree
from tests.making.runs import made_evaluation, made_store, made_training
from tunixrt.datasets.building import build_dataset, list_datasets
from tunixrt.datasets.recipes import make_recipe
from tunixrt.log.canonical import encode
from tunixrt.log.digests import Digest, digest_bytes
from tunixrt.log.eventlog import EventLog
from tunixrt.log.layout import init
from tunixrt.log.redaction import redact
from tunixrt.log.segment.events import Envelope
from tunixrt.log.snapshots import list_snapshots

if TYPE_CHECKING:
    from tests.making.events import Event

_READER = Path(format_reader.__file__)


def _trace(n: int, *, n_characters: int = 0, meta: dict[str, Any] | None = None) -> Event:
    return recorded(
        {
            "final_answer": str(n + 1),
            "meta": meta or {"source": "manual"},
            "prompt": f"What is {n} + 1?",
            "steps": [{"content": "Add one." + "x" * n_characters, "i": 0, "type": "compute"}],
            "trace_version": "1.0",
        }
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> EventLog:
    """A store with parts, heads, redactions, odd numbers and names, snapshots and datasets."""
    log = EventLog(init(tmp_path_factory.mktemp("store")))
    log.append(_trace(n, n_characters=15_000) for n in range(300))
    label = encode({"label": "quality", "value": "good"})
    subject = _trace(0, n_characters=15_000)[0].payload
    envelope = Envelope(
        "trace.labelled",
        payload=digest_bytes(label),
        trace=subject,
        recorded_at="2026-01-31T12:00:00.5Z",
    )
    log.append([(envelope, label), (Envelope("trace.retracted", trace=subject), None)])
    # Two branches, as a merge brings them together: both have the same parent.
    other = EventLog(init(tmp_path_factory.mktemp("other")))
    for ref in log.segments():
        _copy(log, other, ref.digest)
    odd = {"flops": 1e16, "\ue000": -0.5, "\U00010000": 1e-7, "nothing": None, "é": "\u2028\x7f"}
    branch = other.append([_trace(1000, meta=odd)])
    assert branch is not None
    log.append([recorded(conversation_value())])
    log.append([_trace(1001), _trace(2, n_characters=15_000)])
    _copy(other, log, branch)
    gone = _trace(2, n_characters=15_000)[0].payload
    assert gone is not None
    redact(log, [gone], payload=encode({"reason": "asked for"}))
    build_dataset(log.layout, log, "all", "v1", make_recipe())
    log.append([_trace(2000)])
    recipe = make_recipe(
        selection_strategy="random", limit=50, seed=7, splits={"test": "0.1", "validation": "0.2"}
    )
    build_dataset(
        log.layout, log, "some", "v1", recipe, built_at="2026-01-31T12:00:00Z", parent="all-v1"
    )
    return log


def _copy(source: EventLog, target: EventLog, segment: Digest) -> None:
    path = target.layout.segment(segment)
    path.mkdir(parents=True)
    for file in source.layout.segment(segment).iterdir():
        (path / file.name).write_bytes(file.read_bytes())


def test_the_reader_is_short_and_uses_nothing_of_the_package() -> None:
    source = _READER.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 190
    imported = {
        name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
        )
    }
    assert imported == {"__future__", "hashlib", "json", "pathlib", "rfc8785", "sys", "typing"}


def test_the_reader_agrees_on_every_event_and_on_their_order(store: EventLog) -> None:
    segments, replay = format_reader.read_log(store.layout.root)
    format_reader.check_redactions(store.layout.root, replay)
    assert segments.keys() == {ref.digest for ref in store.segments()}
    assert [(json.loads(encode(event.envelope)), event.payload) for event in store.events()] == [
        (envelope, None if payload == b"null" else payload) for envelope, payload in replay
    ]


def test_the_reader_agrees_on_every_snapshot_and_dataset(store: EventLog) -> None:
    root = store.layout.root
    segments, _ = format_reader.read_log(root)
    snapshots = format_reader.read_snapshots(root, segments)
    assert snapshots == list_snapshots(store.layout)
    assert len(snapshots) == 2
    datasets = format_reader.read_datasets(root, snapshots)
    assert sorted(datasets.values()) == sorted(d.digest for d in list_datasets(store.layout))
    assert len(datasets) == 2


def test_the_reader_runs_where_the_package_is_not_installed(store: EventLog) -> None:
    program = (
        "import runpy, sys; sys.modules['tunixrt'] = None; del sys.argv[0];"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(_READER), str(store.layout.root)],
        check=True,
        capture_output=True,
    )
    n_segments, n_events = len(store.segments()), sum(1 for _ in store.events())
    expected = f"{n_segments} segments with {n_events} events: every digest is right.\n"
    assert done.stdout.decode() == expected


def test_the_reader_agrees_on_the_ids_of_runs_and_finds_what_was_changed(tmp_path: Path) -> None:
    store = made_store(tmp_path)
    made_evaluation(store, made_training(store), n_right=3)
    format_reader.read_runs(tmp_path)
    for name, data in tree(tmp_path / "runs").items():
        if "environments" not in name and not name.endswith("SHA256SUMS"):
            place = len(data) // 2
            changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            (tmp_path / "runs" / name).write_bytes(changed)
            with pytest.raises((ValueError, KeyError)):
                format_reader.read_runs(tmp_path)
            (tmp_path / "runs" / name).write_bytes(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"trace_version": "1.2"},
        {"prompt": "?"},
        {"meta": ...},
        {"messages": [{"role": "user", "content": "?"}]},
        {"messages": [{"role": "user", "content": "?"}] * 2},
    ],
)
def test_the_reader_finds_what_is_no_conversation(tmp_path: Path, changes: dict[str, Any]) -> None:
    log = EventLog(init(tmp_path / "store"))
    log.append([recorded(conversation_value(**changes))])
    with pytest.raises(ValueError, match=r"has (a conversation|roles|two turns)"):
        format_reader.read_log(tmp_path / "store")


def _read(root: Path) -> None:
    segments, replay = format_reader.read_log(root)
    format_reader.check_redactions(root, replay)
    format_reader.read_datasets(root, format_reader.read_snapshots(root, segments))


def test_the_reader_finds_a_flipped_bit_in_every_file_of_the_store(store: EventLog) -> None:
    root = store.layout.root
    for name, data in tree(root).items():
        if name.startswith("store/") and name != "store/store.json":
            place = len(data) // 2
            changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            (root / name).write_bytes(changed)
            with pytest.raises((ValueError, KeyError)):
                _read(root)
            (root / name).write_bytes(data)
    _read(root)
