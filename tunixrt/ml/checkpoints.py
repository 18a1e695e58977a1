"""What a checkpoint holds: everything that the next step depends on, and the metrics up to it.

``model/`` is a whole model directory, so a checkpoint can be evaluated, or be the base of another
run. ``opt_state.safetensors`` is the optimiser's state. ``metrics.jsonl`` has the lines of the
steps so far: lines written after the checkpoint are recomputed, with the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tunixrt.ml.tokenizer import ByteTokenizer
from tunixrt.ml.weights import MODEL_DIRECTORY, load_model, save_model, weights_bytes
from tunixrt.ml.xla import jax, jnp, safetensors
from tunixrt.runs.lines import MetricsLine, encode_lines, read_struct_lines
from tunixrt.runs.run import METRICS_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from tunixrt.ml.model import ModelConfig

_OPT_STATE = "opt_state.safetensors"


@dataclass(frozen=True)
class SavedTraining:
    """A training as a checkpoint holds it; the optimiser's state by the names of its leaves."""

    weights: dict[str, NDArray[np.float32]]
    opt_state: dict[str, NDArray[np.float32]]
    metrics: list[MetricsLine]


def write_training(
    directory: Path,
    *,
    weights: dict[str, NDArray[np.float32]],
    opt_state: Any,
    metrics: Iterable[MetricsLine],
    config: ModelConfig,
) -> None:
    """Write the files of a checkpoint into a directory, which the caller publishes."""
    save_model(directory / MODEL_DIRECTORY, weights, config, ByteTokenizer())
    leaves = {name: np.asarray(leaf) for name, leaf in _named(opt_state)}
    (directory / _OPT_STATE).write_bytes(weights_bytes(leaves))
    (directory / METRICS_NAME).write_bytes(encode_lines(metrics))


def read_training(directory: Path) -> SavedTraining:
    """Read a checkpoint whose digests the caller has verified."""
    return SavedTraining(
        weights=load_model(directory / MODEL_DIRECTORY).weights,
        opt_state=safetensors.load((directory / _OPT_STATE).read_bytes()),
        metrics=[m for _, m in read_struct_lines(directory / METRICS_NAME, MetricsLine, "a step")],
    )


def restored(opt_state: Any, leaves: dict[str, NDArray[np.float32]]) -> Any:
    """An optimiser's state like ``opt_state``, with its leaves from a checkpoint."""
    structure = jax.tree.structure(opt_state)
    return jax.tree.unflatten(
        structure, [jnp.asarray(leaves[name], jnp.float32) for name, _ in _named(opt_state)]
    )


def _named(tree: Any) -> list[tuple[str, Any]]:
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="."), leaf) for path, leaf in paths]
