"""Promise 2: branches that each appended merge with plain `git merge`, in any order."""

from __future__ import annotations

import os
import random
import subprocess
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.making.events import trace, trace_id, traces, tree
from tunixrt.log.eventlog import EventLog
from tunixrt.log.layout import init
from tunixrt.log.redaction import redact, sweep
from tunixrt.log.segment.events import REDACTED, Envelope
from tunixrt.log.snapshots import (
    list_snapshots,
    save_snapshot,
    take_snapshot,
    verify_snapshots,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.log.digests import Digest

_ENVIRONMENT = {
    "PATH": os.environ.get("PATH", ""),
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (
            ("NAME", "A"),
            ("EMAIL", "a@example.org"),
            ("DATE", "2026-01-31T12:00:00Z"),
        )
    },
}

pytestmark = pytest.mark.usefixtures("without_fsync")


class Repository:
    """A Git repository with a store at its root and no configuration of any kind."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.git("init", "-q", "-b", "main")
        self.log = EventLog(init(root))
        self.commit("a store")

    def git(self, *arguments: str, expect: int = 0) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env=_ENVIRONMENT,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def branch(self, name: str, start: str = "main") -> None:
        self.git("checkout", "-q", "-B", name, start)

    def merge(self, *branches: str) -> None:
        self.git("merge", "-q", "--no-edit", *branches)

    def problems(self) -> list[str]:
        findings = [*self.log.verify(), *verify_snapshots(self.log.layout)]
        return [str(finding) for finding in findings]

    def segments(self) -> set[Digest]:
        return {ref.digest for ref in self.log.segments()}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def _diverge(repository: Repository, n_branches: int, rng: random.Random) -> set[Digest]:
    """Let branches append, redact and take snapshots; return every segment that any of them has."""
    repository.log.append(traces(*range(100, 140)))
    repository.commit("what all branches share")
    everything = repository.segments()
    fresh = count(1000)
    for number in range(n_branches):
        repository.branch(f"branch-{number}")
        for _ in range(rng.randint(1, 3)):
            # Some traces are new, some are shared with other branches; now and then two branches
            # append the very same batch, which is then the very same segment.
            shared = rng.choice([[], [rng.randrange(5)], [1, 2, 3]])
            new = [next(fresh) for _ in range(rng.randrange(3))]
            repository.log.append(traces(*shared, *new) if shared or new else traces(7))
        if rng.random() < 0.5:
            first = rng.randrange(100, 138)
            redact(repository.log, [trace_id(first), trace_id(first + 1)])
        if rng.random() < 0.3:
            save_snapshot(repository.log.layout, take_snapshot(repository.log))
        repository.commit(f"branch {number}")
        everything |= repository.segments()
    return everything


def _merge_in_random_order(repository: Repository, n_branches: int, rng: random.Random) -> None:
    """Merge all branches into the current one, some of them into each other first."""
    names = [f"branch-{number}" for number in range(n_branches)]
    rng.shuffle(names)
    target = repository.git("rev-parse", "--abbrev-ref", "HEAD").strip()
    for pair in zip(names[::4], names[1::4], strict=False):
        repository.branch(f"{target}-{pair[0]}", pair[0])
        repository.merge(pair[1])
        names[names.index(pair[0])] = f"{target}-{pair[0]}"
        names.remove(pair[1])
    repository.git("checkout", "-q", target)
    for name in names:
        repository.merge(name)


@pytest.mark.parametrize(
    ("n_branches", "n_orders"),
    [(2, 6), (8, 3), pytest.param(32, 2, marks=pytest.mark.slow)],
)
def test_any_number_of_branches_merge_without_a_conflict_and_nothing_is_lost_or_doubled(
    repository: Repository, n_branches: int, n_orders: int
) -> None:
    rng = random.Random(n_branches)
    everything = _diverge(repository, n_branches, rng)
    snapshots, stores, events = set(), [], []
    for order in range(n_orders):
        repository.branch(f"merged-{order}")
        _merge_in_random_order(repository, n_branches, rng)
        assert repository.problems() == []
        assert repository.segments() == everything
        snapshots.add(take_snapshot(repository.log).digest)
        stores.append(tree(repository.root / "store"))
        events.append(list(repository.log.events()))
    assert len(snapshots) == 1
    assert all(store == stores[0] for store in stores)
    assert all(replay == events[0] for replay in events)
    # What comes after a merge is appended to all of its branches at once.
    heads, lamport = repository.log.heads()
    merged = repository.log.append(traces(1))
    assert repository.log.heads() == ([merged], lamport + 1)
    assert {parent for ref in repository.log.segments() for parent in ref.parents} >= set(heads)
    assert repository.problems() == []


def test_an_octopus_merge_works_too(repository: Repository) -> None:
    everything = _diverge(repository, 5, random.Random(0))
    repository.branch("merged")
    repository.merge(*(f"branch-{number}" for number in range(5)))
    assert repository.problems() == []
    assert repository.segments() == everything


def test_two_inits_on_two_branches_merge(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    root = repository.root
    repository.git("checkout", "-q", "--orphan", "empty")
    repository.git("rm", "-rfq", ".")
    (root / "README").write_bytes(b"")
    repository.commit("nothing yet")
    for name, number in (("left", 1), ("right", 2)):
        repository.branch(name, "empty")
        EventLog(init(root)).append(traces(number))
        repository.commit(f"a store on the {name}")
    repository.merge("left")
    assert repository.problems() == []
    assert len(repository.segments()) == 2


@pytest.mark.parametrize("start", range(12))
def test_redactions_of_neighbours_on_two_branches_merge(repository: Repository, start: int) -> None:
    repository.log.append(traces(*range(16)))
    repository.commit("sixteen traces")
    rng = random.Random(start)
    chosen = {name: {start, *rng.sample(range(16), 4)} for name in ("left", "right")}
    chosen["right"] = {number + 1 for number in chosen["left"] if number < 15} | {15}
    for name, numbers in chosen.items():
        repository.branch(name)
        redact(repository.log, [trace_id(number) for number in numbers])
        repository.commit(f"redacted on the {name}")
    repository.merge("left")
    assert repository.problems() == []
    gone = chosen["left"] | chosen["right"]
    recorded = [event for event in repository.log.events() if event.envelope.type != REDACTED]
    assert [event.payload is None for event in recorded] == [n in gone for n in range(16)]


def test_plain_text_that_another_branch_brings_back_fails_verify_until_it_is_swept(
    repository: Repository,
) -> None:
    repository.log.append(traces(1, 2))
    repository.commit("two traces")
    repository.branch("redacts")
    redact(repository.log, [trace_id(1)])
    repository.commit("forget the first")
    repository.branch("records")
    repository.log.append(traces(3, 1))
    repository.commit("record it again")
    repository.merge("redacts")
    assert len(repository.problems()) == 1
    assert "redacted is here in plain text" in repository.problems()[0]
    # Both sides may sweep, each in its own clone, and still merge.
    for name in ("one", "two"):
        repository.branch(name, "records")
        assert len(sweep(repository.log).removed) == 1
        repository.log.append(traces(10 if name == "one" else 11))
        repository.commit("swept")
    repository.merge("one")
    assert repository.problems() == []
    content = tree(repository.root / "store")
    assert not any((trace(1)[1] or b"") in data for data in content.values())


def test_a_merge_that_prefers_the_plain_text_does_not_pass_verify(repository: Repository) -> None:
    """Even a merge that resolves everything to the side without the redaction is found out."""
    repository.log.append(traces(1, 2))
    repository.commit("two traces")
    repository.branch("redacts")
    redact(repository.log, [trace_id(1)])
    repository.commit("forget the first")
    repository.git("checkout", "-q", "main", "--", "store/log")
    assert "redacted is here in plain text" in repository.problems()[0]


def test_git_changes_no_byte_whatever_a_user_has_configured(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    line_ends = "one\r\ntwo\n"
    repository.log.append([trace(1), (Envelope("trace.retracted", trace=trace_id(1)), None)])
    (repository.root / "runs" / "x").mkdir()
    (repository.root / "runs" / "x" / "metrics.jsonl").write_text(line_ends, newline="")
    before = tree(repository.root / "store")
    for key, value in (("core.autocrlf", "true"), ("core.eol", "crlf")):
        repository.git("config", key, value)
    (repository.root / ".git" / "info" / "attributes").write_text("*.txt text=auto eol=crlf\n")
    repository.commit("with a hostile configuration")
    clone = tmp_path / "clone"
    subprocess.run(
        ["git", "-c", "core.autocrlf=true", "clone", "-q", str(repository.root), str(clone)],
        env=_ENVIRONMENT,
        check=True,
    )
    assert tree(clone / "store") == before
    assert (clone / "runs" / "x" / "metrics.jsonl").read_bytes() == line_ends.encode()
    assert list(EventLog(init(clone)).verify()) == []
    status = subprocess.run(
        ["git", "status", "--porcelain", "store", "runs"],
        cwd=clone,
        env=_ENVIRONMENT,
        check=True,
        capture_output=True,
    )
    assert status.stdout == b""


def test_derived_files_are_ignored_and_can_be_deleted(repository: Repository) -> None:
    repository.log.append(traces(1))
    redact(repository.log, [trace_id(1)])  # takes the lock, below .tunixrt/
    (repository.log.layout.staging / "left-by-a-crash").mkdir()
    (repository.log.layout.staging / "left-by-a-crash" / "x").write_bytes(b"")
    repository.commit("two segments")
    files = repository.git("ls-files").split()
    assert not any(".tunixrt" in file or ".tmp" in file for file in files)
    repository.git("clean", "-fdxq")
    assert not repository.log.layout.derived.exists()
    assert not repository.log.layout.staging.exists()
    assert repository.problems() == []
    assert repository.log.append(traces(2)) is not None
    assert list_snapshots(repository.log.layout) == []
