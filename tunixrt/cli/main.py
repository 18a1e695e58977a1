"""The entry point: parse, run, turn errors into sentences and exit codes."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from tunixrt.cli.base import LazyGroup
from tunixrt.cli.suggestions import with_suggestion
from tunixrt.errors import ExitCode, TunixrtError
from tunixrt.extras import missing_extra


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done; 1 the answer is no; 2 bad usage or input, nothing written; "
    "3 no store here; 4 the store is locked; 130 interrupted.",
)
@click.version_option(None, "-V", "--version", package_name="tunixrt", prog_name="tunixrt")
def root() -> None:
    """Keep reasoning traces, datasets, training and evaluation runs as plain files in Git.

    Every result can be rebuilt bit for bit from what is committed: `tunixrt verify` proves the
    digests, `tunixrt reproduce RUN` trains and evaluates again and compares.
    """


def main() -> NoReturn:
    """Run the command line and exit with one of the frozen codes."""
    sys.exit(run())


def run() -> int:
    """Run the command line; return its exit code."""
    try:
        result = root.main(prog_name="tunixrt", standalone_mode=False)
        sys.stdout.flush()
    except Exception as error:
        known = missing_extra(error) if isinstance(error, ImportError) else None
        code = _explain(known or error)
        if code is None:
            raise
        return code
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        return ExitCode.INTERRUPTED
    return result if isinstance(result, int) else ExitCode.DONE


def _explain(error: Exception) -> int | None:
    """Say what went wrong; return the exit code, or None for a bug, which wants its traceback."""
    match error:
        case click.ClickException():
            with_suggestion(error).show()
            return ExitCode.BAD_INPUT
        case TunixrtError():
            click.echo(f"error: {error}", err=True)
            return error.exit_code
        case click.Abort():
            click.echo("interrupted", err=True)
            return ExitCode.INTERRUPTED
        case BrokenPipeError():
            # The reader (head, a pager) has seen enough; without this Python complains at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return ExitCode.DONE
        case OSError():
            # A full disk, a read-only directory: what publishes has left nothing half.
            where = f" ({error.filename})" if error.filename else ""
            click.echo(f"error: {error.strerror or error}{where}.", err=True)
            return ExitCode.BAD_INPUT
    return None


if __name__ == "__main__":
    main()
