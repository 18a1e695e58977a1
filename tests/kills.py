"""Kill writers with SIGKILL at random moments, and look at what is left.

`python -m tests.kills --n 500` prints one line for each command. The process forks, so that a kill
costs no start of Python; the writers in the children are the real commands. For each kill the
command runs first to its end on a copy of the store. That says byte for byte what it was going to
write, how many operations on files it makes, and how many calls of functions. Then it runs on the
store itself, and dies: every other time just before an operation on files, else just before a call,
and now and then after it has printed its result. No clock decides, so the kills hit the work on
every machine. The next command goes on with what this one left.

The rules, after each kill:

- What was there is there. Of what the command was going to write, each segment, snapshot, dataset
  or run is there with exactly those bytes, or is not there at all.
- If the command had printed its result, all of it is there; of a stream, every printed trace.
- The store verifies. Only a redaction may be half done: its event is there and some of the text is,
  too, which `verify` finds and `--sweep` finishes.
- `doctor` names everything that lies in staging.

That these rules can be broken is shown with `--without-rename`: then files are moved into place one
by one, instead of by one rename of their directory, and a rule must be found broken.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.moments import CallLimit, before_calls, before_operations
from tests.writers import (
    WRITERS,
    acknowledged,
    begin_store,
    broken_rule,
    content,
    lost_traces,
)
from tunixrt import Store
from tunixrt.jobs.doctor import examine
from tunixrt.log.journal import journals

if TYPE_CHECKING:
    from collections.abc import Callable

#: After so many kills a new store is begun, so that looking at it stays cheap.
KILLS_PER_STORE = 24


@dataclass
class Moment:
    """When to die: before an operation on files, or before a call of a function."""

    operation: int | None = None
    call: int | None = None


@dataclass
class Ended:
    """What became of a child: its output, and what it did, unless it died before its work ended."""

    out: bytes
    n_operations: int
    n_calls: int
    died_midway: bool


@dataclass
class Tally:
    """What was seen of one command."""

    n_kills: int = 0
    n_midway: int = 0
    n_acknowledged: int = 0
    n_whole: int = 0
    n_partly: int = 0
    n_leftovers: int = 0


@dataclass
class Killer:
    """Kills writers of one store after another.

    ``streamed`` are the traces that streams have acknowledged in the present store.
    """

    directory: Path
    rng: random.Random
    without_rename: bool = False
    tallies: dict[str, Tally] = field(default_factory=lambda: {name: Tally() for name in WRITERS})
    streamed: list[str] = field(default_factory=list)
    n_stores: int = 0

    def run(self, n_kills: int) -> None:
        """Kill so many writers; each command comes as often as every other.

        Raises:
            AssertionError: A rule was broken.
        """
        template = self.directory / "template"
        begin_store(template)
        names = list(WRITERS)
        n_tries = 0
        while self.n_kills < n_kills:
            if self.n_kills >= self.n_stores * KILLS_PER_STORE:
                self.root = self.directory / f"store-{self.n_stores}"
                shutil.copytree(template, self.root)
                self.n_stores += 1
                self.streamed.clear()
            name = min(names, key=lambda name: self.tallies[name].n_kills)
            self._once(name, n_tries)
            n_tries += 1
            if self.n_kills >= min(n_kills, self.n_stores * KILLS_PER_STORE):
                self._finish()

    @property
    def n_kills(self) -> int:
        return sum(tally.n_kills for tally in self.tallies.values())

    @property
    def n_midway(self) -> int:
        return sum(tally.n_midway for tally in self.tallies.values())

    def _once(self, name: str, n: int) -> None:
        copy = self.directory / "copy"
        shutil.copytree(self.root, copy)
        before = content(self.root)
        rehearsal = self._in_child(name, copy, n, Moment())
        wanted = content(copy)
        shutil.rmtree(copy)
        if n % 2:
            moment = Moment(operation=self.rng.randrange(rehearsal.n_operations + 1))
        else:
            # One in nine is after the end.
            moment = Moment(call=self.rng.randrange(rehearsal.n_calls * 9 // 8))
        ended = self._in_child(name, self.root, n, moment)
        after = content(self.root)
        done = acknowledged(name, ended.out)
        broken = broken_rule(name, self.root, before, wanted, done=done)
        assert broken is None, broken
        if name == "stream":
            # The last line may have been cut off.
            self.streamed += ended.out.decode().split("\n")[:-1]
        assert not lost_traces(self.root, self.streamed), f"{name}: a streamed trace is lost"
        tally = self.tallies[name]
        tally.n_kills += 1
        tally.n_midway += ended.died_midway
        tally.n_acknowledged += done
        tally.n_whole += after == wanted
        tally.n_partly += before != after != wanted
        tally.n_leftovers += self._leftovers_are_reported()

    def _in_child(self, name: str, root: Path, n: int, moment: Moment) -> Ended:
        return in_child(lambda: WRITERS[name](root, n), moment, self.without_rename)

    def _leftovers_are_reported(self) -> bool:
        layout = Store.open(self.root).layout
        places = [layout.relative(path) for path in layout.staging.iterdir()]
        said = [check.found for check in examine(layout)]
        for place in places:
            assert any(place in sentence for sentence in said), f"doctor does not name {place}"
        return bool(places)

    def _finish(self) -> None:
        """After all kills every command still works, and no acknowledged trace is lost or twice."""
        for number, name in enumerate(WRITERS, start=10**6):
            ended = self._in_child(name, self.root, number, Moment())
            assert name == "stream" or acknowledged(name, ended.out), f"{name} is held up"
        store = Store.open(self.root)
        store.traces.recover_streams()
        assert store.verify(rebuild=True).ok
        recorded = Counter(event.envelope.payload for event in store.log.events())
        assert all(recorded[trace] == 1 for trace in self.streamed)  # type: ignore[index]
        assert list(journals(store.layout)) == []


def in_child(work: Callable[[], int], moment: Moment, without_rename: bool) -> Ended:
    """Do some work in a forked process, which dies at a moment, or not at all.

    Raises:
        AssertionError: It had failed before.
    """
    sys.stdout.flush()
    reading, writing = os.pipe()
    counting, counted = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writing, 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.close(reading)
        try:
            if without_rename:
                os.rename = _move_one_by_one  # type: ignore[assignment]
            operations, calls = CallLimit(moment.operation), CallLimit(moment.call)
            before_operations(operations)
            before_calls(calls)
            code = work()
            sys.setprofile(None)
            os.write(counted, b"%d %d" % (operations.n, calls.n))
            if moment != Moment() and code == 0:
                # It has printed its result before it got to the moment.
                os.kill(os.getpid(), signal.SIGKILL)
        except BaseException:  # a forked child must not go on as its parent
            code = 70
        os._exit(code)
    os.close(writing)
    os.close(counted)
    with os.fdopen(reading, "rb") as out, os.fdopen(counting, "rb") as counts:
        printed, numbers = out.read(), counts.read().split()
    _, status = os.waitpid(pid, 0)
    was_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert was_killed == (moment != Moment()), f"the writer ended with {status}"
    assert was_killed or status == 0, f"the writer ended with {status}"
    n_operations, n_calls = map(int, numbers or (0, 0))
    return Ended(printed, n_operations, n_calls, died_midway=not numbers)


def _move_one_by_one(source: Path, target: Path) -> None:
    """What a rename of a directory would be if it were not one step."""
    if not os.path.isdir(source):  # noqa: PTH112
        os.replace(source, target)  # noqa: PTH105
        return
    os.makedirs(target, exist_ok=True)  # noqa: PTH103
    for entry in os.scandir(source):
        _move_one_by_one(Path(entry.path), Path(target) / entry.name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=500, help="how many kills (default: 500)")
    parser.add_argument("--without-rename", action="store_true", help="break the order, and see")
    parser.add_argument("--seed", type=int, default=0, help="decides the moments (default: 0)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        killer = Killer(Path(directory), random.Random(options.seed), options.without_rename)
        killer.run(options.n)
    print("command          kills  midway  printed  whole  partly  leftovers")
    for name, t in killer.tallies.items():
        print(
            f"{name:16} {t.n_kills:5}  {t.n_midway:6}  {t.n_acknowledged:7}  {t.n_whole:5}  "
            f"{t.n_partly:6}  {t.n_leftovers:9}"
        )
    print(
        f"{killer.n_kills} kills in {killer.n_stores} stores, {killer.n_midway} of them in the "
        "middle of the work: nothing acknowledged is lost, nothing is there in part, every store "
        "verifies, every leftover is reported."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
