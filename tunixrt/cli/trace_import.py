"""`tunixrt trace import`: files of records, or standard input, as one segment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.options import goes_with, recorded_at_option
from tunixrt.cli.output import count, emit_json, say
from tunixrt.cli.progress import Progress
from tunixrt.cli.rejects import RejectsFiles
from tunixrt.cli.sources import text_sources
from tunixrt.cli.suggestions import Choice

if TYPE_CHECKING:
    from tunixrt.store import Store
    from tunixrt.traces.importing import FileReport, ImportReport

_SHOWN = 10


@click.command(
    "import",
    cls=ExampleCommand,
    examples=(
        "tunixrt trace import traces.jsonl --from tunixrt",
        "tunixrt trace import part-1.jsonl part-2.jsonl --from tunixrt",
        "tunixrt trace import train.jsonl --from gsm8k --strip-calculator",
        "gzip -dc train.jsonl.gz | tunixrt trace import - --from gsm8k",
        "tunixrt trace import chats.jsonl --from messages",
        "tunixrt trace import math.jsonl --from columns --map prompt=problem,answer=solution",
        "tunixrt trace import exported.jsonl --from trace",
        "tunixrt trace import runs/RUN/predictions.jsonl --from predictions",
    ),
)
@click.argument("files", nargs=-1, required=True, metavar="FILE|-...")
@click.option(
    "--from",
    "source_format",
    required=True,
    metavar="FORMAT",
    help="tunixrt, gsm8k, messages, sharegpt, alpaca, prompt-completion, think, columns (with "
    "--map), atif, session, lm-eval, trace (what `dataset export --format trace` wrote), or "
    "predictions (of a run).",
)
@click.option(
    "--map",
    "columns",
    metavar="TARGET=COLUMN,...",
    help="columns: which column is prompt, system, reasoning, response, answer, messages or tools; "
    "a dotted path reaches into objects and lists.",
)
@click.option("--source", metavar="NAME", help="Set meta.source of every trace.")
@click.option("--strip-calculator", is_flag=True, help="gsm8k: cut the <<48/2=24>> annotations.")
@click.option(
    "--on-error",
    type=Choice(["abort", "quarantine"]),
    default="abort",
    show_default=True,
    help="Reject all files for one bad record, or set bad records aside in FILE.rejects.jsonl.",
)
@recorded_at_option
@store_options
def import_(
    store: Store,
    files: tuple[str, ...],
    source_format: str,
    source: str | None,
    strip_calculator: bool,
    columns: str | None,
    on_error: str,
    recorded_at: str | None,
    as_json: bool,
) -> None:
    """Record every trace of each FILE, as one segment: whole or not at all.

    One bad record in one file rejects all files, and the message names file, line and field. A
    trace that is known already, also from a file before, is counted as a duplicate and not recorded
    again. A FILE of - is standard input.
    """
    goes_with("strip_calculator", "--from gsm8k", holds=source_format == "gsm8k")
    sources = text_sources(files)
    with Progress("importing", "line") as progress, RejectsFiles() as rejects:
        report = store.traces.import_(
            sources,
            source_format=source_format,
            source=source,
            strip_calculator=strip_calculator,
            columns=columns,
            on_error=on_error,
            recorded_at=recorded_at,
            on_rejection=rejects.add if on_error == "quarantine" else None,
            on_progress=lambda n: progress.show(n, None),
        )
    if as_json:
        emit_json(_document(report, rejects))
        return
    for file in report.files:
        _say_imported(file, rejects)
    if len(report.files) > 1:
        say(
            f"{len(report.files):,} files: {count(report.recorded, 'trace')} recorded, "
            f"{count(report.duplicates, 'duplicate')}, {report.rejected:,} rejected."
        )
    if report.segment is not None:
        click.echo(report.segment)


def _say_imported(report: FileReport, rejects: RejectsFiles) -> None:
    say(
        f"{report.file}: {count(report.recorded, 'trace')} recorded, "
        f"{count(report.duplicates, 'duplicate')}, {report.rejected:,} rejected."
    )
    for reason, n in report.dropped.items():
        lines = [drop.line for drop in report.drops if str(drop.reason) == reason]
        shown = ", ".join(map(str, lines[:_SHOWN])) + (", ..." if len(lines) > _SHOWN else "")
        say(f"  dropped: {n:,} x {reason} (line {shown})")
    for reason, n in report.noted.items():
        lines = [note.line for note in report.notes if note.reason == reason]
        shown = ", ".join(map(str, lines)) + (", ..." if len(lines) < n else "")
        say(f"  noted: {n:,} x {reason} (line {shown})")
    path = rejects.of(report.file)
    if path is not None:
        say(f"  the rejected records and the reasons are in {path}")


def _document(report: ImportReport, rejects: RejectsFiles) -> dict[str, object]:
    return {
        "recorded": report.recorded,
        "duplicates": report.duplicates,
        "rejected": report.rejected,
        "dropped": sum(report.dropped.values()),
        "dropped_reasons": report.dropped,
        "noted": report.noted,
        "segment": report.segment,
        "files": [
            {
                "file": file.file,
                "recorded": file.recorded,
                "duplicates": file.duplicates,
                "rejected": file.rejected,
                "dropped": sum(file.dropped.values()),
                "rejects_file": None if (path := rejects.of(file.file)) is None else str(path),
                "drops": [{"line": d.line, "reason": str(d.reason)} for d in file.drops],
                "noted": file.noted,
                "segment": report.segment if file.recorded else None,
            }
            for file in report.files
        ],
    }
