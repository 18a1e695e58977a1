"""Training against others: the same model, weights and examples, in turn; prints Markdown.

    python -m benchmarks.train [--turns 5] [--torch-python PATH] [--tunix-python PATH]

The model is Gemma 3's architecture with 4.2 million parameters over bytes, float32, AdamW,
gradients clipped to a norm of 1. Two workloads: 8 x 128 tokens, all learned; and traces of mixed
lengths, of which the completions are learned. PyTorch pads a batch of 8 to its longest example,
tunix pads all to the longest row there may be, as its examples do, and tunixrt packs rows. A peer
whose Python is not given is left out.

On a machine that does other work as well, look at the tokens a second of CPU time, and give
`--threads 1`: threads of PyTorch that wait for one another count as busy.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.store import GSM8K, ROOT, machine, traces
from benchmarks.turns import Contender
from tunixrt.datasets.render import DataFormat, render_example
from tunixrt.log.digests import digest_bytes
from tunixrt.ml import environment
from tunixrt.ml.input.batches import encode_examples
from tunixrt.ml.tokenizer import FIRST_BYTE, VOCAB_SIZE, ByteTokenizer
from tunixrt.traces.arithmetic import generate_arithmetic
from tunixrt.traces.schema import payload_of

environment.prepare(environment.FAST)

from tunixrt.ml.model import ModelConfig, initial_weights  # noqa: E402
from tunixrt.ml.training import model_config_of  # noqa: E402
from tunixrt.ml.weights import save_model  # noqa: E402
from tunixrt.runs.config_sources import load_config  # noqa: E402

if TYPE_CHECKING:
    from tunixrt.traces.schema import Trace

N_EQUAL, N_MIXED = 32, 64
MAX_LENGTH = 512
ARCHITECTURE = {"intermediate_size": 1024, "sliding_window_pattern": 6}
DTYPES = ("float32", "float64")
LOSS_TOLERANCE = 1e-3
TITLES = {"equal": "Equal shapes: 8 x 128 tokens", "mixed": "Mixed lengths, completions learned"}
OURS = "benchmarks.training_contenders"
PEERS = "benchmarks.training_peers"


@dataclass(frozen=True)
class Kind:
    """A contender that may take part."""

    name: str
    module: str
    argument: str
    python: str | None = sys.executable


def model_config() -> ModelConfig:
    """The preset `micro` with wider networks and Gemma's own pattern of five local layers."""
    overrides = [f"model.architecture.{key}={value}" for key, value in ARCHITECTURE.items()]
    return model_config_of(load_config("micro", [f"model.max_length={MAX_LENGTH}", *overrides]))


def equal_examples() -> dict[str, np.ndarray]:
    """Random bytes, 129 tokens each: 128 inputs, 128 targets."""
    tokens = np.random.default_rng(0).integers(FIRST_BYTE, VOCAB_SIZE, (N_EQUAL, 129))
    lengths = np.full(N_EQUAL, 129, np.int32)
    return {
        "tokens": tokens.astype(np.int32),
        "lengths": lengths,
        "learned": np.arange(129) >= np.ones_like(lengths)[:, None],
    }


def mixed_examples() -> dict[str, np.ndarray]:
    """Generated arithmetic of 2 to 8 digits, and as many traces of GSM8K, where it is here."""
    source = Path(os.environ.get("TUNIXRT_GSM8K", GSM8K))
    n_arithmetic = N_MIXED // 2 if source.is_file() else N_MIXED
    arithmetic: list[Trace] = []
    for n_digits in range(2, 9):
        wanted = n_arithmetic * (n_digits - 1) // 7 - len(arithmetic)
        problems = generate_arithmetic(
            kinds=["addition", "subtraction"], n_digits=n_digits, n=wanted, seed=0
        )
        arithmetic += [problem.trace() for problem in problems]
    given = [*arithmetic, *traces(source, 16 * N_MIXED)] if source.is_file() else arithmetic
    examples = [
        render_example(trace, digest_bytes(payload_of(trace)), data_format=DataFormat.TUNIX_SFT)
        for trace in given
    ]
    encoded = encode_examples(examples, ByteTokenizer(), max_length=MAX_LENGTH, overlong="drop")
    order = np.random.default_rng(0).permutation(N_MIXED)
    return {
        "tokens": encoded.tokens[order],
        "lengths": encoded.lengths[order],
        "learned": encoded.learned[order],
    }


def run(name: str, arrays: dict[str, np.ndarray], work: Path, options: argparse.Namespace) -> None:
    """One workload: every contender, and a table."""
    directory = work / name
    config = model_config()
    weights = initial_weights(config, 0)
    save_model(directory / "model", weights, config, ByteTokenizer())
    np.savez(directory / "examples.npz", **arrays)
    n_learned = int(arrays["learned"].sum())
    lengths = arrays["lengths"]
    print(
        f"\n### {TITLES[name]}\n\n{len(lengths)} examples of {lengths.min()} to {lengths.max()} "
        f"tokens, {lengths.mean():.0f} on average, {n_learned:,} learned; "
        f"{sum(map(np.size, weights.values())):,} parameters.\n",
        flush=True,
    )
    contenders = [start(kind, n_learned, directory, options) for kind in kinds(options)]
    for _ in range(options.turns):
        for contender in contenders:
            contender.take_turn()
    for contender in contenders:
        contender.stop()
    trained = {c.name: c for c in contenders if "products" not in c.name}
    fast = trained["tunixrt, fast"]
    print("| | learned tokens/s | of fast | tokens/CPU s | of fast | first step | memory | loss |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for one in trained.values():
        print(
            f"| {one.name} | {one.tokens_per_s:,.0f} | {one.tokens_per_s / fast.tokens_per_s:.2f} "
            f"| {one.tokens_per_cpu_s:,.0f} | {one.tokens_per_cpu_s / fast.tokens_per_cpu_s:.2f} "
            f"| {one.first_step_s:.1f} s | {one.peak_mib:,.0f} MiB | {one.first_loss:.5f} |"
        )
    losses = [one.first_loss for one in trained.values()]
    if max(losses) - min(losses) > LOSS_TOLERANCE:
        raise SystemExit(f"The losses of the untrained model differ: {losses}.")
    products = [one for one in contenders if "products" in one.name]
    if len(products) == len(DTYPES):
        print_floor(fast, *products)


def print_floor(fast: Contender, in_32: Contender, in_64: Contender) -> None:
    """What portable mode cannot fall below: fast mode with its products in float64."""
    print("\n| | of the time of fast | of its CPU time |\n|---|---:|---:|")
    shares = {}
    for attribute in ("wall_s", "cpu_s"):
        of_fast, of_32, of_64 = (median(getattr(one, attribute)) for one in (fast, in_32, in_64))
        shares[attribute] = (
            of_32 / of_fast,
            of_64 / of_fast,
            (of_fast - of_32 + of_64) / of_fast,
        )
    names = (
        "matrix products alone, float32",
        "matrix products alone, float64",
        "fast with products in float64",
    )
    for name, wall, cpu in zip(names, *shares.values(), strict=True):
        print(f"| {name} | {wall:.2f} | {cpu:.2f} |", flush=True)


def kinds(options: argparse.Namespace) -> list[Kind]:
    """Who takes part."""
    found = [
        *(Kind(f"tunixrt, {mode}", OURS, mode) for mode in environment.NUMERIC_MODES),
        *(Kind(f"products, {dtype}", OURS, dtype) for dtype in DTYPES),
        Kind("tunix PeftTrainer", PEERS, "tunix", options.tunix_python),
        Kind("PyTorch + transformers", PEERS, "torch", options.torch_python),
    ]
    only = options.only.split(",") if options.only else [kind.argument for kind in found]
    return [kind for kind in found if kind.python and kind.argument in only]


def start(kind: Kind, n_learned: int, directory: Path, options: argparse.Namespace) -> Contender:
    """Start a contender with as many threads as the others."""
    n_threads = str(options.threads)
    names = ("NPROC", "PJRT_NPROC", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    command = [str(kind.python), "-W", "ignore", "-m", kind.module, kind.argument, str(directory)]
    return Contender.start(kind.name, n_learned, command, ROOT, dict.fromkeys(names, n_threads))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", help="such as fast,torch: who takes part; fast has to")
    parser.add_argument("--workload", choices=list(TITLES))
    parser.add_argument("--torch-python", help="a Python with torch, transformers and numpy")
    parser.add_argument("--tunix-python", help="a Python with google-tunix 0.1.7")
    options = parser.parse_args()
    start_s = time.monotonic()
    print(f"{time.strftime('%Y-%m-%d', time.gmtime())}, {machine()}, {options.threads} threads")
    for name in ("torch", "tunix"):
        if getattr(options, f"{name}_python") is None:
            print(f"Left out: {name} (no --{name}-python).")
    with tempfile.TemporaryDirectory() as work:
        for name, examples in (("equal", equal_examples), ("mixed", mixed_examples)):
            if options.workload in (None, name):
                run(name, examples(), Path(work), options)
    print(f"\n{time.monotonic() - start_s:.0f} s in all; medians of {options.turns} turns.")


if __name__ == "__main__":
    main()
