"""Train under every variation and print what came out, portable beside fast.

Usage: python -m tests.portability [--run RUN] [--portable-only] [--emulated] [NAME...]

Trains a small model for a few steps, or makes a training run of this repository again, whose
weights have to be those that are committed, too. Takes about a minute a variation; with
`--emulated`, QEMU's processors are tried as well, which takes far longer. Names choose variations.
Prints a table in Markdown: the first digits of one digest over weights, metrics and predictions.
Exit status 1 where the portable ones differ.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time

from tests.portability.machines import (
    EMULATED,
    ROOT,
    VARIATIONS,
    CannotPlayError,
    Trained,
    train,
)
from tunixrt.log.layout import Layout
from tunixrt.runs.directories import find_run
from tunixrt.runs.manifests import TrainingManifest


def _digest(trained: Trained) -> str:
    """One digest for all that came out."""
    parts = (trained.weights, trained.metrics, trained.predictions)
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:12]


def _committed_weights(run: str) -> str:
    """The digest of the weights of a run of this repository."""
    manifest = find_run(Layout(ROOT), run)
    assert isinstance(manifest, TrainingManifest), run
    return manifest.weights


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", help="a training run of this repository")
    parser.add_argument("--portable-only", action="store_true")
    parser.add_argument("--emulated", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    modes = ("portable",) if options.portable_only else ("portable", "fast")
    found: dict[str, set[str]] = {mode: set() for mode in modes}
    weights = set() if options.run is None else {_committed_weights(options.run)}
    every = (*VARIATIONS, *(EMULATED if options.emulated or options.names else ()))
    print("| variation | " + " | ".join(modes) + " | seconds |")
    print("|---|" + "---|" * len(modes) + "---:|")
    for variation in every:
        if options.names and variation.name not in options.names:
            continue
        start = time.monotonic()
        try:
            trained = {mode: train(variation, mode, options.run) for mode in modes}
        except CannotPlayError as reason:
            left_out = f"left out: {reason} |" + " |" * len(modes)
            print(f"| {variation.name} | {left_out}", flush=True)
            continue
        weights.add(trained["portable"].weights)
        digests = {mode: _digest(one) for mode, one in trained.items()}
        for mode, digest in digests.items():
            found[mode].add(digest)
        row = " | ".join(f"`{digest}`" for digest in digests.values())
        print(f"| {variation.name} | {row} | {time.monotonic() - start:.0f} |", flush=True)
    print()
    for mode, distinct in found.items():
        print(f"{mode}: {len(distinct)} distinct digest{'' if len(distinct) == 1 else 's'}")
    if options.run is not None:
        print(
            f"weights of {options.run}: {'those' if len(weights) == 1 else 'NOT those'} committed"
        )
    return 0 if len(found["portable"]) == 1 and len(weights) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
