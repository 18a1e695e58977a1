"""What an evaluation that is not finished has generated so far: nothing of it is generated twice.

``.tunixrt/evaluations/<responses id>/responses.jsonl`` has one line a batch, ``<64 hex> <JSON>``,
and it is on the disk before the next batch begins. The hex digits are the SHA-256 of those of the
line before (of the responses id, for the first), a line feed and the JSON. The responses id is the
digest of all that decides a token: weights, eval set, template, settings, numeric mode and code
(``EvaluationIdentity.responses_id``). So a journal serves every judge and no other model: lines of
another one, or moved, lost or changed ones, do not fit the digits. A last line without its line
feed was being written when the process died, and is dropped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.errors import BadInputError, StoreLockedError
from tunixrt.eval.evaluation import Generated
from tunixrt.log.files import sync_directory, sync_file, writing
from tunixrt.runs.directories import EVALUATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tunixrt.log.layout import Layout

_NAME: Final = "responses.jsonl"
_LOCK: Final = "lock"


class EvaluationGoesOnError(StoreLockedError):
    """Another process generates the same responses now.

    Attributes:
        responses_id: what names them.
    """

    def __init__(self, responses_id: str, path: Path) -> None:
        super().__init__(
            f"Another process is generating the same responses: it holds {path}. Wait until it is "
            "done; then this command finds them."
        )
        self.responses_id = responses_id


class DamagedJournalError(BadInputError):
    """A journal that the evaluation did not write like this.

    Attributes:
        path: the journal.
        line: the first line that does not fit, from 1.
    """

    def __init__(self, path: Path, line: int) -> None:
        super().__init__(
            f"{path}, line {line}: The line is damaged, or belongs to another evaluation, so none "
            f"of the saved responses is used. Delete {path.parent} and run the command again: "
            "every response is then generated anew."
        )
        self.path = path
        self.line = line


class ResponseJournal:
    """The journal of the responses that one id names, held by this process.

    Attributes:
        responses: what is on the disk, in the order of the requests.
    """

    def __init__(self, path: Path, responses_id: str) -> None:
        """Read what is there.

        Raises:
            DamagedJournalError: a line does not fit.
        """
        self._path = path
        self._digits = responses_id
        self.responses: list[Generated] = []
        data = path.read_bytes() if path.exists() else b""
        whole = data.rfind(b"\n") + 1
        for number, line in enumerate(data[:whole].splitlines(), start=1):
            digits, _, content = line.partition(b" ")
            if digits.decode("ascii", "replace") != self._next(content):
                raise DamagedJournalError(path, number)
            self._digits = digits.decode()
            self.responses += msgspec.json.decode(content, type=list[Generated])
        if whole < len(data):
            os.truncate(path, whole)

    def append(self, responses: Sequence[Generated]) -> None:
        """Put a batch on the disk; it is there when this returns.

        Raises:
            WriteError: the file system refuses.
        """
        content = msgspec.json.encode(list(responses))
        digits = self._next(content)
        with writing(self._path):
            with self._path.open("ab") as file:
                file.write(b"%b %b\n" % (digits.encode(), content))
            sync_file(self._path)
        self._digits = digits
        self.responses += responses

    def _next(self, content: bytes) -> str:
        return sha256(b"%b\n%b" % (self._digits.encode(), content)).hexdigest()


@contextlib.contextmanager
def response_journal(layout: Layout, responses_id: str) -> Iterator[ResponseJournal]:
    """Hold the journal of these responses; it is removed when the block ends without an error.

    Raises:
        EvaluationGoesOnError: another process holds it.
        DamagedJournalError: a line does not fit.
        WriteError: the file system refuses.
    """
    from filelock import FileLock, Timeout

    directory = layout.derived / EVALUATIONS / responses_id
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(directory / _LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise EvaluationGoesOnError(responses_id, directory / _LOCK) from None
        sync_directory(directory)
    try:
        yield ResponseJournal(directory / _NAME, responses_id)
        shutil.rmtree(directory, ignore_errors=True)
    finally:
        if not (directory / _NAME).exists():  # a model that cannot be read leaves nothing behind
            shutil.rmtree(directory, ignore_errors=True)
        lock.release()
