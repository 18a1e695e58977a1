"""Reading lines as traces in a second process, while this one records those before them.

Reading is half of the work of an import, and says the same whoever does it. The process is asked on
its standard input and answers on its standard output; it ends when its input does, so it never
outlives whoever asked. Lines that it cannot be sure of are left to the import itself, which has the
sentences, and so is everything if the process goes away.

Run as ``python -m tunixrt.traces.second_reader``.
"""

from __future__ import annotations

import marshal
import os
from typing import IO, TYPE_CHECKING, Final

from tunixrt.log.second_process import SecondProcess, run_second
from tunixrt.traces.quick_reading import quick_batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tunixrt.traces.quick_reading import QuickAnswer

    Chunk = tuple[int, list[bytes]]

MIN_FILE_BYTES: Final = 16 * 1024 * 1024
"""From this size of a file on, the process is worth the fifth of a second that its start takes."""

_LENGTH_BYTES: Final = 4


def is_worth_it(path: Path) -> bool:
    """Whether a file is so large, and the machine so free, that two read it faster than one."""
    try:
        return path.stat().st_size >= MIN_FILE_BYTES and len(os.sched_getaffinity(0)) > 1
    except (OSError, AttributeError):  # no such file, or no such call on this system
        return False


class SecondReader(SecondProcess):
    """A process that reads lines while this one does something else; use it in a ``with``."""

    def __init__(self) -> None:
        """Start it.

        Raises:
            OSError: If it cannot be started.
        """
        super().__init__("tunixrt.traces.second_reader")

    def answered(self, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, list[QuickAnswer] | None]]:
        """Chunks with what the process says of their lines; None where it does not know.

        It works on the next chunk while the caller works on this one. It is never asked before
        its last answer is read: both would wait for the other to take what they write.
        """
        waiting: Chunk | None = None
        asked = False
        for chunk in chunks:
            answers = self._answer() if asked else None
            asked = self._ask(chunk[1])
            if waiting is not None:
                yield waiting, answers
            waiting = chunk
        if waiting is not None:
            yield waiting, self._answer() if asked else None

    def _ask(self, lines: Sequence[bytes]) -> bool:
        try:
            _send(self._questions, b"\n".join(lines))
        except OSError:
            return False  # it is gone; there is still this process
        return True

    def _answer(self) -> list[QuickAnswer] | None:
        data = _receive(self._answers)
        # From a process of our own, which reads nothing but what it was sent.
        answers: list[QuickAnswer] | None = None if data is None else marshal.loads(data)  # noqa: S302
        return answers


def serve(questions: IO[bytes], answers: IO[bytes]) -> None:
    """Answer until there are no more questions."""
    while (data := _receive(questions)) is not None:
        # Between two processes of one Python, marshal is sound, and the fastest there is.
        _send(answers, marshal.dumps(quick_batch(data.split(b"\n"))))


def _send(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(len(data).to_bytes(_LENGTH_BYTES, "big"))
    pipe.write(data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes | None:
    """What was sent; None at the end, also one that comes too early."""
    n_bytes = int.from_bytes(pipe.read(_LENGTH_BYTES), "big")
    data = pipe.read(n_bytes)
    return data if n_bytes and len(data) == n_bytes else None


if __name__ == "__main__":
    run_second(serve)
