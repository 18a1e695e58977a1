"""`tunixrt dataset export` and `tunixrt dataset card`: datasets for other tools."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.completing import datasets
from tunixrt.cli.options import output_option
from tunixrt.cli.output import count, emit_json, names_stdout, say, writing_to
from tunixrt.cli.pairs import parse_pairs

if TYPE_CHECKING:
    from tunixrt.datasets.exports import ExportReport
    from tunixrt.store import Store

_FORMATS = "trace, tunix_sft, training_example, messages, prompt_completion, text or stepwise."


@click.command(
    cls=ExampleCommand,
    examples=(
        "tunixrt dataset export arithmetic-v1 --format tunix_sft -o train.jsonl",
        "tunixrt dataset export arithmetic-v1 --format messages --split test -o test.parquet",
        "tunixrt dataset export arithmetic-v1 --format messages --split all -o arithmetic/",
        "tunixrt dataset export arithmetic-v1 --format tunix_sft --check train.jsonl",
        "tunixrt dataset export arithmetic-v1 --format trace --split all | head -1",
    ),
)
@click.argument("key", shell_complete=datasets)
@click.option("--format", "export_format", required=True, metavar="FORMAT", help=_FORMATS)
@click.option(
    "-o",
    "--output",
    metavar="FILE|DIR/",
    help="Write a file instead of stdout; its name decides the container: .jsonl, .jsonl.gz, "
    ".jsonl.zst, .parquet, .arrow. A name that ends in a slash becomes a directory that "
    "Hugging Face datasets loads.",
)
@click.option(
    "--split",
    default="train",
    show_default=True,
    metavar="SPLIT",
    help="train, validation or test; all writes every row, with a field `split`, or into a "
    "directory every split.",
)
@click.option("--system", metavar="TEXT", help="A system instruction for every prompt.")
@click.option(
    "--reasoning",
    metavar="WHERE",
    help="Where messages have their reasoning: reasoning_content (default), thinking, tags "
    "(<think> in the text) or none.",
)
@click.option(
    "--shard",
    "shards",
    type=click.IntRange(min=1),
    metavar="N",
    help="Write N files; 1 by default.",
)
@click.option(
    "--check",
    "checked",
    type=click.Path(path_type=Path),
    metavar="FILE|DIR",
    help="Write nothing; exit 1 unless every record is what the store says, and name the first "
    "that differs.",
)
@store_options
def export(
    store: Store,
    key: str,
    export_format: str,
    output: str | None,
    split: str,
    system: str | None,
    reasoning: str | None,
    shards: int | None,
    checked: Path | None,
    as_json: bool,
) -> None:
    """Write a split of a dataset for another tool: the same bytes every time, everywhere.

    What the format trace writes, `tunixrt trace import --from trace` reads back. A regular FILE is
    replaced when the export is complete, and FILE.sha256 beside it; a FIFO or a device is written
    through. With --json and without -o only the figures are printed.
    """
    options: dict[str, Any] = {"split": split, "system": system, "reasoning": reasoning}
    if checked is not None:
        if output is not None:
            raise click.UsageError("--check compares and -o writes: give one of them.")
        _check(store, key, checked, export_format, as_json, {**options, "shards": shards or 1})
        return
    to_stdout = output is None or output == "-"
    if to_stdout and shards is not None:
        raise click.UsageError("--shard writes files: name them with -o.")
    dataset = store.datasets[key]
    if to_stdout:
        with writing_to(Path(os.devnull) if as_json else None) as out:
            report = dataset.export(out, export_format, **options)
    else:
        report = dataset.export(str(output), export_format, **options, shards=shards or 1)
    if as_json:
        emit_json(msgspec.structs.asdict(report))
        return
    _say(key, report)


def _check(
    store: Store, key: str, path: Path, export_format: str, as_json: bool, options: dict[str, Any]
) -> None:
    verdicts = store.datasets[key].check_export(path, export_format, **options)
    is_no = any(verdict.verdict.is_no for verdict in verdicts)
    if as_json:
        emit_json({"identical": not is_no, "verdicts": verdicts})
    for verdict in verdicts:
        what = verdict.first_difference or f"{count(verdict.n_rows or 0, 'row')} as the store says"
        if not as_json:
            click.echo(f"{verdict.name}: {verdict.verdict}: {what}")
        if verdict.verdict.is_no and verdict.n_redacted:
            say(
                f"{count(verdict.n_redacted, 'member')} redacted: a file that was exported before "
                "holds the text; export it again."
            )
    if is_no:
        raise click.exceptions.Exit(1)


def _say(key: str, report: ExportReport) -> None:
    omitted = "".join(f", {n:,} omitted ({reason})" for reason, n in report.omitted.items())
    say(f"{key} as {report.format}: {count(report.rows, 'row')}{omitted}; {report.sha256}")
    if report.n_with_template_text:
        say(
            f"warning: {count(report.n_with_template_text, 'row')} contain the text of a special "
            "token such as <end_of_turn>; a reader of the text cannot tell it from the token."
        )
    if report.n_with_masked_turns:
        written = (
            'written as "weight": 0; most trainers ignore that and learn them.'
            if report.format == "messages"
            else f"which {report.format} cannot mark; in prompt_completion they are context only."
        )
        say(
            f"warning: {count(report.n_with_masked_turns, 'row')} with turns that are not to be "
            f"learned, {written}"
        )
    if report.n_cut:
        say(f"{count(report.n_cut, 'row')} without the messages after the completion.")


@click.command(
    cls=ExampleCommand,
    examples=(
        "tunixrt dataset card arithmetic-v1 --license mit -o README.md",
        "tunixrt dataset card arithmetic-v1 --format messages --file train=train.parquet",
        "tunixrt dataset card arithmetic-v1 --format text --file train=t.jsonl --croissant",
    ),
)
@click.argument("key", shell_complete=datasets)
@click.option(
    "--license", "license_id", metavar="ID", help="As the Hub spells it: mit, apache-2.0, ..."
)
@click.option("--format", "export_format", metavar="FORMAT", help=f"Of the files: {_FORMATS}")
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="SPLIT=FILE",
    help="An exported file, which will be beside the card; may be repeated.",
)
@click.option("--croissant", is_flag=True, help="Write Croissant JSON-LD about the files instead.")
@output_option("Write into FILE instead of stdout.")
@store_options
def card(
    store: Store,
    key: str,
    license_id: str | None,
    export_format: str | None,
    files: tuple[str, ...],
    croissant: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Write a data card: what the dataset holds, where it comes from, how to verify it.

    It is Markdown with the front matter that the Hugging Face Hub reads: the README.md beside
    exported files. The bytes depend on the dataset and the files alone.
    """
    if croissant and not files:
        raise click.UsageError(
            "--croissant describes exported files: give --format FORMAT --file SPLIT=FILE."
        )
    if files and export_format is None:
        raise click.UsageError("--file needs --format: in which format were they exported?")
    given = parse_pairs(files, "--file")
    dataset = store.datasets[key]
    if croissant:
        document = dataset.croissant(
            license_id=license_id, export_format=export_format or "", files=given
        )
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    else:
        text = dataset.card(license_id=license_id, export_format=export_format, files=given)
    if as_json:
        emit_json({"dataset_key": key, "card": text})
        if names_stdout(output):
            return
    with writing_to(output) as out:
        out.write(text.encode())
