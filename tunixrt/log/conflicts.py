"""Resolves merge conflicts in parts that Git has left with conflict markers.

Segments do not conflict, with one exception: when two branches hold the same segment, which their
common ancestor did not, and one of them has redacted a payload in it. Git then sees two different
new files with one name. Their envelopes are the same, and a payload line differs only in being
``null`` on one side, so there is one right answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunixrt.log.files import replace_file, staging_directory, writing
from tunixrt.log.findings import DamagedError, Finding
from tunixrt.log.segment.events import NULL
from tunixrt.log.segment.header import HEADER_NAME, read_header
from tunixrt.log.segment.shelves import segment_directories
from tunixrt.log.stored import read_stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.log.layout import Layout

_OURS, _BASE, _THEIRS, _END = b"<<<<<<<", b"|||||||", b"=======", b">>>>>>>"


def repair_conflicts(layout: Layout) -> tuple[str, ...]:
    """Join the two sides of every part with conflict markers; no payload is lost by this.

    Where one side has a payload and the other ``null``, the payload stays: the redaction
    events decide whether it is removed, and ``sweep`` applies them.

    Returns:
        The parts that were fixed: paths relative to the root.

    Raises:
        DamagedError: If the sides differ in more than that.
        WriteError: If the file system refuses.
    """
    repaired = []
    for _, directory in segment_directories(layout):
        for part in read_header(directory / HEADER_NAME).parts:
            path = directory / part.name
            with writing(path):
                data = read_stored(path) if path.exists() else b""
            if data.startswith(_OURS) or b"\n" + _OURS in data:
                place = layout.relative(path)
                with staging_directory(layout) as staging:
                    replace_file(path, _joined(data, place), staging)
                repaired.append(place)
    return tuple(repaired)


def _joined(data: bytes, place: str) -> bytes:
    joined: list[bytes] = []
    sides: dict[bytes, list[bytes]] = {}
    side: bytes | None = None
    for number, line in enumerate(data.split(b"\n"), start=1):
        mark = line[:7]
        if side is None and mark == _OURS:
            side, sides = _OURS, {_OURS: [], _BASE: [], _THEIRS: []}
        elif side is not None and mark in (_BASE, _THEIRS):
            side = mark
        elif side == _THEIRS and mark == _END:
            joined += _side_by_side(sides[_OURS], sides[_THEIRS], place, number)
            side = None
        else:
            (joined if side is None else sides[side]).append(line)
    if side is not None:
        raise _damaged(place, None)
    return b"\n".join(joined)


def _side_by_side(
    ours: Sequence[bytes], theirs: Sequence[bytes], place: str, number: int
) -> list[bytes]:
    if len(ours) != len(theirs):
        raise _damaged(place, number)
    lines = []
    for left, right in zip(ours, theirs, strict=True):
        if left != right and NULL not in (left, right):
            raise _damaged(place, number)
        lines.append(right if left == NULL else left)
    return lines


def _damaged(place: str, number: int | None) -> DamagedError:
    problem = (
        "The two sides of a merge conflict differ in more than a redaction: "
        "take one side whole with `git checkout --ours` or `--theirs`."
    )
    return DamagedError(Finding(place, problem, line=number))
