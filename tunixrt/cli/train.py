"""`tunixrt train`: train a model on a dataset."""

from __future__ import annotations

import shlex
import sys
import time
from typing import TYPE_CHECKING

import click

from tunixrt.cli.base import ExampleCommand, store_options
from tunixrt.cli.clock import stopwatch
from tunixrt.cli.completing import configurations, datasets, runs
from tunixrt.cli.dataset_release import warn_if_deprecated
from tunixrt.cli.dry_run import show_dry_run
from tunixrt.cli.interrupts import Interrupts
from tunixrt.cli.options import (
    as_option,
    goes_with,
    lock_timeout_option,
    overrides_option,
    source_date_epoch,
)
from tunixrt.cli.output import count, emit_json, say, short
from tunixrt.cli.progress import Progress
from tunixrt.cli.run import promotion_sentence
from tunixrt.derive import Watch
from tunixrt.errors import ExitCode
from tunixrt.runs.checkpoints import TrainingInterruptedError

if TYPE_CHECKING:
    from tunixrt.jobs.training import TrainingDone
    from tunixrt.log.lock import Waiting
    from tunixrt.ml.metrics import TrainingProgress
    from tunixrt.runs.manifests import TrainingManifest
    from tunixrt.store import Store


@click.command(
    cls=ExampleCommand,
    examples=(
        "tunixrt train nano --dataset arithmetic-v1",
        "tunixrt train config.toml --dataset gsm-v1 --set training.num_steps=50",
        "tunixrt train nano --dataset arithmetic-v1 --as baseline",
        "tunixrt train nano --dataset arithmetic-v1 --resume",
        "tunixrt train nano --dataset arithmetic-v1 --dry-run",
    ),
)
@click.argument("config", metavar="CONFIG.toml|PRESET", shell_complete=configurations)
@click.option(
    "--dataset",
    required=True,
    metavar="KEY",
    help="The dataset, as NAME-VERSION.",
    shell_complete=datasets,
)
@click.option(
    "--base",
    metavar="RUN|DIR",
    help="Start from the weights of a run or a model directory.",
    shell_complete=runs,
)
@overrides_option
@click.option(
    "--resume", is_flag=True, help="Continue from the newest checkpoint of this run, if it has one."
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Report what would be trained, on how many tokens, and the run directory; write nothing.",
)
@as_option
@lock_timeout_option
@store_options
def train(
    store: Store,
    config: str,
    dataset: str,
    base: str | None,
    overrides: tuple[str, ...],
    resume: bool,
    dry_run: bool,
    as_name: str | None,
    waiting: Waiting,
    as_json: bool,
) -> int:
    """Train a model on the dataset KEY and publish the run under runs/.

    CONFIG.toml starts from the preset that its model.name gives; a PRESET alone is a configuration,
    too (`tunixrt presets` lists them). A run that exists already is found and not
    trained again.

    Every training.save_steps steps a checkpoint is written, and another one when Ctrl-C or SIGTERM
    stops training; the same command with --resume continues from the newest, to the same bits.

    With --as NAME the finished run is promoted under that name, which `eval`, `run compare` and all
    others then take; a run that had the name loses it. Without a name, `@last` is this run.
    """
    goes_with("resume", "training, not with --dry-run", holds=not dry_run)
    if dry_run:
        dry = store.runs.rehearse(
            config, dataset=dataset, base=base, overrides=overrides, as_name=as_name
        )
        warn_if_deprecated(store, dataset)
        show_dry_run(dry, as_json=as_json)
        return ExitCode.DONE
    with Interrupts() as interrupts, Progress("training", "step") as progress:
        meter = _Meter(progress)
        try:
            done = store.runs.train(
                config,
                dataset=dataset,
                base=base,
                overrides=overrides,
                resume=resume,
                as_name=as_name,
                recorded_at=source_date_epoch(),
                waiting=waiting,
                watch=Watch(
                    stopwatch=stopwatch(),
                    should_stop=interrupts.asked,
                    on_notice=say,
                    on_progress=lambda _done, _total, now: meter.show(now),
                ),
            )
        except TrainingInterruptedError as error:
            _say_how_to_continue(error)
            return ExitCode.INTERRUPTED
    if as_json:
        emit_json(
            _document(done.manifest, dataset)
            | {"already_done": done.already_done, "promotion": done.promotion}
        )
    else:
        _print(done)
    return ExitCode.DONE


class _Meter:
    """Shows loss and speed during training."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._start = time.monotonic()

    def show(self, now: TrainingProgress) -> None:
        """One report; the speed is that of this process, compilation and all."""
        speed = now.n_loss_tokens / max(time.monotonic() - self._start, 1e-3)
        details = [f"loss {now.loss:.4f}", f"{speed:,.0f} learned tokens/s"]
        if now.validation_loss is not None:
            details.insert(1, f"validation {now.validation_loss:.4f}")
        self._progress.show(
            now.step, now.num_steps, ", ".join(details), n_before=now.step - now.n_steps_here
        )


def _say_how_to_continue(error: TrainingInterruptedError) -> None:
    say(str(error))
    if error.checkpoint is None:
        say("No step was finished, so no checkpoint exists.")
        return
    arguments = [argument for argument in sys.argv[1:] if argument != "--resume"]
    say(f"Continue with: {shlex.join(['tunixrt', *arguments, '--resume'])}")


def _print(done: TrainingDone) -> None:
    manifest = done.manifest
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
    name = short(manifest.run_id)
    if done.promotion is not None:
        say(promotion_sentence(done.promotion))
        name = done.promotion.name
    say(f"Next: tunixrt eval {name} --evalset NAME")


def _document(manifest: TrainingManifest, dataset_key: str) -> dict[str, object]:
    return {
        "run_id": manifest.run_id,
        "weights_sha256": manifest.weights,
        "metrics": manifest.results,
        "ledger": manifest.ledger,
        "dataset_key": dataset_key,
        "numeric_mode": manifest.identity.numeric_mode,
    }
