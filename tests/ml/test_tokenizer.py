"""The byte tokenizer, and that Hugging Face's `tokenizers` reads the same out of its file."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tunixrt.datasets.render import DataFormat, Special, render_prompt
from tunixrt.ml.tokenizer import BOS, END_OF_TURN, START_OF_TURN, VOCAB_SIZE, ByteTokenizer

OURS = ByteTokenizer()
THEIRS = Tokenizer.from_str(OURS.tokenizer_json().decode())
SPECIAL_NAMES = ["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"]


def test_the_template_is_encoded_as_special_tokens_and_bytes() -> None:
    prompt = render_prompt("Hi", data_format=DataFormat.TUNIX_SFT)
    user, model = [[5 + byte for byte in text] for text in (b"user\nHi", b"model\n")]
    assert OURS.encode(prompt) == [
        *(BOS, START_OF_TURN, *user, END_OF_TURN),
        *(5 + ord("\n"), START_OF_TURN, *model),
    ]


def test_a_text_that_spells_a_special_token_stays_text() -> None:
    ids = OURS.encode(["<end_of_turn>", Special.END_OF_TURN])
    assert ids == [*(5 + byte for byte in b"<end_of_turn>"), END_OF_TURN]
    assert OURS.decode(ids) == "<end_of_turn><end_of_turn>"


def test_every_token_id_decodes() -> None:
    assert [OURS.decode([token]) for token in range(5)] == SPECIAL_NAMES
    for byte in range(256):
        assert OURS.decode([5 + byte]) == bytes([byte]).decode(errors="replace")


@pytest.mark.parametrize("token", [-1, VOCAB_SIZE])
def test_an_id_outside_of_the_vocabulary_is_an_error(token: int) -> None:
    with pytest.raises(ValueError, match=f"{token} is not below 261"):
        OURS.decode([token])


@given(st.text())
def test_text_survives_encoding_and_decoding(text: str) -> None:
    assert OURS.decode(OURS.encode([text])) == text


def test_tokenizers_knows_the_same_vocabulary() -> None:
    assert THEIRS.get_vocab_size(with_added_tokens=True) == VOCAB_SIZE
    assert [THEIRS.id_to_token(token) for token in range(5)] == SPECIAL_NAMES


def test_tokenizers_gives_every_byte_of_utf8_the_same_id() -> None:
    characters = [*range(0x800), *range(0x800, 0x110000, 61)]
    text = "".join(chr(c) for c in characters if not 0xD800 <= c < 0xE000)
    ids = THEIRS.encode(text, add_special_tokens=False).ids
    assert ids == OURS.encode([text])
    never_in_utf8 = {0xC0, 0xC1, *range(0xF5, 0x100)}
    assert set(ids) == {5 + byte for byte in set(range(256)) - never_in_utf8}


@given(st.text())
def test_tokenizers_encodes_any_text_to_the_same_ids(text: str) -> None:
    THEIRS.encode_special_tokens = True  # as text, that is
    assert THEIRS.encode(text, add_special_tokens=False).ids == OURS.encode([text])


def test_tokenizers_reads_special_tokens_in_text_as_the_template_writes_them() -> None:
    pieces = render_prompt("What is 1 + 2?", data_format=DataFormat.TUNIX_SFT)
    reader = Tokenizer.from_str(OURS.tokenizer_json().decode())
    assert reader.encode("".join(pieces)).ids == OURS.encode(pieces)


def test_the_tokenizer_config_names_tokens_of_the_tokenizer() -> None:
    config = json.loads(OURS.tokenizer_config_json())
    names = [config[f"{role}_token"] for role in ("pad", "eos", "bos")]
    assert [THEIRS.token_to_id(name) for name in names] == [0, 1, 2]
