"""``@last``: the run that `train` or `eval` last published or found in this checkout.

``.tunixrt/last.json`` holds one run id of each kind, and which was later. It is derived and ignored
by Git, like everything in ``.tunixrt/``: without it the names are unknown until the next run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from tunixrt.log import canonical
from tunixrt.log.files import WriteError, replace_file, staging_directory, writing
from tunixrt.log.stored import read_stored
from tunixrt.runs.manifests import TrainingManifest
from tunixrt.runs.promotions import UnknownRunError
from tunixrt.words import choice, quoted, suggestion

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.log.layout import Layout
    from tunixrt.runs.manifests import Manifest

LAST: Final = "@last"
LAST_TRAINING: Final = "@last-train"
LAST_EVALUATION: Final = "@last-eval"

_NAMES: Final = (LAST, LAST_TRAINING, LAST_EVALUATION)
_FILE: Final = "last.json"


class _Latest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: Literal["training", "evaluation"]
    training: str | None = None
    evaluation: str | None = None


def names_the_latest(text: str) -> bool:
    """Return whether a text is meant as ``@last`` or a similar name; ids and names never are."""
    return text.startswith("@")


def latest_run_id(layout: Layout, text: str) -> str:
    """Return the id of the run that ``@last``, ``@last-train`` or ``@last-eval`` means.

    Raises:
        UnknownRunError: no such run was made in this checkout, or the text is another one.
    """
    if text not in _NAMES:
        raise UnknownRunError(
            f"{quoted(text)} does not name a run: expected {choice(_NAMES)}."
            f"{suggestion(text, _NAMES)}"
        )
    latest = _read(layout)
    found = None
    if latest is not None:
        kind = {LAST: latest.kind, LAST_TRAINING: "training"}.get(text, "evaluation")
        found = latest.training if kind == "training" else latest.evaluation
    if found is None:
        command = {LAST_TRAINING: "`tunixrt train`", LAST_EVALUATION: "`tunixrt eval`"}.get(
            text, "`tunixrt train` or `tunixrt eval`"
        )
        raise UnknownRunError(
            f"{text} is the run that {command} last made or found in this checkout, and none "
            "exists yet. Name a run as `tunixrt run list` shows it."
        )
    return found


def note_latest(layout: Layout, manifest: Manifest) -> None:
    """Record that this run was published or found just now.

    Raises:
        WriteError: the file system refuses, so an earlier run would remain the last one.
    """
    before = _read(layout)
    fields = {} if before is None else msgspec.structs.asdict(before)
    kind = "training" if isinstance(manifest, TrainingManifest) else "evaluation"
    now = msgspec.convert({**fields, "kind": kind, kind: manifest.run_id}, _Latest)
    if now == before:
        return
    path = _path(layout)
    try:
        with writing(path), staging_directory(layout) as staging:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, canonical.encode(now), staging)
    except WriteError:
        if before is not None:
            raise


def _read(layout: Layout) -> _Latest | None:
    try:
        return msgspec.json.decode(read_stored(_path(layout)), type=_Latest)
    except (OSError, msgspec.MsgspecError):
        return None


def _path(layout: Layout) -> Path:
    return layout.derived / _FILE
