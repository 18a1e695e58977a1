"""Names that people give to runs, such as ``baseline``: facts in the log, ``run.promoted``.

Promoting another run under a name moves the name, and the log keeps the earlier promotion.
Where two branches gave one name to different runs, both claims survive, and the name cannot be
used until a later promotion decides.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.datasets.names import check_name
from tunixrt.errors import BadInputError
from tunixrt.log.canonical import encode
from tunixrt.log.digests import digest_bytes
from tunixrt.log.segment.events import Envelope
from tunixrt.traces.claims import standing_claims
from tunixrt.words import did_you_mean, quoted, series

if TYPE_CHECKING:
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.segment.events import StoredEvent

PROMOTED: Final = "run.promoted"

_RUN_ID: Final = re.compile(r"[0-9a-f]{64}")
_LIKE_AN_ID: Final = re.compile(r"[0-9a-f]{6,64}")


class Promoted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of ``run.promoted``: a name, and the run that has it from now on."""

    name: str
    run: str


class UnknownRunError(BadInputError):
    """No run, or more than one, matches the given id or name."""


class PromotedNameError(UnknownRunError):
    """A name that no run has, or that branches gave to different runs.

    Attributes:
        name: the name.
    """

    def __init__(self, sentence: str, name: str) -> None:
        super().__init__(sentence)
        self.name = name


class RunNameError(BadInputError):
    """A name that cannot be given to a run.

    Attributes:
        name: the name.
    """

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The name {quoted(name)} could be the beginning of a run id. Choose another one."
        )
        self.name = name


class Promotions:
    """The run that each name means, according to the log."""

    def __init__(self, claims: dict[str, tuple[str, ...]]) -> None:
        self._claims = dict(sorted(claims.items()))

    @property
    def names(self) -> dict[str, str]:
        """The run id of every name that means one run."""
        return {name: runs[0] for name, runs in self._claims.items() if len(runs) == 1}

    @property
    def conflicts(self) -> dict[str, tuple[str, ...]]:
        """The names that branches gave to different runs, with the run ids, sorted."""
        return {name: runs for name, runs in self._claims.items() if len(runs) > 1}

    def names_of(self, run_id: str) -> list[str]:
        """Return the names of a run, without disputed ones."""
        return [name for name, run in self.names.items() if run == run_id]

    def run_id(self, name: str) -> str:
        """Return the id of the run that a name means.

        Raises:
            PromotedNameError: none has the name, or branches gave it to different runs.
        """
        runs = self._claims.get(name, ())
        if len(runs) == 1:
            return runs[0]
        if runs:
            raise PromotedNameError(
                f"The name {quoted(name)} was given to different runs on different branches: "
                f"{series(runs)}. `tunixrt run promote RUN --as {name}` decides.",
                name,
            )
        hint = f" {did_you_mean(name, list(self._claims))}" if self._claims else ""
        raise PromotedNameError(
            f"{quoted(name)} is neither a name that a run was promoted to nor a run id: expected "
            f"at least 6 hex digits, as `tunixrt run list` shows them.{hint}",
            name,
        )


def promoted(name: str, run_id: str, recorded_at: str | None = None) -> tuple[Envelope, bytes]:
    """Return the event that gives a run a name.

    Raises:
        BadNameError: the text cannot be a name.
        RunNameError: it could be mistaken for the beginning of a run id.
    """
    check_name(name, "name of a run")
    if looks_like_an_id(name):
        raise RunNameError(name)
    payload = encode(Promoted(name=name, run=run_id))
    envelope = Envelope(type=PROMOTED, payload=digest_bytes(payload), recorded_at=recorded_at)
    return envelope, payload


def looks_like_an_id(text: str) -> bool:
    """Return whether a text is meant as a run id or its prefix, and not as a name."""
    return _LIKE_AN_ID.fullmatch(text) is not None


def read_promotions(log: EventLog) -> Promotions:
    """Return the names of all runs, folded from the log.

    Events of this type with other content are skipped, like events of unknown types.
    """
    claims = standing_claims(log, [PROMOTED], _claim)
    return Promotions({name: tuple(sorted(set(runs))) for name, runs in claims.items()})


def _claim(event: StoredEvent) -> tuple[str, str] | None:
    content = _content(event)
    return None if content is None else (content.name, content.run)


def _content(event: StoredEvent) -> Promoted | None:
    if event.payload is None:
        return None
    try:
        content = msgspec.json.decode(event.payload, type=Promoted)
    except msgspec.MsgspecError:
        return None
    return content if _RUN_ID.fullmatch(content.run) else None
