"""Small events, and stores made of them, for the tests of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunixrt.log.canonical import encode
from tunixrt.log.digests import Digest, digest_bytes
from tunixrt.log.segment.events import RECORDED, Envelope

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Event = tuple[Envelope, bytes | None]


def recorded(value: object) -> Event:
    """The event that records a payload."""
    payload = encode(value)
    return Envelope(RECORDED, payload=digest_bytes(payload)), payload


def trace(n: int, *, n_characters: int = 0) -> Event:
    """The n-th of a row of traces that differ."""
    return recorded({"prompt": f"What is {n} + 1?", "steps": ["x" * n_characters], "n": n})


def trace_id(n: int, *, n_characters: int = 0) -> Digest:
    """The id of the n-th trace."""
    payload = trace(n, n_characters=n_characters)[0].payload
    assert payload is not None
    return payload


def traces(*numbers: int) -> Iterator[Event]:
    """Several traces in the order given."""
    return (trace(n) for n in numbers)


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a directory, except for what is being staged, by its relative path."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".tmp" not in path.parts
    }
