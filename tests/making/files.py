"""What a directory holds, byte for byte: to show that a refused command wrote nothing."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003

TRACE = {
    "trace_version": "1.0",
    "prompt": "What is 15 + 27?",
    "final_answer": "42",
    "steps": [
        {"i": 0, "type": "parse", "content": "Parse the addition problem"},
        {"i": 1, "type": "compute", "content": "Add 15 and 27"},
    ],
    "meta": {"source": "manual"},
}


def tree(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
