"""Verifies a whole log: each segment separately, then what segments state about each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunixrt.log.checkout import why_absent
from tunixrt.log.findings import Finding
from tunixrt.log.layout import Layout, verify_layout
from tunixrt.log.segment.header import HEADER_NAME, DamagedError, SegmentHeader
from tunixrt.log.segment.reader import read_segment
from tunixrt.log.segment.shelves import segment_directories, verify_names
from tunixrt.log.segment.verifier import Survey, verify_segment
from tunixrt.log.stored import is_plain_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.log.digests import Digest


def verify_log(layout: Layout) -> Iterator[Finding]:
    """Check store.json and every byte of the log.

    Yields:
        Everything that does not follow the format. What is in ``store/.tmp/`` is not a finding.
    """
    survey = Survey()
    try:
        yield from verify_layout(layout)
        yield from verify_names(layout)
        unread = segment_directories(layout)
    except DamagedError as error:
        yield error.finding
        return
    while unread:
        for _, path in unread:
            yield from verify_segment(path, survey)
        # Segments that other processes appended meanwhile, if a segment already seen needs them.
        parents = {parent for header in survey.headers.values() for parent in header.parents}
        missing = sorted(parents.difference(survey.headers))
        visited = {digest for digest, _ in unread}
        unread = [
            (digest, layout.segment(digest))
            for digest in missing
            if digest not in visited and is_plain_directory(layout.segment(digest))
        ]
    explained: set[Digest] = set()
    for digest, header in survey.headers.items():
        yield from _verify_parents(layout, digest, header, survey, explained)
    yield from survey.findings()
    if survey.redacted:
        yield from _verify_redacted(layout, survey)


def missing_parent(
    layout: Layout, segment: Digest, parent: Digest, *, explained: bool = True
) -> Finding:
    """Return the finding for a segment whose parent is missing.

    Args:
        layout: The store.
        segment: The segment.
        parent: Its parent.
        explained: Whether to ask Git for the reason.
    """
    place = layout.relative(layout.segment(parent))
    why = f" {why_absent(layout.root, place)}" if explained else ""
    return Finding(
        layout.relative(layout.segment(segment) / HEADER_NAME),
        f"A parent of the segment is missing from the log.{why}",
        expected=place,
        found="nothing there",
    )


def _verify_parents(
    layout: Layout,
    segment: Digest,
    header: SegmentHeader,
    survey: Survey,
    explained: set[Digest],
) -> Iterator[Finding]:
    lamports = []
    for parent in header.parents:
        if parent in survey.headers:
            lamports.append(survey.headers[parent].lamport)
        elif not is_plain_directory(layout.segment(parent)):
            # The first missing parent usually explains the others, so Git is asked once.
            yield missing_parent(layout, segment, parent, explained=not explained)
            explained.add(parent)
    if lamports and len(lamports) == len(header.parents) and header.lamport != 1 + max(lamports):
        yield Finding(
            layout.relative(layout.segment(segment) / HEADER_NAME),
            "The lamport is not 1 + the largest of the parents'.",
            expected=str(1 + max(lamports)),
            found=str(header.lamport),
        )


def _verify_redacted(layout: Layout, survey: Survey) -> Iterator[Finding]:
    for digest in survey.headers:
        path = layout.segment(digest)
        try:
            for event in read_segment(path):
                if event.payload is not None and event.envelope.payload in survey.redacted:
                    yield Finding(
                        layout.relative(path / event.part),
                        "A payload that was redacted is here in plain text: "
                        "`tunixrt trace redact --sweep` removes it.",
                        line=event.line + 1,
                        expected="null",
                        found=f"the payload {event.envelope.payload}",
                    )
        except DamagedError:
            continue  # verify_segment reports it
