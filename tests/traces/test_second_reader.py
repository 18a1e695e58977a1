"""A large file is read by two processes, and says the same."""

from __future__ import annotations

import io
import marshal
import os
import signal
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.traces.format_files import FILES, FormatFile
from tunixrt import Store
from tunixrt.log.second_process import receive
from tunixrt.traces import second_reader
from tunixrt.traces.importers.lines import OpenText
from tunixrt.traces.importers.readers import in_background
from tunixrt.traces.importers.records import Dropped, ImportedTrace, Rejection
from tunixrt.traces.importers.table import SourceFormat, read_traces
from tunixrt.traces.quick_reading import quick_answer
from tunixrt.traces.second_reader import SecondReader, is_worth_it, serve

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tunixrt.traces.importers.records import Record
    from tunixrt.traces.importing import ImportReport

N = 6_000


def line(number: int) -> bytes:
    return msgspec.json.encode(
        {
            "trace_version": "1.0",
            "prompt": f"What is {number} + 1? " + "Think. " * 80,
            "steps": [{"i": 0, "type": "compute", "content": f"{number} + 1"}],
            "final_answer": str(number + 1),
            "meta": {"source": "test"},
        }
    )


def lines(changed: dict[int, bytes]) -> list[bytes]:
    """Four mebibytes of traces, with some lines replaced."""
    return [changed.get(number, line(number)) for number in range(N)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "traces.jsonl"
    made.write_bytes(
        b"\n".join(lines({5: b"", 4000: b'{"prompt": 1}', 4001: line(1), 5999: b"  "}))
    )
    return made


def read(path: Path) -> list[Record]:
    return list(read_traces(path, SourceFormat.TUNIXRT))


@pytest.fixture
def alone(path: Path) -> list[Record]:
    assert not is_worth_it(path)
    return read(path)


def test_several_files_and_a_redirected_one_are_read_by_two_processes_too(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.jsonl"
    other.write_bytes(b"\xef\xbb\xbf" + line(N + 1) + b"\n" + line(1))

    def take(root: str) -> ImportReport:
        store = Store.init(tmp_path / root)
        with path.open("rb") as file:
            return store.traces.import_(
                [other, OpenText(str(path), file)], source_format="tunixrt", on_error="quarantine"
            )

    alone = take("alone")
    monkeypatch.setattr(second_reader, "MIN_FILE_BYTES", 0)
    with path.open("rb") as file:
        assert is_worth_it(OpenText("stdin", file)) == is_worth_it(path)
    assert not is_worth_it(OpenText("stdin", io.BytesIO(b"")))
    assert take("together") == alone
    assert [file.recorded for file in alone.files] == [2, N - 5]


def test_two_processes_read_what_one_reads(
    path: Path, alone: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_reader, "MIN_FILE_BYTES", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3}, raising=False)
    assert not is_worth_it(path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3}, raising=False)
    assert is_worth_it(path)
    assert read(path) == alone
    kinds = [type(record) for record in alone]
    assert (kinds.count(ImportedTrace), kinds.count(Dropped)) == (N - 3, 2)
    assert [r.line for r in alone if isinstance(r, Rejection)] == [4001]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Every file is worth a second process; those that were started are noted here."""
    monkeypatch.setattr("tunixrt.traces.importers.table.is_worth_it", lambda path: True)
    found: list[subprocess.Popen[bytes]] = []
    start = SecondReader.__init__

    def noted(self: SecondReader, source_format: str) -> None:
        start(self, source_format)
        found.append(self._process)

    monkeypatch.setattr(SecondReader, "__init__", noted)
    return found


def test_a_reader_that_goes_away_is_not_missed(
    path: Path, alone: list[Record], started: list[subprocess.Popen[bytes]]
) -> None:
    records = []
    for record in read_traces(path, SourceFormat.TUNIXRT):
        records.append(record)
        if len(records) == 100:
            os.kill(started[0].pid, signal.SIGKILL)
            started[0].wait()
    assert records == alone


def test_where_none_can_be_started_one_process_reads(
    path: Path, alone: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunixrt.traces.importers.table.is_worth_it", lambda path: True)
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert read(path) == alone


def test_a_reading_that_is_given_up_leaves_no_process(
    path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    records = read_traces(path, SourceFormat.TUNIXRT)
    next(records)
    assert started[0].poll() is None
    records.close()  # type: ignore[attr-defined]
    assert started[0].returncode == -signal.SIGKILL


def test_answers_are_given_until_the_questions_end() -> None:
    good, bad = b"\n".join(lines({})[:3]), b'{"prompt": 1}'
    asked = [b"tunixrt\n" + lines for lines in (good, bad, good)]
    questions = b"".join(len(q).to_bytes(4, "big") + q for q in asked)
    answers = io.BytesIO()
    serve(io.BytesIO(questions + b"\x00\x00"), answers)
    answers.seek(0)
    given = [receive(answers) for _ in range(4)]
    assert given.pop() is None
    known = [quick_answer(line) for line in good.split(b"\n")]
    assert None not in known
    assert [marshal.loads(data or b"") for data in given] == [known, [None], known]


def test_a_file_that_is_not_there_is_not_worth_it(tmp_path: Path) -> None:
    assert not is_worth_it(tmp_path / "no.jsonl")


#: Files without options; of each, one process answers some lines, and leaves the others.
BACKGROUND = [file for file in FILES if in_background(file.source_format) is not None]


@pytest.mark.parametrize("file", BACKGROUND, ids=[file.name for file in BACKGROUND])
def test_two_processes_read_every_format_as_one_does(
    file: FormatFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "in.jsonl"
    made.write_text(file.text + '\n{"prompt": 1}\n' + file.text)
    alone = list(read_traces(made, file.source_format))
    monkeypatch.setattr("tunixrt.traces.importers.table.is_worth_it", lambda path: True)
    assert list(read_traces(made, file.source_format)) == alone
    assert [type(record) for record in alone].count(Rejection) == 1


def test_what_there_is_something_to_say_of_is_left_to_the_import() -> None:
    read = in_background("think")
    assert read is not None
    tagged = {"prompt": "p", "completion": "<think>t</think>c"}
    assert read(msgspec.json.encode(tagged)) is not None
    assert read(msgspec.json.encode({**tagged, "completion": "t</think>c"})) is None
    assert read(msgspec.json.encode({**tagged, "completion": 1})) is None
    assert read(b"{") is None
    assert in_background("session") is None
