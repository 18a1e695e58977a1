"""A second process changes how long a verification takes, and nothing that it says."""

from __future__ import annotations

import io
import os
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.making.events import trace
from tests.moments import PATIENCE_S
from tunixrt.log.segment import verifier as segment_verifier
from tunixrt.log.segment.events import Envelope
from tunixrt.log.segment.part_prover import SecondProver, prove_part, serve

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.findings import Finding
    from tunixrt.log.segment.header import PartHeader


@pytest.fixture
def parts(log: EventLog) -> list[tuple[Path, PartHeader]]:
    """Five parts of two events each."""
    log.append(trace(n, n_characters=2_000_000) for n in range(10))
    (ref,) = log.segments()
    return [(ref.path / part.name, part) for part in ref.header.parts]


def _verify(log: EventLog, monkeypatch: pytest.MonkeyPatch, n_parts: int) -> list[Finding]:
    monkeypatch.setattr(segment_verifier, "_PARTS_FOR_TWO", n_parts)
    return list(log.verify())


@pytest.mark.parametrize("at", [0, 1, 4])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"x\"]}\n", b"y\"]}\n"),
        (b'"payload":"sha256:', b'"payload":"sha256;'),
        (b"trace.recorded", b"trace.recordeD"),
        (b"x\"]}\n", b"x\"]}"),
        (b"x\"]}\n", b"x\"]}\r\n"),
        (b'{"n":', b'{"n": '),
    ],
)  # fmt: skip
def test_two_processes_find_what_one_finds(
    log: EventLog,
    parts: list[tuple[Path, PartHeader]],
    monkeypatch: pytest.MonkeyPatch,
    at: int,
    old: bytes,
    new: bytes,
) -> None:
    assert len(parts) == 5
    assert _verify(log, monkeypatch, 2) == _verify(log, monkeypatch, 99) == []
    path, _ = parts[at]
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))
    found = _verify(log, monkeypatch, 2)
    assert found == _verify(log, monkeypatch, 99)
    assert found
    assert all(path.name in finding.path or "segment.json" in finding.path for finding in found)


def test_a_part_that_is_missing_is_found_by_both(
    log: EventLog, parts: list[tuple[Path, PartHeader]], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts[1][0].unlink()
    found = _verify(log, monkeypatch, 2)
    assert found == _verify(log, monkeypatch, 99)
    assert "cannot be read" in str(found[0])


def test_a_second_process_that_dies_or_never_starts_changes_nothing(
    log: EventLog, parts: list[tuple[Path, PartHeader]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in ("/bin/false", "/nonexistent/python"):
        monkeypatch.setattr(sys, "executable", program)
        assert _verify(log, monkeypatch, 2) == []


def test_a_second_process_that_is_killed_between_two_parts_changes_nothing(
    log: EventLog, parts: list[tuple[Path, PartHeader]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = SecondProver.answer

    def answer_and_die(prover: SecondProver) -> object:
        found = answer(prover)
        prover._process.kill()
        prover._process.wait()
        return found

    monkeypatch.setattr(SecondProver, "answer", answer_and_die)
    assert _verify(log, monkeypatch, 2) == []


def test_the_answer_is_the_proof(parts: list[tuple[Path, PartHeader]]) -> None:
    with SecondProver() as second:
        for path, header in parts:
            second.ask(path, header.n_events)
            assert second.answer() == prove_part(path, header.n_events)
            second.ask(path, header.n_events + 1)
            assert second.answer() is None


def test_answers_are_a_length_and_hashes(parts: list[tuple[Path, PartHeader]]) -> None:
    path, header = parts[0]
    answers = io.BytesIO()
    name = os.fsencode(path).hex().encode()
    serve(io.BytesIO(b"2 %b\n1 %b\n" % (name, name)), answers)
    data = answers.getvalue()
    assert data[:4] == (3).to_bytes(4, "big")
    assert f"sha256:{data[4:36].hex()}" == header.root
    assert data[100:] == bytes(4)


def test_other_events_than_recordings_are_not_proved(log: EventLog) -> None:
    log.append([trace(1), (Envelope("trace.retracted", trace=trace(1)[0].payload), None)])
    (ref,) = log.segments()
    assert prove_part(ref.path / "0000.jsonl", 2) is None


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for a process of another's")
def test_the_second_process_ends_when_the_first_is_killed(log: EventLog) -> None:
    program = (
        "import signal, sys\n"
        "from pathlib import Path\n"
        "from tunixrt.log.segment.part_prover import SecondProver\n"
        "with SecondProver() as second:\n"
        "    second.ask(Path(sys.argv[1]), 1)\n"
        "    assert second.answer() is not None\n"  # so that it has come to listening
        "    print(second._process.pid, flush=True)\n"
        "    signal.pause()\n"
    )
    log.append([trace(1)])
    (ref,) = log.segments()
    part = str(ref.path / "0000.jsonl")
    command = [sys.executable, "-c", program, part]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as first:
        try:
            assert first.stdout is not None
            second = int(first.stdout.readline())
            ended = os.pidfd_open(second)
            os.kill(second, signal.SIGINT)  # Ctrl-C reaches both; only the first listens
            assert select.select([ended], [], [], 0) == ([], [], [])
        finally:
            first.kill()
    assert select.select([ended], [], [], PATIENCE_S) == ([ended], [], [])
    os.close(ended)
