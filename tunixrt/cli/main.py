"""The entry point: parse, run, turn errors into sentences and exit codes."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from tunixrt.cli.base import LazyGroup
from tunixrt.cli.interrupts import Terminated, termination_unwinds
from tunixrt.cli.output import say
from tunixrt.cli.streams import ReaderGoneError, doors, open_doors
from tunixrt.cli.suggestions import with_suggestion
from tunixrt.errors import ExitCode, TunixrtError
from tunixrt.extras import missing_extra


@click.group(
    cls=LazyGroup,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        # Or click cuts escape sequences out of what is not a terminal; see `tunixrt.cli.streams`.
        "color": True,
    },
    epilog="Exit codes: 0 done; 1 the answer is no; 2 bad usage or input, nothing written; "
    "3 no store here; 4 the store is locked; 130 interrupted; 141 the reader of the output left.",
)
@click.version_option(None, "-V", "--version", package_name="tunixrt", prog_name="tunixrt")
def root() -> None:
    """Keep reasoning traces, datasets, training and evaluation runs as plain files in Git.

    Every result can be rebuilt bit for bit from what is committed: `tunixrt verify` proves the
    digests, `tunixrt reproduce RUN` trains and evaluates again and compares.
    """


def main() -> NoReturn:
    """Run the command line and exit with one of the frozen codes."""
    # Not closed again: what the interpreter writes at its end passes the doors, too.
    open_doors()
    sys.exit(run())


def run() -> int:
    """Run the command line; return its exit code."""
    with doors():
        try:
            with termination_unwinds():
                result = root.main(prog_name="tunixrt", standalone_mode=False)
                sys.stdout.flush()
        except Exception as error:
            known = missing_extra(error) if isinstance(error, ImportError) else None
            code = _explain(known or error)
            if code is None:
                raise
            return code
        except Terminated as signal:
            return signal.exit_code
        except KeyboardInterrupt:
            say("interrupted")
            return ExitCode.INTERRUPTED
    return result if isinstance(result, int) else ExitCode.DONE


def _explain(error: Exception) -> int | None:
    """Say what went wrong; return the exit code, or None for a bug, which wants its traceback."""
    match error:
        case click.ClickException():
            with_suggestion(error).show()
            return ExitCode.BAD_INPUT
        case TunixrtError():
            say(f"error: {error}")
            return error.exit_code
        case click.Abort():
            say("interrupted")
            return ExitCode.INTERRUPTED
        case ReaderGoneError():
            return ExitCode.READER_GONE
        case OSError():
            # A full disk, a read-only directory: what publishes has left nothing half.
            where = f" ({error.filename})" if error.filename else ""
            say(f"error: {error.strerror or error}{where}.")
            return ExitCode.BAD_INPUT
    return None


if __name__ == "__main__":
    main()
