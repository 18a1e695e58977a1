"""One small store with a trained model and its evaluations, and how to find them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunixrt import Store
from tunixrt.store import held_out_evalset

if TYPE_CHECKING:
    from pathlib import Path


from typing import TYPE_CHECKING

from tunixrt.runs.manifests import EvaluationManifest, TrainingManifest

if TYPE_CHECKING:
    from pathlib import Path


def training_of(store: Store) -> TrainingManifest:
    (manifest,) = [m for m in store.runs() if isinstance(m, TrainingManifest)]
    return manifest


def evaluations_of(store: Store) -> list[EvaluationManifest]:
    return [m for m in store.runs() if isinstance(m, EvaluationManifest)]


def of_untrained(store: Store) -> EvaluationManifest:
    (found,) = [m for m in evaluations_of(store) if m.responses.untrained is not None]
    return found


def of_trained(store: Store) -> EvaluationManifest:
    (found,) = [m for m in evaluations_of(store) if m.responses.untrained is None]
    return found


#: Few steps and short rows: these tests ask whether it is the same again, not whether it is good.
TINY = (
    "training.num_steps=3",
    "training.batch_size=4",
    "training.warmup_steps=0",
    "model.architecture.num_hidden_layers=1",
)


def make_store(root: Path) -> Store:
    store = Store.init(root)
    store.generate_arithmetic(kinds=["addition"], n_digits=2, n=24, seed=0)
    store.build_dataset("sums", "v1", splits={"test": "0.2"})
    evalset = held_out_evalset(kinds=["addition", "subtraction"], n_digits=2, n=4, seed=0)
    (root / "evalsets" / "sums.jsonl").write_bytes(evalset)
    return store
