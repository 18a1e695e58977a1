"""One program that generates text, as a process that is told to again and again.

Run as `python -m benchmarks.generation_contenders NAME MODEL_DIRECTORY MAX_NEW_TOKENS BATCH_SIZE`
with the Python that has what NAME needs. It loads the model, then reads a JSON list of prompts
(token ids) from each line of the standard input and answers with a line of JSON: seconds of wall
and of CPU, peak mebibytes, and the new tokens of each prompt. The very first line that it writes is
empty: loaded.

Every contender is greedy, in float32, on the CPU, with a cache of keys and values.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Prompts = list[list[int]]


def tunixrt(
    directory: Path, n_new: int, batch_size: int, mode: str
) -> Callable[[Prompts], list[Any]]:
    from tunixrt.ml import environment

    environment.prepare(mode)  # before jax is imported
    from tunixrt.ml.generate import Generator

    generator = Generator(directory, max_new_tokens=n_new, batch_size=batch_size, numeric_mode=mode)
    return lambda prompts: [one.tokens for one in generator.run(prompts)]


def transformers(directory: Path, n_new: int, attention: str) -> Callable[[Prompts], list[Any]]:
    import torch  # type: ignore[import-not-found]
    from transformers import AutoModelForCausalLM  # type: ignore[import-not-found]

    model = AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, attn_implementation=attention
    ).eval()

    def generate(prompts: Prompts) -> list[Any]:
        ids = torch.tensor(prompts)
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=n_new,
            do_sample=False,
            use_cache=True,
        )
        tokens: list[Any] = out[:, ids.shape[1] :].tolist()
        return tokens

    return generate


class _Numbers:
    """A tokenizer for texts that are token ids already, written out."""

    def encode(self, text: str) -> list[int]:
        return [int(number) for number in text.split()]

    def decode(self, ids: list[int]) -> str:
        return " ".join(map(str, ids))

    def bos_id(self) -> int:
        return 2

    def eos_id(self) -> int:
        return 1

    def pad_id(self) -> int:
        return 0


def tunix(directory: Path, n_new: int) -> Callable[[Prompts], list[Any]]:
    import jax  # type: ignore[import-not-found,unused-ignore]
    from tunix.generate.sampler import CacheConfig, Sampler  # type: ignore[import-not-found]
    from tunix.models.gemma3 import model as gemma3  # type: ignore[import-not-found]
    from tunix.models.gemma3.params_safetensors import (  # type: ignore[import-not-found]
        create_model_from_safe_tensors,
    )

    sizes = json.loads((directory / "config.json").read_text())
    config = gemma3.ModelConfig(
        num_layers=sizes["num_hidden_layers"],
        num_embed=sizes["vocab_size"],
        embed_dim=sizes["hidden_size"],
        hidden_dim=sizes["intermediate_size"],
        num_heads=sizes["num_attention_heads"],
        head_dim=sizes["head_dim"],
        num_kv_heads=sizes["num_key_value_heads"],
        sliding_window_size=sizes["sliding_window"],
        local_base_frequency=int(sizes["rope_local_base_freq"]),
        global_base_frequency=int(sizes["rope_theta"]),
        param_dtype=jax.numpy.float32,
    )
    model = create_model_from_safe_tensors(str(directory), config, dtype=jax.numpy.float32)
    samplers: dict[int, Any] = {}

    def generate(prompts: Prompts) -> list[Any]:
        length = len(prompts[0])
        if length not in samplers:
            cache = CacheConfig(
                cache_size=length + n_new,
                num_layers=config.num_layers,
                num_kv_heads=config.num_kv_heads,
                head_dim=config.head_dim,
            )
            samplers[length] = Sampler(model, _Numbers(), cache)
        out = samplers[length](
            [" ".join(map(str, prompt)) for prompt in prompts],
            max_generation_steps=n_new,
            max_prompt_length=length,
        )
        return [[int(token) for token in row] for row in out.tokens]

    return generate


def contender(
    name: str, directory: Path, n_new: int, batch_size: int
) -> Callable[[Prompts], list[Any]]:
    kind, _, variant = name.partition("-")
    if kind == "tunixrt":
        return tunixrt(directory, n_new, batch_size, variant)
    if kind == "transformers":
        return transformers(directory, n_new, variant)
    return tunix(directory, n_new)


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    name, directory, n_new, batch_size = sys.argv[1:]
    generate = contender(name, Path(directory), int(n_new), int(batch_size))
    print(flush=True)
    for line in sys.stdin:
        prompts = json.loads(line)
        start, start_cpu = time.monotonic(), cpu_s()
        tokens = generate(prompts)
        answer = {
            "wall_s": time.monotonic() - start,
            "cpu_s": cpu_s() - start_cpu,
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "tokens": tokens,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
