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
    (manifest,) = [
        m for m in [run.manifest for run in store.runs] if isinstance(m, TrainingManifest)
    ]
    return manifest


def evaluations_of(store: Store) -> list[EvaluationManifest]:
    return [m for m in [run.manifest for run in store.runs] if isinstance(m, EvaluationManifest)]


def of_untrained(store: Store) -> EvaluationManifest:
    (found,) = [m for m in evaluations_of(store) if m.responses.untrained is not None]
    return found


def of_trained(store: Store) -> EvaluationManifest:
    (found,) = [m for m in evaluations_of(store) if m.responses.untrained is None]
    return found


#: As small as it gets. What is compiled depends on these and not on how many steps there are, and
#: compiling is nearly all of the time of a test that trains: with one size, it is done once.
SMALL = (
    "model.architecture.hidden_size=16",
    "model.architecture.intermediate_size=32",
    "model.architecture.num_hidden_layers=1",
    "model.architecture.head_dim=8",
    "training.batch_size=4",
    "training.weight_decay=0.1",
)
#: Few steps: these tests ask whether it is the same again, not whether it is good. They are large,
#: so that the model says something else than it said before.
TINY = (
    *SMALL,
    "training.num_steps=3",
    "training.warmup_steps=0",
    "training.learning_rate=0.1",
)
#: The same model in a file, before what a test adds.
SMALL_MODEL = """\
[model]
name = "nano"
[model.architecture]
hidden_size = 16
intermediate_size = 32
num_hidden_layers = 1
head_dim = 8
"""
#: All of `TINY` in a file.
TINY_FILE = f"""\
{SMALL_MODEL}[training]
num_steps = 3
batch_size = 4
warmup_steps = 0
weight_decay = 0.1
learning_rate = 0.1
"""


def make_store(root: Path) -> Store:
    store = Store.init(root)
    store.traces.generate_arithmetic(kinds=["addition"], n_digits=2, n=24, seed=0)
    store.datasets.build("sums", "v1", splits={"test": "0.2"})
    evalset = held_out_evalset(kinds=["addition", "subtraction"], n_digits=2, n=4, seed=0)
    (root / "evalsets" / "sums.jsonl").write_bytes(evalset)
    return store
