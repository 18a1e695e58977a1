"""Training on conversations: every unmasked assistant turn is learned, and nothing else is."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from tests.making.conversations import conversations, turns
from tests.making.models import example, tiny_config
from tunixrt.datasets.render import DataFormat, render_example
from tunixrt.log.digests import digest_bytes
from tunixrt.ml.input.batches import (
    NoExamplesError,
    OverlongExamplesError,
    encode_examples,
    rows_of_examples,
)
from tunixrt.ml.input.feed import Feed, encode
from tunixrt.ml.tokenizer import BOS, END_OF_TURN, FIRST_BYTE, PAD, START_OF_TURN, ByteTokenizer
from tunixrt.ml.training import train

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tunixrt.datasets.render import Example
    from tunixrt.ml.input.batches import Rows
    from tunixrt.traces.conversation import Conversation
    from tunixrt.traces.schema import AnyTrace

pytestmark = pytest.mark.usefixtures("fast_mode")

Learned = list[tuple[int, bool]]


def examples_of(
    traces: Sequence[AnyTrace],
    data_format: DataFormat = DataFormat.TUNIX_SFT,
    system: str | None = None,
) -> list[Example]:
    return [
        render_example(value, digest_bytes(b"%d" % number), data_format=data_format, system=system)
        for number, value in enumerate(traces)
    ]


def _text(text: str, learned: bool = False) -> Learned:
    return [(FIRST_BYTE + byte, learned) for byte in text.encode()]


def reference(value: Conversation, data_format: DataFormat, system: str | None) -> Learned:
    """Tokens and mask, written from the documentation, one byte after the other."""
    found: Learned = [(BOS, False)]
    before = [] if system is None else [system]
    messages = list(value.messages)
    if messages[0].role == "system":
        before += [messages.pop(0).content] if messages[0].content else []
        messages = messages if messages[0].role != "system" else messages[1:]
    if isinstance(value.tools, tuple):
        before.append("Tools:" + "".join("\n" + rfc8785.dumps(t).decode() for t in value.tools))
    ids: list[Any] = []
    for number, message in enumerate(messages):
        found += _text("\n") if number else []
        found.append((START_OF_TURN, False))
        if message.role == "user":
            request = "\n\nPlease show your reasoning steps."
            asked = message.content + (request if data_format == "training_example" else "")
            found += _text("user\n" + "".join(text + "\n\n" for text in before) + asked)
            found.append((END_OF_TURN, False))
            before = []
            continue
        if message.role == "tool":
            named = isinstance(message.tool_call_id, str)
            which = f" {max(n for n, i in ids if i == message.tool_call_id)}" if named else ""
            found += _text(f"tool\nResult{which}: {message.content}")
            found.append((END_OF_TURN, False))
            continue
        is_last = all(later.role != "assistant" for later in messages[number + 1 :])
        content = message.content
        if is_last and isinstance(value.final_answer, str):
            says_nothing = not content and not message.calls
            content = (
                value.final_answer if data_format == "answer_only" or says_nothing else content
            )
        lines = []
        if isinstance(message.reasoning, str) and data_format != "answer_only":
            lines += ["Reasoning:", message.reasoning]
        lines += [f"Answer: {content}"] if content else []
        for call in message.calls:
            ids.append((len(ids) + 1, call.id))
            body = rfc8785.dumps({"arguments": call.arguments, "name": call.name}).decode()
            lines.append(f"Call {len(ids)}: {body}")
        learned = message.train is not False and bool(lines)
        found += [*_text("model\n"), *_text("\n".join(lines), learned), (END_OF_TURN, learned)]
    return found


@given(
    values=st.lists(conversations(), min_size=1, max_size=4),
    data_format=st.sampled_from(DataFormat),
    system=st.none() | st.just("Think."),
    seed=st.integers(0, 2**31),
)
def test_tokens_and_masks_are_those_of_the_reference(
    values: list[Conversation], data_format: DataFormat, system: str | None, seed: int
) -> None:
    """As rows of their own and packed into rows, in any order of the steps."""
    values = [*values, turns("a", "b")]
    expected = [reference(value, data_format, system) for value in values]
    examples = examples_of(values, data_format, system)
    encoded = encode_examples(examples, ByteTokenizer(), max_length=10_000, overlong="error")
    kept = [number for number, one in enumerate(expected) if any(learned for _, learned in one)]
    assert encoded.kept.tolist() == kept
    for number, one in enumerate(expected):
        entry = encoded.ledger[number]
        assert entry.n_tokens == len(one)
        assert entry.n_loss_tokens == sum(learned for _, learned in one)
        assert entry.reason == (None if number in kept else "no learned token")
    rows = rows_of_examples(encoded, np.arange(len(kept)))
    for place, number in enumerate(kept):
        check_row(rows, place, expected[number])
    for packing in ("true", "false"):
        config = tiny_config(
            f"data.packing={packing}", f"data.shuffle_seed={seed}", "training.num_steps=2",
            "training.warmup_steps=0", "training.batch_size=3",
        )  # fmt: skip
        check_batches(Feed(config, encoded), [expected[number] for number in kept])


def check_row(rows: Rows, place: int, expected: Learned) -> None:
    tokens, learned = ([one[side] for one in expected] for side in (0, 1))
    n_inputs = len(tokens) - 1
    assert rows.tokens[place][:n_inputs].tolist() == tokens[:-1]
    assert rows.targets[place][:n_inputs].tolist() == tokens[1:]
    assert rows.loss_weights[place][:n_inputs].tolist() == learned[1:]
    assert not rows.loss_weights[place][n_inputs:].any()


def check_batches(feed: Feed, expected: list[Learned]) -> None:
    """Each example in a batch is one segment: whole, with its mask, and nothing else is learned."""
    known = {(tuple(t for t, _ in one), tuple(float(m) for _, m in one[1:])) for one in expected}
    batches = feed.batches(range(2))
    for step in range(2):
        n_learned = 0.0
        for number in range(3):
            tokens, targets, positions, segments, weights = (
                leaf[step, 0, number] for leaf in batches.rows
            )
            for segment in range(1, segments.max() + 1):
                (where,) = np.nonzero(segments == segment)
                # Alone in its row, the last token of an example is an input, too, if it has room.
                where = where[targets[where] != PAD]
                assert positions[where].tolist() == list(range(len(where)))
                found = (*tokens[where].tolist(), int(targets[where[-1]]))
                mask = tuple(weights[where].tolist())
                assert (found, mask) in known
                n_learned += sum(mask)
        assert batches.n_loss_tokens[step] == batches.rows.loss_weights[step].sum() == n_learned


def masked(secret: str) -> Conversation:
    return turns(
        messages=[
            {"role": "user", "content": "Say a."},
            {"role": "assistant", "content": secret, "train": False},
            {"role": "user", "content": "Say b."},
            {"role": "assistant", "content": "bb"},
            {"role": "user", "content": "Say c."},
            {"role": "assistant", "content": "ccc", "reasoning": "A c it is."},
        ]
    )


def test_the_text_of_a_masked_turn_is_among_no_targets() -> None:
    texts = []
    for secret in ("x", "something else, at length", "<end_of_turn>"):
        encoded = encode_examples(
            examples_of([masked(secret)]), ByteTokenizer(), max_length=256, overlong="error"
        )
        rows = rows_of_examples(encoded, np.array([0]))
        texts.append(ByteTokenizer().decode(rows.targets[rows.loss_weights == 1].tolist()))
    assert set(texts) == {"Answer: bb<end_of_turn>Reasoning:\nA c it is.\nAnswer: ccc<end_of_turn>"}


def test_what_has_nothing_to_learn_is_dropped_and_listed() -> None:
    silent = turns(
        messages=[
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b", "train": False},
        ]
    )
    examples = examples_of([silent, turns("a", "b"), silent])
    encoded = encode_examples(examples, ByteTokenizer(), max_length=64, overlong="error")
    assert [entry.reason for entry in encoded.ledger] == [
        "no learned token",
        None,
        "no learned token",
    ]
    assert [entry.outcome for entry in encoded.ledger] == ["dropped", "kept", "dropped"]
    assert encoded.ledger[0].n_loss_tokens == 0
    with pytest.raises(NoExamplesError, match="all 2 have no learned token: every assistant turn"):
        encode_examples(
            [examples[0], examples[2]], ByteTokenizer(), max_length=64, overlong="error"
        )
    long = example("b" * 60, "Answer: 2")
    with pytest.raises(NoExamplesError, match=r"1 have more than .* and 1 have no learned token"):
        encode_examples([examples[0], long], ByteTokenizer(), max_length=64, overlong="drop")
    with pytest.raises(OverlongExamplesError, match=r"1 of the examples has more"):
        encode_examples([examples[0], long], ByteTokenizer(), max_length=64, overlong="error")


def test_a_model_learns_every_turn_that_is_not_masked(tmp_path: Path) -> None:
    """A letter to say at the first turn and one at the third: the loss of both goes to zero."""
    rng = random.Random(0)
    settings = (
        "model.max_length=128",
        "training.num_steps=100",
        "training.learning_rate=0.01",
        "data.packing=true",
    )
    config = tiny_config(*settings)
    values: list[AnyTrace] = [
        turns(
            messages=[
                {"role": "user", "content": "1"},
                {"role": "assistant", "content": "a"},
                {"role": "user", "content": "2"},
                {
                    "role": "assistant",
                    "content": "".join(rng.choices("uvwxyz", k=8)),
                    "train": False,
                },
                {"role": "user", "content": "3"},
                {"role": "assistant", "content": "b"},
            ]
        )
        for _ in range(64)
    ]
    outcome = train(config, examples_of(values), tmp_path)
    encoded = encode(config, examples_of(values))
    assert outcome.n_loss_tokens == sum(
        entry.n_loss_tokens * entry.n_times_trained for entry in outcome.ledger
    )
    assert encoded.ledger[0].n_loss_tokens == 2 * len("Answer: a_")
    # As targets, 64 masked texts after one prompt would keep the loss above ln(64) / 37 = 0.11.
    assert outcome.initial_loss > 4
    assert outcome.final_loss < 0.1
