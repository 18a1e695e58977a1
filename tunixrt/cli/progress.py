"""A progress line on stderr: only on a terminal, and only for what takes longer than a second."""

from __future__ import annotations

import contextlib
import os
import sys
import time

from tunixrt.cli.output import redraw

_FIRST_AFTER_S = 1.0
_EVERY_S = 0.1


class Progress(contextlib.ExitStack):
    """One line that is written over: ``training: step 120 of 600 (20%), loss 0.5, 31 s left``.

    It is cleared at the end of the ``with`` block, whatever happened.
    """

    def __init__(self, verb: str, noun: str) -> None:
        """Begin; nothing is shown in the first second."""
        super().__init__()
        self.verb = verb
        self.noun = noun
        # A dumb terminal has no line that can be written over.
        self._on = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._start = time.monotonic()
        self._last = self._start + _FIRST_AFTER_S - _EVERY_S
        self._shown = False
        self.callback(self._clear)

    def show(self, done: int, total: int | None, detail: str = "", *, n_before: int = 0) -> None:
        """Show the progress.

        Args:
            done: how much is done.
            total: the whole amount; None if unknown.
            detail: what else to show.
            n_before: how much was done before this began, and took none of its time.
        """
        now = time.monotonic()
        if not self._on or now - self._last < _EVERY_S:
            return
        self._last = now
        self._shown = True
        text = f"{self.verb}: {self.noun} {done:,}"
        if total:
            left = (now - self._start) / max(done - n_before, 1) * (total - done)
            text += f" of {total:,} ({100 * done // total}%), {left:.0f} s left"
        redraw(f"{text}{', ' + detail if detail else ''}")

    def _clear(self) -> None:
        if self._shown:
            redraw("")
