"""What a Python program imports: a store, whose collections do what the command line does.

```python
from tunixrt import Store

store = Store.open(".")
store.traces.import_("solutions.jsonl", source_format="gsm8k")
store.datasets.build("gsm", "v1", where={"source": "gsm8k"}, splits={"test": 0.1})
```

Paths are arguments, and so are times: nothing here reads the clock, the environment or the current
directory. Training and evaluation import jax when they are called and not before. docs/python.md
has a session, and a list of every error.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tunixrt.derive import QUIET
from tunixrt.log import layout as layouts
from tunixrt.log.eventlog import EventLog
from tunixrt.store.datasets import Datasets
from tunixrt.store.evalsets import Evalsets, held_out_evalset
from tunixrt.store.runs import Runs, run_name
from tunixrt.store.snapshots import Snapshots
from tunixrt.store.stored_dataset import StoredDataset
from tunixrt.store.stored_trace import StoredTrace, TraceGoneError
from tunixrt.store.traces import Added, Traces

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunixrt.derive import Verdict, Watch
    from tunixrt.jobs.build_site import SiteBuilt
    from tunixrt.jobs.doctor import Check
    from tunixrt.jobs.status import Status
    from tunixrt.jobs.verify import Verification
    from tunixrt.store.runs import AnyRun

__all__ = [
    "Added",
    "Datasets",
    "Evalsets",
    "Runs",
    "Snapshots",
    "Store",
    "StoredDataset",
    "StoredTrace",
    "TraceGoneError",
    "Traces",
    "held_out_evalset",
]


class Store:
    """One store on disk.

    Attributes:
        layout: where everything of the store lies.
        log: the log of events that everything else follows from.
        traces: the traces.
        snapshots: the saved snapshots of the log.
        datasets: the datasets.
        evalsets: the eval sets.
        runs: the runs, and what makes, compares and reports them.
    """

    def __init__(self, layout: layouts.Layout) -> None:
        """Wrap a layout; use :meth:`init` or :meth:`open`."""
        self.layout = layout
        self.log = EventLog(layout)
        self.traces = Traces(layout, self.log)
        self.snapshots = Snapshots(layout, self.log)
        self.datasets = Datasets(layout, self.log)
        self.evalsets = Evalsets(layout, self.log)
        self.runs = Runs(layout, self.log)

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r})"

    @classmethod
    def init(cls, directory: Path | str) -> Store:
        """Make a store in ``directory``; what is there already stays as it is."""
        return cls(layouts.init(Path(directory)))

    @classmethod
    def open(cls, start: Path | str) -> Store:
        """Open the store at or above ``start``.

        Raises:
            NoStoreError: no directory above has one.
        """
        return cls(layouts.find(Path(start)))

    @property
    def root(self) -> Path:
        """The directory that holds ``store/``, ``runs/`` and ``evalsets/``."""
        return self.layout.root

    def status(self) -> Status:
        """What is here, and what needs a decision."""
        from tunixrt.jobs.status import read_status

        return read_status(self.layout, self.log)

    def git_problems(self) -> list[str]:
        """What Git would leave out of the store or change in it, as sentences; empty without Git.

        Such are rules of a ``.gitignore`` that keep the log or weights out of every commit.
        """
        from tunixrt.jobs.git_surroundings import git_problems

        return git_problems(self.layout)

    def examine(self) -> list[Check]:
        """Look at what surrounds the store; changes nothing."""
        from tunixrt.jobs.doctor import examine

        return examine(self.layout)

    def verify(self, *, rebuild: bool = False, since: str | None = None) -> Verification:
        """Prove every digest; with ``rebuild`` derive datasets and exports again.

        Args:
            rebuild: derive datasets and exports again, and compare.
            since: a Git revision whose store must still be here, unchanged.

        Raises:
            GitError: there is no such revision here.
        """
        from tunixrt.jobs.verify import verify_store

        return verify_store(self.layout, self.log, rebuild=rebuild, since=since)

    def reproduce(self, run: AnyRun | None, *, watch: Watch = QUIET) -> list[Verdict]:
        """Make one run, or every run, again and compare; see :mod:`tunixrt.jobs.reproduce`."""
        from tunixrt.jobs.reproduce import reproduce_runs

        name = None if run is None else run_name(run)
        return reproduce_runs(self.layout, self.log, name, watch)

    def build_site(
        self,
        directory: Path | str,
        *,
        title: str = "tunixrt store",
        check: bool = False,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> SiteBuilt:
        """Build a static site of everything here; see :mod:`tunixrt.jobs.build_site`.

        ``check`` writes nothing and compares the site with what the directory contains.

        Raises:
            OtherContentError: ``check``, and the site has other content.
        """
        from tunixrt.derive import Watch
        from tunixrt.jobs.build_site import build_site

        progress = None if on_progress is None else lambda done, of, _: on_progress(done, of)
        return build_site(
            self.layout,
            self.log,
            Path(directory),
            title=title,
            check=check,
            watch=Watch(on_progress=progress),
        )
