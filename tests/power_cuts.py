"""Cut the power at every moment of a write, and look at every disk that this could leave.

SIGKILL takes a process and leaves what it has written in the memory of the machine. A power cut
takes that, too. `python -m tests.power_cuts` records what each command does to the file system, and
builds the directories that POSIX allows after a power cut at each moment:

- A file that was written and not synced since is old, new, cut off, or full of zeros where it is
  new.
- A name that was made, moved or removed is so on the disk if its directory was synced since.
  Otherwise it may be so or not, in any combination with the others. One rename is one step.

Each of them must obey the rules of `tests.writers.broken_rule`. Three ways to break the order show
that the rules find out: no fsync at all, none of directories, and the rename before the fsync.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import pickle
import random
import shutil
import stat
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.writers import WRITERS, acknowledged, begin_store, broken_rule, content, lost_traces
from tunixrt import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    #: A directory and a name in it.
    Entry = tuple[int, str]

KEPT, NO_FSYNC, FILES_ONLY, RENAME_FIRST = "kept", "no fsync", "files only", "rename first"
ORDERS = (KEPT, NO_FSYNC, FILES_ONLY, RENAME_FIRST)

ROOT = 0
_EVENTS = {"open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.truncate"}


@dataclass
class Scene:
    """What a process sees at one moment: the entries of all directories, and all files."""

    entries: dict[Entry, int]
    files: dict[int, bytes]


@dataclass
class Step:
    """A moment: what was seen just before it, and what was synced or printed then."""

    scene: Scene
    synced: int | None = None
    printed: str = ""


class Recorder:
    """Records what this process does below a directory, from now on and for good."""

    def __init__(self, root: Path, order: str) -> None:
        self.steps: list[Step] = []
        self._root = root
        self._order = order
        self._numbers: dict[int, int] = {}
        self._n_inodes = 0
        self._is_busy = False
        self._late: list[int] = []
        self._rename = os.rename
        self._replace = os.replace
        sys.addaudithook(self._hear)
        os.fsync = self._fsync  # type: ignore[assignment]
        if order == RENAME_FIRST:
            os.rename = self._renamed(os.rename)
            os.replace = self._renamed(os.replace)

    def note(self, printed: str = "") -> None:
        """Note a moment."""
        self._is_busy = True
        try:
            self.steps.append(Step(self._look(), printed=printed))
        finally:
            self._is_busy = False

    def _hear(self, event: str, _: tuple[object, ...]) -> None:
        if event in _EVENTS and not self._is_busy:
            self.note()

    def _fsync(self, descriptor: int) -> None:
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        if self._order == NO_FSYNC or (self._order == FILES_ONLY and is_directory):
            return
        if self._order == RENAME_FIRST and is_staged(descriptor):
            self._late.append(os.dup(descriptor))
            return
        self._synced(descriptor)

    def _synced(self, descriptor: int) -> None:
        self.note()
        self.steps[-1].synced = self._numbers.get(os.fstat(descriptor).st_ino)

    def _renamed(self, rename: Callable[..., None]) -> Callable[..., None]:
        def rename_first(source: str, target: str) -> None:
            rename(source, target)
            late, self._late = self._late, []
            for descriptor in late:
                self._synced(descriptor)
                os.close(descriptor)

        return rename_first

    def _look(self) -> Scene:
        scene = Scene({}, {})
        seen = {self._root.stat().st_ino: ROOT}
        waiting = [(self._root, ROOT)]
        while waiting:
            directory, number = waiting.pop()
            for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
                inode = entry.inode()
                if inode not in self._numbers:
                    self._n_inodes += 1
                    self._numbers[inode] = self._n_inodes
                seen[inode] = child = self._numbers[inode]
                scene.entries[number, entry.name] = child
                if entry.is_dir():
                    waiting.append((Path(entry.path), child))
                else:
                    scene.files[child] = Path(entry.path).read_bytes()
        # The number of an inode that is gone may come again, for another file.
        self._numbers = seen
        return scene


def is_staged(descriptor: int) -> bool:
    """Whether an open file or directory lies below ``store/.tmp/``."""
    return ".tmp" in Path(f"/proc/self/fd/{descriptor}").readlink().parts


class _Output(io.StringIO):
    """Notes what is printed, and when."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def write(self, text: str) -> int:
        super().write(text)
        self._recorder.note(text)
        return len(text)


def record(root: Path, name: str, order: str) -> list[Step]:
    """What a writer does to the file system, from a forked process."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            recorder = Recorder(root, order)
            sys.stdout = _Output(recorder)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            code = WRITERS[name](root, 1)
            recorder.note()
            with os.fdopen(writing, "wb") as file:
                pickle.dump(recorder.steps, file)
        except BaseException:  # a forked child must not go on as its parent
            code = 70
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        data = file.read()
    _, status = os.waitpid(pid, 0)
    assert status == 0, f"{name} ended with {status}"
    steps: list[Step] = pickle.loads(data)
    return steps


@dataclass
class Change:
    """A change of names that is one step: entries that are gone, and entries that are there."""

    gone: dict[Entry, int]
    new: dict[Entry, int]
    is_durable: bool = False

    @property
    def directories(self) -> set[int]:
        return {directory for directory, _ in (*self.gone, *self.new)}


@dataclass
class Disk:
    """What is on the disk for sure, what may be, and what the process sees."""

    seen: Scene
    names: dict[Entry, int]
    files: dict[int, bytes]
    changes: list[Change] = field(default_factory=list)
    newest: dict[int, bytes] = field(default_factory=dict)

    def see(self, scene: Scene) -> None:
        """Go on to what is seen next: at most one change of names, and new bytes."""
        old, new = self.seen.entries.items(), scene.entries.items()
        change = Change(dict(old - new), dict(new - old))
        if change.gone or change.new:
            self.changes.append(change)
        self.seen = scene
        # Also those whose removal may not have happened.
        self.newest |= scene.files

    def sync(self, inode: int) -> None:
        """What was synced is on the disk: the bytes of a file, the names in a directory."""
        if inode in self.seen.files:
            self.files[inode] = self.seen.files[inode]
        for change in self.changes:
            change.is_durable |= inode in change.directories

    def states(self, rng: random.Random, n_draws: int) -> Iterator[dict[str, bytes]]:
        """Directories that a power cut could leave now, each as its files by path."""
        open_changes = [change for change in self.changes if not change.is_durable]
        for n in range(n_draws):
            # First none and all of what is open; then whatever comes.
            share = (0.0, 1.0)[n] if n < 2 else rng.random()
            happened = {id(change) for change in open_changes if rng.random() < share}
            names = dict(self.names)
            for change in self.changes:
                if change.is_durable or id(change) in happened:
                    for entry, inode in change.gone.items():
                        if names.get(entry) == inode:
                            del names[entry]
                    names |= change.new
            yield self._below(ROOT, "", names, rng)

    def _below(
        self, directory: int, prefix: str, names: dict[Entry, int], rng: random.Random
    ) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for (parent, name), inode in names.items():
            if parent == directory:
                if inode in self.newest:
                    found[prefix + name] = self._bytes(inode, rng)
                else:
                    found |= self._below(inode, f"{prefix}{name}/", names, rng)
        return found

    def _bytes(self, inode: int, rng: random.Random) -> bytes:
        old = self.files.get(inode, b"")
        new = self.newest[inode]
        if old == new:
            return new
        pairs = enumerate(zip(old, new, strict=False))
        same = next((i for i, (a, b) in pairs if a != b), min(len(old), len(new)))
        cut = rng.randrange(same, len(new) + 1)
        return rng.choice((old, new, new[:cut], new[:same] + bytes(len(new) - same)))


@dataclass
class Seen:
    """How many disks were built, how many of them differ, and what was wrong with them."""

    n_moments: int = 0
    n_states: int = 0
    n_different: int = 0
    broken: list[str] = field(default_factory=list)


def cut(directory: Path, name: str, order: str, rng: random.Random, n_draws: int) -> Seen:
    """Cut the power at every moment of one writer."""
    template, root = directory / "template", directory / "recorded"
    shutil.copytree(template, root)
    before = content(root)
    steps = record(root, name, order)
    wanted = content(root)
    shutil.rmtree(root)
    first = steps[0].scene
    disk = Disk(first, dict(first.entries), dict(first.files))
    seen = Seen(n_moments=len(steps))
    known: set[bytes] = set()
    printed = ""
    for step in steps:
        disk.see(step.scene)
        for state in disk.states(rng, n_draws):
            seen.n_states += 1
            key = hashlib.sha256(pickle.dumps((sorted(state.items()), printed))).digest()
            if key not in known:
                known.add(key)
                broken = _judge(directory / "cut", state, name, before, wanted, printed)
                seen.broken += [] if broken is None else [broken]
        printed += step.printed
        if step.synced is not None:
            disk.sync(step.synced)
    seen.n_different = len(known)
    return seen


def _judge(
    root: Path,
    state: dict[str, bytes],
    name: str,
    before: dict[str, bytes],
    wanted: dict[str, bytes],
    printed: str,
) -> str | None:
    """Build a directory, and hold it against the rules."""
    try:
        for path, data in state.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)
        broken = broken_rule(name, root, before, wanted, done=acknowledged(name, printed.encode()))
        if broken is None and name == "stream":
            streamed = printed.split("\n")[:-1]
            Store.open(root).traces.recover_streams()
            if lost_traces(root, streamed):
                return "stream: acknowledged, and not there"
        return broken
    finally:
        shutil.rmtree(root)


def cut_all(writers: Sequence[str], order: str, n_draws: int, seed: int) -> dict[str, Seen]:
    """Cut the power at every moment of some writers."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        begin_store(directory / "template")
        # Building and sweeping disks is not what is looked at: that need not outlive anything.
        os.fsync = lambda descriptor: None  # type: ignore[assignment]
        # Each has draws of its own: what the others do never decides which disks it is given.
        return {
            writer: cut(directory, writer, order, random.Random(f"{seed} {writer}"), n_draws)
            for writer in writers
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--order", choices=ORDERS, default=KEPT, help="the order to break")
    parser.add_argument("--only", action="append", choices=list(WRITERS), help="the writers")
    parser.add_argument("--draws", type=int, default=20, help="disks for each moment (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="decides the disks (default: 0)")
    options = parser.parse_args()
    seen = cut_all(options.only or list(WRITERS), options.order, options.draws, options.seed)
    print("command          moments  disks  different  broken")
    for name, s in seen.items():
        print(f"{name:16} {s.n_moments:7} {s.n_states:6} {s.n_different:10} {len(s.broken):7}")
        for sentence in s.broken[:3]:
            print(f"    {sentence}")
    print(
        f"{sum(s.n_states for s in seen.values())} disks, "
        f"{sum(s.n_different for s in seen.values())} of them different; order: {options.order}."
    )
    return int(any(s.broken for s in seen.values()))


if __name__ == "__main__":
    sys.exit(main())
