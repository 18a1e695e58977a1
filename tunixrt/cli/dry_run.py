"""How `tunixrt train --dry-run` reports what would be trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from tunixrt.cli.output import count, emit_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunixrt.jobs.dry_run import DryRun

_MEGABYTE = 1_000_000


def show_dry_run(dry: DryRun, *, as_json: bool) -> None:
    """Print a dry run, as text or as one JSON document."""
    if as_json:
        emit_json(msgspec.to_builtins(dry) | {"dry_run": True})
        return
    for line in _lines(dry):
        click.echo(line)


def _lines(dry: DryRun) -> Iterator[str]:
    ledger, tokens, memory = dry.ledger, dry.tokens, dry.memory
    yield f"run {dry.run_id}"
    yield f"  to        {dry.run_directory} ({_state(dry)})"
    yield f"  dataset   {dry.dataset_key}, numeric mode {dry.numeric_mode}"
    yield (
        f"  records   {ledger.n_records:,}: {ledger.n_kept:,} kept, {ledger.n_dropped:,} dropped, "
        f"{ledger.n_truncated:,} truncated, {ledger.n_redacted:,} redacted; "
        f"{ledger.n_tokens:,} tokens, {ledger.n_loss_tokens:,} of them learned"
    )
    if dry.validation is not None:
        yield (
            f"  validated {count(dry.n_validation, 'record')} every training.eval_steps steps; "
            f"{dry.validation.n_dropped:,} dropped, {dry.validation.n_redacted:,} redacted"
        )
    yield (
        f"  rows      {tokens.n_rows_per_epoch:,} of {tokens.row_length:,} tokens per epoch, "
        f"{tokens.n_epochs:.2f} epochs"
    )
    yield (
        f"  tokens    {tokens.n_tokens:,} in all steps: {tokens.n_learned:,} learned, "
        f"{tokens.n_read:,} read, {tokens.n_padding:,} padding"
    )
    yield (
        f"  memory    about {_megabytes(memory.total_bytes)}: weights "
        f"{_megabytes(memory.weights_bytes)} ({count(memory.n_params, 'parameter')}), gradients "
        f"{_megabytes(memory.gradients_bytes)}, optimiser {_megabytes(memory.optimizer_bytes)}, "
        f"activations about {_megabytes(memory.activations_bytes)}; Python and jax come on top"
    )
    yield "  config"
    yield from (f"    {key} = {value}" for key, value in _flat(dry.config, ""))


def _state(dry: DryRun) -> str:
    if dry.exists:
        return "exists already: nothing would be trained"
    if dry.checkpoint_step is None:
        return "does not exist yet"
    return f"not finished: --resume continues after step {dry.checkpoint_step:,}"


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / _MEGABYTE:,.1f} MB"


def _flat(config: Mapping[str, object], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", msgspec.json.encode(value).decode()
