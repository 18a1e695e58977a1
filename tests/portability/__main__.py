"""Train under every variation and print what came out, portable beside fast.

Usage: python -m tests.portability [--portable-only]

Takes about a minute a variation. Exit status 1 where the portable digests differ.
"""

from __future__ import annotations

import sys
import time

from tests.portability.machines import VARIATIONS, CannotPlayError, Variation, train


def _digest(variation: Variation, mode: str) -> str:
    return train(variation, mode).weights.removeprefix("sha256:")[:12]


def main() -> int:
    """Print the table."""
    modes = ("portable",) if "--portable-only" in sys.argv[1:] else ("portable", "fast")
    found: dict[str, set[str]] = {mode: set() for mode in modes}
    print(f"{'variation':<28}" + "".join(f"{mode:<15}" for mode in modes) + "seconds")
    for variation in VARIATIONS:
        start = time.monotonic()
        try:
            digests = {mode: _digest(variation, mode) for mode in modes}
        except CannotPlayError as reason:
            print(f"{variation.name:<28}left out: {reason}", flush=True)
            continue
        for mode, digest in digests.items():
            found[mode].add(digest)
        row = "".join(f"{digest:<15}" for digest in digests.values())
        print(f"{variation.name:<28}{row}{time.monotonic() - start:7.0f}", flush=True)
    for mode, distinct in found.items():
        print(f"{mode}: {len(distinct)} distinct digest{'s' if len(distinct) > 1 else ''}")
    return 0 if len(found["portable"]) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
