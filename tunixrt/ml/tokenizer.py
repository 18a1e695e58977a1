"""One token per byte: no vocabulary to download, and no text outside of it.

A text piece is always encoded as its bytes, even where it spells the name of a special token, so
a trace that contains "<end_of_turn>" cannot end a turn. Only `Special` pieces become special ids.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tunixrt.datasets.render import Special

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PAD: Final = 0
EOS: Final = 1
BOS: Final = 2
START_OF_TURN: Final = 3
END_OF_TURN: Final = 4
FIRST_BYTE: Final = 5
VOCAB_SIZE: Final = FIRST_BYTE + 256

_SPECIAL_IDS: Final = {
    Special.BOS: BOS,
    Special.START_OF_TURN: START_OF_TURN,
    Special.END_OF_TURN: END_OF_TURN,
}
_SPECIAL_TEXTS: Final = {
    PAD: "<pad>",
    EOS: "<eos>",
    BOS: "<bos>",
    START_OF_TURN: "<start_of_turn>",
    END_OF_TURN: "<end_of_turn>",
}


class ByteTokenizer:
    """Ids 0 to 4 are special (pad, eos, bos, start and end of turn); byte b is id 5 + b."""

    vocab_size = VOCAB_SIZE

    def encode(self, pieces: Iterable[str | Special]) -> list[int]:
        """Encode pieces in order; nothing is added before, between or after them."""
        ids: list[int] = []
        for piece in pieces:
            # A Special is a str, so it is tested first.
            if isinstance(piece, Special):
                ids.append(_SPECIAL_IDS[piece])
            else:
                ids += [byte + FIRST_BYTE for byte in piece.encode()]
        return ids

    def spans(self, text: str) -> Iterator[tuple[tuple[int, ...], str]]:
        """Yield the ids of a text piece by the characters that they make."""
        for character in text:
            yield tuple(byte + FIRST_BYTE for byte in character.encode()), character

    def decode(self, ids: Sequence[int]) -> str:
        """Decode ids into text: special tokens by name, bytes that are not UTF-8 as U+FFFD.

        Raises:
            ValueError: an id is not in the vocabulary.
        """
        data = bytearray()
        for token in ids:
            if not 0 <= token < VOCAB_SIZE:
                raise ValueError(f"Token id {token} is not below {VOCAB_SIZE}.")
            special = _SPECIAL_TEXTS.get(token)
            if special is None:
                data.append(token - FIRST_BYTE)
            else:
                data += special.encode()
        return data.decode(errors="replace")

    def tokenizer_json(self) -> bytes:
        """The same tokenizer as Hugging Face's ``tokenizer.json``: byte-level BPE without merges.

        ``tokenizers`` finds special tokens inside of text unless its ``encode_special_tokens`` is
        set; that is the only difference.
        """
        vocabulary = {_byte_character(byte): byte + FIRST_BYTE for byte in range(256)}
        names = {text: token for token, text in _SPECIAL_TEXTS.items()}
        byte_level = {"add_prefix_space": False, "trim_offsets": False, "use_regex": False}
        description: dict[str, object] = {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [
                {
                    "id": token,
                    "content": text,
                    "single_word": False,
                    "lstrip": False,
                    "rstrip": False,
                    "normalized": False,
                    "special": True,
                }
                for token, text in _SPECIAL_TEXTS.items()
            ],
            "normalizer": None,
            "pre_tokenizer": {"type": "ByteLevel"} | byte_level,
            "post_processor": None,
            "decoder": {"type": "ByteLevel"} | byte_level,
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": False,
                "vocab": names | vocabulary,
                "merges": [],
            },
        }
        return json.dumps(description, ensure_ascii=True, indent=1).encode() + b"\n"

    def tokenizer_config_json(self) -> bytes:
        """What ``transformers`` needs beside ``tokenizer.json`` to know the special tokens."""
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": _SPECIAL_TEXTS[BOS],
            "eos_token": _SPECIAL_TEXTS[EOS],
            "pad_token": _SPECIAL_TEXTS[PAD],
            "clean_up_tokenization_spaces": False,
        }
        return json.dumps(config, indent=1).encode() + b"\n"


def _byte_character(byte: int) -> str:
    """The printable character that byte-level BPE writes for a byte.

    GPT-2's table (Radford et al. 2019, `encoder.py`): printable Latin-1 maps to itself, the
    other bytes to the characters from U+0100 on, in order.
    """
    if _is_printable(byte):
        return chr(byte)
    return chr(256 + sum(not _is_printable(earlier) for earlier in range(byte)))


def _is_printable(byte: int) -> bool:
    return 0x21 <= byte <= 0x7E or 0xA1 <= byte <= 0xAC or 0xAE <= byte <= 0xFF
