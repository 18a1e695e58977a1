"""The root of every error that tunixrt raises on purpose.

An error's message is one or more whole sentences for the person at the terminal: what was
expected, what was found and where, what to do. An error's class decides the exit code, and the
codes are frozen (docs/cli.md). Concrete errors live beside the code that raises them, derive from
one of the five classes below, and carry their data as attributes.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command line. Frozen: scripts and CI rely on them."""

    DONE = 0
    ANSWER_IS_NO = 1
    BAD_INPUT = 2
    NO_STORE = 3
    STORE_LOCKED = 4
    INTERRUPTED = 130
    READER_GONE = 141


class TunixrtError(Exception):
    """A fault that a person can understand and fix; never a bug in tunixrt."""

    exit_code: ExitCode = ExitCode.BAD_INPUT


class BadInputError(TunixrtError):
    """Bad usage or bad input; nothing was written."""

    exit_code = ExitCode.BAD_INPUT


class AnswerIsNoError(TunixrtError):
    """The command ran well and its answer is no: damaged, diverged, or below the gate."""

    exit_code = ExitCode.ANSWER_IS_NO


class NoStoreError(TunixrtError):
    """No store was found at or above the directory where one was looked for."""

    exit_code = ExitCode.NO_STORE


class StoreLockedError(TunixrtError):
    """Another process holds the lock that this command needs."""

    exit_code = ExitCode.STORE_LOCKED
