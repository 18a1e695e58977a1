"""Proving datasets: every digest of what is stored, and the selection made again from the log."""

from __future__ import annotations

from collections import Counter
from itertools import zip_longest
from typing import TYPE_CHECKING

import msgspec

from tunixrt.datasets.building import datasets_of_key
from tunixrt.datasets.files import (
    MANIFEST_NAME,
    Dataset,
    DatasetManifest,
    dataset_digest,
    directories,
    member_files,
    member_line,
    member_lines,
    members,
    parse_member,
    read_manifest,
)
from tunixrt.datasets.names import BadNameError, key_of
from tunixrt.datasets.recipes import RecipeError, make_recipe
from tunixrt.datasets.selection import Selection, select
from tunixrt.log.canonical import encode
from tunixrt.log.digests import from_raw
from tunixrt.log.findings import Finding
from tunixrt.log.merkle import MerkleTree
from tunixrt.log.segment.sealed import MAX_PART_BYTES
from tunixrt.log.snapshots import list_snapshots, load_snapshot
from tunixrt.traces.state import project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunixrt.datasets.selection import Member
    from tunixrt.log.digests import Digest
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.traces.state import Projection


class Rebuild(msgspec.Struct, frozen=True):
    """What building a dataset again showed; it is the same where there are no findings.

    ``n_redacted`` counts members whose payload is gone: they were taken as they are listed.
    """

    dataset: Dataset
    n_redacted: int
    findings: tuple[Finding, ...]


def verify_datasets(layout: Layout) -> Iterator[Finding]:
    """Check every dataset: names, manifests, member lines, digests, and stray files.

    The log and its snapshots have checks of their own; here a snapshot must only be there.
    """
    snapshots = set(list_snapshots(layout))
    yield from _strays(layout, layout.datasets, allowed=())
    for name in directories(layout.datasets):
        yield from _strays(layout, name, allowed=())
        for version in directories(name):
            yield from _strays(layout, version, allowed=())
            for path in directories(version):
                yield from _verify(layout, path, snapshots)


def rebuild_dataset(layout: Layout, log: EventLog, key: str) -> Iterator[Finding]:
    """Select a dataset again from its snapshot, and say how the result differs from what is stored.

    Where a merge brought several datasets under one key, each of them is built again.

    Raises:
        BadNameError: The text is not a key.
        DamagedError: The log, the snapshot or a manifest is damaged.
    """
    for dataset in datasets_of_key(layout, key):
        yield from rebuild(layout, log, dataset).findings


def rebuild(layout: Layout, log: EventLog, dataset: Dataset) -> Rebuild:
    """Select a dataset again from its snapshot, and compare it with what is stored.

    Raises:
        DamagedError: The log or the snapshot is damaged.
    """
    snapshot = load_snapshot(layout, dataset.manifest.snapshot)
    place = layout.relative(dataset.path / MANIFEST_NAME)
    with project(log, snapshot.segments) as projection:
        listed = _unreadable(projection, dataset)
        try:
            selection = select(log, projection, dataset.manifest.recipe, snapshot.segments, listed)
        except RecipeError as error:
            problem = f"The recipe selects nothing from the snapshot: {error}"
            return Rebuild(dataset, len(listed), (Finding(place, problem),))
    try:
        findings = tuple(_differences(layout, dataset, selection, exact=not listed))
    finally:
        selection.close()
    return Rebuild(dataset, len(listed), findings)


# --- what is stored ------------------------------------------------------------------------------


def _verify(layout: Layout, path: Path, snapshots: set[Digest]) -> Iterator[Finding]:
    files = member_files(path)
    yield from _strays(layout, path, allowed=(MANIFEST_NAME, *(file.name for file in files)))
    manifest, findings = read_manifest(layout, path)
    yield from findings
    if manifest is None:
        return
    place = layout.relative(path / MANIFEST_NAME)
    for problem, expected, found in _manifest_problems(path, manifest):
        yield Finding(place, problem, expected=expected, found=found)
    if manifest.snapshot not in snapshots:
        yield Finding(place, "The snapshot of the dataset is missing.", expected=manifest.snapshot)
    yield from _verify_members(layout, path, files, manifest)


def _manifest_problems(path: Path, manifest: DatasetManifest) -> Iterator[tuple[str, str, str]]:
    if encode(manifest) != (path / MANIFEST_NAME).read_bytes():
        yield "The manifest is not in the form that is written.", "canonical JSON", "other bytes"
    place = (path.parents[1].name, path.parents[0].name)
    named = (manifest.dataset_name, manifest.dataset_version)
    if place != named:
        yield "The manifest stands in the directory of another.", "/".join(place), "/".join(named)
    try:
        key = key_of(*named)
    except BadNameError as error:
        yield str(error), "a name and a version", "/".join(named)
    else:
        if key != manifest.dataset_key:
            yield "The key is not that of name and version.", key, manifest.dataset_key
    yield from _recipe_problems(manifest)
    digest = dataset_digest(manifest.recipe, manifest.members_root, manifest.trace_count)
    if digest != manifest.digest:
        yield "The digest is not that of recipe and members.", digest, manifest.digest


def _recipe_problems(manifest: DatasetManifest) -> Iterator[tuple[str, str, str]]:
    try:
        recipe = make_recipe(
            filters=manifest.filters,
            selection_strategy=manifest.selection_strategy,
            limit=manifest.limit,
            seed=manifest.seed,
            splits=manifest.splits,
        )
    except RecipeError as error:
        yield f"The recipe makes no sense: {error}", "a recipe", "another"
    else:
        if recipe != manifest.recipe:
            expected, found = encode(recipe).decode(), encode(manifest.recipe).decode()
            yield "The recipe is not in the form that is written.", expected, found


def _verify_members(
    layout: Layout, path: Path, files: list[Path], manifest: DatasetManifest
) -> Iterator[Finding]:
    for file in files:
        size = file.stat().st_size
        if size > MAX_PART_BYTES:
            problem = "The member file is larger than 4 MiB."
            yield Finding(layout.relative(file), problem, found=f"{size:,} bytes")
    tree, counts, before = MerkleTree(), Counter[str](), ""
    for file, number, line in member_lines(path):
        tree.append(line)
        member, wrong = _read_member(line)
        if member is not None:
            counts[member.split] += 1
            if member.trace <= before:
                wrong = "The members are not in ascending order, or one is listed twice."
            before = member.trace
        if wrong is not None:
            yield Finding(layout.relative(file), wrong, line=number)
    place = layout.relative(path / MANIFEST_NAME)
    for problem, expected, found in (
        ("The members are not those of the root.", manifest.members_root, from_raw(tree.root())),
        ("The count of members is another.", manifest.trace_count, tree.n_leaves),
        ("The counts of the splits are others.", manifest.split_counts, dict(counts)),
    ):
        if expected != found:
            yield Finding(place, problem, expected=str(expected), found=str(found))


def _read_member(line: bytes) -> tuple[Member | None, str | None]:
    try:
        member = parse_member(line)
    except ValueError as error:
        return None, f"This is not the line of a member: {error}."
    if member_line(member) != line:
        return member, "The line is not in canonical form (RFC 8785)."
    return member, None


def _strays(layout: Layout, directory: Path, allowed: tuple[str, ...]) -> Iterator[Finding]:
    """What does not belong into a directory of datasets; where no file may be, directories may."""
    if not directory.is_dir():
        return
    for entry in sorted(directory.iterdir()):
        plain = entry.is_dir() if not allowed else entry.is_file()
        if entry.is_symlink() or not plain or (allowed and entry.name not in allowed):
            problem = "This does not belong to a dataset: move it elsewhere."
            yield Finding(layout.relative(entry), problem)


# --- what the log says ---------------------------------------------------------------------------


def _unreadable(projection: Projection, dataset: Dataset) -> dict[Digest, Member]:
    gone = {state.id for state in projection.traces() if not state.kept}
    if not gone:
        return {}
    return {member.trace: member for member in members(dataset) if member.trace in gone}


def _differences(
    layout: Layout, dataset: Dataset, selection: Selection, *, exact: bool
) -> Iterator[Finding]:
    lines = member_lines(dataset.path)
    place, number = dataset.path / MANIFEST_NAME, 0
    for expected, stored in zip_longest(map(member_line, selection), lines):
        found = None
        if stored is not None:
            place, number, found = stored
        if expected != found:
            yield Finding(
                layout.relative(place),
                "The first member that differs from what the recipe selects from the snapshot.",
                line=number or None,
                expected=expected.decode() if expected else "no further member",
                found=found.decode(errors="replace") if found is not None else "no further member",
            )
            break
    if exact and selection.stats() != dataset.manifest.stats:
        yield Finding(
            layout.relative(dataset.path / MANIFEST_NAME),
            "The stats are not those of the members.",
            expected=encode(selection.stats()).decode(),
            found=encode(dataset.manifest.stats).decode(),
        )
