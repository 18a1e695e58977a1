"""The text that a model is trained on: the rendered examples of a split, and their digest."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

from tunixrt.datasets.reading import OmitReason
from tunixrt.datasets.render import DataFormat, Example, Special, render_example
from tunixrt.log.canonical import encode
from tunixrt.log.digests import Digest, of_hex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunixrt.datasets.recipes import Split
    from tunixrt.datasets.render import Piece
    from tunixrt.traces.schema import AnyTrace
    from tunixrt.traces.state import TraceState


class Text:
    """The examples of one split in one format, rendered as they arrive.

    The digest is the SHA-256 of a line of canonical JSON per example, in ascending order of trace
    ids, and a line feed: ``{"completion": [...], "prompt": [...], "trace": "sha256:..."}`` where
    one learned part follows what is read, which every trace of schema 1.0 is, and otherwise
    ``{"parts": [{"learned": false, "pieces": [...]}, ...], "trace": "sha256:..."}``. A piece of
    text is a string, and a special token is ``{"special": "<bos>"}``. So equal digests mean equal
    pieces and masks; the digest does not depend on the store from which the text is rendered, and
    it changes if a member is redacted.

    Attributes:
        examples: the examples, in that order; empty if they are not kept.
        omitted: members that are not among them, by reason.
        redacted: those of the split whose text is gone, in the same order.
    """

    def __init__(
        self,
        data_format: DataFormat,
        split: Split | None,
        *,
        system: str | None = None,
        keep: bool = True,
    ) -> None:
        self.split = split
        self.examples: list[Example] = []
        self.omitted: Counter[str] = Counter()
        self.redacted: list[Digest] = []
        self.n_examples = 0
        self._format = data_format
        self._system = system
        self._keep = keep
        self._sha256 = hashlib.sha256()

    @property
    def digest(self) -> Digest:
        """The digest of the examples so far."""
        return of_hex(self._sha256.hexdigest())

    @property
    def n_redacted(self) -> int:
        """Members of the split whose text is gone."""
        return len(self.redacted)

    def add(self, state: TraceState, trace: AnyTrace, split: Split) -> None:  # noqa: ARG002
        """Render one trace."""
        example = render_example(trace, state.id, data_format=self._format, system=self._system)
        self._sha256.update(text_line(example))
        self.n_examples += 1
        if self._keep:
            self.examples.append(example)

    def add_redacted(self, trace: Digest) -> None:
        """Take a member into account that has no text any more."""
        self.omitted[OmitReason.REDACTED] += 1
        self.redacted.append(trace)


def text_line(example: Example) -> bytes:
    """Return the line of an example that the digest of a text is of, with its line feed."""
    line: dict[str, object]
    if [part.is_learned for part in example.parts] == [False, True]:
        prompt, completion = (_plain(part.pieces) for part in example.parts)
        line = {"completion": completion, "prompt": prompt}
    else:
        parts = [{"learned": p.is_learned, "pieces": _plain(p.pieces)} for p in example.parts]
        line = {"parts": parts}
    return encode({**line, "trace": example.trace}) + b"\n"


def _plain(pieces: Sequence[Piece]) -> list[object]:
    return [{"special": str(p)} if isinstance(p, Special) else p for p in pieces]
