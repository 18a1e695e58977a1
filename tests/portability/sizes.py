"""The configuration that the portability tests train: small, but large enough to be threaded."""

from __future__ import annotations

SIZES = (
    "model.max_length=96",
    "model.architecture.hidden_size=96",
    "model.architecture.intermediate_size=256",
    "model.architecture.num_hidden_layers=2",
    "model.architecture.num_attention_heads=4",
    "model.architecture.num_key_value_heads=2",
    "model.architecture.head_dim=24",
    "model.architecture.query_pre_attn_scalar=24",
    "model.architecture.sliding_window=32",
    "model.architecture.sliding_window_pattern=2",
    "training.num_steps=8",
    "training.warmup_steps=2",
    "training.batch_size=32",
    "training.weight_decay=0.1",
    "training.max_grad_norm=1.0",
)
