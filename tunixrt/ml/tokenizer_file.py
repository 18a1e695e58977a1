"""Any ``tokenizer.json`` of Hugging Face, through the ``tokenizers`` library; imports no jax.

Text pieces are encoded one by one, and never into a special token, as by the byte tokenizer. What a
file says about truncation, padding and a token at the beginning has no effect: the template emits
``<bos>`` itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunixrt.datasets.render import Special
from tunixrt.errors import BadInputError
from tunixrt.extras import TOKENIZERS, require

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tunixrt.datasets.render import Piece


class TokenizerFileError(BadInputError):
    """A file that is not a tokenizer, or one without the tokens of the template.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path, sentence: str) -> None:
        super().__init__(f"{path}: {sentence}")
        self.path = path


class FileTokenizer:
    """The tokenizer of a ``tokenizer.json``."""

    def __init__(self, path: Path, description: str) -> None:
        """Read a tokenizer.

        Args:
            path: of the file, for messages.
            description: its text.

        Raises:
            MissingExtraError: the package ``tokenizers`` is not installed.
            TokenizerFileError: it is not a tokenizer, or lacks a token of the template.
        """
        require(TOKENIZERS, "A tokenizer.json")
        import tokenizers

        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(description)
        except Exception as error:  # the library raises nothing narrower
            raise TokenizerFileError(
                path, f"The file is not a tokenizer.json that tokenizers reads: {error}."
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True
        self._specials: dict[Special, int] = {}
        for special in Special:
            token = self._tokenizer.token_to_id(special.value)
            if token is None:
                raise TokenizerFileError(
                    path,
                    f"The tokenizer has no token {special}; the template of tunixrt needs "
                    f"{', '.join(Special)}.",
                )
            self._specials[special] = token

    def encode(self, pieces: Iterable[Piece]) -> list[int]:
        """Encode pieces in order; nothing is added before, between or after them."""
        ids: list[int] = []
        for piece in pieces:
            # A Special is a str, so it is tested first.
            if isinstance(piece, Special):
                ids.append(self._specials[piece])
            else:
                ids += self._tokenizer.encode(piece, add_special_tokens=False).ids
        return ids

    def spans(self, text: str) -> Iterator[tuple[tuple[int, ...], str]]:
        """Yield the ids of a text piece by the characters that they make.

        Several tokens that make one character together are one span.
        """
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        ids: list[int] = []
        start = stop = 0
        for token, (first, last) in zip(encoding.ids, encoding.offsets, strict=True):
            if ids and first >= stop:
                yield tuple(ids), text[start:stop]
                ids, start = [], stop
            ids.append(token)
            stop = max(stop, last)
        if ids:
            yield tuple(ids), text[start:]
