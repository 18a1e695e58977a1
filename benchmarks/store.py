"""The store against what one would use instead, on the same traces, one after the other.

Run as `python -m benchmarks.store [--traces 200000] [--commits 200]`. The traces are made from the
GSM8K training file with a counter in the prompt; TUNIXRT_GSM8K names it where it is elsewhere,
TUNIXRT_DATASETS_PYTHON a Python that has Hugging Face datasets, and TUNIXRT_DVC the program dvc.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Measured, measure, size_bytes
from tunixrt import Store
from tunixrt.traces.importers.table import imported
from tunixrt.traces.importing import import_traces
from tunixrt.traces.schema import Trace, TraceStep, payload_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
GSM8K = ROOT.parent / "shared" / "data" / "gsm8k" / "train.jsonl"
TUNIXRT = [sys.executable, "-m", "tunixrt.cli.main"]
PEERS = [sys.executable, "-m", "benchmarks.peers"]
TRACES_A_COMMIT = 50


def traces(source: Path, n: int, first: int = 0) -> Iterator[Trace]:
    """Traces up to so many: the problems of GSM8K over and over, each with a number of its own."""
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    for number in range(first, n):
        row = rows[number % len(rows)]
        *steps, last = [line for line in row["answer"].splitlines() if line.strip()]
        yield Trace(
            trace_version="1.0",
            prompt=f"({number}) {row['question']}",
            steps=tuple(TraceStep(i, "step", text) for i, text in enumerate(steps)),
            final_answer=last.removeprefix("#### "),
            meta={"source": "gsm8k"},
        )


def machine() -> str:
    names = set()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = {line.partition(": ")[2] for line in lines if line.startswith("model name")}
    return (
        f"{' and '.join(sorted(names)) or platform.processor()}, {os.cpu_count()} cores, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def against_peers(source: Path, n: int, work: Path) -> None:
    lines = work / "traces.jsonl"
    with lines.open("wb") as out:
        for trace in traces(source, n):
            out.write(payload_of(trace) + b"\n")
    print(f"{n:,} traces, {lines.stat().st_size / 1e6:.0f} MB of JSONL\n")
    print(f"{'recording':<44} {'wall':>10} {'CPU':>10} {'memory':>11}  wall / tunixrt")
    store = work / "store"
    subprocess.run([*TUNIXRT, "init", str(store)], check=True, capture_output=True)
    ours = _show(
        measure(
            "tunixrt trace import",
            [*TUNIXRT, "trace", "import", str(lines), "--from", "tunixrt", "--store", str(store)],
            ROOT,
        )
    )
    print(f"{'':<44} {n / ours.wall_s:8,.0f} traces a second")
    datasets = os.environ.get("TUNIXRT_DATASETS_PYTHON")
    if datasets:
        peer = str(ROOT / "benchmarks" / "peers.py")
        target = work / "datasets"
        command = [datasets, peer, "datasets", str(lines), str(target)]
        _show(measure("Hugging Face load_dataset + save_to_disk", command, work), ours)
        shutil.rmtree(target)
    for title, name in (("pydantic and json, in a loop", "pydantic"), ("SQLite, WAL", "sqlite")):
        target = work / name
        _show(measure(title, [*PEERS, name, str(lines), str(target)], ROOT), ours)
        target.unlink()
    dvc = os.environ.get("TUNIXRT_DVC")
    if dvc:
        subprocess.run([dvc, "init", "--no-scm", "-q"], cwd=work, check=True)
        _show(measure("dvc add of the JSONL", [dvc, "add", "-q", lines.name], work), ours)
    subprocess.run(["git", "init", "-q", "."], cwd=work, check=True)
    _show(measure("git add of the JSONL", ["git", "add", "-f", lines.name], work), ours)

    print(f"\n{'checking':<44} {'wall':>10} {'CPU':>10} {'memory':>11}  wall / sha256sum")
    every = "find store/store -type f -print0 | xargs -0 sha256sum"
    base = _show(measure("sha256sum of the same files", ["sh", "-c", every], work))
    _show(measure("tunixrt verify", [*TUNIXRT, "verify", "--store", str(store)], ROOT), base)

    print(f"\n{'looking up one trace':<44} {'wall':>10} {'CPU':>10} {'memory':>11}")
    events = Store.open(store).log.events()
    trace = next(event.envelope.payload for number, event in enumerate(events) if number == n // 2)
    show = [*TUNIXRT, "trace", "show", str(trace), "--store", str(store)]
    _show(measure("tunixrt trace show, making the index", show, ROOT))
    for _ in range(3):
        _show(measure("tunixrt trace show", show, ROOT))


def git_growth(source: Path, n_commits: int, work: Path) -> None:
    print(f"\n{n_commits} commits of {TRACES_A_COMMIT} traces each: the size of .git")
    made = list(traces(source, n_commits * TRACES_A_COMMIT))
    batches = [made[i : i + TRACES_A_COMMIT] for i in range(0, len(made), TRACES_A_COMMIT)]
    grown = work / "grown"
    grown.mkdir()
    file = grown / "traces.jsonl"
    sizes = {}

    def append(batch: list[Trace]) -> None:
        with file.open("ab") as out:
            out.writelines(payload_of(trace) + b"\n" for trace in batch)

    store = Store.init(_made(work / "segments"))

    def record(batch: list[Trace]) -> None:
        import_traces(store.log, [imported(trace) for trace in batch])

    for name, root, step in (
        ("one growing JSONL file", grown, append),
        ("tunixrt store", store.root, record),
    ):
        _git(root, "init", "-q", ".")
        _git(root, "config", "gc.auto", "0")
        start = time.monotonic()
        for batch in batches:
            step(batch)
            _git(root, "add", "-A")
            _git(root, "-c", "user.name=b", "-c", "user.email=b@example.org", "commit", "-qm", "b")
        took_s = time.monotonic() - start
        before = size_bytes(root / ".git")
        _git(root, "gc", "-q")
        after = size_bytes(root / ".git")
        sizes[name] = before
        print(
            f"{name:<24} {before / 1e6:9.2f} MB before gc, {after / 1e6:7.2f} MB after, "
            f"{took_s:6.1f} s"
        )
    ratio = sizes["one growing JSONL file"] / sizes["tunixrt store"]
    print(f"before gc, the store takes 1/{ratio:.0f} of the growing file")


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def _git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)


def _show(measured: Measured, base: Measured | None = None) -> Measured:
    print(measured.row(base), flush=True)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--traces", type=int, default=200_000)
    parser.add_argument("--commits", type=int, default=200)
    options = parser.parse_args()
    source = Path(os.environ.get("TUNIXRT_GSM8K", GSM8K))
    if not source.is_file():
        print("skipped: no GSM8K training file here; name one with TUNIXRT_GSM8K")
        return
    print(f"{time.strftime('%Y-%m-%d', time.gmtime())}, {machine()}")
    with tempfile.TemporaryDirectory() as name:
        against_peers(source, options.traces, Path(name))
        git_growth(source, options.commits, Path(name))


if __name__ == "__main__":
    main()
