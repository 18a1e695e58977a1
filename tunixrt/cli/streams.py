"""The output streams of the process, through which all text and data passes.

Text for people becomes visible here (a trace may hold the escape sequences of a terminal), and fits
the encoding of the terminal. Data (`--json`, exports, proofs) goes to ``sys.stdout.buffer`` as it
is. A reader of stdout that closes it ends the command; a closed stderr does not.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import select
import sys
from typing import IO, TYPE_CHECKING, Any, TextIO

from tunixrt.errors import BadInputError
from tunixrt.visible import visible, visible_escapes

if TYPE_CHECKING:
    from collections.abc import Iterator


class ReaderGoneError(Exception):
    """The reader of stdout (`head`, a pager) closed it: nothing more is wanted.

    Not an OSError: a reader that has seen enough must not be taken for a disk that refuses.
    """


class StdoutError(BadInputError):
    """Standard output refused a write, such as a file on a full disk.

    Attributes:
        reason: What the operating system said.
    """

    def __init__(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        super().__init__(
            f"standard output could not be written: {reason}. What the command recorded before "
            "that stays recorded; free space, and run the command again."
        )
        self.reason = reason


class _Outlet(io.RawIOBase):
    """Writes bytes to a stream that may refuse, and reports that once."""

    def __init__(self, under: IO[bytes] | None, *, is_stdout: bool) -> None:
        self._under = under
        self._is_stdout = is_stdout
        # Nothing is under a stream that was closed before the process began (`>&-`).
        self._refused = under is None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        if self._under is None:
            raise io.UnsupportedOperation("fileno")
        return self._under.fileno()

    def isatty(self) -> bool:
        return self._under is not None and self._under.isatty()

    def write(self, data: Any) -> int:
        size = len(data)
        if self._under is None or self._refused:
            # What is left in the buffers is flushed when the interpreter ends, too.
            return size
        try:
            return _write(self._under, data)
        except OSError as error:
            self._refused = True
            if not self._is_stdout:
                return size  # a closed stderr must not stop the work
            if isinstance(error, BrokenPipeError):
                raise ReaderGoneError from error
            raise StdoutError(error) from error


class _Collected(io.RawIOBase):
    """Bytes for a stream that takes text only: of a program that collects what commands print."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._stream.write(self._decoder.decode(bytes(data)))
        return len(data)


class TextDoor(io.TextIOWrapper):
    """A text stream that shows control characters, and never fails to encode."""

    def __init__(self, outlet: _Outlet, encoding: str) -> None:
        self._plain_ascii = codecs.lookup(encoding).name == "ascii"
        self._has_signs = _can_encode("␛⟨⏎⇥", encoding)
        super().__init__(
            io.BufferedWriter(outlet),
            # click replaces a stream that says ASCII by one of its own; what is written here is.
            encoding="utf-8" if self._plain_ascii else encoding,
            errors="backslashreplace",
        )

    def write(self, text: str, /) -> int:
        """Write text, with what cannot be seen or encoded written out."""
        shown = visible(text) if self._has_signs else visible_escapes(text)
        if self._plain_ascii:
            shown = shown.encode("ascii", "backslashreplace").decode("ascii")
        super().write(shown)
        return len(text)


def open_doors() -> None:
    """Put the doors into ``sys.stdout`` and ``sys.stderr``, where they are not there yet."""
    _open_standard_descriptors()
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123  (for the whole process)
    if not isinstance(sys.stdout, TextDoor):
        sys.stdout = _door(sys.stdout, is_stdout=True)
    if not isinstance(sys.stderr, TextDoor):
        sys.stderr = _door(sys.stderr, is_stdout=False)


@contextlib.contextmanager
def doors() -> Iterator[None]:
    """Have the doors in place for as long as the block lasts."""
    before = sys.stdin, sys.stdout, sys.stderr
    open_doors()
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before


def _door(stream: TextIO | None, *, is_stdout: bool) -> TextDoor:
    if stream is None:
        return TextDoor(_Outlet(None, is_stdout=is_stdout), "utf-8")
    stream.flush()
    buffer: Any = getattr(stream, "buffer", None) or _Collected(stream)
    # Not buffered: what a broken pipe refused must not be tried again when the process ends.
    outlet = _Outlet(getattr(buffer, "raw", buffer), is_stdout=is_stdout)
    return TextDoor(outlet, stream.encoding or "utf-8")


def _write(under: IO[bytes], data: Any) -> int:
    while True:
        try:
            # None is what a raw file returns where it would have to wait.
            n: int | None = under.write(data)
        except BlockingIOError:
            n = None
        if n is not None:
            return n
        # Another program set the pipe to not block; this one has nothing else to do.
        select.select((), (under,), ())


def _open_standard_descriptors() -> None:
    """See that 0, 1 and 2 are open, or the next file that is opened becomes stdout."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free, which is this one.
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
