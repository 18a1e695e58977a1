"""Run directories: found by prefix, and verified byte by byte.

``runs/<run id>/`` appears by one rename when the run is complete (see `tunixrt.derive.obtain`) and
never changes afterwards.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tunixrt.derive import unfinished
from tunixrt.errors import BadInputError
from tunixrt.log.checkout import Checkout
from tunixrt.log.eventlog import EventLog
from tunixrt.log.findings import DamagedError, Finding, entries, files_below, not_plain
from tunixrt.log.stored import open_stored
from tunixrt.log.sums import MANIFEST, SealedVerification
from tunixrt.runs.latest import latest_run_id, names_the_latest
from tunixrt.runs.manifests import Manifest, ManifestError, read_manifest
from tunixrt.runs.promotions import UnknownRunError, looks_like_an_id, read_promotions
from tunixrt.runs.run import Run
from tunixrt.words import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunixrt.log.layout import Layout

#: The most run ids that an error message lists.
_N_LISTED = 12

_RUN_ID = re.compile(r"[0-9a-f]{64}")


class UnfinishedRunError(BadInputError):
    """A run that was started and not published.

    Attributes:
        run_id: the run.
    """

    def __init__(self, run_id: str, evidence: str) -> None:
        super().__init__(
            f"The run {run_id[:12]} is not finished ({evidence}). An interrupted training "
            "resumes with the same `tunixrt train` command and --resume, an evaluation with the "
            "same `tunixrt eval` command; `git checkout` restores a directory that lost its "
            "manifest."
        )
        self.run_id = run_id


def list_run_ids(layout: Layout) -> list[str]:
    """Return the ids of the runs in the store, sorted.

    Raises:
        DamagedError: The directory of the runs cannot be listed, or is a symbolic link.
    """
    return [
        entry.name
        for entry in entries(layout.runs, layout.root)
        if _RUN_ID.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
    ]


def read_runs(layout: Layout) -> list[Manifest]:
    """Return the manifests of the runs in the store, sorted by run id."""
    return [_read_finished(layout, run_id) for run_id in list_run_ids(layout)]


def find_run(layout: Layout, run: str) -> Manifest:
    """Return the run whose id begins with ``run`` (6 hex digits or more), or promoted to it.

    ``@last``, ``@last-train`` and ``@last-eval`` are the runs that were made last in this checkout.

    Raises:
        UnknownRunError: none or several do.
        PromotedNameError: no run has the name, or branches gave it to different runs.
        UnfinishedRunError: the run exists without its manifest.
    """
    if names_the_latest(run):
        run_id = latest_run_id(layout, run)
        if not (layout.runs / run_id).is_dir():
            raise UnknownRunError(
                f"{run} is the run {run_id[:12]}, which is not here. Name another run, "
                "as `tunixrt run list` shows it."
            )
        return _read_finished(layout, run_id)
    known = list_run_ids(layout)
    if not looks_like_an_id(run):
        run_id = read_promotions(EventLog(layout)).run_id(run)
        if run_id not in known:
            raise UnknownRunError(
                f"The name {quoted(run)} was given to the run {run_id}, which is not here. "
                + (
                    _left_out(layout, run_id)
                    or "Bring its directory back from Git, or promote another run."
                )
            )
        return _read_finished(layout, run_id)
    matching = [run_id for run_id in known if run_id.startswith(run)]
    if len(matching) > 1:
        listed = ", ".join(run_id[:12] for run_id in matching)
        raise UnknownRunError(f"{run} begins the ids of several runs: {listed}. Give more digits.")
    if not matching:
        for kind, run_id in unfinished(layout):
            if run_id.startswith(run):
                raise UnfinishedRunError(run_id, f"only interrupted work of the {kind} is here")
        if left_out := _left_out(layout, run):
            raise UnknownRunError(f"The run {run} is not here. {left_out}")
        raise UnknownRunError(f"The run {run} does not exist here. {_some_of(known)}")
    return _read_finished(layout, matching[0])


def _some_of(run_ids: list[str]) -> str:
    if not run_ids:
        return "The store has no runs yet."
    listed = ", ".join(run_id[:12] for run_id in run_ids[:_N_LISTED])
    n_more = len(run_ids) - _N_LISTED
    more = f" and {n_more:,} more, as `tunixrt run list` shows" if n_more > 0 else ""
    return f"The runs here: {listed}{more}."


def _left_out(layout: Layout, run: str) -> str | None:
    """Return what to do if a sparse checkout leaves out the run with this prefix; else None."""
    runs = layout.relative(layout.runs)
    for run_id in Checkout.of(layout).below(runs):
        if run_id.startswith(run):
            return (
                "Git tracks it, and this sparse checkout leaves it out: "
                f"`git sparse-checkout add {runs}/{run_id}` brings it."
            )
    return None


def model_of(layout: Layout, run_id: str) -> Path:
    """Return the Hugging Face directory of a training run.

    Raises:
        DamagedError: something in it is not a plain file, or a pointer of Git LFS.
    """
    directory = Run.of(layout, run_id).model
    names, findings = files_below(directory, layout.root)
    for finding in findings:
        raise DamagedError(finding)
    for name in names:
        try:
            open_stored(directory / name).close()
        except OSError as error:
            place = layout.relative(directory / name)
            problem = f"The file cannot be read: {error.strerror}."
            raise DamagedError(Finding(place, problem)) from None
    return directory


def _read_finished(layout: Layout, run_id: str) -> Manifest:
    run = Run.of(layout, run_id)
    if not run.is_published:
        where = layout.relative(run.directory / MANIFEST)
        raise UnfinishedRunError(run_id, f"{where} is missing")
    return run.manifest


def verify_runs(layout: Layout, checkout: Checkout | None = None) -> Iterator[Finding]:
    """Check every byte of every run that is hashed, and that nothing else is among them.

    Args:
        layout: where the runs are.
        checkout: what a sparse checkout leaves out; that is not a finding.
    """
    try:
        listed = entries(layout.runs, layout.root)
    except DamagedError as error:
        yield error.finding
        return
    for entry in listed:
        path = layout.runs / entry.name
        if _RUN_ID.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
            yield from verify_run(layout, entry.name, checkout)
        elif entry.is_symlink():
            yield not_plain(path, layout.root)
        else:
            yield Finding(
                path=layout.relative(path),
                problem="This is not a run (a directory of 64 hex digits); move it elsewhere.",
            )


def verify_run(layout: Layout, run_id: str, checkout: Checkout | None = None) -> Iterator[Finding]:
    """Check every byte of one run that is hashed, and that nothing else is among them."""
    directory = layout.runs / run_id
    sealed = SealedVerification(layout, directory, checkout)
    yield from sealed.run()
    if sealed.is_excused(MANIFEST):
        return
    try:
        manifest = read_manifest(directory / MANIFEST)
    except ManifestError as error:
        yield Finding(path=sealed.place(MANIFEST), problem=f"The manifest {error.problem}")
        return
    if not manifest.run_id == manifest.identity.run_id == run_id:
        yield Finding(
            path=sealed.place(MANIFEST),
            problem="The run id, the digest of the identity and the directory's name differ.",
            expected=manifest.identity.run_id,
            found=f"{manifest.run_id} in {run_id}",
        )
    outputs = sealed.outputs
    for name in sorted(outputs.keys() | manifest.outputs.keys()):
        expected, found = manifest.outputs.get(name), outputs.get(name)
        if expected != found and not sealed.is_excused(name):
            yield Finding(
                path=sealed.place(name),
                problem="The file is not the output that the run's manifest names.",
                expected=expected or "no such file",
                found=found or "no such file",
            )
