"""The named configurations, each complete: a config file lists only differences.

``nano`` is the one that tests, CI and the tutorial train, on addition; ``nano-arithmetic`` learns
addition, subtraction and multiplication together. docs/recipes.md lists the alternatives that were
tried.
"""

from __future__ import annotations

from typing import Any

_LARGER_TRAINING = {
    "num_steps": 2000,
    "learning_rate": 0.001,
    "batch_size": 32,
    "lr_scheduler": "cosine",
    "warmup_steps": 100,
    "weight_decay": 0.1,
}

# About 0.21 million parameters. Every layer attends to the whole row: rows are short.
_NANO_ARCHITECTURE = {
    "hidden_size": 64,
    "intermediate_size": 256,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "query_pre_attn_scalar": 32,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10_000.0,
    "rope_local_base_freq": 10_000.0,
    "sliding_window": 128,
    "sliding_window_pattern": 1,
}

PRESETS: dict[str, dict[str, Any]] = {
    "nano": {
        "model": {"name": "nano", "max_length": 128, "architecture": _NANO_ARCHITECTURE},
        "training": {
            "num_steps": 400,
            "learning_rate": 0.008,
            "batch_size": 32,
            "lr_scheduler": "linear",
            "warmup_steps": 50,
            "weight_decay": 0.0,
        },
    },
    # For several kinds of problem at once: more and smaller updates, and a rotary base whose lowest
    # frequency still completes a turn within a row.
    "nano-arithmetic": {
        "model": {
            "name": "nano-arithmetic",
            "max_length": 128,
            "architecture": {**_NANO_ARCHITECTURE, "rope_theta": 500.0},
        },
        "training": {
            "num_steps": 2000,
            "learning_rate": 0.005,
            "batch_size": 8,
            "lr_scheduler": "linear",
            "warmup_steps": 50,
            "weight_decay": 0.0,
        },
    },
    # About 3.3 million parameters; a small version of Gemma 3's sliding pattern.
    "micro": {
        "model": {
            "name": "micro",
            "max_length": 512,
            "architecture": {
                "hidden_size": 192,
                "intermediate_size": 768,
                "num_hidden_layers": 6,
                "num_attention_heads": 6,
                "num_key_value_heads": 2,
                "head_dim": 32,
                "query_pre_attn_scalar": 32,
                "rms_norm_eps": 1e-6,
                "rope_theta": 100_000.0,
                "rope_local_base_freq": 10_000.0,
                "sliding_window": 128,
                "sliding_window_pattern": 3,
            },
        },
        "training": _LARGER_TRAINING,
    },
    # About 21 million parameters: for a machine with an accelerator.
    "small": {
        "model": {
            "name": "small",
            "max_length": 1024,
            "architecture": {
                "hidden_size": 384,
                "intermediate_size": 1536,
                "num_hidden_layers": 10,
                "num_attention_heads": 6,
                "num_key_value_heads": 2,
                "head_dim": 64,
                "query_pre_attn_scalar": 64,
                "rms_norm_eps": 1e-6,
                "rope_theta": 1_000_000.0,
                "rope_local_base_freq": 10_000.0,
                "sliding_window": 256,
                "sliding_window_pattern": 5,
            },
        },
        "training": _LARGER_TRAINING,
    },
}
