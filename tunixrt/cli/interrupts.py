"""Ctrl-C during long work: finish what is being computed, keep it, and stop."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, Any, Self

from tunixrt.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

#: SIGTERM is what batch systems send before they kill.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: Without a handler, these end Python at once, and what was being written stays behind.
_ENDING = (signal.SIGTERM, signal.SIGHUP)


class Terminated(BaseException):
    """The process was asked to end (SIGTERM), or lost its terminal (SIGHUP).

    Like KeyboardInterrupt, not an Exception: only the entry point catches it.

    Attributes:
        exit_code: What a shell reports of a program that this signal ended.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


@contextlib.contextmanager
def termination_unwinds() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into `Terminated`, so that files that are staged get removed.

    A signal that is ignored (`nohup`) stays so; in a thread that hears no signals, nothing changes.
    """

    def end(number: int, _frame: FrameType | None) -> None:
        raise Terminated(number)

    before: dict[int, Any] = {}
    try:
        for one in _ENDING:
            if signal.getsignal(one) is signal.SIG_DFL:
                before[one] = signal.signal(one, end)
    except ValueError:  # not the main thread
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Interrupts(contextlib.ExitStack):
    """Turns the first SIGINT or SIGTERM into a request that the work polls; the second ends it.

    The handlers are restored at the end of the ``with`` block.
    """

    def __init__(self) -> None:
        super().__init__()
        self._asked = False

    def __enter__(self) -> Self:
        """Listen; in a thread that hears no signals, nothing changes."""
        with contextlib.suppress(ValueError):  # not the main thread
            for one in _SIGNALS:
                self.callback(signal.signal, one, signal.signal(one, self._hear))
        return super().__enter__()

    def asked(self) -> bool:
        """Whether a signal has asked the work to stop."""
        return self._asked

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        say("Stopping after the steps that are being computed; a second interrupt stops at once.")
