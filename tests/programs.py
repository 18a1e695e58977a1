"""Running the programs among the tests: those that fork, kill and mount, which a test must not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run_module(
    module: str, *arguments: str, prefix: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a module as `python -m` does, from the root of the repository."""
    return subprocess.run(
        [*prefix, sys.executable, "-m", module, *arguments],
        cwd=Path(__file__).parents[1],
        # A process that is killed while it writes its coverage leaves a damaged file behind.
        env={name: value for name, value in os.environ.items() if "COVERAGE" not in name},
        check=False,
        capture_output=True,
        text=True,
    )
