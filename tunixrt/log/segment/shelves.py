"""The entries of ``store/log/``: directories of segments, and findings for anything else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tunixrt.log.digests import Digest, is_hex, of_hex
from tunixrt.log.findings import Finding, entries

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from tunixrt.log.layout import Layout


def segment_directories(layout: Layout) -> list[tuple[Digest, Path]]:
    """Return the directories that are named as segments, sorted by digest.

    Raises:
        DamagedError: If a directory cannot be listed.
    """
    return [(of_hex(entry.name), Path(entry.path)) for entry in _segments(layout)]


def segment_digests(layout: Layout) -> list[Digest]:
    """Return the names of the segments, sorted.

    Raises:
        DamagedError: If a directory cannot be listed.
    """
    return [of_hex(entry.name) for entry in _segments(layout)]


def _segments(layout: Layout) -> Iterator[os.DirEntry[str]]:
    for shelf in entries(layout.log, layout.root):
        if _is_shelf(shelf):
            for entry in entries(layout.log / shelf.name, layout.root):
                if _is_segment(entry, shelf):
                    yield entry


def verify_names(layout: Layout) -> Iterator[Finding]:
    """Yield a finding for everything in ``store/log/`` that is not where a segment can be.

    Raises:
        DamagedError: If a directory cannot be listed.
    """
    # Each name is judged by itself, since segments may appear at any moment.
    problem = "This is not the directory of a segment: move it elsewhere."
    for shelf in entries(layout.log, layout.root):
        path = layout.log / shelf.name
        if _is_shelf(shelf):
            for entry in entries(path, layout.root):
                if not _is_segment(entry, shelf):
                    yield Finding(layout.relative(path / entry.name), problem)
        # Git keeps no empty directories, so an empty one is not a finding.
        elif not shelf.is_dir(follow_symlinks=False) or entries(path, layout.root):
            yield Finding(layout.relative(path), problem)


def _is_shelf(entry: os.DirEntry[str]) -> bool:
    return is_hex(entry.name * 32) and entry.is_dir(follow_symlinks=False)


def _is_segment(entry: os.DirEntry[str], shelf: os.DirEntry[str]) -> bool:
    is_named = is_hex(entry.name) and entry.name[:2] == shelf.name
    return is_named and entry.is_dir(follow_symlinks=False)
