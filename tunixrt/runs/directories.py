"""Run directories: publishing them whole, finding them by prefix, checking every byte.

``runs/<run id>/`` appears by one rename when the run is complete and never changes afterwards,
except that ``environments/`` gains a file for each machine that made the run again.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tunixrt.data.violations import quoted
from tunixrt.errors import BadInputError
from tunixrt.log import canonical
from tunixrt.log.checkout import Checkout
from tunixrt.log.digests import Digest, digest_bytes, digest_stored, hex_of
from tunixrt.log.eventlog import EventLog
from tunixrt.log.files import publish_directory, publish_file, staging_directory, writing
from tunixrt.log.findings import DamagedError, Finding, entries, files_below, not_plain
from tunixrt.log.stored import open_stored, read_stored
from tunixrt.runs.checkpoints import CHECKPOINTS
from tunixrt.runs.latest import latest_run_id, names_the_latest
from tunixrt.runs.manifests import Manifest, ManifestError, encode_manifest, read_manifest
from tunixrt.runs.promotions import UnknownRunError, looks_like_an_id, read_promotions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tunixrt.log.layout import Layout

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
ENVIRONMENTS = "environments"
MODEL = "model"
EVALUATIONS = "evaluations"

#: The most run ids that an error message lists.
_N_LISTED = 12

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
        name: digest_stored(directory / name)
        for name in _hashed_names(directory)
        if name != MANIFEST
    }


def _hashed_names(directory: Path) -> list[str]:
    names, findings = files_below(directory, directory)
    for finding in findings:
        raise DamagedError(finding)
    return list(filter(_is_hashed, names))


def _is_hashed(name: str) -> bool:
    return name != SUMS and not name.startswith(f"{ENVIRONMENTS}/")


def seal_run(staged: Path, manifest: Manifest) -> None:
    """Write the manifest and ``SHA256SUMS`` (what ``sha256sum -c`` reads) into a staged run."""
    (staged / MANIFEST).write_bytes(encode_manifest(manifest))
    lines = [f"{hex_of(digest_stored(staged / name))}  {name}\n" for name in _hashed_names(staged)]
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
    """The ids of the runs here, sorted.

    Raises:
        DamagedError: The directory of the runs cannot be listed, or is a symbolic link.
    """
    return [
        entry.name
        for entry in entries(layout.runs, layout.root)
        if _RUN_ID.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
    ]


def run_of_model(layout: Layout, directory: Path) -> str | None:
    """The id of the run whose ``model/`` this directory is, however its path was spelt.

    Returns:
        None for any other directory: then it is a model from elsewhere.
    """
    # Relative, through a symbolic link, with ``..``: one directory is one model.
    top, found = Path(os.path.realpath(layout.runs)), Path(os.path.realpath(directory))
    run_id = found.parent.name
    return run_id if found == top / run_id / MODEL and _RUN_ID.fullmatch(run_id) else None


def read_runs(layout: Layout) -> list[Manifest]:
    """The manifests of the runs here, sorted by run id."""
    return [_read_finished(layout, run_id) for run_id in list_run_ids(layout)]


def find_run(layout: Layout, run: str) -> Manifest:
    """The run whose id begins with ``run`` (at least 6 hex digits), or that was promoted to it.

    ``@last``, ``@last-train`` and ``@last-eval`` are the runs that were made last in this checkout.

    Raises:
        UnknownRunError: none or several do.
        PromotedNameError: no run has the name, or branches gave it to different runs.
        UnfinishedRunError: the run is there, and its manifest is not.
    """
    if names_the_latest(run):
        run_id = latest_run_id(layout, run)
        if not (layout.runs / run_id).is_dir():
            raise UnknownRunError(
                f"{run} is the run {run_id[:12]}, which is not here any more. Name another run, as "
                "`tunixrt run list` shows it."
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
        for path in sorted((layout.derived / CHECKPOINTS).glob(f"{run}*")):
            raise UnfinishedRunError(path.name, "only a checkpoint of it is here")
        for path in sorted((layout.derived / EVALUATIONS).glob(f"{run}*")):
            raise UnfinishedRunError(path.name, "only a part of an evaluation's responses is here")
        if left_out := _left_out(layout, run):
            raise UnknownRunError(f"The run {run} is not here. {left_out}")
        raise UnknownRunError(f"There is no run {run} here. {_some_of(known)}")
    return _read_finished(layout, matching[0])


def _some_of(run_ids: list[str]) -> str:
    if not run_ids:
        return "There is none at all yet."
    listed = ", ".join(run_id[:12] for run_id in run_ids[:_N_LISTED])
    n_more = len(run_ids) - _N_LISTED
    more = f" and {n_more:,} more, as `tunixrt run list` shows" if n_more > 0 else ""
    return f"The runs here: {listed}{more}."


def _left_out(layout: Layout, run: str) -> str | None:
    """What to do where a sparse checkout leaves out the run whose id begins so."""
    runs = layout.relative(layout.runs)
    for run_id in Checkout.of(layout).below(runs):
        if run_id.startswith(run):
            return (
                "Git tracks it, and this sparse checkout leaves it out: "
                f"`git sparse-checkout add {runs}/{run_id}` brings it."
            )
    return None


def model_of(layout: Layout, run_id: str) -> Path:
    """The Hugging Face directory of a training run.

    Raises:
        DamagedError: something in it is not a plain file, or a pointer of Git LFS.
    """
    directory = layout.runs / run_id / "model"
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
    path = layout.runs / run_id / MANIFEST
    if not os.path.lexists(path):
        raise UnfinishedRunError(run_id, f"{layout.relative(path)} is missing")
    return read_manifest(path)


def verify_runs(layout: Layout, checkout: Checkout | None = None) -> Iterator[Finding]:
    """Check every byte of every run that is hashed, and that nothing else lies among them.

    Args:
        layout: where the runs are.
        checkout: what Git tracks and is not here; that is no finding.
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
                problem="This is no run (a directory named by 64 hex digits); move it elsewhere.",
            )


def verify_run(layout: Layout, run_id: str, checkout: Checkout | None = None) -> Iterator[Finding]:
    """Check every byte of one run that is hashed, and that nothing else lies among them."""
    yield from _Verification(layout, run_id, checkout or Checkout()).run()


class _Verification:
    """The verification of one run; each file is read once."""

    def __init__(self, layout: Layout, run_id: str, checkout: Checkout) -> None:
        self._directory = layout.runs / run_id
        self._layout = layout
        self._checkout = checkout
        self._digests: dict[str, Digest] = {}
        self._faulty: list[str] = []  # named already; what is below them is not missed again

    def run(self) -> Iterator[Finding]:
        names, findings = files_below(self._directory, self._layout.root)
        for finding in findings:
            self._faulty.append(finding.path)
            yield finding
        for name in names:
            try:
                self._digests[name] = digest_stored(self._directory / name)
            except OSError as error:
                yield self._unreadable(name, error)
        yield from self._sums()
        yield from self._environments()
        yield from self._manifest()

    def _place(self, name: str) -> str:
        return self._layout.relative(self._directory / name)

    def _unreadable(self, name: str, error: OSError) -> Finding:
        self._faulty.append(self._place(name))
        problem = f"The file cannot be read: {error.strerror or error}."
        return Finding(self._place(name), problem)

    def _is_excused(self, name: str) -> bool:
        """Whether it has been said of a file why it is not here, or Git has it."""
        place = self._place(name)
        if any(place == faulty or place.startswith(f"{faulty}/") for faulty in self._faulty):
            return True
        return name not in self._digests and self._checkout.lacks(place)

    def _sums(self) -> Iterator[Finding]:
        if self._is_excused(SUMS):
            return
        here = self._place(SUMS)
        try:
            text = read_stored(self._directory / SUMS).decode()
        except (OSError, UnicodeDecodeError) as error:
            problem = error.strerror if isinstance(error, OSError) else error
            yield Finding(path=here, problem=f"The sums cannot be read: {problem}.")
            return
        listed: dict[str, str] = {}
        for number, line in enumerate(text.split("\n")[:-1], start=1):
            match = _SUM_LINE.fullmatch(line)
            if match is None:
                yield Finding(path=here, line=number, problem="The line is not '<64 hex>  <file>'.")
            else:
                listed[match[2]] = match[1]
        expected = {n: hex_of(d) for n, d in self._digests.items() if _is_hashed(n)}
        for name in sorted(expected.keys() | listed.keys()):
            if expected.get(name) != listed.get(name) and not self._is_excused(name):
                yield Finding(
                    path=self._place(name),
                    problem=f"The file does not have the digest that {SUMS} lists.",
                    expected=listed.get(name, "not listed"),
                    found=expected.get(name, "no such file"),
                )
        canonical_text = "".join(f"{digest}  {name}\n" for name, digest in sorted(listed.items()))
        if canonical_text != text:
            yield Finding(
                path=here, problem="The lines are not sorted, unique and ended by line feeds."
            )

    def _environments(self) -> Iterator[Finding]:
        directory = self._directory / ENVIRONMENTS
        with contextlib.suppress(DamagedError):  # that has been said
            for entry in entries(directory, self._layout.root):
                if entry.is_dir(follow_symlinks=False):
                    yield not_plain(directory / entry.name, self._layout.root)
        for name, digest in self._digests.items():
            folder, _, file = name.partition("/")
            if folder == ENVIRONMENTS and file != f"{hex_of(digest)}.json":
                yield Finding(
                    path=self._place(name),
                    problem="The file is not named by its own digest; it was changed.",
                    expected=file,
                    found=digest,
                )

    def _manifest(self) -> Iterator[Finding]:
        if self._is_excused(MANIFEST):
            return
        here = self._place(MANIFEST)
        try:
            manifest = read_manifest(self._directory / MANIFEST)
        except ManifestError as error:
            yield Finding(path=here, problem=f"The manifest {error.problem}")
            return
        if not manifest.run_id == manifest.identity.run_id == self._directory.name:
            yield Finding(
                path=here,
                problem="The run id, the digest of the identity and the directory's name differ.",
                expected=manifest.identity.run_id,
                found=f"{manifest.run_id} in {self._directory.name}",
            )
        outputs = {n: d for n, d in self._digests.items() if _is_hashed(n) and n != MANIFEST}
        for name in sorted(outputs.keys() | manifest.outputs.keys()):
            expected, found = manifest.outputs.get(name), outputs.get(name)
            if expected != found and not self._is_excused(name):
                yield Finding(
                    path=self._place(name),
                    problem="The file is not the output that the run's manifest names.",
                    expected=expected or "no such file",
                    found=found or "no such file",
                )


def read_environments(
    layout: Layout, run_id: str, *, on_unreadable: Callable[[str], None] | None = None
) -> list[dict[str, object]]:
    """The executions of a run that were recorded, in the order of their digests.

    Nothing hashes them: no field is sure to be there, and what is not a JSON object in a file is
    left out.

    Args:
        layout: where the run is.
        run_id: the run.
        on_unreadable: called with a sentence for each entry that is left out.
    """
    directory = layout.runs / run_id / ENVIRONMENTS
    read: list[dict[str, object]] = []
    problems: list[str] = []
    try:
        names = [entry.name for entry in entries(directory, layout.root)]
    except DamagedError as error:
        names, problems = [], [f"{error.finding.path}: {error.finding.problem}"]
    for name in names:
        try:
            read.append(_read_environment(directory / name))
        except (OSError, canonical.CanonicalError, msgspec.ValidationError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            problems.append(f"{layout.relative(directory / name)} cannot be read ({reason}).")
    if on_unreadable is not None:
        for problem in problems:
            on_unreadable(f"{problem} No result depends on it; `git checkout` brings it back.")
    return read


def _read_environment(path: Path) -> dict[str, object]:
    return msgspec.convert(canonical.decode_stored(read_stored(path)), dict[str, object])
