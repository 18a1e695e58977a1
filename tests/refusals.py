"""Let the file system refuse what writers ask of it, and look at what they say and leave.

`python -m tests.refusals short` limits the size of files, so that a write is cut short and the next
one fails. `full` leaves few bytes of the file system, and `read-only` makes it so; these two mount
one of their own, and are started as `unshare --mount python -m tests.refusals ...` (by others than
root with `--map-root-user`).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.writers import WRITERS, acknowledged, begin_store, broken_rule, content, lost_traces
from tunixrt import Store
from tunixrt.errors import TunixrtError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    #: Refuses while it is entered; the number says how soon.
    Refusal = Callable[[Path, int], contextlib.AbstractContextManager[None]]

CANNOT_MOUNT = 77
_BLOCK = 4096


def attempt(work: Callable[[], int]) -> tuple[int, str, str]:
    """Do some work in a forked process: its exit code, what it printed, and what it complained.

    Both texts must be shorter than what a pipe holds.
    """
    out, printing = os.pipe()
    err, complaining = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(printing, 1)
        os.dup2(complaining, 2)
        code = 70
        try:
            code = work()
        except (TunixrtError, OSError) as error:
            # Programs that use the library see the exception; people see its sentence.
            sentence = f"{error.strerror}." if isinstance(error, OSError) else str(error)
            os.write(2, f"error: {sentence}\n".encode())
            code = 2
        finally:
            os._exit(code)
    os.close(printing)
    os.close(complaining)
    with os.fdopen(out) as printed, os.fdopen(err) as complained:
        texts = printed.read(), complained.read()
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), *texts


@contextlib.contextmanager
def short(_: Path, limit: int) -> Iterator[None]:
    """No file gets larger than a limit: what is written beyond it is cut off, and then refused."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)


@contextlib.contextmanager
def full(directory: Path, n_blocks: int) -> Iterator[None]:
    """Only so many blocks are left."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(_BLOCK)):
            pass
    os.truncate(filler, filler.stat().st_size - n_blocks * _BLOCK)
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def read_only(directory: Path, _: int) -> Iterator[None]:
    """Nothing can be written."""
    subprocess.run(["mount", "-o", "remount,ro", directory], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", directory], check=True)


def _amounts(kind: str, new: dict[str, bytes]) -> list[int]:
    """How much to allow a writer that writes these new files, in some tries."""
    largest = max(map(len, new.values()))
    if kind == "short":
        return sorted({0, 1, largest // 2, largest - 1})
    return [0, 1, 2] if kind == "full" else [0]


def refuse_all(directory: Path, kind: str, refusal: Refusal) -> tuple[int, int]:
    """Refuse every writer; how often it was refused, and how often it was not needed.

    Raises:
        AssertionError: One did not say so, or left more than whole things.
    """
    template, root = directory / "template", directory / "store"
    begin_store(template)
    before = content(template)
    n_refused = n_done = 0
    for name in WRITERS:
        shutil.copytree(template, root)
        assert attempt(lambda name=name: WRITERS[name](root, 1))[0] == 0  # type: ignore[misc]
        wanted = content(root)
        for amount in _amounts(kind, {p: d for p, d in wanted.items() if d != before.get(p)}):
            shutil.rmtree(root)
            shutil.copytree(template, root)
            with refusal(directory, amount):
                code, out, err = attempt(lambda name=name: WRITERS[name](root, 1))  # type: ignore[misc]
            said = f"{name}, with {amount}, exited with {code} and said {err!r}"
            done = acknowledged(name, out.encode())
            if code == 0:
                # A few blocks may be enough for all of it, and then it has to be there.
                assert kind == "full", said
                assert content(root) == wanted, said
                n_done += 1
                continue
            assert (code, done) == (2, False), said
            assert err.startswith("error: "), said
            assert err.endswith(".\n"), said
            if name == "trace redact":
                assert ("is recorded and not finished" in err) == (content(root) != before), said
            assert "Traceback" not in err, said
            n_refused += 1
            if name == "stream":
                # It seals what it has, which may be less than what makes a segment otherwise.
                assert not lost_traces(root, out.split("\n")[:-1]), said
                assert before.items() <= content(root).items(), said
                assert Store.open(root).verify().ok, said
            else:
                broken = broken_rule(name, root, before, wanted, done=False)
                assert broken is None, f"{broken}; {said}"
            # With room again, it works.
            assert attempt(lambda name=name: WRITERS[name](root, 1))[0] == 0, said  # type: ignore[misc]
        shutil.rmtree(root)
    return n_refused, n_done


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["short", "full", "read-only"])
    kind = parser.parse_args().kind
    refusal: Refusal = {"short": short, "full": full, "read-only": read_only}[kind]
    with tempfile.TemporaryDirectory() as name:
        if kind != "short":
            mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tunixrt-test", name]
            done = subprocess.run(mount, check=False, capture_output=True, text=True)
            if done.returncode:
                print(f"cannot mount: {done.stderr.strip()}", file=sys.stderr)
                return CANNOT_MOUNT
        try:
            n_refused, n_done = refuse_all(Path(name), kind, refusal)
        finally:
            if kind != "short":
                subprocess.run(["umount", name], check=True)
    print(f"{kind}: {n_refused} times refused with a sentence, {n_done} times not needed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
