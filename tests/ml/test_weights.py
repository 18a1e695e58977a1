"""Model directories: the bytes of safetensors, and what is said of damaged ones."""

from __future__ import annotations

import hashlib
import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save

from tests.making.models import SLIDING, decoder, sliding_config
from tunixrt.ml.model import initial_weights
from tunixrt.ml.tokenizer import ByteTokenizer
from tunixrt.ml.weights import (
    ModelDirectoryError,
    load_model,
    read_config,
    save_model,
    weights_bytes,
    weights_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

pytestmark = pytest.mark.usefixtures("fast_mode")


@pytest.fixture
def weights() -> dict[str, NDArray[np.float32]]:
    return initial_weights(sliding_config(), 0)


@pytest.fixture
def saved(tmp_path: Path, weights: dict[str, NDArray[np.float32]]) -> Path:
    save_model(tmp_path, weights, sliding_config(), ByteTokenizer())
    return tmp_path


def header_of(data: bytes) -> dict[str, dict[str, Any]]:
    (size,) = struct.unpack("<Q", data[:8])
    header: dict[str, dict[str, Any]] = json.loads(data[8 : 8 + size])
    return header


def test_a_saved_model_loads_as_it_was(
    saved: Path, weights: dict[str, NDArray[np.float32]]
) -> None:
    loaded = load_model(saved)
    assert loaded.config == sliding_config()
    assert list(loaded.weights) == list(weights)
    for name, tensor in weights.items():
        np.testing.assert_array_equal(loaded.weights[name], tensor)


def test_the_digest_is_the_sha256_of_the_safetensors_file(
    tmp_path: Path, weights: dict[str, NDArray[np.float32]]
) -> None:
    digest = save_model(tmp_path, weights, sliding_config(), ByteTokenizer())
    data = (tmp_path / "model.safetensors").read_bytes()
    assert digest == "sha256:" + hashlib.sha256(data).hexdigest()


def test_names_are_sorted_and_there_is_one_metadata_key(saved: Path) -> None:
    header = header_of((saved / "model.safetensors").read_bytes())
    assert header.pop("__metadata__") == {"format": "pt"}
    assert list(header) == sorted(header)
    offsets = [entry["data_offsets"] for entry in header.values()]
    assert offsets == sorted(offsets)


def test_the_order_of_the_dictionary_and_of_memory_does_not_reach_the_bytes(
    weights: dict[str, NDArray[np.float32]],
) -> None:
    jumbled = {
        name: np.asarray(tensor, order="F") for name, tensor in reversed(list(weights.items()))
    }
    assert weights_bytes(jumbled) == weights_bytes(weights)


def test_the_params_of_a_decoder_have_their_hugging_face_names(
    weights: dict[str, NDArray[np.float32]],
) -> None:
    params = nnx.state(decoder(sliding_config()), nnx.Param)
    again = weights_of(params)
    assert list(again) == list(weights)
    for name, tensor in weights.items():
        np.testing.assert_array_equal(again[name], tensor)
        assert again[name].flags.c_contiguous


def test_config_json_is_what_transformers_reads(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    assert config["architectures"] == ["Gemma3ForCausalLM"]
    assert config["model_type"] == "gemma3_text"
    assert config["layer_types"] == ["sliding_attention", "full_attention", "sliding_attention"]
    assert config["rope_parameters"]["sliding_attention"]["rope_theta"] == 1000.0
    assert (config["vocab_size"], config["max_position_embeddings"]) == (261, 64)
    assert config["eos_token_id"] == [1, 4]


def damage_config(directory: Path, **changes: object) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"model_type": "llama"}, "does not describe a model: family"),
        ({"hidden_size": "big"}, "does not describe a model: hidden_size"),
        ({"vocab_size": 300}, "vocab_size is 300, but the tokenizer has 261 ids."),
        ({"vocab_size": 0}, "vocab_size should be a positive integer, found 0."),
        ({"max_position_embeddings": True}, "should be a positive integer, found True."),
        ({"attn_logit_softcapping": 50.0}, "has attn_logit_softcapping = 50.0"),
        ({"num_attention_heads": 3}, "must be a multiple of"),
        ({"layer_types": ["full_attention"] * 3}, "has layer_types that are not"),
        (
            {"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8.0}}},
            "has rope_type 'linear' for full_attention",
        ),
    ],
)
def test_a_config_that_is_not_computed_here_is_an_error(
    saved: Path, changes: dict[str, object], problem: str
) -> None:
    damage_config(saved, **changes)
    with pytest.raises(ModelDirectoryError) as caught:
        load_model(saved)
    assert caught.value.path == saved / "config.json"
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("config.json", b"{", "is not JSON"),
        ("config.json", b"[]", "is not a JSON object"),
        ("model.safetensors", b"no", "is not a safetensors file"),
        ("tokenizer.json", b"{}", "is not the byte tokenizer"),
    ],
)
def test_a_damaged_file_is_named(saved: Path, name: str, data: bytes, problem: str) -> None:
    (saved / name).write_bytes(data)
    with pytest.raises(ModelDirectoryError, match=problem) as caught:
        load_model(saved)
    assert caught.value.path == saved / name


def test_the_sizes_are_read_without_the_weights(saved: Path) -> None:
    (saved / "model.safetensors").unlink()
    (saved / "tokenizer.json").unlink()
    assert read_config(saved) == sliding_config()


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(ModelDirectoryError, match=f"{name}: cannot be read: No such file"):
        load_model(saved)


@pytest.mark.parametrize(
    ("replacement", "problem"),
    [
        (None, "the tensor model.norm.weight is missing (1 are)"),
        (np.zeros(3, np.float32), "should be float32 [24], found float32 [3]"),
        (np.zeros(24, np.float16), "should be float32 [24], found float16 [24]"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(
    saved: Path,
    weights: dict[str, NDArray[np.float32]],
    replacement: NDArray[np.float32] | None,
    problem: str,
) -> None:
    del weights["model.norm.weight"]
    if replacement is not None:
        weights["model.norm.weight"] = replacement
    (saved / "model.safetensors").write_bytes(save(weights))
    with pytest.raises(ModelDirectoryError) as caught:
        load_model(saved)
    assert problem in str(caught.value)


def test_a_tensor_of_another_model_is_named(
    saved: Path, weights: dict[str, NDArray[np.float32]]
) -> None:
    weights["lm_head.weight"] = np.zeros(3, np.float32)
    (saved / "model.safetensors").write_bytes(save(weights))
    with pytest.raises(ModelDirectoryError, match=r"the tensor lm_head.weight is not one of"):
        load_model(saved)


def test_a_config_json_of_transformers_4_is_read_too(saved: Path) -> None:
    path = saved / "config.json"
    described = json.loads(path.read_text())
    del described["rope_parameters"], described["layer_types"]
    path.write_text(json.dumps(described))
    assert load_model(saved).config.architecture == SLIDING


def test_a_rotary_base_that_is_given_flat_only_is_read_too(saved: Path) -> None:
    damage_config(saved, rope_parameters={"full_attention": {"rope_type": "default"}})
    assert load_model(saved).config.architecture == SLIDING


def test_a_config_json_of_transformers_5_without_the_flat_keys_is_read_too(saved: Path) -> None:
    path = saved / "config.json"
    described = json.loads(path.read_text())
    for key in ("rope_theta", "rope_local_base_freq", "sliding_window_pattern"):
        del described[key]
    path.write_text(json.dumps(described))
    assert load_model(saved).config.architecture == SLIDING
