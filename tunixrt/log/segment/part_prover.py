"""Proves a part that holds only valid recordings of traces, as nearly all parts do.

That is most of the work of a verification, and parts do not depend on each other, so a second
process proves every other part of a large segment. What it cannot prove, the
verification checks itself, line by line, with the messages.

Run as ``python -m tunixrt.log.segment.part_prover``.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from tunixrt.log.canonical import are_canonical
from tunixrt.log.merkle import MerkleTree
from tunixrt.log.second_process import SecondProcess, run_second
from tunixrt.log.segment.events import NULL
from tunixrt.log.segment.reader import read_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

AT_ONCE = 16
"""How many payloads are proved together: fewer are slower, and more often hold one not plain."""

_RECORDING = b'{"payload":"sha256:%b","type":"trace.recorded"}'
_HASH_BYTES = 32


class ProvedPart(NamedTuple):
    """A part without a fault.

    Attributes:
        root: The Merkle root over its envelopes, 32 bytes.
        leaves: Their leaf hashes, 32 bytes each.
    """

    root: bytes
    leaves: list[bytes]


def prove_part(path: Path, n_events: int) -> ProvedPart | None:
    """Prove a part; None if it may have a fault or holds other events."""
    lines, finding = read_lines(path, n_events)
    if finding is not None:
        return None
    for start in range(0, len(lines), 2 * AT_ONCE):
        if not are_recordings(lines[start : start + 2 * AT_ONCE]):
            return None
    leaves = [sha256(b"\x00" + line).digest() for line in lines[::2]]
    tree = MerkleTree()
    tree.extend_hashes(leaves)
    return ProvedPart(tree.root(), leaves)


def are_recordings(lines: Sequence[bytes]) -> bool:
    """Return whether all of these lines are valid recordings of traces.

    Each such envelope is known byte for byte from its payload.
    """
    bodies = lines[1::2]
    for line, body in zip(lines[::2], bodies, strict=True):
        if line != _RECORDING % sha256(body).hexdigest().encode() or body == NULL:
            return False
    return are_canonical(bodies)


class SecondProver(SecondProcess):
    """A process that proves parts while this one does something else; use it in a ``with``."""

    def __init__(self) -> None:
        """Start it.

        Raises:
            OSError: If it cannot be started.
        """
        super().__init__("tunixrt.log.segment.part_prover")

    def ask(self, path: Path, n_events: int) -> None:
        """Ask for the proof of a part; call ``answer`` before the next question.

        Raises:
            OSError: If the process has exited.
        """
        self._questions.write(b"%d %b\n" % (n_events, os.fsencode(path).hex().encode()))
        self._questions.flush()

    def answer(self) -> ProvedPart | None:
        """Wait for the proof; None if the part must be checked here, or the process has exited."""
        data = self._answers.read(4)
        n_hashes = int.from_bytes(data, "big")
        data = self._answers.read(n_hashes * _HASH_BYTES)
        if not n_hashes or len(data) < n_hashes * _HASH_BYTES:
            return None
        root, *leaves = (data[at : at + _HASH_BYTES] for at in range(0, len(data), _HASH_BYTES))
        return ProvedPart(root, leaves)


def serve(questions: IO[bytes], answers: IO[bytes]) -> None:
    """Answer questions until the input ends."""
    for question in questions:
        n_events, path = question.split()
        proved = prove_part(Path(os.fsdecode(bytes.fromhex(path.decode()))), int(n_events))
        hashes = [] if proved is None else [proved.root, *proved.leaves]
        answers.write(len(hashes).to_bytes(4, "big") + b"".join(hashes))
        answers.flush()


if __name__ == "__main__":
    run_second(serve)
