"""Verifies datasets: every stored digest, and the selection rebuilt from the log."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from tunixrt.datasets.dedupe import DedupeError
from tunixrt.datasets.derivation import DatasetDerivation, identity_of
from tunixrt.datasets.expressions.scanning import ExpressionError
from tunixrt.datasets.files import (
    DUPLICATES,
    MANIFEST_NAME,
    DatasetManifest,
    dataset_digest,
    directories,
    member_files,
    member_line,
    member_lines,
    parse_duplicate,
    parse_member,
    read_manifest,
    unreadable_members,
)
from tunixrt.datasets.names import BadNameError, key_of
from tunixrt.datasets.recipes import RecipeError, make_recipe
from tunixrt.derive import Answer, Verdict, again
from tunixrt.log.canonical import encode
from tunixrt.log.checkout import Checkout
from tunixrt.log.digests import from_raw
from tunixrt.log.findings import DamagedError, Finding, entries, not_plain
from tunixrt.log.merkle import MerkleTree
from tunixrt.log.segment.sealed import MAX_PART_BYTES
from tunixrt.log.snapshots import list_snapshots
from tunixrt.log.stored import read_stored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunixrt.datasets.files import Dataset
    from tunixrt.datasets.reading import DatasetReader
    from tunixrt.datasets.selection import Member
    from tunixrt.log.digests import Digest
    from tunixrt.log.layout import Layout


_DEPTH = 3
"""A dataset is ``datasets/<name>/<version>/<64 hex>``."""


def verify_datasets(layout: Layout, checkout: Checkout | None = None) -> Iterator[Finding]:
    """Check every dataset: names, manifests, member lines, digests, and stray files.

    The log and its snapshots are verified separately; here a snapshot must only exist.

    Args:
        layout: The store.
        checkout: What a sparse checkout leaves out; that is not a finding.
    """
    try:
        snapshots = set(list_snapshots(layout))
    except DamagedError:
        snapshots = None  # the check of the snapshots reports it
    unread = [(layout.datasets, 0)]
    while unread:
        directory, depth = unread.pop()
        try:
            if depth == _DEPTH:
                yield from _verify(layout, directory, snapshots, checkout or Checkout())
            else:
                yield from _strays(layout, directory, allowed=())
                below = directories(directory, layout.root)
                unread += [(path, depth + 1) for path in reversed(below)]
        except DamagedError as error:
            yield error.finding
        except OSError as error:
            yield unreadable_members(error, directory, layout.root)


def rebuild(reader: DatasetReader, dataset: Dataset) -> Verdict:
    """Return the verdict of rebuilding a dataset from its snapshot and comparing the two.

    Redacted members are kept as they are listed, and counted.

    Raises:
        DamagedError: The log or the snapshot is damaged.
    """
    folded = reader.fold(dataset.manifest.snapshot)
    derivation = DatasetDerivation(
        reader.log, folded.projection, identity_of(dataset.manifest), dataset
    )
    # A dataset is named by its manifest, by which it is looked up.
    try:
        with again(reader.log.layout, derivation, dataset.path) as made:
            return msgspec.structs.replace(
                made.verdict,
                id=dataset.path.name,
                n_rows=dataset.manifest.trace_count,
                n_redacted=derivation.n_redacted,
            )
    except RecipeError as error:
        return Verdict(
            kind=derivation.kind,
            id=dataset.path.name,
            name=derivation.name,
            verdict=Answer.DIVERGED,
            first_difference=f"The recipe selects nothing from the snapshot: {error}",
            file=MANIFEST_NAME,
            n_rows=dataset.manifest.trace_count,
            n_redacted=derivation.n_redacted,
        )


# --- what is stored ------------------------------------------------------------------------------


def _verify(
    layout: Layout, path: Path, snapshots: set[Digest] | None, checkout: Checkout
) -> Iterator[Finding]:
    files, ledger = member_files(path), member_files(path, DUPLICATES)
    allowed = (MANIFEST_NAME, *(file.name for file in (*files, *ledger)))
    yield from _strays(layout, path, allowed=allowed)
    if checkout.lacks(layout.relative(path)):
        return  # a part of it is left out, so the whole cannot be checked
    manifest, findings = read_manifest(layout, path)
    yield from findings
    if manifest is None:
        return
    place = layout.relative(path / MANIFEST_NAME)
    for problem, expected, found in _manifest_problems(path, manifest):
        yield Finding(place, problem, expected=expected, found=found)
    snapshot = layout.relative(layout.snapshot(manifest.snapshot))
    is_here = snapshots is None or manifest.snapshot in snapshots
    if not is_here and not checkout.lacks(snapshot):
        yield Finding(place, "The snapshot of the dataset is missing.", expected=manifest.snapshot)
    yield from _verify_members(layout, path, files, manifest)
    yield from _verify_duplicates(layout, path, ledger, manifest)


def _manifest_problems(path: Path, manifest: DatasetManifest) -> Iterator[tuple[str, str, str]]:
    if encode(manifest) != read_stored(path / MANIFEST_NAME):
        yield "The manifest is not in canonical form.", "canonical JSON", "other bytes"
    place = (path.parents[1].name, path.parents[0].name)
    named = (manifest.dataset_name, manifest.dataset_version)
    if place != named:
        problem = "The manifest is in the directory of another dataset."
        yield problem, "/".join(place), "/".join(named)
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
            where=manifest.where,
            group_by=manifest.group_by,
            stratify=manifest.stratify,
            sql=manifest.sql,
            dedupe=manifest.dedupe,
        )
    except (RecipeError, ExpressionError, DedupeError) as error:
        yield f"The recipe is invalid: {error}", "a recipe", "another"
    else:
        if recipe != manifest.recipe:
            expected, found = encode(recipe).decode(), encode(manifest.recipe).decode()
            yield "The recipe is not in its normal form.", expected, found


def _verify_members(
    layout: Layout, path: Path, files: list[Path], manifest: DatasetManifest
) -> Iterator[Finding]:
    yield from _too_large(layout, files)
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
        ("The number of members differs.", manifest.trace_count, tree.n_leaves),
        ("The numbers of members per split differ.", manifest.split_counts, dict(counts)),
    ):
        if expected != found:
            yield Finding(place, problem, expected=str(expected), found=str(found))


def _verify_duplicates(
    layout: Layout, path: Path, files: list[Path], manifest: DatasetManifest
) -> Iterator[Finding]:
    """Check the lines that name what each duplicate repeats."""
    yield from _too_large(layout, files)
    tree, before = MerkleTree(), ""
    for file, number, line in member_lines(path, DUPLICATES):
        tree.append(line)
        try:
            duplicate = parse_duplicate(line)
        except ValueError as error:
            problem = f"This is not the line of a duplicate: {error}."
            yield Finding(layout.relative(file), problem, line=number)
            continue
        if encode(duplicate) != line:
            problem = "The line is not in canonical form (RFC 8785)."
            yield Finding(layout.relative(file), problem, line=number)
        if duplicate.trace <= before:
            problem = "The duplicates are not in ascending order, or one is listed twice."
            yield Finding(layout.relative(file), problem, line=number)
        before = duplicate.trace
    place = layout.relative(path / MANIFEST_NAME)
    found = (from_raw(tree.root()), tree.n_leaves) if files else (None, None)
    if found != (manifest.duplicates_root, manifest.n_duplicates):
        problem = "The duplicates are not those of the root."
        expected = f"{manifest.n_duplicates}, {manifest.duplicates_root}"
        yield Finding(place, problem, expected=expected, found=f"{found[1]}, {found[0]}")


def _too_large(layout: Layout, files: list[Path]) -> Iterator[Finding]:
    for file in files:
        size = file.lstat().st_size
        if size > MAX_PART_BYTES:
            problem = "The file is larger than 4 MiB."
            yield Finding(layout.relative(file), problem, found=f"{size:,} bytes")


def _read_member(line: bytes) -> tuple[Member | None, str | None]:
    try:
        member = parse_member(line)
    except ValueError as error:
        return None, f"This is not the line of a member: {error}."
    if member_line(member) != line:
        return member, "The line is not in canonical form (RFC 8785)."
    return member, None


def _strays(layout: Layout, directory: Path, allowed: tuple[str, ...]) -> Iterator[Finding]:
    """Yield findings for entries that do not belong in a directory of datasets."""
    for entry in entries(directory, layout.root):
        path = directory / entry.name
        is_expected = entry.name in allowed if allowed else entry.is_dir(follow_symlinks=False)
        is_faulty = bool(allowed) and not entry.is_file(follow_symlinks=False)
        if entry.is_symlink() or (is_expected and is_faulty):
            yield not_plain(path, layout.root)
        elif not is_expected:
            problem = "This does not belong to a dataset: move it elsewhere."
            yield Finding(layout.relative(path), problem)
