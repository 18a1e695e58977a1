"""`tunixrt train`: train a model on a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.clock import stopwatch
from tunixrt.cli.output import count, emit_json, say, short
from tunixrt.cli.progress import Progress

if TYPE_CHECKING:
    from tunixrt.runs.manifests import TrainingManifest
    from tunixrt.store import Store


@click.command(
    cls=ExampleCommand,
    examples=(
        "tunixrt train nano --dataset arithmetic-v1",
        "tunixrt train config.toml --dataset gsm-v1 --set training.num_steps=50",
    ),
)
@click.argument("config", metavar="CONFIG.toml|PRESET")
@click.option("--dataset", required=True, metavar="KEY", help="The dataset, as NAME-VERSION.")
@click.option(
    "--base", metavar="RUN|DIR", help="Start from the weights of a run or a model directory."
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set one key of the configuration; may be repeated.",
)
@store_options
def train(
    store: Store,
    config: str,
    dataset: str,
    base: str | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Train a model on the dataset KEY and publish the run under runs/.

    CONFIG.toml starts from the preset that its model.name gives; a PRESET alone (nano, micro,
    small, nano-arithmetic) is a configuration, too. A run that exists already is found and not made
    again.
    """
    with Progress("training", "step") as progress:
        done = store.train(
            config,
            dataset=dataset,
            base=base,
            overrides=overrides,
            stopwatch=stopwatch(),
            on_progress=lambda p: progress.show(p.step, p.num_steps, f"loss {p.loss:.4f}"),
        )
    manifest = done.manifest
    if as_json:
        emit_json(_document(manifest) | {"already_done": done.already_done})
        return
    if done.already_done:
        say("This run exists already: the same inputs give the same bits.")
    results, ledger = manifest.results, manifest.ledger
    say(
        f"{count(ledger.n_records, 'record')}: {ledger.n_kept:,} kept, {ledger.n_dropped:,} "
        f"dropped, {ledger.n_redacted:,} redacted, {ledger.n_truncated:,} truncated."
    )
    say(
        f"{count(results.n_steps, 'step')} of {count(results.n_params, 'parameter')}: loss "
        f"{results.first_loss:.4f} at first, {results.last_loss:.4f} at last."
    )
    say(f"weights {manifest.weights}")
    click.echo(manifest.run_id)
    say(f"Next: tunixrt eval {short(manifest.run_id)} --evalset NAME")


def _document(manifest: TrainingManifest) -> dict[str, object]:
    return {
        "run_id": manifest.run_id,
        "weights_sha256": manifest.weights,
        "metrics": manifest.results,
        "ledger": manifest.ledger,
        "dataset_key": manifest.dataset.key,
        "numeric_mode": manifest.identity.numeric_mode,
    }
