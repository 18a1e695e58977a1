"""The numeric class of this machine, and the record of one execution."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import TYPE_CHECKING

import msgspec

from tunixrt.runs.identity import current_code
from tunixrt.runs.numeric_class import NumericClass, detect_numeric_class

if TYPE_CHECKING:
    from tunixrt.derive import Environment, Execution
    from tunixrt.runs.identity import Code


def prepare_machine(mode: str, code: Code) -> NumericClass:
    """Set the flags of XLA for a numeric mode and return the machine's numeric class.

    Imports no jax. Where the caller has imported it, the class is what XLA really runs with.

    Raises:
        XlaFlagsNotReadError: jax computed something before the flags were set.
    """
    from tunixrt.ml.environment import set_flags, started_threads

    set_flags(mode)
    # XLA's CPU client starts this many threads; the two variables override the number of CPUs.
    threads = os.environ.get("PJRT_NPROC") or os.environ.get("NPROC")
    announced = int(threads) if threads and threads.isdigit() else None
    return detect_numeric_class(
        packages=code.packages,
        xla_flags=os.environ.get("XLA_FLAGS", "").split(),
        n_threads=started_threads() or announced,
    )


def describe_environment(
    numeric_class: NumericClass | None, execution: Execution | None
) -> Environment:
    """The record of one execution for ``environments/``: no host name, path or user.

    Without a stopwatch (``execution`` is None) no times are recorded, and no numeric class where
    nothing was computed.
    """
    times = {} if execution is None else msgspec.to_builtins(execution)
    computed = (
        {} if numeric_class is None else {"numeric_class": msgspec.to_builtins(numeric_class)}
    )
    return (
        times
        | computed
        | {
            "python": platform.python_version(),
            "tunixrt": metadata.version("tunixrt"),
        }
    )


def code_reasons(
    recorded: Code, recorded_class: NumericClass | None, here: NumericClass
) -> list[str]:
    """The reasons why a run's bits may differ on this machine; empty where they must not.

    Args:
        recorded: the code of the run.
        recorded_class: its numeric class, in numeric mode fast.
        here: the numeric class of this machine.
    """
    reasons = [
        f"{name} is {version} here and was {recorded.packages.get(name, 'absent')}"
        for name, version in current_code().packages.items()
        if recorded.packages.get(name) != version
    ]
    if recorded_class is not None:
        reasons += [
            f"numeric mode fast, and {field} differs here"
            for field in recorded_class.differences(here)
            if field != "packages"
        ]
    return reasons
