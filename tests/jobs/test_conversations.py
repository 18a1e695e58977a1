"""A training on conversations, from the log to a run that is reproduced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.making.conversations import conversation_value
from tests.making.events import recorded
from tests.making.runs import made_store
from tests.making.trainings import TINY
from tunixrt.derive.verdict import Answer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_a_training_on_conversations_is_published_and_reproduced(tmp_path: Path) -> None:
    store = made_store(tmp_path / "store", n=6)
    masked = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "train": False},
    ]
    bare = {"tools": ..., "final_answer": ..., "meta": {}}
    store.log.append(
        [recorded(conversation_value()), recorded(conversation_value(messages=masked, **bare))]
    )
    store.datasets.build("mixed", "v1")
    dataset = store.datasets["mixed-v1"]
    done = store.runs.train("nano", dataset=dataset, overrides=[*TINY, "model.max_length=320"])
    ledger = list(done.run.ledger())
    (dropped,) = (line for line in ledger if line.outcome == "dropped")
    assert (dropped.reason, dropped.n_times_trained) == ("no learned token", 0)
    assert done.manifest.ledger.n_kept == 7
    learned = sum(line.n_loss_tokens * line.n_times_trained for line in ledger)
    assert done.manifest.results.n_loss_tokens == learned
    read = dataset.tokens(run=done.run_id)
    assert [(r.trace, r.n_trained) for r in read] == [(e.trace, e.n_loss_tokens) for e in ledger]
    (verdict,) = store.reproduce(done.run_id)
    assert verdict.verdict is Answer.IDENTICAL
