"""Whatever lies where a file of a store should be: a finding or a sentence, never a traceback."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from tests.git_repository import POINTER, GitStore
from tests.making.runs import made_evaluation, made_store, made_training
from tests.sweeps import product
from tunixrt import Store
from tunixrt.cli.main import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: Patterns of what a store is made of. Each stands for its first match.
FILES = (
    "store/store.json",
    "store/log/*/*/segment.json",
    "store/log/*/*/0000.jsonl",
    "store/snapshots/*.json",
    "store/datasets/sums/v1/*/manifest.json",
    "store/datasets/sums/v1/*/members-0000.jsonl",
    "runs/*/manifest.json",
    "runs/*/SHA256SUMS",
    "runs/*/metrics.jsonl",
    "runs/*/predictions.jsonl",
    "runs/*/model/model.safetensors",
    "runs/*/environments/*.json",
    "evalsets/sums.jsonl",
)
DIRECTORIES = (
    "store",
    "store/log",
    "store/log/??",
    "store/log/??/*",
    "store/snapshots",
    "store/datasets",
    "store/datasets/sums",
    "store/datasets/sums/v1",
    "store/datasets/sums/v1/*",
    "runs",
    "runs/*",
    "runs/*/model",
    "runs/*/environments",
    "evalsets",
)
COMMANDS = (
    ("verify", "--since", "HEAD"),
    ("verify", "--rebuild", "--json"),
    ("status", "--json"),
    ("doctor",),
    ("log",),
    ("trace", "list"),
    ("snapshot", "list"),
    ("dataset", "list"),
    ("run", "list"),
    ("run", "show", "best"),
    ("evalset", "list"),
)
#: Nothing is proved by these, so that what replaces them may be a finding or not.
UNPROVED = ("store/.tmp", "runs/*/environments")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = GitStore(tmp_path_factory.mktemp("strange") / "repository")
    store = made_store(made.root)
    trained = made_training(store)
    made_evaluation(store, trained, n_right=3)
    store.runs.promote(trained.run_id, name="best")
    made.commit("everything")
    return made.root


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    """A net: a command that waits for a FIFO is stopped."""

    def stop(*_: object) -> None:
        raise AssertionError("a command waits for ever")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(500)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def attempt(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    def attempt(root: Path, *arguments: str) -> tuple[int, str]:
        monkeypatch.chdir(root)
        monkeypatch.delenv("TUNIXRT_STORE", raising=False)
        monkeypatch.setattr(sys, "argv", ["tunixrt", *arguments])
        capfd.readouterr()
        code = int(run())
        captured = capfd.readouterr()
        return code, captured.out + captured.err

    return attempt


def socket_at(path: Path) -> None:
    # The path of a socket is short, whatever that of the test's directory is.
    here = os.open(path.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{here}/{path.name}")
    finally:
        os.close(here)


def full_directory(path: Path) -> None:
    path.mkdir()
    (path / "file").write_bytes(b"x")


THINGS: dict[str, Callable[[Path, Path], object]] = {
    "a link to the original": lambda path, moved: path.symlink_to(moved),
    "a dangling link": lambda path, _: path.symlink_to("nowhere"),
    "a link to itself": lambda path, _: path.symlink_to(path.name),
    "an empty directory": lambda path, _: path.mkdir(),
    "a directory": lambda path, _: full_directory(path),
    "a FIFO": lambda path, _: os.mkfifo(path),
    "a socket": lambda path, _: socket_at(path),
    "an empty file": lambda path, _: path.write_bytes(b""),
    "garbage": lambda path, _: path.write_bytes(b"\xff\x00{]\r\n" * 99),
    "a list in a list": lambda path, _: path.write_bytes(b"[" * 100_000),
    "a pointer": lambda path, _: path.write_bytes(POINTER),
}


def ask(attempt: Callable[..., tuple[int, str]], root: Path, what: str) -> tuple[int, str]:
    """Run every command; what the first `verify` answered."""
    # The doctor, who takes longest, looks at directories alone.
    commands = [c for c in COMMANDS if c != ("doctor",) or not what.endswith(FILES)]
    answers = [attempt(root, *command) for command in commands]
    for command, (code, said) in zip(commands, answers, strict=True):
        assert code in (0, 1, 2, 3), f"{what}: {command} exits with {code}"
        assert said or code == 0, f"{what}: {command} says nothing"
        assert "Traceback" not in said, f"{what}: {command}: {said}"
    return answers[0]


@pytest.mark.parametrize(("pattern", "thing"), product((*FILES, *DIRECTORIES), THINGS, every=5))
def test_anything_in_place_of_a_file_or_directory_gets_a_sentence(
    template: Path,
    tmp_path: Path,
    attempt: Callable[..., tuple[int, str]],
    pattern: str,
    thing: str,
) -> None:
    root = tmp_path / "root"
    shutil.copytree(template, root)
    path = min(root.glob(pattern))
    moved = tmp_path / "moved"
    path.rename(moved)
    THINGS[thing](path, moved)
    code, said = ask(attempt, root, f"{thing} in place of {pattern}")
    if pattern in UNPROVED and "link" not in thing:
        return
    assert code != 0, said
    named = path.relative_to(root).as_posix() in said
    assert named or code == 3 or "empty" in thing, said


STRAYS: dict[str, Callable[[Path], object]] = {
    "a backup of an editor": lambda d: (d / "manifest.json~").write_bytes(b"{}"),
    "a swap file": lambda d: (d / ".0000.jsonl.swp").write_bytes(b"b0VIM"),
    "a name that is not UTF-8": lambda d: (d / os.fsdecode(b"caf\xe9.jsonl")).write_bytes(b"x"),
    "a name with a line feed": lambda d: (d / "a\nb.jsonl").write_bytes(b"x"),
    "a FIFO": lambda d: os.mkfifo(d / "pipe.jsonl"),
    "a socket": lambda d: socket_at(d / "socket.json"),
    "a dangling link": lambda d: (d / ("0" * 64)).symlink_to("nowhere"),
    "a loop": lambda d: (d / "loop.jsonl").symlink_to(d),
    "a directory": lambda d: full_directory(d / f"{'0' * 64}.json"),
}
#: In a directory of eval sets, those that no run has used are listed and not checked.
UNCHECKED = ("evalsets",)


@pytest.mark.parametrize(
    ("pattern", "stray"), product((*DIRECTORIES, "store/.tmp", ".tunixrt"), STRAYS, every=5)
)
def test_anything_beside_the_files_of_a_store_gets_a_sentence(
    template: Path,
    tmp_path: Path,
    attempt: Callable[..., tuple[int, str]],
    pattern: str,
    stray: str,
) -> None:
    root = tmp_path / "root"
    shutil.copytree(template, root)
    (root / ".tunixrt").mkdir(exist_ok=True)
    STRAYS[stray](min(root.glob(pattern)))
    code, said = ask(attempt, root, f"{stray} in {pattern}")
    if pattern not in (*UNCHECKED, "store/.tmp", ".tunixrt"):
        assert code == 1, said


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "desktop.ini", ".directory"])
def test_what_desktops_leave_in_every_directory_is_passed_over(
    template: Path, tmp_path: Path, attempt: Callable[..., tuple[int, str]], name: str
) -> None:
    root = tmp_path / "root"
    shutil.copytree(template, root)
    directories = [path for path in root.rglob("*") if path.is_dir() and ".git" not in path.parts]
    for directory in directories:
        (directory / name).write_bytes(b"\x00\x00\x00\x01Bud1")
    for command in COMMANDS:
        code, said = attempt(root, *command)
        assert code == 0, f"{command}: {said}"
        assert name not in said


@contextlib.contextmanager
def as_somebody_else() -> Iterator[None]:
    """Give up what root may do, which is to read every file."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("pattern", [*FILES, *DIRECTORIES])
def test_what_may_not_be_read_is_a_finding(template: Path, tmp_path: Path, pattern: str) -> None:
    root = tmp_path / "root"
    shutil.copytree(template, root)
    # Not made private again: tests beside this one are on their way through them.
    for above in (root, *root.parents):
        if above.stat().st_uid == os.geteuid() and not above.stat().st_mode & 0o005:
            above.chmod(above.stat().st_mode | 0o055)
    path = min(root.glob(pattern))
    path.chmod(0)
    store = Store.open(root) if pattern != "store" else None
    try:
        with as_somebody_else():
            found = [] if store is None else store.verify().findings
    finally:
        path.chmod(0o755)
    place = path.relative_to(root).as_posix()
    if store is not None:
        assert any(
            finding.path.startswith(place) and "Permission denied" in finding.problem
            for finding in found
        )


def test_a_store_that_is_opened_through_a_link_is_a_store(template: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(template, target_is_directory=True)
    assert Store.open(link).verify(rebuild=True).ok
