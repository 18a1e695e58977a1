"""One small store with a trained model and its evaluations, made once and copied for each test."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.making.trainings import make_store
from tunixrt import Store

if TYPE_CHECKING:
    from pathlib import Path


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
    run_id = store.train(config, dataset="sums-v1").manifest.run_id
    store.evaluate(run_id, evalset="sums", max_new_tokens=6)
    store.evaluate(f"untrained:{config}", evalset="sums", max_new_tokens=6)
    return root


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Store:
    """A copy of that store at another path."""
    shutil.copytree(trained, tmp_path / "copy")
    return Store.open(tmp_path / "copy")
