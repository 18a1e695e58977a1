"""Stop a process at a known point, counted in what it does and never in seconds.

A test that sends a signal after a delay tests nothing on a machine that has finished by then, and
fails on one that has not started. So the process counts its own file operations or function calls,
and stops just before the given one.

`python -m tests.moments MOMENT ACTION [--at FIFO] -m MODULE ARGUMENT...` runs a module as
`python -m MODULE` does. MOMENT is `OPERATION:TEXT:N`: just before the N-th of these operations on a
path that contains the text. ACTION is one of `ACTIONS`.
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
ACTIONS = (KILL, INTERRUPT, WAIT)

#: After this time a test gives up on a process that neither arrives nor ends. Only a fault of ours
#: gets there: no test passes or fails because of it otherwise.
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
    """Call a function before each file operation of this process that changes something.

    It cannot be undone. Nothing is synced from then on: processes die here, not machines, so the
    bytes need not reach a disk (`tests.power_cuts` is about those).

    Args:
        hear: called with the name of the operation (open, rename, mkdir, rmdir, remove, truncate,
            fsync) and the path; of fsync, the path is known only on Linux and empty elsewhere.
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
    """Call a function before each function call of this thread, Python's and C's.

    There are far more of them than file operations, and they are as reproducible.
    ``sys.setprofile(None)`` ends it.
    """

    def profile(_frame: object, event: str, _argument: object) -> None:
        if event in ("call", "c_call"):
            hear()

    sys.setprofile(profile)


class CallLimit:
    """Counts how often it is called, and kills this process at a limit.

    Attributes:
        n: how often it has been called.
        last: how many calls return before one kills; None for all.
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

    def act(self, action: Callable[[], None]) -> None:
        """Call a function once, when this process gets to this moment."""
        numbers = count(1)

        def hear(operation: str, path: str) -> None:
            if operation == self.operation and self.text in path and next(numbers) == self.n:
                action()

        before_operations(hear)


class Rendezvous:
    """A FIFO where processes report that they arrived at their moment; there they wait."""

    def __init__(self, path: Path) -> None:
        """Make the FIFO; nothing has this path yet."""
        os.mkfifo(path)
        self.path = path
        # Open at both ends, so that neither side waits for the other to open it.
        self._descriptor = os.open(path, os.O_RDWR)

    def arrived(self, n: int, process: subprocess.Popen[Any]) -> list[int]:
        """Wait until n processes have arrived; their process ids, in order of arrival.

        Args:
            n: how many.
            process: the one that arrives, or the parent of those; it prints nothing before it ends.

        Raises:
            AssertionError: it ended first.
        """
        assert process.stdout is not None
        pids: list[int] = []
        both = [self._descriptor, process.stdout.fileno()]
        while len(pids) < n:
            ready, _, _ = select.select(both, [], [], PATIENCE_S)
            if self._descriptor not in ready:
                process.kill()
                raise AssertionError(f"it ended before its moment: {process.communicate()}")
            # A short line is written to a FIFO in one piece.
            pids += map(int, os.read(self._descriptor, 4096).split())
        return pids


@contextlib.contextmanager
def rendezvous(path: Path) -> Iterator[Rendezvous]:
    """A rendezvous that is closed when the block ends."""
    place = Rendezvous(path)
    try:
        yield place
    finally:
        os.close(place._descriptor)


def wait_for_a_signal(fifo: str) -> None:
    """Report at a rendezvous that this process has arrived, and wait until a signal ends it.

    A signal that arrives before the wait is not missed: it leaves a byte in a pipe.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    with open(fifo, "a", encoding="ascii") as file:  # noqa: PTH123
        file.write(f"{os.getpid()}\n")
    while True:
        os.read(reading, 1)


def program(
    moment: Moment, action: str, *module: str, place: Rendezvous | None = None
) -> list[str]:
    """The command that runs a module up to a moment.

    Args:
        moment: where the process stops.
        action: how: one of `ACTIONS`.
        module: its name and its arguments. Without it, the caller appends ``-m``, the name and the
            arguments.
        place: where it waits, if it does.
    """
    where = [] if place is None else ["--at", str(place.path)]
    what = ["-m", *module] if module else []
    return [sys.executable, "-m", "tests.moments", str(moment), action, *where, *what]


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("moment", type=Moment.parse)
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("--at", metavar="FIFO", help="where to wait: a Rendezvous")
    parser.add_argument("-m", dest="module", nargs=argparse.REMAINDER, required=True)
    options = parser.parse_args(arguments)
    # A shell that runs the tests in the background may have it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    actions: dict[str, Callable[[], None]] = {
        KILL: lambda: os.kill(os.getpid(), signal.SIGKILL),
        INTERRUPT: lambda: signal.raise_signal(signal.SIGINT),
        WAIT: lambda: wait_for_a_signal(options.at),
    }
    options.moment.act(actions[options.action])
    sys.argv = options.module
    runpy.run_module(options.module[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
