"""The saved snapshots of a store: taking, comparing, and proving what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunixrt.errors import BadInputError
from tunixrt.log.digests import digits_of, from_hex, hex_of, is_hex
from tunixrt.log.snapshots import list_snapshots, load_snapshot, save_snapshot, take_snapshot
from tunixrt.traces.saved_index import find_saved

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.log.digests import Digest
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.log.proofs import Proof
    from tunixrt.log.snapshot_diff import ExtensionProof, SnapshotDiff
    from tunixrt.log.snapshots import Snapshot


class Snapshots:
    """The saved snapshots, by digest; a digest may be given as a unique prefix."""

    def __init__(self, layout: Layout, log: EventLog) -> None:
        """The snapshots of a log."""
        self._layout, self._log = layout, log

    def __repr__(self) -> str:
        return f"<snapshots of {self._layout.root}>"

    def __iter__(self) -> Iterator[Snapshot]:
        listed = list_snapshots(self._layout)
        return (load_snapshot(self._layout, digest) for digest in listed)

    def __len__(self) -> int:
        return len(list_snapshots(self._layout))

    def __getitem__(self, prefix: str) -> Snapshot:
        """The one saved snapshot whose digest begins with ``prefix``.

        Raises:
            BadInputError: none or several do, or the prefix has fewer than 6 digits.
        """
        wanted = digits_of(prefix)
        found = [d for d in list_snapshots(self._layout) if hex_of(d).startswith(wanted)]
        if len(wanted) < 6:
            raise BadInputError(
                f"{prefix!r} is too short: give at least 6 hex digits of the digest."
            )
        if len(found) == 1:
            return load_snapshot(self._layout, found[0])
        what = "No snapshot" if not found else "More than one snapshot"
        raise BadInputError(f"{what} begins with {prefix}. `tunixrt snapshot list` shows them.")

    def __contains__(self, prefix: object) -> bool:
        """Whether a saved snapshot has a digest that begins so."""
        digests = list_snapshots(self._layout)
        wanted = digits_of(prefix) if isinstance(prefix, str) else ""
        return len(wanted) >= 6 and any(hex_of(d).startswith(wanted) for d in digests)

    def create(self) -> Snapshot:
        """Take and save a snapshot of the log as it is now."""
        snapshot = take_snapshot(self._log)
        save_snapshot(self._layout, snapshot)
        return snapshot

    def diff(self, a: str, b: str) -> SnapshotDiff:
        """What each of two snapshots holds and the other does not."""
        from tunixrt.log.snapshot_diff import diff_snapshots

        return diff_snapshots(self._log, self[a], self[b])

    def prove(self, trace: str, snapshot: str | None = None) -> Proof:
        """Prove that a snapshot holds a trace; without one, that a new snapshot does.

        Raises:
            NotInSnapshotError: it does not hold it.
        """
        from tunixrt.log.proofs import prove

        wanted = trace_digest(self._log, trace)
        return prove(self._log, self._given_or_new(snapshot), wanted)

    def prove_containing(self, contained: str, snapshot: str | None = None) -> ExtensionProof:
        """Prove that a snapshot contains another; without one, that a new snapshot does.

        Raises:
            NotContainedError: it lacks segments of the other.
        """
        from tunixrt.log.snapshot_diff import prove_extension

        old = self[contained]
        return prove_extension(old, self._given_or_new(snapshot))

    def _given_or_new(self, snapshot: str | None) -> Snapshot:
        return self.create() if snapshot is None else self[snapshot]


def trace_digest(log: EventLog, prefix: str) -> Digest:
    """The id of a trace: as given where it is whole, whether it is recorded or not."""
    digits = digits_of(prefix)
    if is_hex(digits):
        return from_hex(digits)
    return find_saved(log, prefix).id
