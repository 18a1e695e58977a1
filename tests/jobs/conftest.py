"""One small store with a trained model and its evaluations, made once and copied for each test."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from tests.making.trainings import TINY_FILE, make_store
from tunixrt import Store

if TYPE_CHECKING:
    from pathlib import Path


def make_trained(root: Path) -> None:
    """Training, evaluation after, evaluation before."""
    root.mkdir()
    store = make_store(root)
    (root / "tiny.toml").write_text(TINY_FILE)
    config = str(root / "tiny.toml")
    run_id = store.runs.train(config, dataset="sums-v1").manifest.run_id
    store.runs.evaluate(run_id, evalset="sums", max_new_tokens=6)
    store.runs.evaluate(f"untrained:{config}", evalset="sums", max_new_tokens=6)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with these runs, which the workers of pytest-xdist share: nobody writes to it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    root = shared / "trained"
    with FileLock(shared / "trained.lock"):
        if not root.exists():
            make_trained(shared / "trained-unfinished")
            (shared / "trained-unfinished").rename(root)
    return root


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Store:
    """A copy of that store at another path."""
    shutil.copytree(trained, tmp_path / "copy")
    return Store.open(tmp_path / "copy")
