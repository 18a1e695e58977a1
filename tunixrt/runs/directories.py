"""Run directories: publishing them whole, finding them by prefix, checking every byte.

``runs/<run id>/`` appears by one rename when the run is complete and never changes afterwards,
except that ``environments/`` gains a file for each machine that made the run again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from tunixrt.errors import BadInputError
from tunixrt.log import canonical
from tunixrt.log.digests import Digest, digest_bytes, digest_file, hex_of
from tunixrt.log.eventlog import EventLog
from tunixrt.log.files import publish_directory, publish_file, staging_directory, writing
from tunixrt.log.findings import Finding
from tunixrt.runs.checkpoints import CHECKPOINTS
from tunixrt.runs.manifests import Manifest, ManifestError, encode_manifest, read_manifest
from tunixrt.runs.promotions import UnknownRunError, looks_like_an_id, read_promotions
from tunixrt.traces.violations import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tunixrt.log.layout import Layout

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
ENVIRONMENTS = "environments"
EVALUATIONS = "evaluations"

_RUN_ID = re.compile(r"[0-9a-f]{64}")
_SUM_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")


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


def output_digests(directory: Path) -> dict[str, Digest]:
    """The digest of every file below ``directory`` by relative POSIX path, sorted.

    The manifest, the sums and the environments are left out: they speak of the outputs.
    """
    return {
        name: digest_file(directory / name) for name in _hashed_names(directory) if name != MANIFEST
    }


def _hashed_names(directory: Path) -> list[str]:
    names = (
        path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()
    )
    return sorted(n for n in names if n != SUMS and not n.startswith(f"{ENVIRONMENTS}/"))


def seal_run(staged: Path, manifest: Manifest) -> None:
    """Write the manifest and ``SHA256SUMS`` (what ``sha256sum -c`` reads) into a staged run."""
    (staged / MANIFEST).write_bytes(encode_manifest(manifest))
    lines = [f"{hex_of(digest_file(staged / name))}  {name}\n" for name in _hashed_names(staged)]
    (staged / SUMS).write_bytes("".join(lines).encode())


def publish_run(
    layout: Layout, staged: Path, manifest: Manifest, environment: Mapping[str, object]
) -> Path:
    """Seal a staged run and publish it under its id; note the environment it was made in.

    A run that is there already stays as it is and only gains the environment.

    Raises:
        WriteError: the file system refuses; no run is published.
    """
    with writing(staged):
        seal_run(staged, manifest)
    destination = layout.runs / manifest.run_id
    publish_directory(staged, destination)
    note_environment(layout, manifest.run_id, environment)
    return destination


def note_environment(layout: Layout, run_id: str, environment: Mapping[str, object]) -> Path:
    """Record one execution of a run: host, versions, durations. Nothing hashes it."""
    data = canonical.encode(dict(environment))
    path = layout.runs / run_id / ENVIRONMENTS / f"{hex_of(digest_bytes(data))}.json"
    with staging_directory(layout) as staging:
        publish_file(path, data, staging)
    return path


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
        for path in sorted((layout.derived / CHECKPOINTS).glob(f"{run}*")):
            raise UnfinishedRunError(path.name, "only a checkpoint of it is here")
        for path in sorted((layout.derived / EVALUATIONS).glob(f"{run}*")):
            raise UnfinishedRunError(path.name, "only a part of an evaluation's responses is here")
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
                path=_relative(layout, path),
                problem="This is no run (a directory named by 64 hex digits); move it elsewhere.",
            )


def verify_run(layout: Layout, run_id: str) -> Iterator[Finding]:
    """Check every byte of one run that is hashed, and that nothing else lies among them."""
    directory = layout.runs / run_id
    yield from _verify_sums(layout, directory)
    yield from _verify_environments(layout, directory)
    path = directory / MANIFEST
    try:
        manifest = read_manifest(path)
    except ManifestError as error:
        yield Finding(path=_relative(layout, path), problem=f"The manifest {error.problem}")
        return
    if not manifest.run_id == manifest.identity.run_id == directory.name:
        yield Finding(
            path=_relative(layout, path),
            problem="The run id, the digest of the identity and the directory's name differ.",
            expected=manifest.identity.run_id,
            found=f"{manifest.run_id} in {directory.name}",
        )
    outputs = {n: d for n, d in output_digests(directory).items() if n != MANIFEST}
    for name in sorted(outputs.keys() | manifest.outputs.keys()):
        expected, found = manifest.outputs.get(name), outputs.get(name)
        if expected != found:
            yield Finding(
                path=_relative(layout, directory / name),
                problem="The file is not the output that the run's manifest names.",
                expected=expected or "no such file",
                found=found or "no such file",
            )


def _verify_sums(layout: Layout, directory: Path) -> Iterator[Finding]:
    path = directory / SUMS
    here = _relative(layout, path)
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        yield Finding(path=here, problem=f"The sums cannot be read ({error}).")
        return
    listed: dict[str, str] = {}
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        match = _SUM_LINE.fullmatch(line)
        if match is None:
            yield Finding(path=here, line=number, problem="The line is not '<64 hex>  <file>'.")
        else:
            listed[match[2]] = match[1]
    names = _hashed_names(directory)
    expected = {name: hex_of(digest_file(directory / name)) for name in names}
    for name in sorted(expected.keys() | listed.keys()):
        if expected.get(name) != listed.get(name):
            yield Finding(
                path=_relative(layout, directory / name),
                problem=f"The file does not have the digest that {SUMS} lists.",
                expected=listed.get(name, "not listed"),
                found=expected.get(name, "no such file"),
            )
    canonical_text = "".join(f"{digest}  {name}\n" for name, digest in sorted(listed.items()))
    if canonical_text != text:
        yield Finding(
            path=here, problem="The lines are not sorted, unique and ended by line feeds."
        )


def _verify_environments(layout: Layout, directory: Path) -> Iterator[Finding]:
    for path in sorted((directory / ENVIRONMENTS).glob("*")):
        digest = digest_file(path)
        if path.name != f"{hex_of(digest)}.json":
            yield Finding(
                path=_relative(layout, path),
                problem="The file is not named by its own digest; it was changed.",
                expected=path.name,
                found=digest,
            )


def read_environments(layout: Layout, run_id: str) -> list[dict[str, object]]:
    """The executions of a run that were recorded, in the order of their digests."""
    return [
        msgspec.json.decode(path.read_bytes(), type=dict[str, object])
        for path in sorted((layout.runs / run_id / ENVIRONMENTS).glob("*.json"))
    ]


def _relative(layout: Layout, path: Path) -> str:
    return path.relative_to(layout.root).as_posix()
