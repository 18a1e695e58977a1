"""The store half at several sizes: does time grow with the traces, and does memory stay?

Run as `python -m benchmarks.scale [--traces 10000,100000,1000000] [--segments 10000]`. The traces
are made from the GSM8K training file with a counter in the prompt; TUNIXRT_GSM8K names it where it
is elsewhere. Each step is a command of its own, and the memory is the largest resident set of it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import measure
from benchmarks.store import GSM8K, ROOT, TUNIXRT, machine, traces
from tunixrt import Store
from tunixrt.log.digests import digest_bytes
from tunixrt.log.segment.events import recording_line
from tunixrt.log.segment.sealed import SegmentWriter
from tunixrt.traces.schema import payload_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.log.digests import Digest
    from tunixrt.log.layout import Layout

TRACES_A_SEGMENT = 5


def steps(trace: str, added: Path, out: Path) -> Iterator[tuple[str, list[str]]]:
    """What is done to a store that has its traces, one command after the other."""
    yield "status", ["status"]
    yield "snapshot create", ["snapshot", "create"]
    yield "verify", ["verify"]
    build = ["dataset", "build", "all", "v1", "--split", "test=0.1"]
    yield "dataset build", build
    export = ["dataset", "export", "all-v1", "--format", "tunix_sft", "-o", str(out)]
    yield "dataset export", export
    show = ["trace", "show", trace]
    yield "trace show, making the index", show
    yield "trace show", show
    yield "trace show, again", show
    yield "trace import of 50 more", ["trace", "import", str(added), "--from", "tunixrt"]
    yield "trace show, the log having grown", show


def one_segment(source: Path, n: int, work: Path) -> None:
    """One import of ``n`` traces, and every step after it."""
    lines, store = work / "traces.jsonl", work / "store"
    with lines.open("wb") as out:
        out.writelines(payload_of(trace) + b"\n" for trace in traces(source, n))
    subprocess.run([*TUNIXRT, "init", str(store)], check=True, capture_output=True)
    _row(n, "trace import", ["trace", "import", str(lines), "--from", "tunixrt"], store)
    lines.unlink()
    _steps(source, n, store)


def many_segments(source: Path, n_segments: int, work: Path) -> None:
    """As many segments as asked for, of a few traces each, and every step after it."""
    store = work / "store"
    subprocess.run([*TUNIXRT, "init", str(store)], check=True, capture_output=True)
    _fill(Store.open(store).layout, source, n_segments)
    n = n_segments * TRACES_A_SEGMENT
    print(f"\n{n_segments:,} segments of {TRACES_A_SEGMENT} traces each")
    _steps(source, n, store)


def _fill(layout: Layout, source: Path, n_segments: int) -> None:
    """Write a chain of segments. Published one by one, each would read all headers before it."""
    payloads = map(payload_of, traces(source, n_segments * TRACES_A_SEGMENT))
    parents: list[Digest] = []
    layout.staging.mkdir(exist_ok=True)
    for lamport in range(n_segments):
        staged = layout.staging / "segment"
        staged.mkdir()
        batch = islice(payloads, TRACES_A_SEGMENT)
        events = [(recording_line(digest_bytes(payload)), payload) for payload in batch]
        with SegmentWriter(staged) as writer:
            writer.extend(events)
            parents = [writer.seal(parents, lamport)]
        target = layout.segment(parents[0])
        target.parent.mkdir(parents=True, exist_ok=True)
        staged.rename(target)


def _steps(source: Path, n: int, store: Path) -> None:
    added = store.parent / "added.jsonl"
    with added.open("wb") as out:
        out.writelines(payload_of(trace) + b"\n" for trace in traces(source, n + 50, first=n))
    events = Store.open(store).log.events()
    trace = next(event.envelope.payload for index, event in enumerate(events) if index == n // 2)
    for title, arguments in steps(str(trace), added, store.parent / "export.jsonl"):
        _row(n, title, arguments, store)


def _row(n: int, title: str, arguments: list[str], store: Path) -> None:
    command = [*TUNIXRT, *arguments, "--store", str(store)]
    print(f"{n:>11,}  {measure(title, command, ROOT).row()}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--traces", default="10000,100000,1000000")
    parser.add_argument("--segments", type=int, default=10_000)
    options = parser.parse_args()
    source = Path(os.environ.get("TUNIXRT_GSM8K", GSM8K))
    if not source.is_file():
        print("skipped: no GSM8K training file here; name one with TUNIXRT_GSM8K")
        return
    print(f"{time.strftime('%Y-%m-%d', time.gmtime())}, {machine()}\n")
    print(f"{'traces':>11}  {'step':<44} {'wall':>10} {'CPU':>10} {'memory':>11}")
    for n in filter(None, map(int, options.traces.split(","))):
        with tempfile.TemporaryDirectory() as name:
            one_segment(source, n, Path(name))
    if options.segments:
        with tempfile.TemporaryDirectory() as name:
            many_segments(source, options.segments, Path(name))


if __name__ == "__main__":
    main()
