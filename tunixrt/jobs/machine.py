"""What a job needs to know of the machine it runs on, and what it notes of one execution."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import TYPE_CHECKING

import msgspec

from tunixrt.runs.numeric_class import NumericClass, detect_numeric_class

if TYPE_CHECKING:
    from tunixrt.runs.identity import Code


class Execution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When and how long a run was executed; given by the caller, hashed into nothing."""

    started_at: str
    duration_s: float


def prepare_machine(mode: str, code: Code) -> NumericClass:
    """Set the flags of XLA for a numeric mode and return the machine's numeric class.

    Imports no jax: whoever computes calls `tunixrt.ml.environment.prepare`.
    """
    from tunixrt.ml.environment import set_flags

    set_flags(mode)
    # XLA's CPU client starts this many threads; the two variables override the CPUs it may use.
    threads = os.environ.get("PJRT_NPROC") or os.environ.get("NPROC")
    return detect_numeric_class(
        packages=code.packages,
        xla_flags=os.environ.get("XLA_FLAGS", "").split(),
        n_threads=int(threads) if threads and threads.isdigit() else None,
    )


def describe_environment(
    numeric_class: NumericClass, execution: Execution | None
) -> dict[str, object]:
    """What ``environments/`` records of one execution: no host name, no path, no user.

    Without a stopwatch (``execution`` is None) no times are recorded.
    """
    times = {} if execution is None else msgspec.to_builtins(execution)
    return times | {
        "numeric_class": msgspec.to_builtins(numeric_class),
        "python": platform.python_version(),
        "tunixrt": metadata.version("tunixrt"),
    }
