"""A store to export, a tiny model, and what TRL's `SFTTrainer` makes of an export."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.making.conversations import conversation_value, turns
from tests.making.traces import trace
from tunixrt.ml.tokenizer import BOS, EOS, PAD, VOCAB_SIZE, ByteTokenizer
from tunixrt.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tunixrt.traces.schema import AnyTrace

TEMPLATE = Path(__file__).parents[2] / "docs" / "chat_template.jinja"
#: What TRL puts in place of a label that is not learned.
MASKED = -100


class Learned(NamedTuple):
    """An example: its tokens, and for each the token itself where it is learned, or `MASKED`."""

    tokens: list[int]
    labels: list[int]


def conversation_values() -> list[dict[str, Any]]:
    """Tools, several calls with one id, masked turns, several turns, text that is not ASCII."""
    calls = [
        {"id": "c", "name": "größe", "arguments": {"z": 1, "a": [1.5, None, {"ß": "„x“\n"}]}},
        {"id": "d", "name": "now", "arguments": {}},
    ]
    again = [{"id": "c", "name": "now", "arguments": {"zone": "Europe/Zürich"}}]
    several = [
        {"role": "user", "content": "Wie groß? <b>&amp;</b> 'x' \"y\"", "name": "Zoë"},
        {
            "role": "assistant",
            "content": "Ich messe.",
            "reasoning": "\n a\n\nb ",
            "tool_calls": calls,
        },
        {"role": "tool", "content": "π \u2028 3", "tool_call_id": "d"},
        {"role": "tool", "content": "", "tool_call_id": "c"},
        {"role": "assistant", "content": "", "tool_calls": again},
        {"role": "tool", "content": "12:00", "tool_call_id": "c"},
        {"role": "tool", "content": "no id"},
        {"role": "assistant", "content": "  Groß.\n"},
        {"role": "user", "content": "Danke 🙏"},
    ]
    tools = [
        {
            "name": "größe",
            "parameters": {"type": "object", "properties": {"z": {"type": "number"}}},
        },
        {"type": "function", "name": "now", "description": "Time"},
    ]
    masked = [
        {"role": "user", "content": "Hi!"},
        {"role": "assistant", "content": "Helo!", "train": False},
        {"role": "user", "content": "What is 1 + 1?"},
        {"role": "assistant", "content": "2", "reasoning": "1 and 1"},
        {"role": "user", "content": "And 2 + 2?"},
        {"role": "assistant", "content": "5", "train": False},
    ]
    only_thought = [
        {"role": "system", "content": ""},
        {"role": "user", "content": "Think."},
        {"role": "assistant", "content": "", "reasoning": "Hm.\nAnswer: not one"},
        {"role": "user", "content": "Well?"},
        {"role": "assistant", "content": "Done."},
    ]
    return [
        conversation_value(),
        conversation_value(messages=several, tools=tools, final_answer=...),
        conversation_value(messages=masked, tools=..., final_answer=...),
        conversation_value(messages=only_thought, tools=..., final_answer=...),
    ]


def conversations() -> list[AnyTrace]:
    from tunixrt.traces.conversation import conversation_of

    plain = [turns(f"{n} + {n}?", str(2 * n), "Sure?", "Yes.") for n in range(6)]
    return [*map(conversation_of, conversation_values()), *plain]


def traces() -> list[AnyTrace]:
    """Traces of schema 1.0 whose steps have one line each."""
    steps = [
        {"i": 3, "type": "b", "content": "zweitens: ß"},
        {"i": 1, "type": "a", "content": " 1. a"},
    ]
    return [
        trace("Ohne Schritte?", steps=[{"i": 0, "type": "t", "content": "x"}]),
        trace("In der Reihenfolge von i?\n", steps=steps),
        *(trace(f"What is {n} + 1?", final_answer=str(n + 1)) for n in range(6)),
    ]


def stored(root: Path, members: Iterable[AnyTrace]) -> Store:
    """A store with the dataset `d-v1` of these traces."""
    store = Store.init(root)
    store.traces.add(list(members))
    store.datasets.build("d", "v1")
    return store


def ours(store: Store, *overrides: str, tokenizer: Path | None = None) -> dict[str, Learned]:
    """What tunixrt trains on, by trace, with these settings in its configuration."""
    found: dict[str, Learned] = {}
    settings = ["model.max_length=4096", *overrides]
    records = store.datasets["d-v1"].tokens(
        config="nano", overrides=settings, tokenizer=tokenizer, show=10_000
    )
    for record in records:
        tokens = [(n, token.is_trained) for token in record.tokens for n in token.ids]
        labels = [n if is_trained else MASKED for n, is_trained in tokens]
        found[record.trace] = Learned([n for n, _ in tokens], labels)
    return found


def tokenizer(
    directory: Path, *, template: str | None = None, description: bytes | None = None
) -> Any:
    """The byte tokenizer, or another, as `transformers` reads it from the files that a run has."""
    from transformers import AutoTokenizer

    directory.mkdir(exist_ok=True)
    description = description or ByteTokenizer().tokenizer_json()
    (directory / "tokenizer.json").write_bytes(description)
    (directory / "tokenizer_config.json").write_bytes(ByteTokenizer().tokenizer_config_json())
    loaded = AutoTokenizer.from_pretrained(str(directory))
    loaded.chat_template = template
    return loaded


def merging_tokenizer(store: Store, *, words: bool) -> bytes:
    """A tokenizer.json that merges the characters of this dataset.

    Args:
        store: with the dataset.
        words: merge nothing across the words of GPT-2; else whatever is frequent.
    """
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.trainers import BpeTrainer

    made = Tokenizer(BPE())
    made.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=words)
    texts = [row["text"] for row in store.datasets["d-v1"].rows("text")]
    turns_of = [re.sub("<(start|end)_of_turn>", "", text) for text in texts]
    trainer = BpeTrainer(
        vocab_size=VOCAB_SIZE + 300,
        show_progress=False,
        special_tokens=["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"],
        initial_alphabet=ByteLevel.alphabet(),
    )
    made.train_from_iterator(turns_of, trainer)
    return bytes(made.to_str(), "utf-8")


def loaded(store: Store, export_format: str, name: str, directory: Path, **options: Any) -> Any:
    """An export in the container of this name, as Hugging Face `datasets` loads it."""
    import datasets

    path = directory / name
    store.datasets["d-v1"].export(f"{path}/" if not path.suffix else path, export_format, **options)
    cache = str(directory / "cache")
    if not path.suffix:
        return datasets.load_dataset(str(path), split="train", cache_dir=cache)
    builder = {".jsonl": "json", ".parquet": "parquet"}[path.suffix]
    return datasets.load_dataset(builder, data_files=str(path), split="train", cache_dir=cache)


def tiny_model() -> Any:
    """A model with random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCAB_SIZE,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=4096,
            pad_token_id=PAD,
            bos_token_id=BOS,
            eos_token_id=EOS,
        )
    )


def trained(rows: Any, processing: Any, directory: Path, **settings: Any) -> Trained:
    """Train a tiny model for two steps on these rows."""
    from trl import SFTConfig, SFTTrainer

    config = SFTConfig(
        output_dir=str(directory / "out"),
        max_steps=2,
        per_device_train_batch_size=2,
        max_length=None,
        use_cpu=True,
        bf16=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **settings,
    )
    trainer = SFTTrainer(
        model=tiny_model(), args=config, train_dataset=rows, processing_class=processing
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return Trained(losses, examples_of(trainer))


def examples_of(trainer: Any) -> dict[str, Learned]:
    """What a trainer of TRL trains on, by trace."""
    return {
        row["id"]: Learned(list(row["input_ids"]), list(row["labels"]))
        for row in trainer.train_dataset
    }


class Trained(NamedTuple):
    """What TRL trained on, and its losses."""

    losses: list[float]
    examples: dict[str, Learned]
