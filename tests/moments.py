"""Moments at which a process stops itself, counted in what it does and never in seconds.

A test that sends a signal after a while tests nothing on a machine that is done by then, and fails
on one that has not begun. So the process counts its own work, its changes of files or its calls of
functions, and acts just before the one that it was given.

As a program, `python -m tests.moments MOMENT DEED [--at PLACE] -m MODULE ARGUMENT...` runs a
module as `python -m MODULE` does. MOMENT is `OPERATION:TEXT:N`: just before the N-th of these
operations on a path that contains the text. DEED is one of `DEEDS`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import runpy
import select
import signal
import sys
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

KILL, INTERRUPT, WAIT = "kill", "interrupt", "wait"
DEEDS = (KILL, INTERRUPT, WAIT)

#: How long a test waits for a process that should come to a place, before it fails. Nothing ends
#: because of it where all is well: every process either comes there or ends.
PATIENCE_S = 600.0

#: The operations that have an audit event, with the argument that is the path they change.
_OPERATIONS = {
    "os.rename": 1,
    "os.mkdir": 0,
    "os.rmdir": 0,
    "os.remove": 0,
    "os.truncate": 0,
}


def before_operations(hear: Callable[[str, str], None]) -> None:
    """Call a function before each change of files that this process makes, for good.

    It gets the name of the operation (open, rename, mkdir, rmdir, remove, truncate, fsync) and the
    path, which for a file that is synced is known on Linux alone. Nothing is synced any more:
    processes die here, and not machines, so the bytes need not reach a disk. See tests.power_cuts.
    """

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & os.O_ACCMODE:
                hear("open", _text(path))
        elif event in _OPERATIONS:
            hear(event.removeprefix("os."), _text(arguments[_OPERATIONS[event]]))

    def fsync(descriptor: int) -> None:
        hear("fsync", _path_of(descriptor))

    sys.addaudithook(audit)
    os.fsync = fsync  # type: ignore[assignment]


def before_calls(hear: Callable[[], None]) -> None:
    """Call a function before each call of a function, Python's and C's, that this thread makes.

    There are far more of them than operations on files, and they are as reproducible.
    """

    def profile(_frame: object, event: str, _argument: object) -> None:
        if event in ("call", "c_call"):
            hear()

    sys.setprofile(profile)


class Fuse:
    """Counts how often it is called, and kills this process when it has been as often as it may.

    Attributes:
        n: How often it has been called.
        last: How often it may be; None for always.
    """

    def __init__(self, last: int | None = None) -> None:
        self.n = 0
        self.last = last

    def __call__(self, *_: object) -> None:
        if self.n == self.last:
            os.kill(os.getpid(), signal.SIGKILL)
        self.n += 1


def _text(path: object) -> str:
    return os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""


def _path_of(descriptor: int) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
    return ""


@dataclass(frozen=True)
class Moment:
    """Just before the n-th operation of a kind on a path that contains a text."""

    operation: str
    text: str
    n: int

    def __str__(self) -> str:
        return f"{self.operation}:{self.text}:{self.n}"

    @classmethod
    def parse(cls, text: str) -> Moment:
        operation, path, n = text.split(":")
        return cls(operation, path, int(n))

    def act(self, deed: Callable[[], None]) -> None:
        """Do something at this moment of the process, once."""
        numbers = count(1)

        def hear(operation: str, path: str) -> None:
            if operation == self.operation and self.text in path and next(numbers) == self.n:
                deed()

        before_operations(hear)


class MeetingPlace:
    """Where processes say that they have come to their moment, and wait for a signal."""

    def __init__(self, path: Path) -> None:
        """Make it.

        Args:
            path: A name that is free.
        """
        os.mkfifo(path)
        self.path = path
        # Open at both ends, so that neither side waits for the other to open it.
        self._descriptor = os.open(path, os.O_RDWR)

    def wait_for(self, n: int, process: subprocess.Popen[Any]) -> list[int]:
        """Wait until so many processes have come; their ids, in the order in which they came.

        Args:
            n: How many.
            process: It, or they are its children. It prints nothing before its end.

        Raises:
            AssertionError: It ended before.
        """
        assert process.stdout is not None
        come: list[int] = []
        both = [self._descriptor, process.stdout.fileno()]
        while len(come) < n:
            ready, _, _ = select.select(both, [], [], PATIENCE_S)
            if self._descriptor not in ready:
                process.kill()
                raise AssertionError(f"it did not come so far: {process.communicate()}")
            # A short line is written to a pipe in one piece.
            come += map(int, os.read(self._descriptor, 4096).split())
        return come

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


@contextlib.contextmanager
def meeting_place(path: Path) -> Iterator[MeetingPlace]:
    """A meeting place that is there for a block."""
    place = MeetingPlace(path)
    try:
        yield place
    finally:
        place.close()


def wait_for_a_signal(place: str) -> None:
    """Say at a meeting place that this process has come, and stay there.

    A signal that comes before the process sleeps is not missed: it leaves a byte in a pipe.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    with open(place, "a", encoding="ascii") as file:  # noqa: PTH123
        file.write(f"{os.getpid()}\n")
    while True:
        os.read(reading, 1)


def program(
    moment: Moment, deed: str, *module: str, place: MeetingPlace | None = None
) -> list[str]:
    """The command that runs a module up to a moment: ``module`` is its name and its arguments.

    Without a module, one is to follow as for Python itself: ``-m``, its name, its arguments.
    """
    where = [] if place is None else ["--at", str(place.path)]
    what = ["-m", *module] if module else []
    return [sys.executable, "-m", "tests.moments", str(moment), deed, *where, *what]


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("moment", type=Moment.parse)
    parser.add_argument("deed", choices=DEEDS)
    parser.add_argument("--at", metavar="PLACE", help="where to wait: a MeetingPlace")
    parser.add_argument("-m", dest="module", nargs=argparse.REMAINDER, required=True)
    options = parser.parse_args(arguments)
    # Whoever starts the tests in the background of a shell may have it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    deeds: dict[str, Callable[[], None]] = {
        KILL: lambda: os.kill(os.getpid(), signal.SIGKILL),
        INTERRUPT: lambda: signal.raise_signal(signal.SIGINT),
        WAIT: lambda: wait_for_a_signal(options.at),
    }
    options.moment.act(deeds[options.deed])
    sys.argv = options.module
    runpy.run_module(options.module[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
