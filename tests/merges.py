"""Merge branches of a store in many orders, with Git, and look whether one store comes out.

`python -m tests.merges --n 1000` makes branches that record, score, label, retract, supersede,
reinstate, redact, perturb, promote, build, release and deprecate, some of them in conflict with
each other, and merges all of them in a thousand random orders: one after the other, or some of them
first. Each merge is Git's own (`git merge-tree --write-tree`, which is what servers run), without a
driver, an attribute or a checkout.

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
from tests.making.runs import made_store, made_training
from tests.writers import content, value
from tunixrt.log.snapshots import take_snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt import Store


class ConflictError(Exception):
    """Two branches do not merge by themselves."""


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

    def __init__(self, directory: Path, n_branches: int, rng: random.Random, growing: bool) -> None:
        self.repository = GitStore(directory)
        self._rng = rng
        self._known: dict[tuple[str, str], str] = {}
        self.n_merges = 0
        self._commits = directory.with_name("commits")
        self._commits.mkdir()
        store = self.repository.store
        made_store(directory, n=40)
        self._runs = [made_training(store, seed=seed).run_id for seed in range(3)]
        base = self.repository.commit("what all branches share")
        self.branches = []
        self.files: dict[str, set[bytes]] = {}
        for number in range(n_branches):
            self.repository.branch(f"branch-{number}", base)
            self._diverge(store, number)
            if growing:
                with (directory / "traces.jsonl").open("a") as file:
                    file.write(f"{value(str(number))}\n")
            self.branches.append(self.repository.commit(f"branch {number}"))
            for path, data in content(directory).items():
                if not path.startswith(".git/"):
                    self.files.setdefault(path, set()).add(data)

    def _diverge(self, store: Store, number: int) -> None:
        with store.traces.projection() as projection:
            ids = [state.id for state in projection.traces()]
        rng = self._rng
        for _ in range(rng.randint(2, 4)):
            match rng.randrange(11):
                case 0 | 1:
                    store.traces.add(value(f"{number} {rng.random()}"))
                case 2:
                    # The same on every branch that comes here, or almost.
                    store.traces.add(value(f"shared {rng.randrange(3)}"))
                case 3:
                    store.traces.score([rng.choice(ids)])
                case 4:
                    store.traces.label(rng.sample(ids, 3), {"quality": str(number % 3)})
                case 5:
                    store.traces.retract([rng.choice(ids[:10])], reason="wrong")
                case 6:
                    doubted = rng.choice(ids[20:24])
                    store.traces.supersede([doubted], by=ids[-1])
                    if rng.random() < 0.7:
                        store.traces.reinstate([doubted])
                case 7:
                    store.traces.redact(rng.sample(ids[:20], 2), reason="asked for")
                case 8:
                    store.runs.promote(rng.choice(self._runs), "best")
                case 9:
                    store.traces.perturb(rng.sample(ids[24:], 2), kind="digit", seed=number % 2)
                case _:
                    if rng.random() < 0.5:
                        store.datasets.release("sums-v1")
                    else:
                        store.datasets.deprecate("sums-v1", reason="it leaks")
        if number % 4 == 0:
            store.datasets.build("all", "v1", limit=10 + number)
        elif number % 4 == 1:
            store.datasets.build("all", f"v{number}")

    def merged(self, orders: Sequence[Sequence[str]]) -> list[str]:
        """The commits that come of merging in each order; now and then two of them first.

        All orders go on by one merge at a time, so that Git is started once for all of these.

        Raises:
            ConflictError: Git has stopped.
        """
        waiting = [list(order) for order in orders]
        while True:
            steps = []
            for commits in waiting:
                if len(commits) > 1:
                    # Onto the first, as a main branch does it, or two that it has not met yet.
                    is_first = self._rng.random() < 0.7
                    steps.append(
                        (commits, 0 if is_first else self._rng.randrange(len(commits) - 1))
                    )
            if not steps:
                return [commit for (commit,) in waiting]
            pairs = dict.fromkeys((commits[at], commits[at + 1]) for commits, at in steps)
            self._merge([pair for pair in pairs if pair not in self._known])
            for commits, at in steps:
                commits[at : at + 2] = [self._known[commits[at], commits[at + 1]]]

    def _merge(self, pairs: list[tuple[str, str]]) -> None:
        """Merge the two commits of each pair."""
        if not pairs:
            return
        self.n_merges += len(pairs)
        lines = "".join(f"{left} {right}\n" for left, right in pairs)
        told = self._git("merge-tree", "--write-tree", "--no-messages", "--stdin", stdin=lines)
        # For each pair: 1 when it is clean, the tree, and nothing else.
        fields = told.split("\0")
        paths = []
        for number, (left, right) in enumerate(pairs):
            is_clean, tree, end = fields[3 * number : 3 * number + 3]
            if (is_clean, end) != ("1", ""):
                raise ConflictError(
                    f"Git stopped at {left} and {right}: {fields[3 * number :][:9]}"
                )
            path = self._commits / str(number)
            path.write_text(
                f"tree {tree}\nparent {left}\nparent {right}\n"
                "author A <a@example.org> 0 +0000\ncommitter A <a@example.org> 0 +0000\n\nmerge\n"
            )
            paths.append(f"{path}\n")
        made = self._git("hash-object", "-w", "-t", "commit", "--stdin-paths", stdin="".join(paths))
        self._known |= dict(zip(pairs, made.split(), strict=True))

    def _git(self, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.repository.repository,
            env=ENVIRONMENT,
            input=stdin,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    def trees_of(self, commits: Sequence[str]) -> list[str]:
        return self._git("rev-parse", *(f"{commit}^{{tree}}" for commit in commits)).split()

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


def merge_all(n_branches: int, n_orders: int, seed: int, growing: bool = False) -> Outcome:
    """Merge branches in random orders, and check each different tree that comes of it."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        merger = Merger(Path(name) / "repository", n_branches, rng, growing)
        outcome = Outcome(n_orders, 0)
        orders = [rng.sample(merger.branches, n_branches) for _ in range(n_orders)]
        commits = merger.merged(orders)
        for commit, tree in zip(commits, merger.trees_of(commits), strict=True):
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
    parser.add_argument(
        "--growing-file", action="store_true", help="also append to one file, and see Git stop"
    )
    parser.add_argument("--seed", type=int, default=0, help="decides branches and orders")
    options = parser.parse_args()
    failed = False
    for n_branches in options.branches or [2, 8, 32]:
        # Two branches have two orders, and eight tries meet both.
        n_orders = min(options.n, 8) if n_branches == 2 else options.n
        try:
            outcome = merge_all(n_branches, n_orders, options.seed, options.growing_file)
        except ConflictError as error:
            print(f"{n_branches} branches: {error}")
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
