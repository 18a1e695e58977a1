"""What is trained, looked at: tokens, masks, counts and warnings are those of training itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.making.conversations import conversation_value, conversations
from tests.making.events import recorded
from tests.making.hostile import TEXTS
from tests.making.models import example
from tests.making.runs import made_store
from tests.making.trainings import training_of
from tunixrt.datasets.reading import DatasetReader
from tunixrt.datasets.recipes import Split
from tunixrt.datasets.render import DataFormat, Example, ExamplePart, Special, render_example
from tunixrt.datasets.text import Text
from tunixrt.errors import BadInputError
from tunixrt.jobs.tokens.records import (
    TokenWarning,
    leaves_out_reasoning,
    tokens_of,
    warnings_about,
)
from tunixrt.jobs.tokens.settings import read_tokenizer
from tunixrt.jobs.tokens.tally import Lengths
from tunixrt.log.digests import digest_bytes
from tunixrt.ml.input.batches import encode_examples
from tunixrt.ml.input.encoding import encode_example
from tunixrt.ml.tokenizer import ByteTokenizer
from tunixrt.ml.tokenizer_file import FileTokenizer, TokenizerFileError

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from tunixrt import Store
    from tunixrt.traces.conversation import Conversation

BYTES = ByteTokenizer()
ID = digest_bytes(b"a conversation")


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


def talk(*messages: dict[str, Any]) -> dict[str, Any]:
    return conversation_value(messages=list(messages), tools=..., final_answer=..., meta={})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Sums, and conversations of which one is masked, one long, one without earlier reasoning."""
    store = made_store(tmp_path_factory.mktemp("tokens"))
    thinking = assistant("b", reasoning="Let me think.")
    said = [
        talk(user("a"), assistant("b", train=False)),
        talk(user("a"), thinking, user("c"), assistant("d")),
        talk(user("a"), assistant("b", train=False), user("c"), assistant("d é🙂")),
        talk(user("a" * 200), assistant("b")),
        conversation_value(),
    ]
    store.log.append([recorded(value) for value in said])
    store.datasets.build("mixed", "v1", splits={"test": "0.2"}, seed=1)
    return store


@pytest.mark.parametrize("data_format", list(DataFormat))
def test_the_counts_are_those_of_training(store: Store, data_format: DataFormat) -> None:
    dataset = store.datasets["mixed-v1"]
    text = Text(data_format, Split.TRAIN, system="Think.")
    with DatasetReader(store.log) as reader:
        reader.pour(dataset, [text])
    encoded = encode_examples(text.examples, BYTES, max_length=128, overlong="drop")
    read = dataset.tokens(
        config="nano",
        overrides={
            "data.format": str(data_format),
            "model.max_length": 128,
            "system_instruction": "Think.",
            "data.overlong": "drop",
        },
        show=10_000,
    )
    records = list(read)
    assert [(r.trace, r.outcome, r.reason, r.n_tokens, r.n_trained) for r in records] == [
        (entry.trace, entry.outcome, entry.reason, entry.n_tokens, entry.n_loss_tokens)
        for entry in encoded.ledger
    ]
    assert {record.outcome for record in records} == {"kept", "dropped"}
    kept = [record for record in records if record.outcome == "kept"]
    for row, mask, length, record in zip(
        encoded.tokens, encoded.learned, encoded.lengths, kept, strict=True
    ):
        ids = [token for one in record.tokens for token in one.ids]
        trained = [one.is_trained for one in record.tokens for _ in one.ids]
        assert ids == row[:length].tolist()
        assert trained == mask[:length].tolist()
        # What is shown is the text, character for character.
        plain = BYTES.decode(ids)
        assert "".join(one.text for one in record.tokens) == plain
    for record in records:
        parts = (record.n_trained, record.n_masked, record.n_dropped, record.n_truncated)
        assert sum(parts) == record.n_tokens
    summary = read.summary()
    assert summary.n_records == len(records) == summary.n_kept + summary.n_dropped
    assert summary.n_trained_tokens == sum(record.n_trained for record in records)
    assert summary.n_tokens == sum(record.n_tokens for record in records)
    assert sum(found.n_records for found in summary.lengths) == len(records)
    assert sum(summary.reasons.values()) == summary.n_dropped


def test_a_dry_run_of_a_training_counts_the_same(store: Store) -> None:
    settings = ["model.max_length=512"]
    ledger = store.runs.rehearse("nano", dataset="mixed-v1", overrides=settings).ledger
    summary = store.datasets["mixed-v1"].tokens(config="nano", overrides=settings).summary()
    assert (ledger.n_kept, ledger.n_dropped) == (summary.n_kept, summary.n_dropped)
    assert ledger.n_dropped == 1
    assert ledger.n_loss_tokens == summary.n_trained_tokens
    assert ledger.n_tokens == summary.n_trained_tokens + summary.n_masked_tokens


def test_only_the_records_that_are_shown_carry_their_tokens(store: Store) -> None:
    read = store.datasets["mixed-v1"].tokens(show=2, split="all")
    assert [bool(record.tokens) for record in read][:4] == [True, True, False, False]
    assert repr(read) == "<tokens of mixed-v1, all, as tunix_sft>"
    assert len(list(read)) == store.datasets["mixed-v1"].manifest.trace_count


def test_a_redacted_member_is_counted_and_not_read(store: Store, tmp_path: Path) -> None:
    made = made_store(tmp_path / "redacted")
    gone = next(iter(made.datasets["sums-v1"].members())).trace
    made.traces.redact([gone], reason="asked for")
    summary = made.datasets["sums-v1"].tokens(split="all").summary()
    assert (summary.n_redacted, summary.reasons) == (1, {"redacted": 1})
    assert summary.n_records == 24
    assert sum(found.n_records for found in summary.lengths) == 23


def found_warnings(store: Store, **settings: Any) -> dict[TokenWarning, int]:
    read = store.datasets["mixed-v1"].tokens(split="all", **settings)
    return {found.warning: found.n_records for found in read.summary().warnings}


def test_the_warnings_of_a_dataset_name_its_records(store: Store) -> None:
    assert found_warnings(store) == {TokenWarning.NOTHING_TRAINED: 1}
    no_reasoning = {"config": "nano", "overrides": ["data.format=answer_only"]}
    assert found_warnings(store, **no_reasoning)[TokenWarning.REASONING_LEFT_OUT] == 2
    refusing = {"config": "nano", "overrides": ["model.max_length=128"]}
    assert found_warnings(store, **refusing)[TokenWarning.REFUSED] == 2
    dropping = {"config": "nano", "overrides": ["model.max_length=128", "data.overlong=drop"]}
    assert TokenWarning.REFUSED not in found_warnings(store, **dropping)
    summary = store.datasets["mixed-v1"].tokens(split="all").summary()
    (masked,) = (
        record.trace for record in store.datasets["mixed-v1"].tokens(split="all")
        if record.warnings
    )  # fmt: skip
    assert summary.warnings[0].traces == (masked,)


BOS, END = Special.BOS, Special.END_OF_TURN


@pytest.mark.parametrize(
    ("parts", "warning"),
    [
        ((ExamplePart((BOS, "a")), ExamplePart(("b", END), is_learned=True)), None),
        ((ExamplePart((BOS, "a", END)),), TokenWarning.NOTHING_TRAINED),
        ((ExamplePart((BOS, "a", END), is_learned=True),), TokenWarning.ALL_TRAINED),
        ((ExamplePart((BOS,)), ExamplePart(("a", END), is_learned=True)), TokenWarning.ALL_TRAINED),
        (
            (ExamplePart((BOS, "a")), ExamplePart(("b",), is_learned=True), ExamplePart((END,))),
            TokenWarning.END_NOT_TRAINED,
        ),
        (
            (ExamplePart((BOS, BOS, "a")), ExamplePart(("b", END), is_learned=True)),
            TokenWarning.TWO_BOS,
        ),
        ((ExamplePart((BOS, "<bos>")), ExamplePart(("b", END), is_learned=True)), None),
    ],
)
def test_each_warning_has_its_reason(
    parts: tuple[ExamplePart, ...], warning: TokenWarning | None
) -> None:
    encoded = encode_example(Example("id", ID, parts), BYTES)
    assert list(warnings_about(encoded, BYTES)) == ([] if warning is None else [warning])


@given(value=conversations())
def test_only_answers_alone_leave_out_reasoning(value: Conversation) -> None:
    for data_format in (DataFormat.TUNIX_SFT, DataFormat.TRAINING_EXAMPLE):
        rendered = render_example(value, ID, data_format=data_format)
        assert not leaves_out_reasoning(value, rendered)


@given(lengths=st.lists(st.integers(0, 5_000), max_size=50), seed=st.randoms())
def test_a_histogram_counts_every_length_once_in_any_order(
    lengths: list[int], seed: random.Random
) -> None:
    shuffled = list(lengths)
    seed.shuffle(shuffled)
    found = []
    for order in (lengths, shuffled):
        histogram = Lengths()
        for length in order:
            histogram.add(length)
        found.append(histogram.bins())
    assert found[0] == found[1]
    bins = found[0]
    assert len(bins) <= 16
    assert [one.at_most + 1 for one in bins[:-1]] == [one.at_least for one in bins[1:]]
    for one in bins:
        assert one.n_records == sum(one.at_least <= length <= one.at_most for length in lengths)
    assert sum(one.n_records for one in bins) == len(lengths)
    assert not bins or (bins[0].n_records and bins[-1].n_records)


def test_a_run_is_read_as_it_was_trained(copy: Store) -> None:
    manifest = training_of(copy)
    for run in (manifest.run_id, str(copy.layout.runs / manifest.run_id / "model")):
        read = copy.datasets["sums-v1"].tokens(run=run)
        assert read.settings.tokenizer_name == "bytes"
        assert read.settings.max_length == manifest.identity.config["model"]["max_length"]  # type: ignore[index]
        summary = read.summary()
        assert summary.n_kept == manifest.ledger.n_kept
        assert summary.n_trained_tokens == manifest.ledger.n_loss_tokens
    elsewhere = copy.root / "elsewhere"
    (copy.layout.runs / manifest.run_id / "model").rename(elsewhere)
    (elsewhere / "model.safetensors").write_bytes(b"others")
    read = copy.datasets["sums-v1"].tokens(run=str(elsewhere))
    assert read.settings.max_length == 128
    assert not read.settings.refuses


def test_what_cannot_be_read_gets_a_sentence(store: Store, tmp_path: Path) -> None:
    dataset = store.datasets["mixed-v1"]
    with pytest.raises(BadInputError, match="give either the run, or a configuration"):
        dataset.tokens(run="@last", config="nano")
    with pytest.raises(BadInputError, match="Overrides change a configuration"):
        dataset.tokens(overrides=["data.format=answer_only"])
    with pytest.raises(BadInputError, match="no members in the split validation"):
        dataset.tokens(split="validation")
    with pytest.raises(BadInputError, match="There is no split"):
        dataset.tokens(split="tests")
    with pytest.raises(TokenizerFileError, match="cannot be read"):
        dataset.tokens(tokenizer=tmp_path / "absent.json")
    (tmp_path / "latin.json").write_bytes(b"\xe9")
    with pytest.raises(TokenizerFileError, match="not UTF-8"):
        dataset.tokens(tokenizer=tmp_path / "latin.json")


def file_tokenizer(path: Path, description: dict[str, Any]) -> FileTokenizer:
    path.write_text(json.dumps(description))
    tokenizer, name = read_tokenizer(path)
    assert isinstance(tokenizer, FileTokenizer)
    assert name == str(path)
    return tokenizer


def test_the_library_reads_our_tokenizer_as_we_do(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    description = json.loads(BYTES.tokenizer_json())
    # What a file says about these must not reach an example.
    description["truncation"] = {
        "direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0,
    }  # fmt: skip
    other = file_tokenizer(tmp_path / "tokenizer.json", description)
    for text in TEXTS:
        pieces = [Special.BOS, text, Special.END_OF_TURN, text]
        assert other.encode(pieces) == BYTES.encode(pieces)
        assert list(other.spans(text)) == list(BYTES.spans(text))
    (tmp_path / "same.json").write_bytes(BYTES.tokenizer_json())
    assert isinstance(read_tokenizer(tmp_path / "same.json")[0], ByteTokenizer)


def test_a_vocabulary_with_longer_tokens_shows_whole_characters(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    learnt = tokenizers.Tokenizer(tokenizers.models.BPE())
    learnt.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<pad>", *Special],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learnt.train_from_iterator(["Answer: 12", "Reasoning: hello there"] * 20, trainer)
    tokenizer = file_tokenizer(tmp_path / "bpe.json", json.loads(learnt.to_str()))
    for text in [*TEXTS, "Answer: hello 🙂é there"]:
        spans = list(tokenizer.spans(text))
        assert "".join(characters for _, characters in spans) == text
        assert [token for ids, _ in spans for token in ids] == tokenizer.encode([text])
    one = example("hello", "Answer: 12 🙂")
    shown = list(tokens_of(one, encode_example(one, tokenizer), tokenizer))
    assert "Answer" in {token.text for token in shown}
    trained = "".join(token.text for token in shown if token.is_trained)
    assert trained == "Answer: 12 🙂<end_of_turn>"


def test_a_tokenizer_without_the_tokens_of_the_template_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    description = json.loads(BYTES.tokenizer_json())
    description["added_tokens"] = [
        token for token in description["added_tokens"] if token["content"] != "<end_of_turn>"
    ]
    del description["model"]["vocab"]["<end_of_turn>"]
    path = tmp_path / "tokenizer.json"
    with pytest.raises(TokenizerFileError, match="has no token <end_of_turn>; the template"):
        file_tokenizer(path, description)
    with pytest.raises(TokenizerFileError, match=r"not a tokenizer\.json that tokenizers reads"):
        file_tokenizer(path, {})
