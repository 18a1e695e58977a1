"""Others that train the same model on the same examples: PyTorch with transformers, and tunix.

Run by `benchmarks.train` in environments of their own as
`python -m benchmarks.training_peers torch|tunix DIRECTORY`. The directory has `model/` in Hugging
Face's layout and `examples.npz`: tokens [n, L + 1] int32, padded with 0, lengths [n] int32, and
learned [n, L + 1] bool, which of the tokens are learned.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.turns import take_turns

BATCH_SIZE = 8


def torch_contender(directory: Path) -> None:
    """The model of transformers, every batch padded to its longest example."""
    import torch  # type: ignore[import-not-found]
    from transformers import Gemma3ForCausalLM  # type: ignore[import-not-found]

    model = Gemma3ForCausalLM.from_pretrained(directory / "model", dtype=torch.float32).train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=0.0, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.0, fused=True
    )
    examples = np.load(directory / "examples.npz")
    learned, lengths = examples["learned"], examples["lengths"]
    batches = []
    for start in range(0, len(lengths), BATCH_SIZE):
        chosen = slice(start, start + BATCH_SIZE)
        longest = int(lengths[chosen].max())
        tokens = torch.from_numpy(examples["tokens"][chosen, :longest].astype(np.int64))
        targets = tokens.masked_fill(~torch.from_numpy(learned[chosen, :longest]), -100)
        places = torch.arange(longest - 1)
        mask = (places < torch.from_numpy(lengths[chosen, None])).long()
        batches.append((tokens[:, :-1], targets[:, 1:].reshape(-1), None if mask.all() else mask))

    def step(batch: Any) -> tuple[float, int]:
        tokens, targets, mask = batch
        logits = model(input_ids=tokens, attention_mask=mask, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.reshape(len(targets), -1), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach()), int((targets >= 0).sum())

    def all_examples(learning_rate: float) -> float:
        optimizer.param_groups[0]["lr"] = learning_rate
        losses = [step(batch) for batch in batches]
        return sum(loss * n for loss, n in losses) / sum(n for _, n in losses)

    take_turns(lambda: step(batches[0]), all_examples)


def tunix_contender(directory: Path) -> None:
    """google-tunix's PeftTrainer over all weights, every example padded to the longest row."""
    import jax.numpy as jnp
    import optax  # type: ignore[import-untyped]
    from tunix.sft import hooks, peft_trainer, utils  # type: ignore[import-not-found]

    model = _tunix_model(directory / "model")
    examples = np.load(directory / "examples.npz")
    learned = examples["learned"]
    batches = [
        peft_trainer.TrainingInput(
            input_tokens=examples["tokens"][start : start + BATCH_SIZE],
            input_mask=learned[start : start + BATCH_SIZE],
        )
        for start in range(0, len(learned), BATCH_SIZE)
    ]

    def model_input(given: Any) -> dict[str, Any]:
        present = given.input_tokens != 0
        return {
            "input_tokens": given.input_tokens,
            "input_mask": given.input_mask,
            "positions": utils.build_positions_from_mask(present),
            "attention_mask": utils.make_causal_attn_mask(present),
        }

    def rate(count: Any) -> Any:
        return jnp.where(count > len(batches), 1e-3, 0.0)  # zero in the first turn

    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(rate, 0.9, 0.98, 1e-8, weight_decay=0.0)
    )
    trainer = peft_trainer.PeftTrainer(
        model, optimizer, peft_trainer.TrainingConfig(eval_every_n_steps=10**9)
    ).with_gen_model_input_fn(model_input)
    trainer.is_managed_externally = True  # or it closes itself after every call of train
    losses: list[Any] = []

    class Losses(hooks.TrainingHooks):  # type: ignore[misc]
        def on_train_start(self, train_ctx: Any) -> None: ...
        def on_train_end(self, train_ctx: Any) -> None: ...
        def on_train_step_start(self, train_ctx: Any) -> None: ...
        def on_train_step_end(self, train_ctx: Any, train_step: Any, train_loss: Any) -> None:
            del train_ctx, train_step
            losses.append(train_loss)

        def on_eval_step_start(self, train_ctx: Any) -> None: ...
        def on_eval_step_end(self, train_ctx: Any, eval_loss: Any) -> None: ...

    trainer.with_training_hooks(Losses())
    n_learned = [int(batch.input_mask[:, 1:].sum()) for batch in batches]

    def all_examples(_: float) -> float:
        losses.clear()
        trainer.train(batches)
        # The last step's loss would otherwise come a call later.
        trainer._write_train_metrics()  # noqa: SLF001
        return float(np.average(np.array(losses[-len(batches) :], float), weights=n_learned))

    take_turns(lambda: trainer.train(batches[:1]), all_examples)


def _tunix_model(directory: Path) -> Any:
    """Our model in tunix's own module; its kernels start at zero, so all of them are replaced."""
    import jax.numpy as jnp
    from flax import nnx
    from safetensors.numpy import load_file
    from tunix.models.gemma3 import model as gemma3  # type: ignore[import-not-found]

    config = json.loads((directory / "config.json").read_text())
    weights = load_file(directory / "model.safetensors")
    width, n_heads, head_dim = (
        config[key] for key in ("hidden_size", "num_attention_heads", "head_dim")
    )
    model = gemma3.Gemma3(
        gemma3.ModelConfig(
            num_layers=config["num_hidden_layers"],
            num_embed=config["vocab_size"],
            embed_dim=width,
            hidden_dim=config["intermediate_size"],
            num_heads=n_heads,
            head_dim=head_dim,
            num_kv_heads=config["num_key_value_heads"],
            sliding_window_size=config["sliding_window"],
            local_base_frequency=int(config["rope_local_base_freq"]),
            global_base_frequency=int(config["rope_theta"]),
            param_dtype=jnp.float32,
        ),
        rngs=nnx.Rngs(0),
    )

    def heads(name: str) -> Any:
        """[outputs, inputs] as [heads, inputs, entries of a head]."""
        return weights[name].reshape(-1, head_dim, width).transpose(0, 2, 1)

    def put(variable: Any, value: Any) -> None:
        assert variable.value.shape == value.shape, (variable.value.shape, value.shape)
        variable.value = jnp.asarray(value, jnp.float32)

    put(model.embedder.input_embedding, weights["model.embed_tokens.weight"])
    put(model.final_norm.scale, weights["model.norm.weight"])
    for number, layer in enumerate(model.layers):
        name = f"model.layers.{number}."
        attention = name + "self_attn."
        put(layer.attn.q_einsum.w, heads(attention + "q_proj.weight"))
        keys, values = (heads(f"{attention}{which}_proj.weight") for which in "kv")
        put(layer.attn.kv_einsum.w, np.stack([keys, values]))
        out = weights[attention + "o_proj.weight"]
        put(layer.attn.attn_vec_einsum.w, out.T.reshape(n_heads, head_dim, width))
        put(layer.attn._query_norm.scale, weights[attention + "q_norm.weight"])  # noqa: SLF001
        put(layer.attn._key_norm.scale, weights[attention + "k_norm.weight"])  # noqa: SLF001
        for which in ("gate", "up", "down"):
            kernel = getattr(layer.mlp, f"{which}_proj").kernel
            put(kernel, weights[f"{name}mlp.{which}_proj.weight"].T)
        for theirs, ours in (
            ("pre_attention", "input"),
            ("post_attention", "post_attention"),
            ("pre_ffw", "pre_feedforward"),
            ("post_ffw", "post_feedforward"),
        ):
            put(getattr(layer, f"{theirs}_norm").scale, weights[f"{name}{ours}_layernorm.weight"])
    return model


if __name__ == "__main__":
    {"torch": torch_contender, "tunix": tunix_contender}[sys.argv[1]](Path(sys.argv[2]))
