"""Offline, on the processor, without caches that outlive a test."""

from __future__ import annotations

import os

# Read when the libraries are imported.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
