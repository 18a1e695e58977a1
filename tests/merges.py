"""Merge branches of a store in many orders, with Git, and look whether one store comes out.

`python -m tests.merges --n 1000` makes branches that record, score, label, retract, redact, promote
and build datasets, some of them in conflict with each other, and merges all of them in a thousand
random orders: one after the other, or some of them first. Each merge is Git's own (`git merge-tree
--write-tree`, which is what servers run), without a driver, an attribute or a checkout.

The rules: no merge stops; nothing is lost and nothing is made up, so each file in the end is that
of a branch, save for redacted payloads; and all orders give one tree. That tree is checked out and
verified.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.git_repository import ENVIRONMENT, GitStore
from tests.jobs.made_runs import made_store, made_training
from tests.writers import content, value
from tunixrt.log.snapshots import take_snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt import Store


@dataclass
class Outcome:
    """What came of merging branches in many orders."""

    n_orders: int
    n_merges: int
    trees: Counter[str] = field(default_factory=Counter)
    snapshots: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


class Merger:
    """A repository with branches, and what Git makes of them."""

    def __init__(self, directory: Path, n_branches: int, rng: random.Random) -> None:
        self.repository = GitStore(directory)
        self._rng = rng
        self._known: dict[tuple[str, str], str] = {}
        self.n_merges = 0
        store = self.repository.store
        made_store(directory, n=40)
        self._runs = [made_training(store, seed=seed).run_id for seed in range(3)]
        base = self.repository.commit("what all branches share")
        self.branches = []
        self.files: dict[str, set[bytes]] = {}
        for number in range(n_branches):
            self.repository.branch(f"branch-{number}", base)
            self._diverge(store, number)
            self.branches.append(self.repository.commit(f"branch {number}"))
            for path, data in content(directory).items():
                if not path.startswith(".git/"):
                    self.files.setdefault(path, set()).add(data)

    def _diverge(self, store: Store, number: int) -> None:
        with store.traces() as projection:
            ids = [state.id for state in projection.traces()]
        rng = self._rng
        for _ in range(rng.randint(2, 4)):
            match rng.randrange(8):
                case 0 | 1:
                    store.add_trace(value(f"{number} {rng.random()}"))
                case 2:
                    # The same on every branch that comes here, or almost.
                    store.add_trace(value(f"shared {rng.randrange(3)}"))
                case 3:
                    store.score_traces([rng.choice(ids)])
                case 4:
                    store.label_traces(rng.sample(ids, 3), {"quality": str(number % 3)})
                case 5:
                    store.retract_traces([rng.choice(ids[:10])], reason="wrong")
                case 6:
                    store.redact_traces(rng.sample(ids[:20], 2), reason="asked for")
                case _:
                    store.promote_run(rng.choice(self._runs), "best")
        if number % 4 == 0:
            store.build_dataset("all", "v1", limit=10 + number)
        elif number % 4 == 1:
            store.build_dataset("all", f"v{number}")

    def merged(self, order: Sequence[str]) -> str:
        """The commit that comes of merging in an order; now and then two of them first."""
        waiting = list(order)
        while len(waiting) > 1:
            # Onto the first, as a main branch does it, or two that have nothing to do with it.
            at = 0 if self._rng.random() < 0.7 else self._rng.randrange(len(waiting) - 1)
            left, right = waiting[at], waiting.pop(at + 1)
            waiting[at] = self._merge(left, right)
        return waiting[0]

    def _merge(self, left: str, right: str) -> str:
        """Merge two commits.

        Raises:
            CalledProcessError: There is a conflict.
        """
        if (left, right) not in self._known:
            self.n_merges += 1
            tree = self._git("merge-tree", "--write-tree", "--messages", left, right).split()[0]
            parents = ("-p", left, "-p", right)
            self._known[left, right] = self._git("commit-tree", tree, *parents, "-m", "merge")
        return self._known[left, right]

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.repository.repository,
            env=ENVIRONMENT,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def tree_of(self, commit: str) -> str:
        return self._git("rev-parse", f"{commit}^{{tree}}")

    def check(self, commit: str) -> tuple[list[str], str]:
        """What is wrong with a merged store, and its snapshot."""
        self.repository.git("checkout", "-q", "--detach", commit)
        root = self.repository.root
        store = self.repository.store
        problems = [finding.problem for finding in store.verify().findings]
        found = {p: d for p, d in content(root).items() if not p.startswith(".git/")}
        problems += [f"{path} is lost" for path in self.files.keys() - found.keys()]
        problems += [f"{path} is made up" for path in found.keys() - self.files.keys()]
        for path, data in found.items():
            if data not in self.files.get(path, ()) and not _is_redacted(data, self.files[path]):
                problems.append(f"{path} is not that of a branch")
        return problems, take_snapshot(store.log).digest


def _is_redacted(data: bytes, versions: set[bytes]) -> bool:
    """Whether every line is that of all versions, or null where one of them has null."""
    rows = zip(*(version.split(b"\n") for version in versions), strict=True)
    lines = data.split(b"\n")
    return all(
        line == (b"null" if b"null" in row else row[0])
        for line, row in zip(lines, rows, strict=True)
    )


def merge_all(n_branches: int, n_orders: int, seed: int) -> Outcome:
    """Merge branches in random orders, and check each different tree that comes of it."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        merger = Merger(Path(name) / "repository", n_branches, rng)
        outcome = Outcome(n_orders, 0)
        for _ in range(n_orders):
            order = list(merger.branches)
            rng.shuffle(order)
            commit = merger.merged(order)
            tree = merger.tree_of(commit)
            if tree not in outcome.trees:
                problems, snapshot = merger.check(commit)
                outcome.problems += problems
                outcome.snapshots.add(snapshot)
            outcome.trees[tree] += 1
        outcome.n_merges = merger.n_merges
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1000, help="how many orders (default: 1000)")
    parser.add_argument("--branches", type=int, action="append", help="how many (2, 8 and 32)")
    parser.add_argument("--seed", type=int, default=0, help="decides branches and orders")
    options = parser.parse_args()
    failed = False
    for n_branches in options.branches or [2, 8, 32]:
        # Two branches have two orders, and eight tries meet both.
        n_orders = min(options.n, 8) if n_branches == 2 else options.n
        try:
            outcome = merge_all(n_branches, n_orders, options.seed)
        except subprocess.CalledProcessError as error:
            print(f"{n_branches} branches: Git stopped: {error.stdout}{error.stderr}")
            failed = True
            continue
        failed |= bool(outcome.problems) or len(outcome.trees) != 1
        print(
            f"{n_branches} branches, {outcome.n_orders} orders, {outcome.n_merges} merges: "
            f"{len(outcome.trees)} tree, {len(outcome.snapshots)} snapshot, "
            f"{len(outcome.problems)} problems"
        )
        for problem in sorted(set(outcome.problems))[:5]:
            print(f"    {re.sub('[0-9a-f]{56}', '...', problem)}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
