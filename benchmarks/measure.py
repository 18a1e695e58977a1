"""Running a program and saying what it took: wall time, CPU time, peak memory."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """What a program took: seconds of wall and of CPU (user and system), peak mebibytes."""

    name: str
    wall_s: float
    cpu_s: float
    peak_mib: float

    def row(self, base: Measured | None = None) -> str:
        """The figures in columns, with the ratio of wall times to a base if there is one."""
        ratio = "" if base is None else f"  {self.wall_s / base.wall_s:6.2f} x"
        took = f"{self.wall_s:8.2f} s {self.cpu_s:8.2f} s {self.peak_mib:7.0f} MiB"
        return f"{self.name:<44} {took}{ratio}"


def measure(name: str, command: Sequence[str], directory: Path) -> Measured:
    """Run a program to its end.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    start = time.monotonic()
    process = subprocess.Popen(
        command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=said)
    return Measured(name, wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def size_bytes(directory: Path) -> int:
    """The sizes of all files below a directory together."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
