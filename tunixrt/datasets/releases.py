"""Releases and deprecations of datasets: facts in the log, ``dataset.released`` and its opposite.

They are about a digest: a dataset that is built again, or under another key, has the same state.
Nothing refuses a deprecated dataset, since results of it must stay reproducible; commands that
start something new from it report the reason. Where one branch releases a dataset and another
deprecates it, the event that is last in the order of the log counts until a later one decides.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.datasets.building import load_dataset
from tunixrt.errors import BadInputError
from tunixrt.log.canonical import encode
from tunixrt.log.digests import Digest, digest_bytes, is_digest
from tunixrt.log.lock import store_lock
from tunixrt.log.segment.events import Envelope
from tunixrt.traces.claims import standing_claims
from tunixrt.traces.times import check_utc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.log.lock import Waiting
    from tunixrt.log.segment.events import StoredEvent

RELEASED: Final = "dataset.released"
DEPRECATED: Final = "dataset.deprecated"

MAX_REASON_CHARACTERS: Final = 1_000


class ReleaseState(StrEnum):
    """The state of a dataset that an event has stated."""

    RELEASED = "released"
    DEPRECATED = "deprecated"


class DatasetReleased(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of ``dataset.released``."""

    dataset: Digest


class DatasetDeprecated(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of ``dataset.deprecated``."""

    dataset: Digest
    reason: str


class ReleaseFact(msgspec.Struct, frozen=True):
    """The state of a dataset, and the reason of a deprecation."""

    state: ReleaseState
    reason: str | None = None


class ReleaseStated(msgspec.Struct, frozen=True):
    """The result of releasing or deprecating a dataset.

    ``before`` is what counted until now, None if nothing was stated; ``segment`` is what was
    recorded, None where the log states the same already.
    """

    dataset_key: str
    digest: Digest
    state: ReleaseState
    reason: str | None
    before: ReleaseFact | None
    segment: Digest | None


class ReasonError(BadInputError):
    """The reason of a deprecation is empty or too long."""


class Releases:
    """The state of every dataset that was released or deprecated, according to the log."""

    def __init__(self, claims: Mapping[str, Sequence[ReleaseFact]]) -> None:
        self._claims = claims

    def of(self, digest: Digest) -> ReleaseFact | None:
        """Return what counts for a dataset; None if it was neither released nor deprecated."""
        claims = self._claims.get(digest)
        return claims[-1] if claims else None

    def is_disputed(self, digest: Digest) -> bool:
        """Return whether branches have stated different states, and no later event decided."""
        return len({fact.state for fact in self._claims.get(digest, ())}) > 1

    def notice(self, digest: Digest, key: str) -> str | None:
        """Return the sentence for a person who uses a deprecated dataset; None for another."""
        fact = self.of(digest)
        if fact is None or fact.state is not ReleaseState.DEPRECATED:
            return None
        return f"The dataset {key} is deprecated: {fact.reason}"


def read_releases(log: EventLog) -> Releases:
    """Return the state of all datasets, folded from the log.

    Raises:
        DamagedError: A part that holds such events is damaged.
    """
    return Releases(standing_claims(log, [RELEASED, DEPRECATED], _claim))


def state_release(
    layout: Layout,
    log: EventLog,
    key: str,
    *,
    deprecated: str | None = None,
    recorded_at: str | None = None,
    waiting: Waiting | None = None,
) -> ReleaseStated:
    """Record that a dataset is released or deprecated; does nothing where the log states it.

    Args:
        layout: Where the dataset is.
        log: Where the event goes.
        key: The key of the dataset.
        deprecated: The reason of a deprecation; None releases the dataset.
        recorded_at: The time to state in the event, RFC 3339 in UTC.
        waiting: How to wait for the store's lock.

    Raises:
        BadNameError, DatasetNotFoundError, AmbiguousDatasetError: As of `load_dataset`.
        ReasonError: The reason is empty or longer than 1,000 characters.
        TimeError: ``recorded_at`` is not a time.
        LockHeldError: Another process holds the store's lock.
    """
    if deprecated is not None and not 1 <= len(deprecated.strip()) <= MAX_REASON_CHARACTERS:
        raise ReasonError(
            f"The reason of a deprecation should be text of 1 to {MAX_REASON_CHARACTERS:,} "
            f"characters, but has {len(deprecated.strip()):,}."
        )
    if recorded_at is not None:
        check_utc(recorded_at, "time of the statement")
    dataset = load_dataset(layout, key)
    state = ReleaseState.RELEASED if deprecated is None else ReleaseState.DEPRECATED
    fact = ReleaseFact(state, deprecated)
    with store_lock(layout, f"dataset {'release' if deprecated is None else 'deprecate'}", waiting):
        releases = read_releases(log)
        before = releases.of(dataset.digest)
        known = before == fact and not releases.is_disputed(dataset.digest)
        segment = None if known else log.append([_event(dataset.digest, fact, recorded_at)])
    return ReleaseStated(dataset.key, dataset.digest, state, deprecated, before, segment)


def _event(dataset: Digest, fact: ReleaseFact, recorded_at: str | None) -> tuple[Envelope, bytes]:
    if fact.reason is None:
        kind, payload = RELEASED, encode(DatasetReleased(dataset))
    else:
        kind, payload = DEPRECATED, encode(DatasetDeprecated(dataset, fact.reason))
    return Envelope(type=kind, payload=digest_bytes(payload), recorded_at=recorded_at), payload


def _claim(event: StoredEvent) -> tuple[str, ReleaseFact] | None:
    content: DatasetReleased | DatasetDeprecated
    if event.payload is None:
        return None
    try:
        if event.envelope.type == RELEASED:
            content = msgspec.json.decode(event.payload, type=DatasetReleased)
            fact = ReleaseFact(ReleaseState.RELEASED)
        else:
            content = msgspec.json.decode(event.payload, type=DatasetDeprecated)
            fact = ReleaseFact(ReleaseState.DEPRECATED, content.reason)
    except msgspec.MsgspecError:
        return None
    return (content.dataset, fact) if is_digest(content.dataset) else None
