"""`tunixrt trace import`: files of records, or standard input, as one segment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.completing import source_formats
from tunixrt.cli.options import goes_with, recorded_at_option
from tunixrt.cli.output import count, emit_json, say, short
from tunixrt.cli.progress import Progress
from tunixrt.cli.rejects import RejectsFiles
from tunixrt.cli.sources import text_sources
from tunixrt.cli.suggestions import Choice
from tunixrt.visible import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tunixrt.store import Store
    from tunixrt.traces.importers.records import Dropped, Noted, Rejection
    from tunixrt.traces.importing import FileReport, ImportReport
    from tunixrt.traces.schema import AnyTrace

_SHOWN = 10
_WIDTH = 100
_MEGABYTE = 1_000_000


@click.command(
    "import",
    cls=ExampleCommand,
    examples=(
        "tunixrt trace import traces.jsonl --from tunixrt",
        "tunixrt trace import part-1.jsonl part-2.jsonl --from tunixrt",
        "tunixrt trace import train.jsonl --from gsm8k --strip-calculator",
        "tunixrt trace import train.jsonl.gz --dry-run",
        "tunixrt trace import data/ --source web --on-error quarantine --rejects bad.jsonl",
        "tunixrt trace import 'data/*.parquet' --from gsm8k",
        "cat train.jsonl.zst | tunixrt trace import - --from gsm8k",
        "tunixrt trace import chats.jsonl --from messages",
        "tunixrt trace import math.jsonl --map prompt=problem,answer=solution",
        "tunixrt trace import exported.jsonl --from trace",
        "tunixrt trace import runs/RUN/predictions.jsonl --from predictions",
    ),
)
@click.argument("files", nargs=-1, required=True, metavar="FILE|GLOB|DIR|-...")
@click.option(
    "--from",
    "source_format",
    metavar="FORMAT",
    shell_complete=source_formats,
    help="tunixrt, gsm8k, messages, sharegpt, alpaca, prompt-completion, think, columns (the "
    "format of --map), atif, session, lm-eval, trace (what `dataset export --format trace` "
    "wrote), or predictions (of a run); by default, what the first records are.",
)
@click.option(
    "--map",
    "columns",
    multiple=True,
    metavar="TARGET=COLUMN,...",
    help="Which column is prompt, system, reasoning, response, answer, messages or tools; a dotted "
    "path reaches into objects and lists. May be repeated.",
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
@click.option(
    "--rejects",
    "rejects_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="With --on-error quarantine: one file for the bad records of all files.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show the first three traces and count everything; record nothing.",
)
@recorded_at_option
@store_options
def import_(
    store: Store,
    files: tuple[str, ...],
    source_format: str | None,
    source: str | None,
    strip_calculator: bool,
    columns: tuple[str, ...],
    on_error: str,
    rejects_file: Path | None,
    dry_run: bool,
    recorded_at: str | None,
    as_json: bool,
) -> None:
    """Record every trace of each FILE, as one segment: whole or not at all.

    A FILE is JSON Lines, a JSON array, CSV, Parquet or Arrow, also compressed with gzip or
    Zstandard; its first bytes decide. A directory gives every such file in it, and a directory that
    Hugging Face `datasets` saved the files that it lists. A FILE of - is standard input.

    One bad record in one file rejects all files, and the message names file, line and field. A
    trace that is known already, also from a file before, is counted as a duplicate and not recorded
    again.
    """
    from tunixrt.derive import Watch

    goes_with("strip_calculator", "--from gsm8k", holds=source_format in (None, "gsm8k"))
    goes_with("rejects_file", "--on-error quarantine", holds=on_error == "quarantine")
    sources = text_sources(files)
    with Progress("importing", "megabyte") as progress, RejectsFiles(rejects_file) as rejects:

        def show(done: int, total: int, _: object) -> None:
            progress.show(done // _MEGABYTE, total // _MEGABYTE or None)

        add = _say_rejected if dry_run else rejects.add
        report = store.traces.import_(
            sources,
            source_format=source_format,
            source=source,
            strip_calculator=strip_calculator,
            columns=",".join(columns) if columns else None,
            on_error=on_error,
            recorded_at=recorded_at,
            on_rejection=add if on_error == "quarantine" else None,
            dry_run=dry_run,
            watch=Watch(on_progress=show, on_notice=say),
        )
    if as_json:
        emit_json(_document(report, rejects, dry_run=dry_run))
        return
    for trace in report.first_traces:
        for line in _shown(trace):
            click.echo(line)
    for file in report.files:
        _say_imported(file, rejects, dry_run=dry_run)
    if len(report.files) > 1:
        say(f"{len(report.files):,} files: {_counts(report, dry_run=dry_run)}.")
    if dry_run:
        say("Nothing was recorded: this was a dry run.")
    if report.segment is not None:
        click.echo(report.segment)


def _say_rejected(rejection: Rejection) -> None:
    say(f"rejected: {rejection}")


def _counts(report: ImportReport | FileReport, *, dry_run: bool) -> str:
    new = "new" if dry_run else "recorded"
    return (
        f"{count(report.recorded, 'trace')} {new}, {count(report.duplicates, 'duplicate')}, "
        f"{report.rejected:,} rejected"
    )


def _shown(trace: AnyTrace) -> Iterator[str]:
    """Yield a trace as lines, its texts shortened."""
    from tunixrt.traces.schema import Trace, payload_of, trace_id

    yield f"trace {short(trace_id(payload_of(trace)))} (schema {trace.trace_version})"
    for key, value in trace.meta.items():
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        yield f"  {one_line(key)}: {_shortened(text)}"
    if isinstance(trace, Trace):
        yield f"  prompt: {_shortened(trace.prompt)}"
        for number, step in enumerate(trace.steps, start=1):
            yield f"  step {number}: {_shortened(step.content)}"
        yield f"  answer: {_shortened(trace.final_answer)}"
        return
    for message in trace.messages:
        if message.thought:
            yield f"  {message.role}, reasoning: {_shortened(message.thought)}"
        for call in message.tool_calls or ():
            arguments = msgspec.json.encode(call.arguments).decode()
            yield f"  {message.role}, calls {one_line(call.name)}: {_shortened(arguments)}"
        if message.content:
            yield f"  {message.role}: {_shortened(message.content)}"
    if trace.final_answer:
        yield f"  answer: {_shortened(trace.final_answer)}"


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 3]}..."


def _say_imported(report: FileReport, rejects: RejectsFiles, *, dry_run: bool) -> None:
    say(f"{report.file}: {_counts(report, dry_run=dry_run)}.")
    for reason, n in report.dropped.items():
        drops = [drop for drop in report.drops if str(drop.reason) == reason]
        say(f"  dropped: {n:,} x {reason} ({_places(drops[:_SHOWN], n)})")
    for reason, n in report.noted.items():
        notes = [note for note in report.notes if note.reason == reason]
        say(f"  noted: {n:,} x {reason} ({_places(notes, n)})")
    path = rejects.of(report.file)
    if path is not None:
        say(f"  the rejected records and the reasons are in {path}")


def _places(records: Sequence[Dropped | Noted], n: int) -> str:
    """Return where records are: ``line 3, 5, ...``."""
    shown = ", ".join(str(record.line) for record in records)
    return f"{records[0].unit} {shown}{', ...' if len(records) < n else ''}"


def _document(report: ImportReport, rejects: RejectsFiles, *, dry_run: bool) -> dict[str, object]:
    shown = [msgspec.to_builtins(trace) for trace in report.first_traces]
    return {
        "format": report.format,
        **({"dry_run": True, "traces": shown} if dry_run else {}),
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
                "drops": [
                    {"line": d.line, "unit": d.unit, "reason": str(d.reason)} for d in file.drops
                ],
                "noted": file.noted,
                "segment": report.segment if file.recorded else None,
            }
            for file in report.files
        ],
    }
