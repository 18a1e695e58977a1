"""Run directories: finding them by prefix, checking every byte.

``runs/<run id>/`` appears by one rename when the run is complete (see `tunixrt.derive.obtain`) and
never changes afterwards.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tunixrt.derive import unfinished
from tunixrt.errors import BadInputError
from tunixrt.log.eventlog import EventLog
from tunixrt.log.findings import Finding
from tunixrt.log.sums import MANIFEST, output_digests, verify_sealed
from tunixrt.runs.manifests import Manifest, ManifestError, read_manifest
from tunixrt.runs.promotions import UnknownRunError, looks_like_an_id, read_promotions
from tunixrt.traces.violations import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.log.layout import Layout

_RUN_ID = re.compile(r"[0-9a-f]{64}")


class UnfinishedRunError(BadInputError):
    """A run that was begun and not published whole.

    Attributes:
        run_id: the run.
    """

    def __init__(self, run_id: str, evidence: str) -> None:
        super().__init__(
            f"The run {run_id[:12]} is not finished ({evidence}). A training that was interrupted "
            "goes on with the same `tunixrt train` command and --resume, an evaluation with the "
            "same `tunixrt eval` command; a directory that lost its manifest comes back with "
            "`git checkout`."
        )
        self.run_id = run_id


def list_run_ids(layout: Layout) -> list[str]:
    """The ids of the runs here, sorted."""
    if not layout.runs.is_dir():
        return []
    return sorted(p.name for p in layout.runs.iterdir() if _RUN_ID.fullmatch(p.name) and p.is_dir())


def read_runs(layout: Layout) -> list[Manifest]:
    """The manifests of the runs here, sorted by run id."""
    return [_read_finished(layout, run_id) for run_id in list_run_ids(layout)]


def find_run(layout: Layout, run: str) -> Manifest:
    """The run whose id begins with ``run`` (at least 6 hex digits), or that was promoted to it.

    Raises:
        UnknownRunError: none or several do.
        PromotedNameError: no run has the name, or branches gave it to different runs.
        UnfinishedRunError: the run is there, and its manifest is not.
    """
    known = list_run_ids(layout)
    if not looks_like_an_id(run):
        run_id = read_promotions(EventLog(layout)).run_id(run)
        if run_id not in known:
            raise UnknownRunError(
                f"The name {quoted(run)} was given to the run {run_id}, which is not here. Bring "
                "its directory back from Git, or promote another run."
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
        listed = ", ".join(run_id[:12] for run_id in known) or "none"
        raise UnknownRunError(f"There is no run {run} here. The runs here: {listed}.")
    return _read_finished(layout, matching[0])


def _read_finished(layout: Layout, run_id: str) -> Manifest:
    path = layout.runs / run_id / MANIFEST
    if not path.is_file():
        raise UnfinishedRunError(run_id, f"{layout.relative(path)} is missing")
    return read_manifest(path)


def verify_runs(layout: Layout) -> Iterator[Finding]:
    """Check every byte of every run that is hashed, and that nothing else lies among them."""
    if not layout.runs.is_dir():
        return
    for path in sorted(layout.runs.iterdir()):
        if _RUN_ID.fullmatch(path.name) and path.is_dir():
            yield from verify_run(layout, path.name)
        elif path.name != ".gitkeep":
            yield Finding(
                path=layout.relative(path),
                problem="This is no run (a directory named by 64 hex digits); move it elsewhere.",
            )


def verify_run(layout: Layout, run_id: str) -> Iterator[Finding]:
    """Check every byte of one run that is hashed, and that nothing else lies among them."""
    directory = layout.runs / run_id
    yield from verify_sealed(layout, directory)
    path = directory / MANIFEST
    try:
        manifest = read_manifest(path)
    except ManifestError as error:
        yield Finding(path=layout.relative(path), problem=f"The manifest {error.problem}")
        return
    if not manifest.run_id == manifest.identity.run_id == directory.name:
        yield Finding(
            path=layout.relative(path),
            problem="The run id, the digest of the identity and the directory's name differ.",
            expected=manifest.identity.run_id,
            found=f"{manifest.run_id} in {directory.name}",
        )
    outputs = output_digests(directory)
    for name in sorted(outputs.keys() | manifest.outputs.keys()):
        expected, found = manifest.outputs.get(name), outputs.get(name)
        if expected != found:
            yield Finding(
                path=layout.relative(directory / name),
                problem="The file is not the output that the run's manifest names.",
                expected=expected or "no such file",
                found=found or "no such file",
            )
