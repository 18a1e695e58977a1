"""Seeded errors in one step of a trace: what they change, and what is recorded of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.making.conversations import conversation
from tests.making.traces import trace
from tunixrt import Store
from tunixrt.traces.arithmetic import generate_arithmetic
from tunixrt.traces.facts import labelled
from tunixrt.traces.perturbing import (
    Perturbation,
    PerturbError,
    perturb,
)
from tunixrt.traces.schema import Trace, any_trace_of, in_order, payload_of, trace_id
from tunixrt.traces.times import TimeError
from tunixrt.traces.views import chat_view, flat_view

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt.traces.perturbing import Perturbed
    from tunixrt.traces.schema import AnyTrace

_TEXTS = st.text("0123456789 .,+-*/×÷−()$\nabc:", min_size=1, max_size=30)


def _of(*contents: str) -> Trace:
    """A trace with these steps; their indices leave gaps."""
    steps = [{"i": 3 * n + 1, "type": f"t{n}", "content": text} for n, text in enumerate(contents)]
    return trace(steps=steps)


def _contents(found: AnyTrace) -> list[str]:
    return [step.content for step in in_order(flat_view(found).steps)]


def _changed(kind: Perturbation, *contents: str, seeds: int = 200) -> set[str]:
    """What the only step that differs can become."""
    original = _of(*contents)
    found = [perturb(original, kind, seed) for seed in range(seeds)]
    return {
        new
        for one in found
        if one is not None
        for new, old in zip(_contents(one.trace), contents, strict=True)
        if new != old
    }


@st.composite
def _traces(draw: st.DrawFn) -> AnyTrace:
    original = _of(*draw(st.lists(_TEXTS, min_size=1, max_size=4)))
    if draw(st.booleans()):
        return original
    return any_trace_of(json.loads(payload_of(chat_view(original))))


@given(_traces(), st.sampled_from(Perturbation), st.integers(0, 5))
def test_one_step_differs_and_everything_else_is_kept(
    original: AnyTrace, kind: Perturbation, seed: int
) -> None:
    found = perturb(original, kind, seed)
    assert found == perturb(any_trace_of(json.loads(payload_of(original))), kind, seed)
    if found is None:
        return
    before, after = flat_view(original), flat_view(found.trace)
    olds, news = in_order(before.steps), in_order(after.steps)
    differing = [n for n, (a, b) in enumerate(zip(olds, news, strict=True)) if a != b]
    assert olds[differing[0]].i == found.step
    if kind is Perturbation.SWAP:
        first, second = differing
        assert second == first + 1
        assert (olds[first].content, olds[second].content) == (
            news[second].content,
            news[first].content,
        )
        assert olds[first].content != olds[second].content
    else:
        (at,) = differing
        old, new = olds[at].content, news[at].content
        ((was, now),) = [pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]]
        expected = "0123456789" if kind is Perturbation.DIGIT else "+-*/×÷−"
        assert was in expected
        assert now in expected
    assert [step.i for step in olds] == [step.i for step in news]
    assert (after.prompt, after.final_answer) == (before.prompt, before.final_answer)
    assert after.meta == before.meta | {
        "source": "perturbed",
        "perturbed_from": trace_id(payload_of(original)),
        "perturbed_step": found.step,
        "perturbation": str(kind),
    }
    # What it is stored as is what it is read as.
    assert any_trace_of(json.loads(payload_of(found.trace))) == found.trace


def test_nothing_is_perturbed_where_nothing_can_change() -> None:
    assert perturb(_of("Read it.", "1. Think."), Perturbation.DIGIT, 0) is None
    assert perturb(_of("7 is odd", "well-known x-y"), Perturbation.OPERATOR, 0) is None
    assert perturb(_of("the same", "the same"), Perturbation.SWAP, 0) is None
    assert perturb(_of("alone"), Perturbation.SWAP, 0) is None


def test_a_digit_is_that_of_a_number_and_leads_with_no_zero() -> None:
    assert _changed(Perturbation.DIGIT, "Step 3: add 7") == {
        f"Step 3: add {n}" for n in range(10) if n != 7
    }
    assert _changed(Perturbation.DIGIT, "12") == {
        *(f"{n}2" for n in range(2, 10)),
        *(f"1{n}" for n in range(10) if n != 2),
    }


@pytest.mark.parametrize(
    ("content", "others"),
    [
        ("48/2=24", {"48+2=24", "48-2=24", "48*2=24"}),
        ("2 + 2 = 4", {"2 - 2 = 4", "2 / 2 = 4"}),  # 2 * 2 would be right, too
        ("8+0=8", {"8*0=8", "8/0=8"}),
        ("3 × 4 = 12", {"3 + 4 = 12", "3 − 4 = 12", "3 ÷ 4 = 12"}),
        ("$1,000 - $1 = $999", {"$1,000 + $1 = $999", "$1,000 * $1 = $999", "$1,000 / $1 = $999"}),
        ("(a) * (b)", {"(a) + (b)", "(a) - (b)", "(a) / (b)"}),
        ("9" * 5000 + "+" + "9" * 5000, {f"{'9' * 5000}{o}{'9' * 5000}" for o in "-*/"}),
    ],
)
def test_an_operator_becomes_one_with_another_result(content: str, others: set[str]) -> None:
    assert _changed(Perturbation.OPERATOR, content) == others


def test_swapped_steps_keep_their_types_and_give_up_their_places() -> None:
    found = perturb(_of("read", "add"), Perturbation.SWAP, 0)
    assert found is not None
    assert isinstance(found.trace, Trace)
    assert [(s.i, s.type, s.content) for s in found.trace.steps] == [
        (1, "t1", "add"),
        (4, "t0", "read"),
    ]
    assert found.step == 1


def test_lines_of_two_messages_are_not_swapped() -> None:
    call = {"name": "f", "arguments": {}}
    original = conversation(
        messages=[
            {"role": "user", "content": "?"},
            {"role": "assistant", "reasoning": "a\n\n b", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": "1"},
            {"role": "assistant", "reasoning": "c", "content": "done"},
        ]
    )
    for seed in range(20):
        found = perturb(original, Perturbation.SWAP, seed)
        assert found is not None
        assert found.step == 0
        assert [message.thought for message in chat_view(found.trace).messages] == [
            "",
            " b\n\na",
            "",
            "c",
        ]


def test_seeds_differ_and_the_golden_example_stays() -> None:
    (problem,) = generate_arithmetic(kinds=["addition"], n_digits=3, n=1, seed=0)
    original = problem.trace()
    made = {
        kind: [_golden(perturb(original, kind, seed)) for seed in range(2)] for kind in Perturbation
    }
    assert len({texts for found in made.values() for texts, _ in found}) == 6
    assert made == _GOLDEN


def _golden(found: Perturbed | None) -> tuple[str, str]:
    assert found is not None
    return " ".join(_contents(found.trace)), trace_id(payload_of(found.trace))[7:19]


_GOLDEN = {
    Perturbation.DIGIT: [
        ("6+3+5=09 4+8+0=12 1+2+1=04", "cb70fafc1025"),
        ("6+3+0=09 4+8+0=12 1+1+1=04", "bd0999970164"),
    ],
    Perturbation.OPERATOR: [
        ("6+3+0=09 4/8+0=12 1+2+1=04", "c2222d289048"),
        ("6+3+0=09 4+8*0=12 1+2+1=04", "fa0291afabb9"),
    ],
    Perturbation.SWAP: [
        ("4+8+0=12 6+3+0=09 1+2+1=04", "f6e6ae64baa9"),
        ("6+3+0=09 1+2+1=04 4+8+0=12", "6491e137a695"),
    ],
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.init(tmp_path)


def test_perturbed_traces_are_one_segment_with_the_label_of_the_wrong_step(store: Store) -> None:
    originals = store.traces.add([_of("1+1=2", "2+5=7"), _of("words"), _of("3+4=7")]).ids
    n = len(store.log.segments())
    report = store.traces.perturb(
        originals, kind="digit", seed=4, recorded_at="2026-01-31T12:00:00Z"
    )
    assert (report.recorded, report.duplicates) == (2, 0)
    assert report.omitted == {"nothing to change": 1}
    assert [(o.trace, str(o.reason)) for o in report.omissions] == [
        (originals[1], "nothing to change")
    ]
    assert len(store.log.segments()) == n + 1
    made = list(store.traces.select({"source": "perturbed"}))
    assert [t.content.meta["perturbed_from"] for t in made] == [originals[0], originals[2]]
    for found in made:
        assert found.state.labels == {f"step.{found.content.meta['perturbed_step']}": "wrong"}
        assert found.state.recorded_at == "2026-01-31T12:00:00Z"
    assert store.verify().ok
    again = store.traces.perturb(originals, kind="digit", seed=4)
    assert (again.recorded, again.duplicates, again.segment) == (0, 2, None)


def test_traces_with_a_wrong_step_are_left_out_and_withdrawn_ones_refused(store: Store) -> None:
    a, b, c = store.traces.add([_of("1+1=2"), _of("2+2=4"), _of("3+3=6")]).ids
    store.log.append([labelled(a, "step.1", "wrong")])
    assert store.traces.perturb([a], kind="digit", seed=0).omitted == {"a step is wrong already": 1}
    store.traces.perturb([b], kind="digit", seed=0)
    (copy,) = store.traces.select({"perturbed_from": b})
    store.traces.label([copy.id], {"step.1": None})
    assert store.traces.perturb([copy.id], kind="digit", seed=0).omitted == {
        "a step is wrong already": 1
    }
    store.traces.perturb([c], kind="digit", seed=0)
    (other,) = store.traces.select({"perturbed_from": c})
    store.traces.retract([other.id, a], reason="no")
    assert store.traces.perturb([c], kind="digit", seed=0).omitted == {"withdrawn before": 1}
    n = len(store.log.segments())
    with pytest.raises(PerturbError, match=r"cannot be perturbed\. Nothing was recorded"):
        store.traces.perturb([b, a], kind="operator", seed=0)
    with pytest.raises(PerturbError, match='Did you mean "operator"'):
        store.traces.perturb([b], kind="operater", seed=0)
    with pytest.raises(TimeError):
        store.traces.perturb([b], kind="operator", seed=0, recorded_at="now")
    assert len(store.log.segments()) == n


def test_a_limit_counts_perturbed_traces(store: Store) -> None:
    store.traces.add([_of("words"), _of("1"), _of("2"), _of("3")])
    report = store.traces.perturb(kind="digit", seed=0, where={"source": "manual"}, limit=2)
    assert (report.recorded, report.omitted) == (2, {"nothing to change": 1})
    assert (
        store.traces.perturb(kind="digit", seed=0, where={"source": "manual"}, limit=2).recorded
        == 0
    )


def test_an_export_judges_the_steps_up_to_the_error_as_right(store: Store) -> None:
    originals = [_of("1+1=2", "words", "no digit"), _of("words", "2+2=4", "more words")]
    call = {"role": "assistant", "reasoning": "look\n\n3*4=12\nso", "content": "12"}
    chat = conversation(messages=[{"role": "user", "content": "3 by 4?"}, call], final_answer=...)
    ids = store.traces.add([*originals, chat]).ids
    store.traces.perturb(ids, kind="digit", seed=0)
    store.datasets.build("verify", "v1", where={"source": "perturbed"})
    rows = list(store.datasets["verify-v1"].rows("stepwise"))
    assert sorted(row["labels"] for row in rows) == [
        [False, False, False],
        [True, False, False],
        [True, False, False],
    ]
    # The wrong step, and no other one, has other text than the original.
    texts = {text for one in ids for text in _contents(store.traces[one].content)}
    for row in rows:
        assert [text in texts for text in row["completions"]].index(False) == row["labels"].index(
            False
        )
        assert sum(text not in texts for text in row["completions"]) == 1
