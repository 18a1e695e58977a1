"""The dataset as a derivation: a recipe applied to a snapshot, with a name and a lineage."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec

from tunixrt.datasets.files import (
    DATASET_FORMAT,
    DATASET_SCHEMA_VERSION,
    DUPLICATES,
    DatasetManifest,
    dataset_digest,
    duplicates,
    members,
    write_members,
)
from tunixrt.datasets.names import key_of
from tunixrt.datasets.recipes import Recipe
from tunixrt.datasets.selection import select
from tunixrt.derive import Derivation
from tunixrt.log.digests import Digest

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.datasets.files import Dataset
    from tunixrt.datasets.selection import Member
    from tunixrt.derive import Watch
    from tunixrt.log.eventlog import EventLog
    from tunixrt.traces.state import Projection


class DatasetIdentity(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="dataset"
):
    """What decides the bytes of a dataset's directory; the time is an input."""

    name: str
    version: str
    recipe: Recipe
    snapshot: Digest
    parent: str | None = None
    parent_digest: Digest | None = None
    built_at: str | None = None


class DatasetDerivation(Derivation[DatasetManifest]):
    """A selection of traces.

    Members that were redacted since cannot be selected again: they are kept as ``recorded`` lists
    them, and counted in ``n_redacted``.
    """

    kind: ClassVar = "dataset"
    records: ClassVar = {
        "members-*.jsonl": ("member", ("trace",)),
        "duplicates-*.jsonl": ("duplicate", ("trace",)),
    }

    def __init__(
        self,
        log: EventLog,
        projection: Projection,
        identity: DatasetIdentity,
        recorded: Dataset | None = None,
    ) -> None:
        """Bind an identity to what it is derived from.

        Args:
            log: where the payloads are.
            projection: the state of every trace at the snapshot.
            identity: what to derive.
            recorded: the dataset that is derived again.
        """
        self._log = log
        self._projection = projection
        self._identity = identity
        self._recorded = recorded
        self._listed: dict[Digest, Member] = {}
        self._repeats: dict[Digest, Digest] = {}
        if recorded is not None:
            self._keep_unreadable(recorded)
        self.n_redacted = len(self._listed)

    @property
    def identity(self) -> DatasetIdentity:
        """The recipe, the snapshot, and the dataset's name and version."""
        return self._identity

    @property
    def name(self) -> str:
        """The key."""
        return key_of(self._identity.name, self._identity.version)

    def make(self, directory: Path, watch: Watch, work: Path | None) -> DatasetManifest:  # noqa: ARG002
        """Write the member files, and return the manifest.

        Raises:
            RecipeError: nothing matches.
        """
        identity, recipe = self._identity, self._identity.recipe
        selection = select(self._log, self._projection, recipe, self._listed, self._repeats)
        root = write_members(directory, selection.lines())
        duplicates_root = (
            None
            if recipe.dedupe is None
            else write_members(directory, selection.duplicate_lines(), DUPLICATES)
        )
        # Steps, characters and fields of redacted members are known only from the record.
        if self._recorded is not None and self._listed:
            stats, strata = self._recorded.manifest.stats, self._recorded.manifest.strata
        else:
            stats, strata = selection.stats(), selection.strata()
        return DatasetManifest(
            format=DATASET_FORMAT,
            dataset_key=self.name,
            dataset_name=identity.name,
            dataset_version=identity.version,
            dataset_schema_version=DATASET_SCHEMA_VERSION,
            digest=dataset_digest(recipe, root, len(selection)),
            filters=recipe.filters,
            selection_strategy=recipe.selection_strategy,
            limit=recipe.limit,
            seed=recipe.seed,
            splits=recipe.splits,
            trace_count=len(selection),
            split_counts=selection.split_counts(),
            stats=stats,
            members_root=root,
            snapshot=identity.snapshot,
            where=recipe.where,
            group_by=recipe.group_by,
            stratify=recipe.stratify,
            sql=recipe.sql,
            dedupe=recipe.dedupe,
            n_duplicates=None if recipe.dedupe is None else selection.n_duplicates,
            duplicates_root=duplicates_root,
            strata=strata,
            parent_dataset_id=identity.parent,
            parent_digest=identity.parent_digest,
            built_at=identity.built_at,
        )

    def _keep_unreadable(self, recorded: Dataset) -> None:
        """Keep what the record says of traces that cannot be read any more."""
        gone = {state.id for state in self._projection.traces() if not state.kept}
        if not gone:
            return
        self._listed = {m.trace: m for m in members(recorded) if m.trace in gone}
        self._repeats = {
            one.trace: one.duplicate_of
            for one in duplicates(recorded)
            if one.trace in gone or one.duplicate_of in gone
        }


def identity_of(manifest: DatasetManifest) -> DatasetIdentity:
    """Return the identity that a recorded dataset was derived from."""
    return DatasetIdentity(
        name=manifest.dataset_name,
        version=manifest.dataset_version,
        recipe=manifest.recipe,
        snapshot=manifest.snapshot,
        parent=manifest.parent_dataset_id,
        parent_digest=manifest.parent_digest,
        built_at=manifest.built_at,
    )
