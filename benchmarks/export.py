"""Exports against Hugging Face `map` with `to_json` and `to_parquet`, for the same text, in turn.

Run as `python -m benchmarks.export --datasets-python PYTHON [--traces 200000] [--rounds 3]`, where
PYTHON has Hugging Face datasets; TUNIXRT_DATASETS_PYTHON names it as well, and TUNIXRT_GSM8K the
GSM8K training file where it is elsewhere. The peer reads a JSONL file of the same traces into a
cache of its own, since that is where its users begin; each is measured as a whole process. What
both wrote as JSONL is compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.measure import Measured

ROOT = Path(__file__).resolve().parent.parent
TUNIXRT = [sys.executable, "-m", "tunixrt.cli.main"]
FORMATS = ("tunix_sft", "messages")


def steps_of(row: dict[str, Any]) -> list[str]:
    return [step["content"] for step in sorted(row["steps"], key=lambda step: step["i"])]


def tunix_sft(row: dict[str, Any]) -> dict[str, Any]:
    steps = "\n".join(f"{n}. {text}" for n, text in enumerate(steps_of(row), start=1))
    return {
        "prompts": f"<start_of_turn>user\n{row['prompt']}<end_of_turn>\n<start_of_turn>model\n"
        f"Reasoning:\n{steps}\nAnswer: {row['final_answer']}<end_of_turn>"
    }


def messages(row: dict[str, Any]) -> dict[str, Any]:
    answer = {
        "role": "assistant",
        "content": row["final_answer"],
        "reasoning_content": "\n".join(steps_of(row)),
    }
    return {"messages": [{"role": "user", "content": row["prompt"]}, answer]}


def peer(source: str, target: str, export_format: str, cache: str) -> None:
    """What a script with Hugging Face datasets does; runs in its Python."""
    import datasets  # type: ignore[import-not-found]

    datasets.disable_progress_bars()
    loaded = datasets.load_dataset("json", data_files=source, split="train", cache_dir=cache)
    render = {"tunix_sft": tunix_sft, "messages": messages}[export_format]
    written = loaded.map(render, remove_columns=["prompt", "steps", "trace_version"])
    if target.endswith(".parquet"):
        written.to_parquet(target)
    else:
        written.to_json(target)


def check_same_text(ours: Path, theirs: Path, export_format: str) -> None:
    """Compare the texts that both wrote, in any order.

    Raises:
        SystemExit: they differ.
    """
    column = {"tunix_sft": "prompts", "messages": "messages"}[export_format]

    def texts(path: Path) -> list[bytes]:
        # Digests, since a process inherits the peak memory of the one that starts it.
        with path.open("rb") as lines:
            found = (json.dumps(json.loads(line)[column], sort_keys=True) for line in lines)
            return sorted(hashlib.sha256(text.encode()).digest() for text in found)

    if texts(ours) != texts(theirs):
        raise SystemExit(f"The texts of {export_format} differ.")


def run(python: str, source: Path, n: int, rounds: int, work: Path) -> None:
    from benchmarks.measure import measure
    from benchmarks.store import traces
    from tunixrt.traces.schema import payload_of

    lines, store = work / "traces.jsonl", work / "store"
    with lines.open("wb") as out:
        out.writelines(payload_of(trace) + b"\n" for trace in traces(source, n))
    at = ["--store", str(store)]
    for command in (
        ["init", str(store)],
        ["trace", "import", str(lines), "--from", "tunixrt", *at],
        ["dataset", "build", "all", "v1", *at],
    ):
        subprocess.run([*TUNIXRT, *command], check=True, capture_output=True, cwd=ROOT)
    print(f"{n:,} traces, {lines.stat().st_size / 1e6:.0f} MB of JSONL; medians of {rounds}\n")
    print(f"{'':<34} {'wall':>10} {'CPU':>10} {'memory':>11}   wall  memory (datasets / tunixrt)")
    for export_format in FORMATS:
        for extension in ("jsonl", "parquet"):
            ours = work / f"ours-{export_format}.{extension}"
            theirs = work / f"theirs-{export_format}.{extension}"
            export = ["dataset", "export", "all-v1", "--format", export_format]
            name = f"{export_format}, {extension}"
            found: dict[str, list[Measured]] = {"tunixrt": [], "datasets": []}
            for _ in range(rounds):
                found["tunixrt"].append(
                    measure(f"tunixrt {name}", [*TUNIXRT, *export, "-o", str(ours), *at], ROOT)
                )
                cache = work / "cache"
                program = [python, str(Path(__file__).resolve()), "--peer"]
                arguments = [str(lines), str(theirs), export_format, str(cache)]
                found["datasets"].append(measure(f"datasets {name}", [*program, *arguments], work))
                shutil.rmtree(cache)
            show(found)
            if extension == "jsonl":
                check_same_text(ours, theirs, export_format)
    print("\nThe texts of both are the same.")


def show(found: dict[str, list[Measured]]) -> None:
    middle = {
        name: {
            field: median(getattr(one, field) for one in measured)
            for field in ("wall_s", "cpu_s", "peak_mib")
        }
        for name, measured in found.items()
    }
    for name, figures in middle.items():
        ratio = ""
        if name == "datasets":
            ratio = "".join(
                f"  {figures[field] / middle['tunixrt'][field]:5.2f}"
                for field in ("wall_s", "peak_mib")
            )
        print(
            f"{found[name][0].name:<34} {figures['wall_s']:8.2f} s {figures['cpu_s']:8.2f} s "
            f"{figures['peak_mib']:7.0f} MiB{ratio}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--traces", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--datasets-python", default=os.environ.get("TUNIXRT_DATASETS_PYTHON"))
    parser.add_argument("--peer", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        peer(*options.peer)
        return
    from benchmarks.store import GSM8K, machine

    source = Path(os.environ.get("TUNIXRT_GSM8K", GSM8K))
    if not source.is_file():
        print("skipped: no GSM8K training file here; name one with TUNIXRT_GSM8K")
        return
    if not options.datasets_python:
        print("skipped: name a Python with Hugging Face datasets with --datasets-python")
        return
    print(f"{time.strftime('%Y-%m-%d', time.gmtime())}, {machine()}")
    with tempfile.TemporaryDirectory() as name:
        run(options.datasets_python, source, options.traces, options.rounds, Path(name))


if __name__ == "__main__":
    main()
