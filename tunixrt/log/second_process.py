"""A second process of this Python, which works in parallel to its caller.

It reads questions from its standard input and answers on its standard output; it exits when its
input ends, so it never outlives the caller.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_LENGTH_BYTES: Final = 4


class SecondProcess:
    """A module that runs in another process; use it in a ``with`` statement."""

    def __init__(self, module: str) -> None:
        """Start it.

        Args:
            module: What ``python -m`` is to run.

        Raises:
            OSError: If it cannot be started.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions: IO[bytes] = self._process.stdin
        self._answers: IO[bytes] = self._process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):  # a question that was not read any more
            self._process.communicate()


def run_second(serve: Callable[[IO[bytes], IO[bytes]], None]) -> None:
    """Run as the second process: answer questions until the input ends."""
    # Ctrl-C is for the caller; this process stops at the end of its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(sys.stdin.buffer, sys.stdout.buffer)


def send(pipe: IO[bytes], data: bytes) -> None:
    """Send a message to the other process.

    Raises:
        OSError: If it has exited.
    """
    pipe.write(len(data).to_bytes(_LENGTH_BYTES, "big"))
    pipe.write(data)
    pipe.flush()


def receive(pipe: IO[bytes]) -> bytes | None:
    """Return what was sent; None at the end of the input, also a premature one."""
    n_bytes = int.from_bytes(pipe.read(_LENGTH_BYTES), "big")
    data = pipe.read(n_bytes)
    return data if n_bytes and len(data) == n_bytes else None
