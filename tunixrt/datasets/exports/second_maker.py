"""Makes rows in a second process, while this one reads the payloads that come next.

Making rows is half of the work of an export, and the result does not depend on the process. If the
process exits, the rows are made here.

Run as ``python -m tunixrt.datasets.exports.second_maker``.
"""

from __future__ import annotations

import marshal
import os
from typing import IO, TYPE_CHECKING, Final

import msgspec

from tunixrt.datasets.exports.columns import Columns, Held, columns_of
from tunixrt.datasets.exports.containers import Container, Former
from tunixrt.datasets.exports.formats import RowSettings
from tunixrt.datasets.exports.making import Counts, Plain, Question, RowMaker
from tunixrt.datasets.recipes import Split
from tunixrt.log.second_process import SecondProcess, receive, run_second, send

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MIN_MEMBERS: Final = 20_000
"""With so many members, the process is worth the time that its start takes."""


class Made(msgspec.Struct, frozen=True, gc=False):
    """The rows of a question.

    Attributes:
        formed: the bytes that `Writer.put` takes; none without rows.
        counts: as `Counts.plain` returns them.
    """

    formed: bytes
    counts: Plain


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What decides how payloads become the bytes of a batch."""

    settings: RowSettings
    held: Held
    container: Container


class _Maker:
    """Makes the rows of one task."""

    def __init__(self, task: Task) -> None:
        columns = Columns(columns_of(task.settings, task.held))
        self._form = Former(task.container, columns).form
        self._rows = RowMaker(task.settings, Counts(), with_tools=task.held.tools)

    def made(self, question: Question) -> Made:
        counts = self._rows.counts = Counts()
        rows = self._rows.rows(question)
        return Made(self._form(rows) if rows else b"", counts.plain())


def is_worth_it(n_members: int) -> bool:
    """Return whether the number of members and of free CPUs make two processes faster than one."""
    try:
        return n_members >= MIN_MEMBERS and len(os.sched_getaffinity(0)) > 1
    except AttributeError:  # no such call on this system
        return False


class SecondMaker(SecondProcess):
    """A process that makes rows while this one does something else; use it in a ``with``."""

    def __init__(self) -> None:
        """Start it.

        Raises:
            OSError: If it cannot be started.
        """
        super().__init__("tunixrt.datasets.exports.second_maker")

    def made(self, task: Task, questions: Iterable[Question]) -> Iterator[Made]:
        """Yield the rows of questions, in their order; call it once.

        It works on a question while the caller makes the next. That is sent only after the last
        answer is read: otherwise both could block on a full pipe.
        """
        here = _Maker(task)
        one_split = task.settings.split is not None
        works = self._sent(msgspec.json.encode(task))
        waiting: Question | None = None
        for question in questions:
            if waiting is None:
                works = works and self._ask(question, one_split=one_split)
            else:
                answer = self._answer() if works else None
                works = answer is not None and self._ask(question, one_split=one_split)
                yield answer or here.made(waiting)
            waiting = question
        if waiting is not None:
            yield (self._answer() if works else None) or here.made(waiting)

    def _ask(self, question: Question, *, one_split: bool) -> bool:
        payloads, traces, splits, times = question
        plain = (
            payloads,
            traces,
            None if one_split else [split.value for split in splits],
            times if any(times) else None,
        )
        return self._sent(marshal.dumps(plain))

    def _sent(self, data: bytes) -> bool:
        try:
            send(self._questions, data)
        except OSError:
            return False  # it has exited; this process makes the rows
        return True

    def _answer(self) -> Made | None:
        data = receive(self._answers)
        # From a child process, which reads nothing but what it was sent.
        return None if data is None else Made(*marshal.loads(data))  # noqa: S302


def serve(questions: IO[bytes], answers: IO[bytes]) -> None:
    """Answer questions until the input ends."""
    data = receive(questions)
    if data is None:
        return
    task = msgspec.json.decode(data, type=Task)
    maker = _Maker(task)
    by_name = {split.value: split for split in Split}
    while (data := receive(questions)) is not None:
        # Between two processes of the same Python, marshal is safe, and the fastest format.
        payloads, traces, splits, times = marshal.loads(data)  # noqa: S302
        if splits is None:
            splits = [task.settings.split] * len(payloads)
        else:
            splits = [by_name[name] for name in splits]
        question = Question(payloads, traces, splits, times or [None] * len(payloads))
        made = maker.made(question)
        send(answers, marshal.dumps((made.formed, made.counts)))


if __name__ == "__main__":
    run_second(serve)
