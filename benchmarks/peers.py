"""What one would use instead of a store, as small programs: each reads one JSONL of traces.

Run as `python -m benchmarks.peers NAME FILE TARGET`.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

_BATCH = 1000


def pydantic_loop(source: Path, target: Path) -> None:
    """Validate each trace and write it again: what a script without a library does."""
    from pydantic import BaseModel, ConfigDict, Field

    class Step(BaseModel):
        model_config = ConfigDict(extra="forbid")
        i: int = Field(ge=0)
        type: str = Field(min_length=1, max_length=64)
        content: str = Field(min_length=1, max_length=20_000)

    class Trace(BaseModel):
        model_config = ConfigDict(extra="forbid")
        trace_version: str = Field(min_length=1, max_length=64)
        prompt: str = Field(min_length=1, max_length=50_000)
        final_answer: str = Field(min_length=1, max_length=50_000)
        steps: list[Step] = Field(min_length=1, max_length=1000)
        meta: dict[str, Any] = {}

    with source.open("rb") as lines, target.open("w", encoding="utf-8") as out:
        for line in lines:
            trace = Trace.model_validate(json.loads(line))
            out.write(json.dumps(trace.model_dump(), ensure_ascii=False, sort_keys=True) + "\n")
        out.flush()
        os.fsync(out.fileno())


def sqlite_wal(source: Path, target: Path) -> None:
    """Insert each line by the digest of its bytes, a thousand a transaction, in WAL mode."""
    import hashlib

    database = sqlite3.connect(target, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE traces (id BLOB PRIMARY KEY, payload TEXT) WITHOUT ROWID")
    rows: list[tuple[bytes, str]] = []

    def flush() -> None:
        database.execute("BEGIN")
        database.executemany("INSERT OR IGNORE INTO traces VALUES (?, ?)", rows)
        database.execute("COMMIT")
        rows.clear()

    with source.open("rb") as lines:
        for line in lines:
            rows.append((hashlib.sha256(line).digest(), line.decode()))
            if len(rows) == _BATCH:
                flush()
    flush()
    database.close()


def hugging_face(source: Path, target: Path) -> None:
    """Load the file with Hugging Face datasets, and save it as Arrow."""
    import datasets  # type: ignore[import-not-found]

    loaded = datasets.load_dataset(
        "json", data_files=str(source), split="train", cache_dir=str(target / "cache")
    )
    loaded.save_to_disk(str(target / "saved"))


if __name__ == "__main__":
    name, source, target = sys.argv[1:]
    {"pydantic": pydantic_loop, "sqlite": sqlite_wal, "datasets": hugging_face}[name](
        Path(source), Path(target)
    )
