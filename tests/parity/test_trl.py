"""TRL trains on our exports unchanged, on the tokens and the labels that tunixrt trains on."""

from __future__ import annotations

import json
import math
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from msgspec import UNSET

from tests.making.conversations import conversations as conversations_of_any_kind
from tests.making.traces import trace
from tests.parity.training import (
    MASKED,
    TEMPLATE,
    Learned,
    conversations,
    examples_of,
    loaded,
    merging_tokenizer,
    ours,
    stored,
    tiny_model,
    tokenizer,
    traces,
    trained,
)
from tunixrt.datasets.exports import ExportFormat, row_settings
from tunixrt.datasets.exports.rows import Member, has_template_text, row_of
from tunixrt.datasets.recipes import Split
from tunixrt.datasets.render import DataFormat, render_example
from tunixrt.log.canonical import encode
from tunixrt.ml.input.encoding import encode_example
from tunixrt.ml.tokenizer import ByteTokenizer
from tunixrt.traces.conversation import Role
from tunixrt.traces.schema import payload_of, trace_id

if TYPE_CHECKING:
    from tunixrt.traces.conversation import Conversation

pytestmark = [
    pytest.mark.skipif(find_spec("trl") is None, reason="TRL is not installed; say make parity"),
    # Warnings of torch, transformers and TRL about themselves.
    pytest.mark.filterwarnings("default"),
]

PAGE = TEMPLATE.with_name("exporting.md")
CONTAINERS = ("train.jsonl", "train.parquet", "directory")
PLAIN = TEMPLATE.read_text(encoding="utf-8")
NUMBERED = "{%- set numbered = true -%}" + PLAIN


def is_finite(losses: list[float]) -> bool:
    return len(losses) == 2 and all(0 < loss < 20 and math.isfinite(loss) for loss in losses)


def configured(system: str | None) -> list[str]:
    return [] if system is None else [f"system_instruction={system}"]


def last_turn(example: Learned) -> Learned:
    """The example up to its last learned token, of which the last learned turn alone is learned."""
    labels = list(example.labels)
    while labels[-1] == MASKED:
        labels.pop()
    start = len(labels)
    while labels[start - 1] != MASKED:
        start -= 1
    return Learned(example.tokens[: len(labels)], [MASKED] * start + labels[start:])


@pytest.mark.parametrize(
    ("container", "system"),
    [("train.jsonl", None), ("train.parquet", "Be exact."), ("directory", None)],
)
def test_messages_of_conversations_train_on_the_same_tokens_and_labels(
    tmp_path: Path, container: str, system: str | None
) -> None:
    store = stored(tmp_path / "store", conversations())
    rows = loaded(store, "messages", container, tmp_path, system=system)
    processing = tokenizer(tmp_path / "tokenizer", template=PLAIN)
    result = trained(rows, processing, tmp_path, assistant_only_loss=True)
    assert result.examples == ours(store, *configured(system))
    assert is_finite(result.losses)


@pytest.mark.parametrize("container", CONTAINERS)
def test_messages_of_traces_train_on_the_same_tokens_and_labels(
    tmp_path: Path, container: str
) -> None:
    store = stored(tmp_path / "store", traces())
    rows = loaded(store, "messages", container, tmp_path)
    processing = tokenizer(tmp_path / "tokenizer", template=NUMBERED)
    result = trained(rows, processing, tmp_path, assistant_only_loss=True)
    assert result.examples == ours(store)
    assert is_finite(result.losses)


@pytest.mark.parametrize(
    ("container", "system"),
    [("train.jsonl", "Be exact."), ("train.parquet", None), ("directory", None)],
)
def test_prompt_completion_trains_on_the_last_learned_turn(
    tmp_path: Path, container: str, system: str | None
) -> None:
    store = stored(tmp_path / "store", conversations())
    rows = loaded(store, "prompt_completion", container, tmp_path, system=system)
    result = trained(rows, tokenizer(tmp_path / "tokenizer", template=PLAIN), tmp_path)
    whole = ours(store, *configured(system))
    assert result.examples == {name: last_turn(example) for name, example in whole.items()}
    assert is_finite(result.losses)


def test_prompt_completion_of_traces_trains_on_the_same_tokens_and_labels(tmp_path: Path) -> None:
    store = stored(tmp_path / "store", traces())
    rows = loaded(store, "prompt_completion", "train.parquet", tmp_path)
    result = trained(rows, tokenizer(tmp_path / "tokenizer", template=NUMBERED), tmp_path)
    assert result.examples == ours(store)
    assert is_finite(result.losses)


def test_without_assistant_only_loss_every_token_of_messages_is_learned(tmp_path: Path) -> None:
    store = stored(tmp_path / "store", conversations())
    rows = loaded(store, "messages", "train.jsonl", tmp_path)
    processing = tokenizer(tmp_path / "tokenizer")
    result = trained(rows, processing, tmp_path, chat_template_path=str(TEMPLATE))
    assert result.examples == {
        name: Learned(example.tokens, example.tokens) for name, example in ours(store).items()
    }


def test_text_has_the_same_tokens_without_the_first(tmp_path: Path) -> None:
    store = stored(tmp_path / "store", [*traces(), *conversations()])
    rows = loaded(store, "text", "train.jsonl", tmp_path)
    processing = tokenizer(tmp_path / "tokenizer")
    result = trained(rows, processing, tmp_path, eos_token="<end_of_turn>")
    assert result.examples == {
        name: Learned(example.tokens[1:], example.tokens[1:])
        for name, example in ours(store).items()
    }
    assert is_finite(result.losses)


def is_written_alike(content: Conversation) -> bool:
    """Whether Python's JSON is canonical here, and no turn consists of the stated answer alone."""
    objects = [*content.offered_tools, *(c.arguments for m in content.messages for c in m.calls)]
    *_, last = (m for m in content.messages if m.role is Role.ASSISTANT)
    return all(
        json.dumps(item, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
        == encode(item)
        for item in objects
    ) and bool(last.content or last.calls or content.final_answer is UNSET)


@pytest.fixture(scope="module")
def processing(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tokenizer(tmp_path_factory.mktemp("tokenizer"), template=PLAIN)


@pytest.mark.parametrize(("words", "equal"), [(True, True), (False, False)])
def test_a_tokenizer_that_merges_inside_of_words_gives_the_same_tokens(
    tmp_path: Path, words: bool, equal: bool
) -> None:
    store = stored(tmp_path / "store", traces())
    description = merging_tokenizer(store, words=words)
    processing = tokenizer(tmp_path / "t", template=NUMBERED, description=description)
    found = {}
    for row in store.datasets["d-v1"].rows("messages"):
        written = processing.apply_chat_template(
            row["messages"], return_dict=True, return_assistant_tokens_mask=True
        )
        pairs = zip(written["input_ids"], written["assistant_masks"], strict=True)
        labels = [token if bit else MASKED for token, bit in pairs]
        found[row["id"]] = Learned(written["input_ids"], labels)
    expected = ours(store, tokenizer=tmp_path / "t" / "tokenizer.json")
    assert max(len(example.tokens) for example in expected.values()) < 100
    assert (found == expected) is equal


def test_the_program_in_the_documentation_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = PAGE.read_text(encoding="utf-8")
    (program,) = re.findall(r"^```py\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    program = program.replace('output_dir="out"', 'output_dir="out", use_cpu=True')
    store = stored(tmp_path / "store", conversations())
    store.datasets["d-v1"].export(tmp_path / "train.parquet", "messages")
    tiny_model().save_pretrained(tmp_path / "my-model")
    tokenizer(tmp_path / "my-model", template=PLAIN).save_pretrained(tmp_path / "my-model")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(program, str(PAGE), "exec"), names)
    assert names["trainer"].state.global_step > 0
    assert examples_of(names["trainer"]) == ours(store)


@given(conversations_of_any_kind())
def test_the_chat_template_writes_every_conversation_as_tunixrt_trains_it(
    processing: Any, content: Conversation
) -> None:
    assume(not has_template_text(content) and is_written_alike(content))
    name = trace_id(payload_of(content))
    example = render_example(content, name, data_format=DataFormat.TUNIX_SFT)
    expected = encode_example(example, ByteTokenizer())
    member = Member(name, content, Split.TRAIN, None, {})
    row = row_of(member, row_settings(ExportFormat.MESSAGES)).value
    assert isinstance(row, dict)
    written = processing.apply_chat_template(
        row["messages"],
        tools=json.loads(row["tools"]),
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    assert written["input_ids"] == expected.tokens
    learned = {place for places in expected.learned for place in places}
    assert {n for n, bit in enumerate(written["assistant_masks"]) if bit} == learned


def written_by(template: str, processing: Any, reasoning: str) -> str:
    """What a chat template that TRL ships makes of the trace `What is 15 + 27?`."""
    import trl

    text = (Path(trl.__file__).parent / "chat_templates" / f"{template}.jinja").read_text("utf-8")
    member = Member(trace_id(payload_of(trace())), trace(), Split.TRAIN, None, {})
    row = row_of(member, row_settings(ExportFormat.MESSAGES, reasoning=reasoning)).value
    assert isinstance(row, dict)
    written = processing.apply_chat_template(row["messages"], chat_template=text, tokenize=False)
    assert isinstance(written, str)
    assert "What is 15 + 27?" in written
    return written


@pytest.mark.parametrize("template", ["qwen3", "glm4moe", "nemotron_3_nano", "lfm2_2_5_v2"])
def test_these_chat_templates_read_reasoning_from_its_field(template: str, processing: Any) -> None:
    assert "Add 15 and 27" in written_by(template, processing, "reasoning_content")


@pytest.mark.parametrize("template", ["gptoss", "lfm2_2_5"])
def test_these_chat_templates_read_thinking(template: str, processing: Any) -> None:
    assert "Add 15 and 27" in written_by(template, processing, "thinking")


@pytest.mark.parametrize("template", ["llama3", "gemma3", "qwen2_5", "qwen3_instruct_2507"])
def test_these_chat_templates_read_reasoning_from_the_text_alone(
    template: str, processing: Any
) -> None:
    assert "Add 15 and 27" not in written_by(template, processing, "reasoning_content")
    assert "Add 15 and 27" not in written_by(template, processing, "thinking")
    assert "Add 15 and 27" in written_by(template, processing, "tags")
