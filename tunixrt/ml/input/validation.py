"""The loss over a validation split: the mean over all its learned tokens, in nats per token."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tunixrt.ml.input.batches import rows_of_examples
from tunixrt.ml.steps import compile_loss

if TYPE_CHECKING:
    from tunixrt.ml.input.batches import EncodedExamples, Rows
    from tunixrt.ml.model import Decoder
    from tunixrt.ml.numerics import Numerics


class ValidationLoss:
    """Computes the loss of given params over a fixed set of examples.

    They are read in order, ``batch_size`` at a time; the last batch is padded with rows without a
    learned token, so one compilation serves all. Sums are those of `Numerics` within a batch, and
    exact over the batches.
    """

    def __init__(
        self, model: Decoder, numerics: Numerics, examples: EncodedExamples, batch_size: int
    ) -> None:
        n_examples = len(examples.tokens)
        self._batches = [
            _batch(examples, start, min(batch_size, n_examples))
            for start in range(0, n_examples, batch_size)
        ]
        self._n_tokens = examples.n_learned
        self._total_loss = compile_loss(model, numerics, first_learned=examples.first_learned)

    def __call__(self, params: Any) -> float:
        """The mean loss over all learned tokens, in nats per token."""
        sums = [float(self._total_loss(params, batch)) for batch in self._batches]
        return math.fsum(sums) / self._n_tokens if all(map(math.isfinite, sums)) else math.nan


def _batch(examples: EncodedExamples, start: int, n_rows: int) -> Rows:
    numbers = np.arange(start, start + n_rows)
    is_there = numbers < len(examples.tokens)
    rows = rows_of_examples(examples, np.where(is_there, numbers, 0))
    return rows._replace(loss_weights=rows.loss_weights * is_there[:, None].astype(np.float32))
