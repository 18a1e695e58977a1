"""A pull request on data, with real Git: reviewed as text, checked, merged to one digest."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.git_repository import GitStore
from tests.making.conversations import turns

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.log.digests import Digest


@pytest.fixture
def repository(tmp_path: Path) -> GitStore:
    """A main branch with 40 conversations, and the dataset chat-v1 of them."""
    made = GitStore(tmp_path / "repository")
    record(made, "main", 40)
    made.store.datasets.build("chat", "v1", splits={"test": "0.25"})
    made.commit("40 conversations, chat-v1")
    return made


def record(repository: GitStore, who: str, n: int) -> list[Digest]:
    added = repository.store.traces.add(
        turns(f"{who} asks {number}?", f"The answer to {who} is {number}.") for number in range(n)
    )
    return list(added.ids)


def tunixrt(repository: GitStore, *arguments: str, expect: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tunixrt", *arguments],
        cwd=repository.root,
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


def test_a_branch_that_adds_and_drops_conversations_reads_well_as_a_pull_request(
    repository: GitStore,
) -> None:
    main = repository.git("rev-parse", "HEAD").strip()
    repository.branch("more")
    listed = [member.trace for member in repository.store.datasets["chat-v1"].members()]
    record(repository, "more", 500)
    revised = repository.store.traces.add([turns("main asks 7?", "The answer is 7, surely.")]).ids[
        0
    ]
    dropped = [trace for trace in listed if trace != revised][:20]
    repository.store.traces.supersede([dropped[0]], by=revised)
    repository.store.traces.retract(dropped[1:], reason="wrong answers")
    repository.store.datasets.build("chat", "v2", splits={"test": "0.25"}, parent="chat-v1")
    repository.commit("500 more, 20 fewer: chat-v2")

    page = tunixrt(repository, "dataset", "diff", "chat-v1", "chat-v2", "--md", "-n", "3")
    lines = page.splitlines()
    assert lines[0] == "# Dataset chat-v1 → chat-v2"
    assert "| traces | 40 | 521 | +481 |" in lines
    assert "**501 added** (501 not recorded yet)" in page
    assert "**20 left out** (19 retracted, 1 superseded)" in page
    assert "20 unchanged." in page
    assert "521 changes, the first 3" in page
    whole = tunixrt(repository, "dataset", "diff", "chat-v1", "chat-v2", "--md", "-n", "1000")
    (revision,) = [
        line for line in whole.splitlines() if f"`{revised[7:19]}`" in line and "now" in line
    ]
    assert dropped[0][7:19] in revision
    assert tunixrt(repository, "dataset", "diff", "chat-v1", "chat-v2", "--md", "-n", "3") == page
    tunixrt(repository, "verify", "--rebuild", "--since", main)
    tunixrt(repository, "dataset", "check", "chat-v2")


def test_two_such_branches_merge_to_one_digest_in_either_order(repository: GitStore) -> None:
    digests = set()
    for order in (("left", "right"), ("right", "left")):
        for name in ("left", "right"):
            repository.branch(name)
            ids = record(repository, name, 50)
            repository.store.traces.retract(ids[:5])
            repository.commit(f"{name}: 50 more, 5 fewer")
        repository.branch("merged")
        repository.merge(order[0])
        repository.merge(order[1])
        repository.store.datasets.build("chat", "v2", splits={"test": "0.25"})
        assert repository.problems() == []
        digests.add(repository.store.datasets["chat-v2"].digest)
        repository.git("checkout", "-q", "-f", "main")
        repository.git("clean", "-q", "-fdx", "store")
    assert len(digests) == 1
