"""`tunixrt dataset tokens`: what is trained, token by token."""

from __future__ import annotations

import itertools
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.completing import configurations, datasets, runs
from tunixrt.cli.options import goes_with, output_option, overrides_option
from tunixrt.cli.output import (
    count,
    echo_styled,
    has_colour,
    names_stdout,
    say,
    short,
    stream_json,
    writing_to,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tunixrt.jobs.tokens.reading import DatasetTokens
    from tunixrt.jobs.tokens.records import RecordTokens
    from tunixrt.jobs.tokens.tally import TokenSummary
    from tunixrt.report.blocks import Token
    from tunixrt.store import Store

#: SGR parameters: trained and masked, two shades each for neighbouring tokens; bold for special.
_TRAINED = ("32", "92")
_MASKED = ("90", "37")


@click.command(
    cls=ExampleCommand,
    examples=(
        "tunixrt dataset tokens arithmetic-v1",
        "tunixrt dataset tokens arithmetic-v1 --config nano --set data.format=answer_only",
        "tunixrt dataset tokens arithmetic-v1 --run @last-train --show 20 -o tokens.html",
    ),
)
@click.argument("key", shell_complete=datasets)
@click.option(
    "--run",
    metavar="RUN|DIR",
    help="As a training run, or a model, would read it: its template, tokenizer and context.",
    shell_complete=runs,
)
@click.option(
    "--config",
    metavar="CONFIG.toml|PRESET",
    help="As a training with this configuration would read it.",
    shell_complete=configurations,
)
@overrides_option
@click.option(
    "--tokenizer",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A tokenizer.json, in place of the byte tokenizer.",
)
@click.option(
    "--show",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    metavar="N",
    help="Show the tokens of at most N records; all are counted.",
)
@click.option(
    "--split",
    metavar="SPLIT",
    help="train, validation, test or all; by default the split that is trained on.",
)
@output_option("Write the records and counts into FILE as one HTML page.")
@store_options
def tokens(
    store: Store,
    key: str,
    run: str | None,
    config: str | None,
    overrides: tuple[str, ...],
    tokenizer: Path | None,
    show: int,
    split: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Show the records of a dataset as tokens: what is trained, masked, dropped, and why.

    On a terminal, trained tokens are green and masked ones grey; elsewhere, and where NO_COLOR is
    set, trained tokens are between {+ and +}. Special tokens are bold, or between brackets. Every
    record is counted; warnings name the first records that look wrong.
    """
    from tunixrt.jobs.tokens.page import token_page
    from tunixrt.jobs.tokens.tally import TokenTally

    goes_with("overrides", "--config", holds=config is not None)
    if as_json and output is not None and names_stdout(output):
        raise click.UsageError("--json and the page cannot both be on stdout: give -o a FILE.")
    read = store.datasets[key].tokens(
        run=run, config=config, overrides=overrides, tokenizer=tokenizer, split=split, show=show
    )
    tally = TokenTally()
    shown: list[RecordTokens] = []

    def counted() -> Iterator[RecordTokens]:
        for record in read:
            tally.add(record)
            if output is not None and record.tokens:
                shown.append(record)
            yield record

    if as_json:
        stream_json("records", counted(), lambda: _document(read, tally.summary()))
    elif output is None:
        _print(read, counted())
        _print_summary(tally.summary())
    else:
        deque(counted(), maxlen=0)
    if output is not None:
        with writing_to(output) as out:
            out.write(token_page(read, shown, tally.summary()))
    _warn(tally.summary())


def _warn(summary: TokenSummary) -> None:
    for found in summary.warnings:
        named = ", ".join(map(short, found.traces))
        more = ", ..." if found.n_records > len(found.traces) else ""
        say(f"warning: {count(found.n_records, 'record')}: {found.warning} ({named}{more})")


def _document(read: DatasetTokens, summary: TokenSummary) -> dict[str, object]:
    settings = read.settings
    return {
        "dataset_key": read.dataset.key,
        "split": read.split,
        "format": settings.data_format,
        "system_instruction": settings.system,
        "tokenizer": settings.tokenizer_name,
        "max_length": settings.max_length,
        "summary": summary,
    }


def _print(read: DatasetTokens, records: Iterator[RecordTokens]) -> None:
    from tunixrt.jobs.tokens.page import described, outcome_of
    from tunixrt.report.tokens import marked_text

    click.echo(f"{described(read)}\n")
    in_colour = has_colour()
    for record in records:
        if record.tokens:
            click.echo(f"{short(record.trace)}  {outcome_of(record)}")
            if in_colour:
                echo_styled(_coloured(record.tokens))
            else:
                click.echo(marked_text(record.tokens))
            click.echo("")


def _coloured(shown: Sequence[Token]) -> Iterator[tuple[str, str]]:
    """Runs of one style; neighbouring tokens differ in shade unless every one is a character."""
    from tunixrt.report.tokens import have_inner_borders, shown_text

    turns = 2 if have_inner_borders(shown) else 1
    styled = (
        (
            (_TRAINED if token.is_trained else _MASKED)[place % turns]
            + (";1" if token.is_special else ""),
            shown_text(token),
        )
        for place, token in enumerate(shown)
    )
    for style, run in itertools.groupby(styled, key=lambda pair: pair[0]):
        yield style, "".join(text for _, text in run)


def _print_summary(summary: TokenSummary) -> None:
    from tunixrt.jobs.tokens.page import bar_of

    click.echo(
        f"{count(summary.n_records, 'record')}: {summary.n_kept:,} kept, {summary.n_dropped:,} "
        f"dropped, {summary.n_truncated:,} truncated, {summary.n_redacted:,} redacted"
    )
    click.echo(
        f"{count(summary.n_tokens, 'token')}: {summary.n_trained_tokens:,} trained, "
        f"{summary.n_masked_tokens:,} masked, {summary.n_dropped_tokens:,} dropped, "
        f"{summary.n_truncated_tokens:,} truncated"
    )
    for reason, n in summary.reasons.items():
        click.echo(f"  {n:,} not kept: {reason}")
    width = max((len(f"{found.at_most:,}") for found in summary.lengths), default=0)
    for found in summary.lengths:
        click.echo(
            f"{found.at_least:>{width},} to {found.at_most:>{width},} tokens  "
            f"{found.n_records:>7,}  {bar_of(found, summary.lengths)}".rstrip()
        )
