"""Rows that a second process makes are the rows of one process, whatever becomes of it."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.making.conversations import conversation, turns
from tests.making.traces import Place, trace
from tunixrt import Store
from tunixrt.datasets.exports import second_maker
from tunixrt.datasets.exports.second_maker import SecondMaker, is_worth_it
from tunixrt.log.redaction import redact
from tunixrt.traces.conversation import Role

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tunixrt.datasets.exports import ExportReport
    from tunixrt.datasets.exports.making import Question
    from tunixrt.datasets.exports.second_maker import Made, Task
    from tunixrt.store.stored_dataset import StoredDataset

#: Two row groups of a Parquet file, and some.
N = 4_500


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> StoredDataset:
    """Traces of both schemas; one is redacted, one is not learned, some have what few have."""
    root = tmp_path_factory.mktemp("second") / "root"
    place = Place.at(root)
    spoken = turns("2 + 2?", "4", "And 3 + 3?", "6")
    masked = msgspec.structs.replace(
        spoken,
        messages=tuple(
            msgspec.structs.replace(m, train=False) if m.role is Role.ASSISTANT else m
            for m in spoken.messages
        ),
    )
    first, *_ = place.record(
        *(trace(f"Problem {n}", meta={"n": n % 7}) for n in range(N)),
        trace("What does <end_of_turn> mean?"),
        trace("A line\u2028break"),
        conversation(),
        spoken,
        masked,
    )
    place.record(trace("Recorded at a time"), recorded_at="2026-01-31T12:00:00Z")
    store = Store.open(root)
    store.datasets.build("d", "v1", splits={"test": "0.1"})
    redact(place.log, [first])
    return store.datasets["d-v1"]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The second processes that were started; every export is worth one."""
    monkeypatch.setattr(second_maker, "MIN_MEMBERS", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3}, raising=False)
    found: list[subprocess.Popen[bytes]] = []
    start = SecondMaker.__init__

    def noted(self: SecondMaker) -> None:
        start(self)
        found.append(self._process)

    monkeypatch.setattr(SecondMaker, "__init__", noted)
    return found


def exported(
    dataset: StoredDataset, path: Path, export_format: str, split: str = "all"
) -> tuple[ExportReport, bytes]:
    return dataset.export(path, export_format, split=split), path.read_bytes()


EXPORTS = [
    ("tunix_sft", "x.jsonl", "all"),
    ("messages", "x.parquet", "all"),
    ("prompt_completion", "x.jsonl.gz", "train"),
    ("trace", "x.arrow", "train"),
]


@pytest.mark.parametrize(("export_format", "name", "split"), EXPORTS)
def test_two_processes_write_the_bytes_of_one_and_count_as_it_does(
    export_format: str,
    name: str,
    split: str,
    dataset: StoredDataset,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    alone = exported(dataset, tmp_path / name, export_format, split)
    started = request.getfixturevalue("started")
    together = exported(dataset, tmp_path / name, export_format, split)
    assert together == alone
    (process,) = started
    assert process.returncode is not None
    assert alone[0].rows > 0.8 * N
    assert alone[0].omitted["redacted"] == 1


@pytest.mark.parametrize("name", ["x.jsonl", "x.parquet"])
def test_a_second_process_that_is_killed_changes_nothing(
    name: str,
    dataset: StoredDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    alone = exported(dataset, tmp_path / name, "messages")
    started = request.getfixturevalue("started")
    make, killed_at = SecondMaker.made, list[int]()

    def killed(self: SecondMaker, task: Task, questions: Iterable[Question]) -> Iterator[Made]:
        for made in make(self, task, questions):
            if not killed_at:
                os.kill(started[0].pid, signal.SIGKILL)
                started[0].wait()
                killed_at.append(len(made.formed))
            yield made

    monkeypatch.setattr(SecondMaker, "made", killed)
    assert exported(dataset, tmp_path / name, "messages") == alone
    assert killed_at


def test_where_no_second_process_can_be_started_one_process_exports(
    dataset: StoredDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    started: list[subprocess.Popen[bytes]],
) -> None:
    together = exported(dataset, tmp_path / "x.jsonl", "text")
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert exported(dataset, tmp_path / "x.jsonl", "text") == together
    assert len(started) == 1


def test_a_second_process_is_worth_it_for_many_members_and_with_a_second_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3}, raising=False)
    assert is_worth_it(second_maker.MIN_MEMBERS)
    assert not is_worth_it(second_maker.MIN_MEMBERS - 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3}, raising=False)
    assert not is_worth_it(second_maker.MIN_MEMBERS)
