"""A training run computed in advance: what it would read, learn, need and write. Trains nothing.

Imports numpy but not jax, so it is fast. Everything but the memory is exact: the same code decides
which examples fit and how often each is seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tunixrt.derive import work_directory
from tunixrt.extras import TRAIN, require
from tunixrt.jobs.training import count_ledger, plan_training
from tunixrt.runs.checkpoints import newest_whole
from tunixrt.runs.manifests import LedgerCounts
from tunixrt.runs.memory import MemoryEstimate, estimate_memory
from tunixrt.runs.run import Run

if TYPE_CHECKING:
    from tunixrt.jobs.training import TrainRequest
    from tunixrt.log.eventlog import EventLog
    from tunixrt.log.layout import Layout
    from tunixrt.ml.input.feed import Feed
    from tunixrt.runs.config import RunConfig


class TokenCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tokens read by the forward passes of the whole run.

    Attributes:
        n_rows_per_epoch: rows that contain every example once.
        row_length: places in a row.
        n_epochs: how often every example is seen, on average.
        n_tokens: places in all rows of all steps; the three below add up to it.
        n_learned: those whose next token is learned.
        n_read: those that are read and whose next token is not learned.
        n_padding: those that are padding.
    """

    n_rows_per_epoch: int
    row_length: int
    n_epochs: float
    n_tokens: int
    n_learned: int
    n_read: int
    n_padding: int


class DryRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The plan of a training.

    Attributes:
        run_id: the id that the run would have, or has.
        exists: whether the run exists already.
        checkpoint_step: the step after which --resume would continue; None without a checkpoint.
        run_directory: where it would be published, relative to the store's root.
        checkpoint_directory: where checkpoints go meanwhile.
        config: every key with its value.
        dataset_key: the dataset to train on.
        numeric_mode: portable or fast.
        ledger: how many records are kept, dropped, truncated; tokens are of one epoch.
        n_validation: records of the validation split that its loss is over; 0 when no loss over it
            was asked for.
        validation: how many records of the validation split are kept, and how many dropped; None
            when no loss over it was asked for.
        tokens: of the whole run.
        memory: an estimate.
    """

    run_id: str
    exists: bool
    checkpoint_step: int | None
    run_directory: str
    checkpoint_directory: str
    config: dict[str, object]
    dataset_key: str
    numeric_mode: str
    ledger: LedgerCounts
    n_validation: int
    validation: LedgerCounts | None
    tokens: TokenCounts
    memory: MemoryEstimate


def rehearse_training(layout: Layout, log: EventLog, request: TrainRequest) -> DryRun:
    """Plan what `train_run` would do with the same arguments; writes nothing.

    Raises:
        BadInputError: whatever `train_run` would reject before its first step.
    """
    require(TRAIN, "A dry run of a training")
    from tunixrt.ml.input.feed import Feed, encode
    from tunixrt.ml.tokenizer import ByteTokenizer

    config = request.config
    plan = plan_training(layout, log, request)
    feed = Feed(config, encode(config, plan.text.examples))
    validation = None
    if plan.validation is not None:
        held_out = encode(config, plan.validation.examples)
        validation = count_ledger(held_out.ledger, plan.validation.n_redacted)
    checkpoints = work_directory(layout, plan.kind, plan.id)
    newest = newest_whole(checkpoints, plan.id)
    run = Run.of(layout, plan.id)
    return DryRun(
        run_id=plan.id,
        exists=run.is_published,
        checkpoint_step=None if newest is None else newest[0],
        run_directory=layout.relative(run.directory),
        checkpoint_directory=layout.relative(checkpoints),
        config=config.resolved(),
        dataset_key=request.dataset,
        numeric_mode=plan.identity.numeric_mode,
        ledger=count_ledger(feed.examples.ledger, plan.text.n_redacted),
        n_validation=0 if validation is None else validation.n_kept,
        validation=validation,
        tokens=_tokens(config, feed),
        memory=estimate_memory(config, ByteTokenizer.vocab_size, feed.row_length),
    )


def _tokens(config: RunConfig, feed: Feed) -> TokenCounts:
    n_rows = config.training.num_steps * feed.n_rows
    n_places = n_rows * feed.row_length
    ledger = feed.ledger()
    n_learned = sum(entry.n_loss_tokens * entry.n_times_trained for entry in ledger)
    # The last token of an example is only a target, and takes no place in the input.
    n_filled = sum((entry.n_tokens - 1) * entry.n_times_trained for entry in ledger)
    return TokenCounts(
        n_rows_per_epoch=feed.n_rows_per_epoch,
        row_length=feed.row_length,
        n_epochs=n_rows / feed.n_rows_per_epoch,
        n_tokens=n_places,
        n_learned=n_learned,
        n_read=n_filled - n_learned,
        n_padding=n_places - n_filled,
    )
