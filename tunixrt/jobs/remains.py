"""Finds what a redaction in the working tree does not reach.

A trace's text may have gone further than its segment: into Git history, into the weights of models
that were trained on it, and into eval sets, predictions and reports that quote it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeVar

import msgspec

from tunixrt.datasets.building import list_datasets
from tunixrt.datasets.files import members
from tunixrt.errors import TunixrtError
from tunixrt.log.digests import Digest, hex_of
from tunixrt.log.eventlog import EventLog
from tunixrt.log.findings import files_below
from tunixrt.log.git import GitError, git, is_repository
from tunixrt.log.segment.events import RECORDED
from tunixrt.log.stored import open_stored
from tunixrt.runs.directories import read_runs
from tunixrt.runs.manifests import EvaluationManifest, TrainingManifest
from tunixrt.traces.perturbing import PERTURBED_FROM
from tunixrt.traces.state_table import recorded_trace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from tunixrt.datasets.files import Dataset
    from tunixrt.log.layout import Layout

T = TypeVar("T")

_CHUNK_BYTES = 1024 * 1024
_WEIGHTS = ".safetensors"
_ORIGINAL = re.compile(rb'"%b":"(sha256:[0-9a-f]{64})"' % PERTURBED_FROM.encode())


class Remains(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a redacted trace still exists.

    Attributes:
        n_commits: How many commits of the repository touch the parts that held the text; None
            where no repository can be read.
        copies: Perturbed copies of the traces, which have nearly the same text.
        datasets: Keys of the datasets that list the trace by its id.
        training_runs: Runs whose weights have seen the trace.
        evaluation_runs: Runs that evaluated those weights.
        quoting_files: Files below ``runs/`` and ``evalsets/`` that contain the prompt. They can
            only be found while the prompt is known: a repeated redaction finds none.
        unreadable: Sentences about what could not be read.
    """

    n_commits: int | None
    copies: list[Digest]
    datasets: list[str]
    training_runs: list[str]
    evaluation_runs: list[str]
    quoting_files: list[str]
    unreadable: list[str]


def find_remains(
    layout: Layout, traces: Collection[Digest], prompts: Collection[str], parts: Sequence[str]
) -> Remains:
    """Find what remains of traces.

    Args:
        layout: The store.
        traces: Their ids.
        prompts: Their prompts, as far as known.
        parts: The parts of segments that held them: paths relative to the root.

    It never fails: the redaction is already done, and unreadable files are reported.
    """
    unreadable: list[str] = []
    listing = _read(lambda: _listing(layout, traces), unreadable)
    digests = {dataset.digest for dataset in listing}
    runs = _read(lambda: read_runs(layout), unreadable)
    trained = [
        run for run in runs if isinstance(run, TrainingManifest) and run.identity.dataset in digests
    ]
    weights = {run.weights for run in trained}
    return Remains(
        n_commits=_n_commits(layout.root, parts),
        copies=_read(lambda: list(dict.fromkeys(_copies(EventLog(layout), traces))), unreadable),
        datasets=sorted({dataset.key for dataset in listing}),
        training_runs=[run.run_id for run in trained],
        evaluation_runs=[
            run.run_id
            for run in runs
            if isinstance(run, EvaluationManifest) and run.weights in weights
        ],
        quoting_files=[layout.relative(path) for path in _quoting(layout, prompts, unreadable)],
        unreadable=unreadable,
    )


def _read(read: Callable[[], list[T]], unreadable: list[str]) -> list[T]:
    try:
        return read()
    except TunixrtError as error:
        unreadable.append(str(error))
        return []


def _listing(layout: Layout, traces: Collection[Digest]) -> list[Dataset]:
    return [
        dataset
        for dataset in list_datasets(layout)
        if any(member.trace in traces for member in members(dataset))
    ]


def _copies(log: EventLog, traces: Collection[Digest]) -> Iterator[Digest]:
    """Yield the readable traces that were perturbed from some, in the order of the log."""
    for ref in log.segments():
        paths = (ref.path / part.name for part in ref.header.parts)
        if any(_names_an_original(path, traces) for path in paths):
            for event in log.events([ref.digest]):
                is_readable = event.envelope.type == RECORDED and event.payload is not None
                if is_readable and not _originals(event.payload or b"").isdisjoint(traces):
                    yield recorded_trace(event)


def _names_an_original(path: Path, traces: Collection[Digest]) -> bool:
    try:
        with open_stored(path) as file:
            return not _originals(file.read()).isdisjoint(traces)
    except OSError:
        return True  # reading the events reports what is wrong


def _originals(data: bytes) -> set[str]:
    # In a text of a trace the quotation marks would have backslashes.
    return {found.decode() for found in _ORIGINAL.findall(data)}


def history_command(traces: Sequence[Digest]) -> str:
    """A `git filter-repo` command that redacts traces in every commit.

    It knows a payload line by its digest, so it does not contain what it removes, and it changes no
    other line of any file.
    """
    gone = ", ".join(f'b"{hex_of(trace)}"' for trace in traces)
    return (
        "git filter-repo --force --blob-callback '\n"
        "import hashlib\n"
        f"gone = {{{gone}}}\n"
        'blob.data = b"\\n".join(\n'
        '    b"null" if hashlib.sha256(line).hexdigest().encode() in gone else line\n'
        '    for line in blob.data.split(b"\\n")\n'
        ")'"
    )


def _n_commits(root: Path, parts: Sequence[str]) -> int | None:
    if not is_repository(root):
        return None
    if not parts:
        return 0
    try:
        return int(git(root, "rev-list", "--count", "--all", "--", *parts))
    except GitError:  # the repository is damaged: unknown
        return None


def _quoting(layout: Layout, prompts: Collection[str], unreadable: list[str]) -> Iterator[Path]:
    # The prompt in JSON, with and without escapes of non-ASCII characters, and verbatim.
    needles = {
        form.encode()
        for prompt in prompts
        for form in (prompt, json.dumps(prompt)[1:-1], json.dumps(prompt, ensure_ascii=False)[1:-1])
    }
    if not needles:
        return
    for top in (layout.evalsets, layout.runs):
        for name in files_below(top, layout.root)[0]:
            path = top / name
            try:
                if path.suffix != _WEIGHTS and _contains(path, needles):
                    yield path
            except OSError as error:
                unreadable.append(f"{layout.relative(path)} cannot be read: {error.strerror}.")


def _contains(path: Path, needles: Collection[bytes]) -> bool:
    overlap = max(map(len, needles)) - 1
    tail = b""
    with open_stored(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            window = tail + chunk
            if any(needle in window for needle in needles):
                return True
            tail = window[-overlap:] if overlap else b""
    return False
