"""The part of a report about training: the loss, the configuration, the outcome of each record."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from tunixrt.report.blocks import Block, Chart, CodeSpan, Details, Heading, Paragraph, Table
from tunixrt.report.charts import LineChart
from tunixrt.report.numbers import count, significant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.report.blocks import Inlines
    from tunixrt.report.shown import ShownTraining
    from tunixrt.runs.lines import LedgerLine, MetricsLine

_N_STEPS_SHOWN: Final = 10
#: Every record that was not kept whole is listed; of the others, at most this many.
_N_KEPT_SHOWN: Final = 20
_N_HEX_SHOWN: Final = 16


def training_blocks(
    training: ShownTraining | None, *, subject: str = "The model after"
) -> list[Block]:
    """The section on a training run; ``subject`` names the model at the start of a sentence."""
    if training is None:
        return [Heading(2, "Training"), Paragraph("No training run of the model after is known.")]
    return [
        Heading(2, "Training"),
        Paragraph(_summary(training, subject)),
        *_loss(training.metrics),
        _config(training),
        *_ledger(training),
    ]


def _summary(training: ShownTraining, subject: str) -> Inlines:
    base = training.base_in_words
    trained = [row for row in training.ledger if row.n_times_trained]
    return (
        f"{subject} has ",
        f"{count(training.manifest.results.n_params, 'parameter')} and was trained for ",
        f"{count(len(training.metrics), 'step')} on {count(len(trained), 'record')} of ",
        CodeSpan(training.dataset),
        " (split ",
        CodeSpan(training.manifest.split),
        f"), {training.n_learned_tokens:,} learned tokens in all, starting from ",
        "initial weights" if base is None else CodeSpan(base),
        ".",
    )


def _loss(metrics: Sequence[MetricsLine]) -> list[Block]:
    if not metrics:
        return []
    first, last = metrics[0], metrics[-1]
    return [
        Heading(3, "Loss and learning rate"),
        Chart(
            name="loss",
            alt=(
                f"Training loss from {significant(first.loss, 4)} at step {first.step} to "
                f"{significant(last.loss, 4)} at step {last.step}"
            ),
            chart=LineChart(
                title="Training loss by step",
                x_label="step",
                y_label="loss (nats per token)",
                points=tuple((float(point.step), point.loss) for point in metrics),
            ),
        ),
        Chart(
            name="learning_rate",
            alt=(
                f"Learning rate from {significant(first.learning_rate, 4)} at step {first.step} to "
                f"{significant(last.learning_rate, 4)} at step {last.step}"
            ),
            chart=LineChart(
                title="Learning rate by step",
                x_label="step",
                y_label="learning rate",
                points=tuple((float(point.step), point.learning_rate) for point in metrics),
            ),
        ),
        Table(
            label="Loss at fixed steps",
            head=("Step", "Loss", "Learning rate", "Gradient norm"),
            rows=tuple(
                (
                    f"{point.step:,}",
                    significant(point.loss, 6),
                    significant(point.learning_rate, 4),
                    significant(point.grad_norm, 4),
                )
                for point in _fixed_steps(metrics)
            ),
            numeric=frozenset(range(4)),
        ),
        *_validation_loss([point for point in metrics if point.validation_loss is not None]),
    ]


def _validation_loss(points: Sequence[MetricsLine]) -> list[Block]:
    """The loss over the validation split, where the run computed it."""
    if not points:
        return []
    return [
        Table(
            label="Loss over the validation split, after the step",
            head=("Step", "Validation loss"),
            rows=tuple(
                (f"{point.step:,}", significant(point.validation_loss or 0.0, 6))
                for point in _fixed_steps(points)
            ),
            numeric=frozenset({0, 1}),
        )
    ]


def _fixed_steps(metrics: Sequence[MetricsLine]) -> list[MetricsLine]:
    """The first, the last and eight evenly spaced steps between them."""
    last = len(metrics) - 1
    places = {i * last // (_N_STEPS_SHOWN - 1) for i in range(_N_STEPS_SHOWN)}
    return [metrics[place] for place in sorted(places)]


def _config(training: ShownTraining) -> Details:
    rows = tuple(
        (CodeSpan(key), CodeSpan(value)) for key, value in sorted(training.settings.items())
    )
    return Details(
        summary=f"Configuration ({count(len(rows), 'key')})",
        blocks=(Table(label="Resolved configuration", head=("Key", "Value"), rows=rows),),
    )


def _ledger(training: ShownTraining) -> list[Block]:
    outcomes: Counter[str] = Counter(row.outcome for row in training.ledger)
    others = [row for row in training.ledger if row.outcome != "kept"]
    kept = [row for row in training.ledger if row.outcome == "kept"]
    shown = others + kept[:_N_KEPT_SHOWN]
    n_left = len(kept) - len(kept[:_N_KEPT_SHOWN])
    blocks: list[Block] = [
        Heading(3, "Outcome of each record"),
        Paragraph(f"{_outcomes(outcomes)}. {_reasons(others)}"),
    ]
    if not shown:
        return blocks
    rest = (
        "Every record that was not kept whole is listed",
        f", and {count(len(kept) - n_left, 'kept record')}",
        (f"; {n_left:,} more were kept. " if n_left else ". "),
        "The run's ",
        CodeSpan("ledger.jsonl"),
        " has one line per record, with the full id.",
    )
    table = Table(
        label="Records of the training data",
        head=("Record", "Outcome", "Reason", "Tokens", "Learned", "Times trained"),
        rows=tuple(map(_ledger_row, shown)),
        numeric=frozenset({3, 4, 5}),
    )
    summary = f"Records ({len(shown):,} of {len(training.ledger):,})"
    return [*blocks, Details(summary=summary, blocks=(Paragraph(rest), table))]


def _outcomes(outcomes: Counter[str]) -> str:
    total = sum(outcomes.values())
    named = ", ".join(
        f"{outcomes[name]:,} {name}" for name in ("kept", "dropped", "truncated", "redacted")
    )
    return f"Of {count(total, 'record')}: {named}"


def _reasons(rows: Sequence[LedgerLine]) -> str:
    """The number of records per reason."""
    if not rows:
        return "Nothing was omitted."
    reasons = Counter(row.reason or "no reason given" for row in rows)
    listed = "; ".join(f"{reason} ({n:,})" for reason, n in sorted(reasons.items()))
    return f"Reasons: {listed}."


def _ledger_row(row: LedgerLine) -> tuple[Inlines, ...]:
    return (
        CodeSpan(row.trace.removeprefix("sha256:")[:_N_HEX_SHOWN]),
        row.outcome,
        (row.reason or ""),
        f"{row.n_tokens:,}",
        f"{row.n_loss_tokens:,}",
        f"{row.n_times_trained:,}",
    )
