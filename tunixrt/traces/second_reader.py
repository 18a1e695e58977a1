"""Reads lines as traces in a second process, while this one records those before them.

Reading is half of the work of an import, and the result does not depend on the process. Lines that
the second process is not certain of, or has a remark about, are left to the import, and so is
everything if the process exits.

Run as ``python -m tunixrt.traces.second_reader``.
"""

from __future__ import annotations

import marshal
import os
from typing import IO, TYPE_CHECKING, Final

from tunixrt.log.second_process import SecondProcess, receive, run_second, send
from tunixrt.traces.importers.lines import MeteredFile, OpenText
from tunixrt.traces.importers.readers import in_background

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tunixrt.traces.importers.lines import Chunk, TextSource
    from tunixrt.traces.quick_reading import QuickAnswer

    Answers = list[QuickAnswer | None]

MIN_FILE_BYTES: Final = 16 * 1024 * 1024
"""With a file of this size, the process is worth the fifth of a second that its start takes."""


def is_worth_it(source: TextSource) -> bool:
    """Return whether file size and free CPUs make two processes faster than one."""
    try:
        # The length of a pipe is unknown; that of a redirected file is its size.
        if isinstance(source, OpenText):
            stat = os.fstat(source.stream.fileno())
        else:
            stat = (source.path if isinstance(source, MeteredFile) else source).stat()
        return stat.st_size >= MIN_FILE_BYTES and len(os.sched_getaffinity(0)) > 1
    except (OSError, AttributeError):  # no such file, or no such call on this system
        return False


class SecondReader(SecondProcess):
    """A process that reads lines while this one does something else; use it in a ``with``."""

    def __init__(self, source_format: str) -> None:
        """Start it.

        Args:
            source_format: One that `in_background` has a reader for.

        Raises:
            OSError: If it cannot be started.
        """
        super().__init__("tunixrt.traces.second_reader")
        self._format = source_format.encode()

    def answered(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, Answers | None]]:
        """Yield chunks with the answer of the process for each line; None if it has exited.

        It works on the next chunk while the caller works on this one. The next question is sent
        only after the last answer is read: otherwise both could block on a full pipe.
        """
        waiting: Chunk | None = None
        asked = False
        for chunk in chunks:
            answers = self._answer() if asked else None
            asked = self._ask(chunk.records)
            if waiting is not None:
                yield waiting, answers
            waiting = chunk
        if waiting is not None:
            yield waiting, self._answer() if asked else None

    def _ask(self, lines: Sequence[bytes]) -> bool:
        try:
            send(self._questions, b"\n".join([self._format, *lines]))
        except OSError:
            return False  # it has exited; this process reads the lines
        return True

    def _answer(self) -> Answers | None:
        data = receive(self._answers)
        # From a child process, which reads nothing but what it was sent.
        answers: Answers | None = None if data is None else marshal.loads(data)  # noqa: S302
        return answers


def serve(questions: IO[bytes], answers: IO[bytes]) -> None:
    """Answer questions until the input ends."""
    while (data := receive(questions)) is not None:
        source_format, *lines = data.split(b"\n")
        read = in_background(source_format.decode())
        assert read is not None
        # Between two processes of the same Python, marshal is safe, and the fastest format.
        send(answers, marshal.dumps([read(line) for line in lines]))


if __name__ == "__main__":
    run_second(serve)
