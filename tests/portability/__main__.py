"""Train under every variation and print what came out, portable beside fast.

Usage: python -m tests.portability [--portable-only] [--emulated] [NAME...]

Takes about a minute a variation; with `--emulated`, QEMU's processors are tried as well, which
takes far longer. Names choose variations. Prints a table in Markdown. Exit status 1 where the
portable digests differ.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.portability.machines import (
    EMULATED,
    VARIATIONS,
    CannotPlayError,
    Variation,
    train,
)


def _digest(variation: Variation, mode: str) -> str:
    return train(variation, mode).weights.removeprefix("sha256:")[:12]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--portable-only", action="store_true")
    parser.add_argument("--emulated", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    modes = ("portable",) if options.portable_only else ("portable", "fast")
    found: dict[str, set[str]] = {mode: set() for mode in modes}
    every = (*VARIATIONS, *(EMULATED if options.emulated or options.names else ()))
    print("| variation | " + " | ".join(modes) + " | seconds |")
    print("|---|" + "---|" * len(modes) + "---:|")
    for variation in every:
        if options.names and variation.name not in options.names:
            continue
        start = time.monotonic()
        try:
            digests = {mode: _digest(variation, mode) for mode in modes}
        except CannotPlayError as reason:
            left_out = f"left out: {reason} |" + " |" * len(modes)
            print(f"| {variation.name} | {left_out}", flush=True)
            continue
        for mode, digest in digests.items():
            found[mode].add(digest)
        row = " | ".join(f"`{digest}`" for digest in digests.values())
        print(f"| {variation.name} | {row} | {time.monotonic() - start:.0f} |", flush=True)
    print()
    for mode, distinct in found.items():
        print(f"{mode}: {len(distinct)} distinct digest{'' if len(distinct) == 1 else 's'}")
    return 0 if len(found["portable"]) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
