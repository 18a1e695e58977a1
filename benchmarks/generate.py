"""Generation against transformers and google-tunix: the same weights, prompts and new tokens.

Run as `python -m benchmarks.generate [--transformers-python PATH] [--tunix-python PATH]`, each the
Python of an environment that has that package (and its torch or jax) but need not have tunixrt.
A model of 4 million parameters is written with `save_model`; transformers reads that directory, and
so does google-tunix with its own loader. The embeddings of the tokens that stop are zero, so that
nobody ever stops early: their logit is 0, and the largest of the others is above it. Everyone is a
process that stays: after a first round, which compiles, they generate in turn, round after round.
What is reported is the median, and the median of the ratios within a round. Memory is the largest
resident set of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from tunixrt.ml import environment

environment.prepare("fast")

from benchmarks.store import machine  # noqa: E402
from tunixrt.ml.model import ModelConfig, initial_weights  # noqa: E402
from tunixrt.ml.tokenizer import BOS, END_OF_TURN, EOS, FIRST_BYTE, PAD, ByteTokenizer  # noqa: E402
from tunixrt.ml.weights import save_model  # noqa: E402
from tunixrt.runs.architecture import Architecture  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent

#: 4.0 million parameters. google-tunix knows one pattern of layers: every sixth sees everything.
ARCHITECTURE = Architecture(
    hidden_size=256,
    intermediate_size=640,
    num_hidden_layers=6,
    num_attention_heads=8,
    num_key_value_heads=2,
    head_dim=32,
    query_pre_attn_scalar=32,
    rms_norm_eps=1e-6,
    rope_theta=1_000_000.0,
    rope_local_base_freq=10_000.0,
    sliding_window=128,
    sliding_window_pattern=6,
)


@dataclass
class Contender:
    """A process of `generation_contenders`, and what it took in each round."""

    name: str
    process: subprocess.Popen[str]
    rounds: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def start(
        cls, name: str, python: str, directory: Path, n_new: int, batch_size: int
    ) -> Contender:
        """Start it, and wait until it has loaded the model."""
        process = subprocess.Popen(
            [
                python,
                "-m",
                "benchmarks.generation_contenders",
                name,
                str(directory),
                str(n_new),
                str(batch_size),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        contender = cls(name, process)
        contender._answer()
        return contender

    def generate(self, prompts: list[list[int]]) -> None:
        """Have it continue prompts, and note what that took."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(prompts) + "\n")
        self.process.stdin.flush()
        self.rounds.append(json.loads(self._answer()))

    def stop(self) -> None:
        """Close its input, which ends it."""
        self.process.communicate()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.name} ended with exit code {self.process.wait()}.")
        return answer


def model_in(directory: Path) -> int:
    """Write the model; how many parameters it has."""
    config = ModelConfig(ARCHITECTURE, ByteTokenizer.vocab_size, max_length=512)
    weights = initial_weights(config, seed=0)
    weights["model.embed_tokens.weight"][[PAD, EOS, END_OF_TURN]] = 0
    save_model(directory, weights, config, ByteTokenizer())
    return sum(tensor.size for tensor in weights.values())


def prompts_of(n: int, length: int) -> list[list[int]]:
    bytes_of = random.Random(0)
    ids = range(FIRST_BYTE, ByteTokenizer.vocab_size)
    return [[BOS, *bytes_of.choices(ids, k=length - 1)] for _ in range(n)]


def agreement(tokens: Sequence[Sequence[int]], expected: Sequence[Sequence[int]]) -> float:
    """The share of rows whose tokens are all the same."""
    same = [list(a) == list(b) for a, b in zip(tokens, expected, strict=True)]
    return sum(same) / len(same)


def compare(
    pythons: Mapping[str, str], directory: Path, batch_size: int, args: argparse.Namespace
) -> None:
    prompts = prompts_of(batch_size, args.prompt)
    contenders = [
        Contender.start(name, python, directory, args.new, batch_size)
        for name, python in pythons.items()
    ]
    try:
        for _ in range(1 + args.rounds):
            for contender in contenders:
                contender.generate(prompts)
    finally:
        for contender in contenders:
            contender.stop()
    print(f"| batch {batch_size} | tokens/s | wall | CPU | first | memory | slower | same tokens |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    base = contenders[0]
    for contender in contenders:
        first, *rounds = contender.rounds
        wall_s, cpu_s = (median(one[key] for one in rounds) for key in ("wall_s", "cpu_s"))
        ratio = median(
            one["wall_s"] / ours["wall_s"]
            for one, ours in zip(rounds, base.rounds[1:], strict=True)
        )
        assert all(len(row) == args.new for row in rounds[-1]["tokens"]), contender.name
        same = agreement(rounds[-1]["tokens"], base.rounds[-1]["tokens"])
        print(
            f"| {contender.name} | {batch_size * args.new / wall_s:,.0f} | {wall_s:.3f} s "
            f"| {cpu_s:.3f} s | {first['wall_s']:.1f} s | {rounds[-1]['peak_mib']:.0f} MiB "
            f"| {ratio:.2f} x | {same:.0%} |"
        )
    print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--transformers-python", help="has transformers and torch")
    parser.add_argument("--tunix-python", help="has google-tunix")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 64, 256])
    parser.add_argument("--prompt", type=int, default=48, help="tokens of a prompt")
    parser.add_argument("--new", type=int, default=64, help="tokens to generate for each")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one-thread", action="store_true", help="everyone on one core")
    args = parser.parse_args()
    if args.one_thread:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        os.environ |= {"NPROC": "1", "OMP_NUM_THREADS": "1"}
    pythons = {"tunixrt-fast": sys.executable, "tunixrt-portable": sys.executable}
    for names, python, option in (
        (("transformers-eager", "transformers-sdpa"), args.transformers_python, "transformers"),
        (("tunix",), args.tunix_python, "tunix"),
    ):
        if python is None:
            print(f"{option} is left out: there is no --{option}-python.")
        else:
            pythons |= dict.fromkeys(names, python)
    threads = "one core" if args.one_thread else f"{os.cpu_count()} cores"
    with tempfile.TemporaryDirectory() as scratch:
        n_parameters = model_in(Path(scratch))
        print(
            f"{machine()}; {threads} used\n{n_parameters:,} parameters, float32; prompts of "
            f"{args.prompt} tokens, {args.new} new ones each, greedy; {args.rounds} rounds\n"
        )
        for batch_size in args.batches:
            compare(pythons, Path(scratch), batch_size, args)


if __name__ == "__main__":
    main()
