"""The tokens of a dataset as one HTML page, in the style of the reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunixrt.report.blocks import (
    Bullets,
    CodeSpan,
    Document,
    Heading,
    Paragraph,
    Strong,
    Table,
    Tokens,
)
from tunixrt.report.html import render_html
from tunixrt.report.styles import style_sheet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tunixrt.jobs.tokens.reading import DatasetTokens
    from tunixrt.jobs.tokens.records import RecordTokens
    from tunixrt.jobs.tokens.tally import LengthBin, TokenSummary
    from tunixrt.report.blocks import Block, Inline

_BAR: int = 40


def token_page(read: DatasetTokens, shown: Sequence[RecordTokens], summary: TokenSummary) -> bytes:
    """Return a self-contained page: records token by token, counts, and a histogram.

    Args:
        read: what was read, and how.
        shown: the records that the page shows.
        summary: the counts over all records.
    """
    document = Document(f"Tokens of {read.dataset.key}", tuple(_blocks(read, shown, summary)))
    return render_html(document, sheet=style_sheet("tokens.css")).encode()


def _blocks(
    read: DatasetTokens, shown: Sequence[RecordTokens], summary: TokenSummary
) -> Iterator[Block]:
    yield Paragraph(f"{described(read)}.")
    yield _counts(summary)
    if summary.reasons:
        reasons = (f"{n:,} not kept: {why}" for why, n in summary.reasons.items())
        yield Bullets(tuple(reasons))
    if summary.warnings:
        yield Heading(2, "Warnings")
        yield Bullets(
            tuple(
                (
                    Strong(f"{found.n_records:,}"),
                    f": {found.warning}; ",
                    *_names(found.traces),
                )
                for found in summary.warnings
            )
        )
    yield Heading(2, "Records")
    yield Paragraph(
        (
            "Underlined tokens are trained, the others are only read; special tokens are ",
            Strong("bold"),
            ". A line feed has the sign ⏎.",
        )
    )
    for record in shown:
        yield Heading(3, CodeSpan(record.trace))
        yield Paragraph(f"{outcome_of(record)}.")
        yield Tokens(f"Tokens of {record.trace[:19]}", record.tokens)
    yield Heading(2, "Lengths")
    yield _histogram(summary.lengths)


def described(read: DatasetTokens) -> str:
    """Return what was read, and how, in words."""
    settings = read.settings
    limit = "no limit" if settings.max_length is None else f"at most {settings.max_length:,} tokens"
    return (
        f"{read.dataset.key}, split {read.split}, as {settings.data_format}; tokenizer "
        f"{settings.tokenizer_name}, {limit}"
    )


def outcome_of(record: RecordTokens) -> str:
    """Return the counts of a record, in words."""
    if record.outcome == "kept":
        return (
            f"{record.n_tokens:,} tokens: {record.n_trained:,} trained, {record.n_masked:,} masked"
        )
    return f"{record.n_tokens:,} tokens, {record.outcome}: {record.reason}"


def bar_of(found: LengthBin, lengths: Sequence[LengthBin]) -> str:
    """Return a bar of a histogram, at most 40 characters; a bin that is not empty has one."""
    most = max(one.n_records for one in lengths)
    return "#" * -(-found.n_records * _BAR // most)


def _names(traces: Sequence[str]) -> tuple[Inline, ...]:
    return tuple(
        piece for trace in traces for piece in (CodeSpan(trace.removeprefix("sha256:")[:12]), " ")
    )


def _counts(summary: TokenSummary) -> Table:
    rows = (
        ("kept, trained", summary.n_kept, summary.n_trained_tokens),
        ("kept, masked", None, summary.n_masked_tokens),
        ("dropped", summary.n_dropped, summary.n_dropped_tokens),
        ("truncated", summary.n_truncated, summary.n_truncated_tokens),
        ("redacted", summary.n_redacted, None),
        ("all", summary.n_records, summary.n_tokens),
    )
    return Table(
        "Counts",
        ("outcome", "records", "tokens"),
        tuple(
            (
                (name,),
                *(("" if n is None else f"{n:,}",) for n in numbers),
            )
            for name, *numbers in rows
        ),
        numeric=frozenset({1, 2}),
    )


def _histogram(lengths: Sequence[LengthBin]) -> Table:
    return Table(
        "Lengths of records in tokens",
        ("tokens", "records", "share"),
        tuple(
            (
                (f"{found.at_least:,} to {found.at_most:,}",),
                (f"{found.n_records:,}",),
                (bar_of(found, lengths),),
            )
            for found in lengths
        ),
        numeric=frozenset({0, 1}),
    )
