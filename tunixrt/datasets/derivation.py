"""The dataset as a derivation: a recipe applied to a snapshot, with a name and a lineage."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING, ClassVar

import msgspec

from tunixrt.datasets.files import (
    DATASET_FORMAT,
    DATASET_SCHEMA_VERSION,
    DUPLICATES,
    DatasetManifest,
    dataset_digest,
    duplicates,
    member_lines,
    members,
    write_members,
)
from tunixrt.datasets.names import key_of
from tunixrt.datasets.recipes import Recipe, RecipeError
from tunixrt.datasets.selection import select
from tunixrt.derive import Derivation
from tunixrt.log.digests import Digest, raw_of

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.datasets.files import Dataset
    from tunixrt.datasets.selection import Member, Selection
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
    them, and counted in ``n_redacted``. A query in SQL may relate traces, so what it selects may
    depend on one that was redacted: if it selects others than ``recorded`` lists, those are kept.
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
        self._lacks_traces = False
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
            RecipeError: nothing matches, or no trace has a field of the split.
        """
        identity, recipe = self._identity, self._identity.recipe
        selection = self._select()
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

    def _select(self) -> Selection:
        log, projection, recipe = self._log, self._projection, self._identity.recipe
        recorded = self._recorded
        if recorded is None:
            selection = select(log, projection, recipe)
            selection.check_fields()
            return selection
        try:
            selection = select(log, projection, recipe, self._listed, self._repeats)
        except RecipeError:
            if recipe.sql is None or not self._lacks_traces:
                raise
        else:
            if recipe.sql is None or not self._lacks_traces or _lists(recorded, selection):
                return selection
        chosen = _places(recorded, projection)
        return select(log, projection, recipe, self._listed, self._repeats, chosen=chosen)

    def _keep_unreadable(self, recorded: Dataset) -> None:
        """Keep what the record says of traces that cannot be read any more."""
        gone = {state.id for state in self._projection.traces() if not state.kept}
        if not gone:
            return
        self._lacks_traces = True
        self._listed = {m.trace: m for m in members(recorded) if m.trace in gone}
        self._repeats = {
            one.trace: one.duplicate_of
            for one in duplicates(recorded)
            if one.trace in gone or one.duplicate_of in gone
        }


def _lists(recorded: Dataset, selection: Selection) -> bool:
    """Return whether a dataset lists what was selected."""
    listed = (line for _, _, line in member_lines(recorded.path))
    return all(a == b for a, b in itertools.zip_longest(selection.lines(), listed))


def _places(recorded: Dataset, projection: Projection) -> bytearray:
    """Return, for each place in the log, 1 if a dataset lists its trace, as member or duplicate."""
    places = bytearray()
    known = projection.places_by_id()
    for trace in heapq.merge(
        (member.trace for member in members(recorded)),
        (duplicate.trace for duplicate in duplicates(recorded)),
    ):
        raw = raw_of(trace)
        place = next((place for other, place in known if other == raw), -1)
        places.extend(bytes(max(0, place + 1 - len(places))))
        if place >= 0:
            places[place] = 1
    return places


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
