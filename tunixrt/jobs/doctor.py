"""The doctor: checks the surroundings of a store, and never changes or deletes anything.

``verify`` checks the stored data. This job checks what could damage it later: leftovers of writers
that died, the lock, Git's attributes, this machine.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from typing import TYPE_CHECKING

import msgspec

from tunixrt.derive import unfinished, work_directory
from tunixrt.errors import TunixrtError
from tunixrt.extras import MissingExtraError
from tunixrt.jobs.git_surroundings import Surroundings, attributes_sentence
from tunixrt.log.findings import DamagedError, entries
from tunixrt.log.git import GitError, git
from tunixrt.log.journal import TORN_SUFFIX, journals, read_journal
from tunixrt.log.layout import STORE_FORMAT, check_format
from tunixrt.log.lock import lock_is_held, read_holder
from tunixrt.ml.environment import missing_xla_flags
from tunixrt.runs.checkpoints import steps_saved
from tunixrt.runs.identity import current_code
from tunixrt.runs.numeric_class import beyond_the_promise, detect_numeric_class
from tunixrt.words import series

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.log.layout import Layout

_PACKAGES = ("tunixrt", "click", "filelock", "msgspec", "pydantic", "jax", "numpy")


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The result of one check.

    Attributes:
        name: What was checked.
        ok: False where action is needed.
        found: A sentence: what was found, and what to do.
    """

    name: str
    ok: bool
    found: str


def examine(layout: Layout) -> list[Check]:
    """Run every check."""
    return [
        _store_format(layout),
        *_git(layout),
        _lock(layout),
        *_leftovers(layout),
        _machine(),
        _numeric_class(),
        *_unfinished(layout),
        _packages(),
    ]


def _store_format(layout: Layout) -> Check:
    try:
        check_format(layout)
    except TunixrtError as error:
        return Check("store format", ok=False, found=str(error))
    return Check("store format", ok=True, found=f"The store is of format {STORE_FORMAT}.")


def _git(layout: Layout) -> Iterator[Check]:
    name = "git"
    try:
        around = Surroundings(layout)
        attributes = around.attributes() if around.is_repository else []
    except GitError as error:
        yield Check("git attributes", ok=False, found=str(error))
        return
    if not around.is_repository:
        yield Check(
            name,
            ok=True,
            found="The store is not in a Git repository, or Git is not installed: it has no "
            "history to return to and nothing to merge with.",
        )
        return
    yield Check(name, ok=True, found=git(layout.root, "version").decode().strip() + ".")
    yield Check(
        "git attributes",
        ok=not attributes,
        found=attributes_sentence(attributes)
        if attributes
        else "Git leaves every byte of the store as it is.",
    )
    problems = around.ignored()
    if exposed := around.exposed():
        problems.append(
            f"Git does not ignore {series(exposed)}: run `tunixrt init`, which adds what is "
            "missing to .gitignore; a later line must not bring them back."
        )
    yield Check(
        "git ignore",
        ok=not problems,
        found="\n".join(problems)
        or "Git ignores what is not part of the store, and nothing that is.",
    )


def _lock(layout: Layout) -> Check:
    try:
        held = lock_is_held(layout)
    except TunixrtError as error:
        return Check("lock", ok=False, found=str(error))
    if not held:
        return Check("lock", ok=True, found="No process holds the lock of the store.")
    whose = read_holder(layout) or "a process that left no note"
    return Check("lock", ok=True, found=f"The lock of the store is held by {whose}.")


def _leftovers(layout: Layout) -> Iterator[Check]:
    name = "leftovers"
    try:
        left = [layout.staging / entry.name for entry in entries(layout.staging, layout.root)]
    except DamagedError as error:
        yield Check(name, ok=False, found=str(error.finding))
        return
    if not left:
        yield Check(name, ok=True, found="No writer left anything behind.")
    streams = journals(layout)
    for entry in left:
        place = layout.relative(entry)
        if entry in streams:
            n_events = sum(1 for _ in read_journal(entry))
            yield Check(
                "streams",
                ok=True,
                found=f"{place} holds {n_events} traces of a stream that is being written, or that "
                "died: then `tunixrt trace recover` puts them into the log. Do not delete it.",
            )
            continue
        if entry.suffix == TORN_SUFFIX:
            yield Check(
                "streams",
                ok=True,
                found=f"{place} is the unfinished end of a stream that died. It was never "
                "acknowledged: delete it when it is no longer of interest.",
            )
            continue
        n_files = sum(path.is_file() for path in entry.rglob("*")) if entry.is_dir() else 1
        yield Check(
            name,
            ok=True,
            found=f"{place} ({n_files} files) belongs to a write that is in progress "
            "or that was interrupted. Nothing in it was acknowledged: delete it when no tunixrt "
            "process runs here.",
        )


def _machine() -> Check:
    found = (
        f"{platform.python_implementation()} {platform.python_version()}, {platform.system()} "
        f"{platform.machine()}, file names in {sys.getfilesystemencoding()}."
    )
    return Check("machine", ok=True, found=found)


def _numeric_class() -> Check:
    """What determines float32 bits here; see `tunixrt.runs.numeric_class`."""
    name, found = "numeric class", os.environ.get("XLA_FLAGS", "")
    try:
        flags = [*found.split(), *missing_xla_flags(found)]
        packages = current_code().packages
    except MissingExtraError as error:
        return Check(name, ok=True, found=f"Nothing is trained here. {error}")
    except TunixrtError as error:
        return Check(name, ok=False, found=str(error))
    own = detect_numeric_class(packages=packages, xla_flags=flags)
    unproven = beyond_the_promise(own)
    promise = (
        "portable mode gives the same bits as every x86-64 CPU with AVX2 and FMA"
        if unproven is None
        else f"portable mode promises nothing, since {unproven}"
    )
    caches = ", ".join(f"{kind} {size}" for kind, size in own.caches.items()) or "unknown"
    return Check(
        name,
        ok=True,
        found=f"{own.digest.removeprefix('sha256:')[:12]}: {own.cpu_vendor} family "
        f"{own.cpu_family} model {own.cpu_model}, {own.n_threads} threads, caches "
        f"{caches}, {own.libc}; fast mode repeats its bits where all of this is the same, "
        f"{promise}.",
    )


def _unfinished(layout: Layout) -> Iterator[Check]:
    commands = {"training": "`tunixrt train` with --resume", "responses": "`tunixrt eval`"}
    for kind, run_id in unfinished(layout):
        directory = work_directory(layout, kind, run_id)
        steps = steps_saved(directory)
        holds = f"a checkpoint after step {steps[-1]:,}" if steps else "a part"
        yield Check(
            "unfinished",
            ok=True,
            found=f"{layout.relative(directory)} holds {holds} of a {kind} run that is being made "
            f"or was interrupted: the same {commands.get(kind, 'command')} command continues from "
            "it. Delete the directory if the run is not wanted.",
        )


def _packages() -> Check:
    versions = []
    for package in _PACKAGES:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{package} is not installed")
    return Check("packages", ok=True, found=", ".join(versions) + ".")
