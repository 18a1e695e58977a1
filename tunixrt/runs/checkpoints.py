"""Checkpoints of trainings that are not finished: ``.tunixrt/work/training/<run id>/``.

Each is a directory ``step-00000120`` that appears whole, by one rename after an fsync, with
``checkpoint.json`` in it: the digest of every other file. So a truncated or damaged one is
detected, and the one before it is used. A run id is the digest of everything that decides the
run's bits, so a checkpoint has the bytes of its step, no matter which process wrote it.

This module knows directories and digests; `tunixrt.ml.checkpoints` defines what the files hold.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tunixrt.errors import ExitCode, TunixrtError
from tunixrt.log import canonical
from tunixrt.log.digests import Digest, digest_file, digest_stored
from tunixrt.log.files import publish_directory, remove, writing
from tunixrt.log.stored import read_stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHECKPOINT_FORMAT = 1

N_KEPT = 2
"""One more than is needed, in case the newest is damaged."""

_DESCRIPTION = "checkpoint.json"
_STAGED = ".writing"
_NAME = re.compile(r"step-(\d{8,})")


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``checkpoint.json``: the run, the step, and the digest of each file."""

    format: int
    run_id: str
    step: int
    files: dict[str, Digest]


class TrainingInterruptedError(TunixrtError):
    """Training was asked to stop, and stopped after the steps in progress.

    Attributes:
        step: the last finished step, 0 for none.
        num_steps: the number of steps of the whole training.
        checkpoint: the checkpoint from which it can resume; None without one.
    """

    exit_code = ExitCode.INTERRUPTED

    def __init__(self, step: int, num_steps: int, checkpoint: Path | None) -> None:
        kept = "" if checkpoint is None else f" The checkpoint {checkpoint} keeps them."
        super().__init__(f"Training was interrupted after step {step:,} of {num_steps:,}.{kept}")
        self.step = step
        self.num_steps = num_steps
        self.checkpoint = checkpoint


def steps_saved(directory: Path) -> list[int]:
    """Return the steps of all checkpoints in a run's directory, ascending, complete or not."""
    if not directory.is_dir():
        return []
    names = (_NAME.fullmatch(path.name) for path in directory.iterdir())
    return sorted(int(name[1]) for name in names if name)


def checkpoint_at(directory: Path, step: int) -> Path:
    """Return the directory of one checkpoint."""
    return directory / f"step-{step:08}"


def newest_whole(
    directory: Path, run_id: str, on_damaged: Callable[[str], None] | None = None
) -> tuple[int, Path] | None:
    """Return the newest complete checkpoint with its step; None without one.

    Args:
        directory: where they are.
        run_id: the run that they must belong to.
        on_damaged: receives a sentence for each newer one that cannot be used.
    """
    for step in reversed(steps_saved(directory)):
        path = checkpoint_at(directory, step)
        problem = _problem_with(path, run_id, step)
        if problem is None:
            return step, path
        if on_damaged is not None:
            on_damaged(
                f"The checkpoint of step {step:,} is damaged and not used: {problem} ({path})."
            )
    return None


def _problem_with(path: Path, run_id: str, step: int) -> str | None:
    try:
        description = msgspec.json.decode(read_stored(path / _DESCRIPTION), type=Description)
        names = {p.relative_to(path).as_posix() for p in path.rglob("*") if not p.is_dir()}
        if (description.format, description.run_id, description.step) != (
            CHECKPOINT_FORMAT,
            run_id,
            step,
        ):
            return f"{_DESCRIPTION} names another run or step"
        if names - {_DESCRIPTION} != description.files.keys():
            return "files are missing or were added"
        for name, digest in description.files.items():
            if digest_stored(path / name) != digest:
                return f"{name} does not have the digest that {_DESCRIPTION} gives"
    except OSError as error:
        name = Path(error.filename or _DESCRIPTION).name
        return f"{name} cannot be read ({error.strerror})"
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return f"{_DESCRIPTION} cannot be read ({error})"
    return None


@contextlib.contextmanager
def new_checkpoint(directory: Path, run_id: str, step: int) -> Iterator[Path]:
    """Make a checkpoint: the block fills the directory that it receives, which is then published.

    Of the checkpoints up to this step, only the newest `N_KEPT` are kept. The caller holds the
    run's lock.

    Raises:
        WriteError: the file system refuses; the earlier checkpoints remain.
    """
    staged = directory / _STAGED
    with writing(staged):
        remove(staged)  # left by a process that was killed while writing
        staged.mkdir(parents=True)
        yield staged
        files = {
            path.relative_to(staged).as_posix(): digest_file(path)
            for path in sorted(staged.rglob("*"))
            if path.is_file()
        }
        description = Description(CHECKPOINT_FORMAT, run_id, step, files)
        (staged / _DESCRIPTION).write_bytes(canonical.encode(msgspec.to_builtins(description)))
        destination = checkpoint_at(directory, step)
        remove(destination)  # left by an earlier attempt: the same bytes, or damaged
    publish_directory(staged, destination)
    earlier = [saved for saved in steps_saved(directory) if saved <= step]
    for saved in earlier[:-N_KEPT]:
        with contextlib.suppress(OSError):
            remove(checkpoint_at(directory, saved))
