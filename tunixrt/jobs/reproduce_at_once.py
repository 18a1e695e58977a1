"""Rebuilds several runs at a time, each in a process of its own.

In portable mode the bits do not depend on the number of threads, so processors are divided among
the processes. In fast mode they do, so such runs are rebuilt one by one with the default threads.
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
"""Seconds that a process may take to clean up and exit after a signal."""

_EVERY_S = 0.5
"""Seconds between two reports of progress."""


class RunProcessError(TunixrtError):
    """The process that rebuilt a run failed.

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
                f"The process that rebuilt the run {run_id[:12]} was ended by {name}; a system "
                "that is out of memory does that. Use a smaller --jobs, or reproduce this run "
                f"alone: tunixrt reproduce {run_id[:12]}"
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
    """The running processes, which are all ended when one fails or the user interrupts."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._at_work: dict[str, subprocess.Popen[bytes]] = {}
        self._stopping = False
        self._lock = Lock()

    def running(self) -> list[str]:
        """The runs in progress, sorted."""
        with self._lock:
            return sorted(self._at_work)

    def make(self, run_id: str, environment: Mapping[str, str]) -> list[Verdict]:
        """Rebuild a run and wait for it; called in a thread.

        Raises:
            RunProcessError: the process failed.
        """
        with self._lock:
            if self._stopping:
                return []
            # In a process group of its own: Ctrl-C at the terminal signals this process only, which
            # then signals each child once. Twice would interrupt a child while it cleans up.
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
        """Terminate every process, kill those that do not exit, and start no other."""
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
    """Rebuild every run, several at a time.

    Args:
        layout: where the runs are.
        n_jobs: the number of processes.
        command: the command that reproduces one run, given its id and ``--json``.
        environment: of the processes.
        n_threads: of each process that computes in portable mode.
        on_progress: called repeatedly with the number done, the total, and the ids of those in
            progress. A training and its evaluations count as one.

    Returns:
        The verdicts in the order in which `reproduce_runs` has them.

    Raises:
        BadInputError: the store has no runs.
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
