"""The part of the facade that compares snapshots and datasets, and proves what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunixrt.datasets.building import load_dataset
from tunixrt.errors import BadInputError
from tunixrt.log.digests import from_hex, is_hex
from tunixrt.log.snapshots import list_snapshots, load_snapshot, save_snapshot, take_snapshot
from tunixrt.traces.saved_index import find_saved

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunixrt.datasets.diff import DatasetDiff, MemberChange
    from tunixrt.datasets.member_proofs import MemberProof
    from tunixrt.jobs.doctor import Check
    from tunixrt.log.digests import Digest
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.log.proofs import Proof
    from tunixrt.log.snapshot_diff import ExtensionProof, SnapshotDiff
    from tunixrt.log.snapshots import Snapshot


class ProofMethods:
    """What `Store` can compare and prove. Ids and digests may be given as unique prefixes."""

    layout: Layout
    log: EventLog

    def create_snapshot(self) -> Snapshot:
        """Take and save a snapshot of the log as it is now."""
        snapshot = take_snapshot(self.log)
        save_snapshot(self.layout, snapshot)
        return snapshot

    def snapshots(self) -> list[Snapshot]:
        """Every saved snapshot, by digest."""
        return [load_snapshot(self.layout, digest) for digest in list_snapshots(self.layout)]

    def snapshot(self, prefix: str) -> Snapshot:
        """The one saved snapshot whose digest begins with ``prefix``."""
        wanted = prefix.removeprefix("sha256:")
        found = [d for d in list_snapshots(self.layout) if d[7:].startswith(wanted)]
        if len(wanted) < 6:
            raise BadInputError(
                f"{prefix!r} is too short: give at least 6 hex digits of the digest."
            )
        if len(found) == 1:
            return load_snapshot(self.layout, found[0])
        what = "No snapshot" if not found else "More than one snapshot"
        raise BadInputError(f"{what} begins with {prefix}. `tunixrt snapshot list` shows them.")

    def diff_snapshots(self, a: str, b: str) -> SnapshotDiff:
        """What each of two snapshots holds and the other does not."""
        from tunixrt.log.snapshot_diff import diff_snapshots

        return diff_snapshots(self.log, self.snapshot(a), self.snapshot(b))

    def diff_datasets(
        self, a: str, b: str, on_change: Callable[[MemberChange], None] | None = None
    ) -> DatasetDiff:
        """How dataset ``b`` differs from ``a``: in traces and in their splits."""
        from tunixrt.datasets.diff import diff_datasets

        first, second = load_dataset(self.layout, a), load_dataset(self.layout, b)
        return diff_datasets(first, second, on_change)

    def examine(self) -> list[Check]:
        """Look at what surrounds the store; changes nothing."""
        from tunixrt.jobs.doctor import examine

        return examine(self.layout)

    def prove_recorded(self, trace: str, snapshot: str | None = None) -> Proof:
        """Prove that a snapshot holds a trace; without one, that a new snapshot does.

        Raises:
            NotInSnapshotError: it does not hold it.
        """
        from tunixrt.log.proofs import prove

        wanted = self._trace(trace)
        found = self.create_snapshot() if snapshot is None else self.snapshot(snapshot)
        return prove(self.log, found, wanted)

    def prove_member(self, trace: str, dataset: str) -> MemberProof:
        """Prove that a dataset lists a trace.

        Raises:
            NotAMemberError: it does not list it.
        """
        from tunixrt.datasets.member_proofs import prove_member

        return prove_member(load_dataset(self.layout, dataset), self._trace(trace))

    def prove_containing(self, contained: str, snapshot: str | None = None) -> ExtensionProof:
        """Prove that a snapshot contains another; without one, that a new snapshot does.

        Raises:
            NotContainedError: it lacks segments of the other.
        """
        from tunixrt.log.snapshot_diff import prove_extension

        old = self.snapshot(contained)
        new = self.create_snapshot() if snapshot is None else self.snapshot(snapshot)
        return prove_extension(old, new)

    def _trace(self, prefix: str) -> Digest:
        digits = prefix.lower().removeprefix("sha256:")
        if is_hex(digits):
            return from_hex(digits)
        return find_saved(self.log, prefix).id
