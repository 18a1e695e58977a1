"""What a job returns that publishes a run, or finds it published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from tunixrt.runs.manifests import Manifest

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.jobs.promote_run import Promotion
    from tunixrt.runs.run import Run

M = TypeVar("M", bound=Manifest)


@dataclass(frozen=True, kw_only=True)
class PublishedRun(Generic[M]):
    """A published run.

    Attributes:
        manifest: the run.
        run: its directory, which knows its files.
        already_done: whether it was published before.
        promotion: the name that it was given, if one was requested.
    """

    manifest: M
    run: Run
    already_done: bool
    promotion: Promotion | None = None

    @property
    def run_id(self) -> str:
        """The 64 hex digits that name the run."""
        return self.manifest.run_id

    @property
    def path(self) -> Path:
        """The directory of the run."""
        return self.run.directory
