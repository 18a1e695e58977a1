"""A dry run says what the run would be, and leaves no trace."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.making.files import tree
from tests.making.trainings import make_store
from tunixrt.errors import BadInputError
from tunixrt.ml.input.batches import OverlongExamplesError
from tunixrt.runs.config import RunConfig
from tunixrt.runs.manifests import TrainingManifest

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt import Store


def test_it_has_the_figures_of_the_run_itself(copy: Store) -> None:
    (manifest,) = [
        m for m in [run.manifest for run in copy.runs] if isinstance(m, TrainingManifest)
    ]
    before = tree(copy.root)
    dry = copy.runs.rehearse(str(copy.root / "tiny.toml"), dataset="sums-v1")
    assert tree(copy.root) == before
    assert dry.run_id == manifest.run_id
    assert dry.exists
    assert dry.run_directory == f"runs/{manifest.run_id}"
    assert dry.ledger == manifest.ledger
    assert RunConfig.from_resolved(dry.config).identity() == manifest.config
    assert dry.tokens.n_learned == manifest.results.n_loss_tokens
    assert dry.memory.n_params == manifest.results.n_params
    tokens = dry.tokens
    assert tokens.n_learned + tokens.n_read + tokens.n_padding == tokens.n_tokens
    assert tokens.n_tokens == 3 * 4 * tokens.row_length
    assert tokens.n_epochs == pytest.approx(12 / manifest.ledger.n_kept)


def test_packing_needs_fewer_rows_for_the_same_examples(copy: Store) -> None:
    dry = {
        packing: copy.runs.rehearse(
            "nano",
            dataset="sums-v1",
            overrides=[
                "training.num_steps=5",
                f"data.packing={packing}",
                "training.warmup_steps=0",
            ],
        )
        for packing in ("true", "false")
    }
    assert dry["true"].ledger == dry["false"].ledger
    assert dry["true"].tokens.n_rows_per_epoch <= dry["false"].tokens.n_rows_per_epoch
    assert dry["true"].run_id != dry["false"].run_id


def test_it_refuses_what_training_would_refuse(copy: Store) -> None:
    def rehearse(*overrides: str) -> None:
        copy.runs.rehearse("nano", dataset="sums-v1", overrides=overrides)

    with pytest.raises(OverlongExamplesError, match=r"more than model.max_length = 32"):
        rehearse("model.max_length=32")
    with pytest.raises(BadInputError, match="no examples in the split validation"):
        rehearse("training.eval_steps=2")
    with pytest.raises(OverlongExamplesError):
        rehearse("training.eval_steps=2", "data.validation_split=test", "model.max_length=32")


def test_the_validation_split_is_counted(copy: Store) -> None:
    overrides = ["training.eval_steps=2", "data.validation_split=test"]
    dry = copy.runs.rehearse("nano", dataset="sums-v1", overrides=overrides)
    lengths = [record.n_tokens for record in copy.datasets["sums-v1"].tokens(split="test")]
    assert dry.n_validation == len(lengths)
    overrides += [f"model.max_length={max(lengths) - 1}", "data.overlong=drop"]
    dry = copy.runs.rehearse("nano", dataset="sums-v1", overrides=overrides)
    n_dropped = lengths.count(max(lengths))
    assert 0 < n_dropped < len(lengths)
    assert dry.n_validation == len(lengths) - n_dropped
    assert dry.validation is not None
    assert dry.validation.n_dropped == n_dropped


def test_it_needs_no_jax(tmp_path: Path) -> None:
    make_store(tmp_path)
    code = (
        "import sys; from tunixrt import Store\n"
        "dry = Store.open(sys.argv[1]).runs.rehearse('nano', dataset='sums-v1')\n"
        "assert dry.checkpoint_step is None and not dry.exists\n"
        "assert not {'jax', 'flax', 'optax'} & sys.modules.keys()\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
