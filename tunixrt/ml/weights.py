"""Models as directories: Hugging Face's layout, the same bytes for the same weights.

``config.json``, ``model.safetensors``, ``tokenizer.json`` and ``tokenizer_config.json``, as
``transformers`` reads them. The digest of the weights is the SHA-256 of ``model.safetensors``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tunixrt.errors import BadInputError
from tunixrt.log import canonical
from tunixrt.log.digests import digest_bytes
from tunixrt.ml.model import ModelConfig
from tunixrt.ml.tokenizer import BOS, END_OF_TURN, EOS, PAD, ByteTokenizer
from tunixrt.ml.xla import SafetensorError, nnx, safetensors
from tunixrt.runs.architecture import Architecture, ArchitectureError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from tunixrt.log.digests import Digest

MODEL_DIRECTORY = "model"
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
_LENGTH = "max_position_embeddings"


class ModelDirectoryError(BadInputError):
    """A directory does not contain a model that tunixrt can read.

    Attributes:
        path: the file at fault.
        problem: what is wrong with it.
    """

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


@dataclass(frozen=True)
class LoadedModel:
    """What a model directory holds; weights by Hugging Face name, matrices [outputs, inputs]."""

    config: ModelConfig
    weights: dict[str, NDArray[np.float32]]
    tokenizer: ByteTokenizer


def save_model(
    directory: Path,
    weights: Mapping[str, NDArray[np.float32]],
    config: ModelConfig,
    tokenizer: ByteTokenizer,
) -> Digest:
    """Write a model into ``directory``, which is created if it does not exist.

    Args:
        directory: the target; the caller stages and publishes it.
        weights: every tensor of ``config.tensor_shapes()``.
        config: the decoder's sizes.
        tokenizer: the one that it was trained with.

    Returns:
        The digest of ``model.safetensors``.
    """
    directory.mkdir(parents=True, exist_ok=True)
    data = weights_bytes(weights)
    (directory / WEIGHTS_FILE).write_bytes(data)
    (directory / CONFIG_FILE).write_bytes(_config_json(config))
    (directory / TOKENIZER_FILE).write_bytes(tokenizer.tokenizer_json())
    (directory / TOKENIZER_CONFIG_FILE).write_bytes(tokenizer.tokenizer_config_json())
    return digest_bytes(data)


def weights_bytes(weights: Mapping[str, NDArray[np.float32]]) -> bytes:
    """The bytes of ``model.safetensors``: names sorted, C order, one metadata key.

    The library writes several metadata keys in random order, and an array in Fortran order with
    its elements in the wrong places; hence one key, and ``np.asarray(order="C")``.
    """
    tensors = {
        name: np.asarray(tensor, np.float32, order="C") for name, tensor in sorted(weights.items())
    }
    return safetensors.save(tensors, metadata={"format": "pt"})


def tensors_of(params: Any, to_array: Callable[[Any], Any]) -> dict[str, Any]:
    """A decoder's params (the ``nnx.Param`` part of its state) as Hugging Face has them.

    Args:
        params: of NumPy or jax arrays, or of tracers inside of jit.
        to_array: converts each to an array, before matrices are transposed.

    Returns:
        The tensors by their Hugging Face names, sorted by these.
    """
    tensors = {}
    for path, variable in nnx.to_flat_state(params):
        array = to_array(variable[...])
        *modules, leaf = path
        name = ".".join(["model", *map(str, modules), "weight"])
        tensors[name] = array.T if leaf == "kernel" else array
    return dict(sorted(tensors.items()))


def weights_of(params: Any) -> dict[str, NDArray[np.float32]]:
    """A decoder's params as a model directory holds them."""
    tensors = tensors_of(params, lambda leaf: np.asarray(leaf, np.float32))
    return {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}


def load_model(directory: Path) -> LoadedModel:
    """Read a model directory.

    Raises:
        ModelDirectoryError: a file is missing or damaged, the model is of another family, or its
            tensors do not fit its config.json.
    """
    config = read_config(directory)
    tokenizer = ByteTokenizer()
    path = directory / TOKENIZER_FILE
    if _read(path) != tokenizer.tokenizer_json():
        raise ModelDirectoryError(path, "is not the byte tokenizer, the only one so far.")
    if config.vocab_size != tokenizer.vocab_size:
        raise ModelDirectoryError(
            directory / CONFIG_FILE,
            f"vocab_size is {config.vocab_size}, but the tokenizer has {tokenizer.vocab_size} ids.",
        )
    return LoadedModel(config, _read_weights(directory / WEIGHTS_FILE, config), tokenizer)


def read_config(directory: Path) -> ModelConfig:
    """The sizes of the model in a directory, from its ``config.json`` alone.

    Raises:
        ModelDirectoryError: the file is missing or damaged, or of another family.
    """
    path = directory / CONFIG_FILE
    try:
        described = canonical.decode(_read(path))
    except canonical.CanonicalError as error:
        raise ModelDirectoryError(path, f"is not JSON: {error}") from error
    if not isinstance(described, dict):
        raise ModelDirectoryError(path, "is not a JSON object.")
    try:
        architecture = Architecture.from_huggingface(described)
    except ArchitectureError as error:
        raise ModelDirectoryError(path, error.problem) from error
    return ModelConfig(
        architecture, _size(path, described, "vocab_size"), _size(path, described, _LENGTH)
    )


def _config_json(config: ModelConfig) -> bytes:
    described = config.architecture.to_huggingface() | {
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.max_length,
        "pad_token_id": PAD,
        "bos_token_id": BOS,
        # transformers stops generating at either.
        "eos_token_id": [EOS, END_OF_TURN],
        "dtype": "float32",
        "use_cache": True,
    }
    return json.dumps(described, indent=2, sort_keys=True).encode() + b"\n"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelDirectoryError(path, f"cannot be read: {error.strerror}.") from error


def _size(path: Path, described: Mapping[str, object], key: str) -> int:
    value = described.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ModelDirectoryError(path, f"{key} should be a positive integer, found {value!r}.")
    return value


def _read_weights(path: Path, config: ModelConfig) -> dict[str, NDArray[np.float32]]:
    try:
        tensors = safetensors.load(_read(path))
    except SafetensorError as error:
        raise ModelDirectoryError(path, f"is not a safetensors file: {error}.") from error
    expected = config.tensor_shapes()
    if missing := sorted(expected.keys() - tensors.keys()):
        raise ModelDirectoryError(path, f"the tensor {missing[0]} is missing ({len(missing)} are).")
    if unknown := sorted(tensors.keys() - expected.keys()):
        raise ModelDirectoryError(
            path, f"the tensor {unknown[0]} is not one of this model's ({len(unknown)} are not)."
        )
    for name, shape in expected.items():
        found = tensors[name]
        if found.shape != shape or found.dtype != np.float32:
            raise ModelDirectoryError(
                path,
                f"the tensor {name} should be float32 {list(shape)}, found {found.dtype} "
                f"{list(found.shape)}.",
            )
    return {name: tensors[name] for name in expected}
