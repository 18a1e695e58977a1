"""Runs that are made again several at a time, each in a process of its own.

In portable mode the bits do not depend on the number of threads, so the processors are shared out.
Runs in fast mode are made one after the other in processes with the usual threads: theirs do.
"""

from __future__ import annotations

import signal
import subprocess
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Lock
from typing import TYPE_CHECKING

import msgspec

from tunixrt.derive import Verdict
from tunixrt.errors import ExitCode, TunixrtError
from tunixrt.jobs.reproduce import Group, groups_of, require_packages
from tunixrt.runs.catalogue import Catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tunixrt.log.layout import Layout

_PATIENCE_S = 10.0
"""How long a process may take to end and to clear up after it is asked to."""

_EVERY_S = 0.5
"""Seconds between two reports of progress."""


class RunProcessError(TunixrtError):
    """The process that made a run again failed.

    Attributes:
        run_id: the run.
        status: how the process ended; negative for a signal.
    """

    def __init__(self, run_id: str, status: int, said: str) -> None:
        self.run_id = run_id
        self.status = status
        if status < 0:
            name = signal.Signals(-status).name
            message = (
                f"The process that made the run {run_id[:12]} again was ended by {name}; a system "
                "that is out of memory does that. Say a smaller --jobs, or make this run alone: "
                f"tunixrt reproduce {run_id[:12]}"
            )
        else:
            message = said.strip().removeprefix("error: ")
            if status in list(ExitCode):
                self.exit_code = ExitCode(status)
        super().__init__(message)


class _Answer(msgspec.Struct):
    """What ``tunixrt reproduce RUN --json`` prints."""

    runs: list[Verdict]


class _Processes:
    """The processes that are at work, which all end when one fails or somebody wants to stop."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._at_work: dict[str, subprocess.Popen[bytes]] = {}
        self._stopping = False
        self._lock = Lock()

    def running(self) -> list[str]:
        """The runs that are being made, sorted."""
        with self._lock:
            return sorted(self._at_work)

    def make(self, run_id: str, environment: Mapping[str, str]) -> list[Verdict]:
        """Make a run again and wait for it; called in a thread.

        Raises:
            RunProcessError: the process failed.
        """
        with self._lock:
            if self._stopping:
                return []
            # In a process group of its own: Ctrl-C at the terminal is for whoever waits here, who
            # then asks each process once. Twice would interrupt it while it clears up.
            process = subprocess.Popen(
                [*self._command, run_id, "--json"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                process_group=0,
            )
            self._at_work[run_id] = process
        try:
            out, err = process.communicate()
        finally:
            with self._lock:
                del self._at_work[run_id]
        if process.returncode not in (ExitCode.DONE, ExitCode.ANSWER_IS_NO) or not out:
            raise RunProcessError(run_id, process.returncode, err.decode(errors="replace"))
        return msgspec.json.decode(out, type=_Answer).runs

    def stop(self) -> None:
        """Ask every process to end, and make those end that do not; no other starts."""
        with self._lock:
            self._stopping = True
            processes = list(self._at_work.values())
        for process in processes:
            process.send_signal(signal.SIGINT)
        for process in processes:
            try:
                process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()


def reproduce_at_once(
    layout: Layout,
    n_jobs: int,
    *,
    command: Sequence[str],
    environment: Mapping[str, str],
    n_threads: int,
    on_progress: Callable[[int, int, list[str]], None],
) -> list[Verdict]:
    """Make every run again, several at a time.

    Args:
        layout: where the runs are.
        n_jobs: how many at a time.
        command: what makes one run, given its id and ``--json``.
        environment: of the processes.
        n_threads: of each process that computes in portable mode.
        on_progress: called now and then with how many are made, of how many, and the ids of those
            that are being made. A training and its evaluations count as one.

    Returns:
        The verdicts in the order in which `reproduce_runs` has them.

    Raises:
        BadInputError: there is no run at all.
        MissingExtraError: the packages that train are not installed.
        RunProcessError: a process failed; the others were ended.
    """
    catalogue = Catalogue(layout)
    groups = groups_of(catalogue, catalogue.runs)
    require_packages(groups)
    sharing = {**environment, "NPROC": str(n_threads), "PJRT_NPROC": str(n_threads)}
    processes = _Processes(command)
    made: dict[str, list[Verdict]] = {}

    def collect(waited_for: dict[Future[list[Verdict]], str]) -> None:
        pending = set(waited_for)
        while pending:
            done, pending = wait(pending, _EVERY_S, FIRST_COMPLETED)
            for future in done:
                made[waited_for[future]] = future.result()
            on_progress(len(made), len(groups), processes.running())

    def make(some: list[Group], variables: Mapping[str, str], n_at_once: int) -> None:
        with ThreadPoolExecutor(n_at_once) as pool:
            try:
                collect(
                    {
                        pool.submit(processes.make, g.head.run_id, variables): g.head.run_id
                        for g in some
                    }
                )
            except BaseException:
                processes.stop()
                raise

    make([group for group in groups if not group.is_fast], sharing, n_jobs)
    make([group for group in groups if group.is_fast], environment, 1)
    return [verdict for group in groups for verdict in made[group.head.run_id]]
