"""One small store with a trained model and its evaluations, made once and copied for each test."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tunixrt import Store
from tunixrt.store import held_out_evalset

if TYPE_CHECKING:
    from pathlib import Path

#: Few steps and short rows: these tests ask whether it is the same again, not whether it is good.
TINY = (
    "training.num_steps=3",
    "training.batch_size=4",
    "training.warmup_steps=0",
    "model.architecture.num_hidden_layers=1",
)


def make_store(root: Path) -> Store:
    store = Store.init(root)
    store.traces.generate_arithmetic(kinds=["addition"], n_digits=2, n=24, seed=0)
    store.datasets.build("sums", "v1", splits={"test": "0.2"})
    evalset = held_out_evalset(kinds=["addition", "subtraction"], n_digits=2, n=4, seed=0)
    (root / "evalsets" / "sums.jsonl").write_bytes(evalset)
    return store


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the runs: training, evaluation before, evaluation after."""
    root = tmp_path_factory.mktemp("trained")
    store = make_store(root)
    (root / "tiny.toml").write_text(
        '[model]\nname = "nano"\n[model.architecture]\nnum_hidden_layers = 1\n'
        "[training]\nnum_steps = 3\nbatch_size = 4\nwarmup_steps = 0\n"
    )
    config = str(root / "tiny.toml")
    run_id = store.runs.train(config, dataset="sums-v1").manifest.run_id
    store.runs.evaluate(run_id, evalset="sums", max_new_tokens=6)
    store.runs.evaluate(f"untrained:{config}", evalset="sums", max_new_tokens=6)
    return root


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Store:
    """A copy of that store at another path."""
    shutil.copytree(trained, tmp_path / "copy")
    return Store.open(tmp_path / "copy")
