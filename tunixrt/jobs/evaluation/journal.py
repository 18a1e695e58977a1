"""The responses of an unfinished evaluation, so that none is generated twice.

``.tunixrt/work/responses/<id>/journal.jsonl`` has one line per batch, ``<64 hex> <JSON>``, and it
is on disk before the next batch starts. The hex digits are the SHA-256 of those of the line
before (of the responses id, for the first), a line feed and the JSON. So lines of another model or
eval set, and moved, lost or changed lines, do not match. A last line without its line feed
was incomplete when the process died, and is dropped.
"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.eval.evaluation import Generated
from tunixrt.log.files import sync_directory, sync_file, writing
from tunixrt.log.stored import read_stored

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

JOURNAL_NAME: Final = "journal.jsonl"


class DamagedJournalError(BadInputError):
    """A damaged journal, or the journal of another evaluation.

    Attributes:
        path: the journal.
        line: the first line that does not match, from 1.
    """

    def __init__(self, path: Path, line: int) -> None:
        super().__init__(
            f"{path}, line {line}: The line is damaged, or belongs to another evaluation, so none "
            f"of the saved responses is used. Delete {path.parent} and run the command again: "
            "every response is then generated again."
        )
        self.path = path
        self.line = line


class ResponseJournal:
    """The journal of the responses with one id, held by this process.

    Attributes:
        responses: those on disk, in the order of the requests.
    """

    def __init__(self, directory: Path, responses_id: str) -> None:
        """Read the existing lines; the caller holds the lock of the directory.

        Raises:
            DamagedJournalError: a line does not match.
        """
        self._path = path = directory / JOURNAL_NAME
        self._digits = responses_id
        self.responses: list[Generated] = []
        data = read_stored(path) if path.exists() else b""
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
        """Append a batch; it is on disk when this returns.

        Raises:
            WriteError: the file system returns an error.
        """
        content = msgspec.json.encode(list(responses))
        digits = self._next(content)
        with writing(self._path):
            with self._path.open("ab") as file:
                file.write(b"%b %b\n" % (digits.encode(), content))
            sync_file(self._path)
            if not self.responses:
                sync_directory(self._path.parent)
        self._digits = digits
        self.responses += responses

    def _next(self, content: bytes) -> str:
        return sha256(b"%b\n%b" % (self._digits.encode(), content)).hexdigest()
