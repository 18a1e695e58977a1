"""A store to make a site of, and what the data files of a site hold."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tests.making.conversations import conversation_value
from tests.making.hostile import TEXTS
from tests.making.runs import made_evaluation, made_store, made_training, write_evalset

if TYPE_CHECKING:
    from pathlib import Path

    from tunixrt import Store


#: The texts that conversations repeat everywhere.
TALKED = [TEXTS[0], *TEXTS[3:6], *TEXTS[-3:]]


def hostile_conversation(text: str) -> dict[str, Any]:
    """A conversation that says the same text wherever it may say something."""
    name = text[:256]
    call = {"id": name, "name": name, "arguments": {text: text}}
    return conversation_value(
        messages=[
            {"role": "system", "content": text},
            {"role": "user", "content": f"{text}\nAgain.", "name": name},
            {"role": "assistant", "content": text, "reasoning": text, "tool_calls": [call]},
            {"role": "tool", "content": text, "tool_call_id": name, "name": name},
            {"role": "assistant", "content": text, "train": False},
        ],
        tools=[{text: text, "name": name}],
        final_answer=text,
        meta={"source": text},
    )


def hostile_store(root: Path) -> Store:
    """A store in which every text that people or models write is an attempt to break out."""
    store = made_store(root, n=8, n_samples=12)
    lines = [
        {
            "trace_version": "1.0",
            "prompt": text,
            "final_answer": text,
            "steps": [{"i": 0, "type": text[:60], "content": text}],
            "meta": {"source": text, text[:40]: [text]},
        }
        for text in TEXTS
    ]
    lines += [hostile_conversation(text) for text in TALKED]
    path = root / "hostile.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    store.traces.import_(path, source_format="tunixrt")
    path.unlink()
    store.datasets.build("hostile", "v1", where={"source": TEXTS[0]}, parent="sums-v1")
    write_evalset(store, "rough", TEXTS)
    trained = made_training(store)
    made_training(store, seed=1)
    before = made_evaluation(store, None, n_right=2)
    after = made_evaluation(store, trained, n_right=9)
    made_evaluation(store, trained, n_right=3, evalset="rough", responses=TEXTS)
    store.runs.promote(before.run_id, "baseline")
    store.runs.promote(after.run_id, "best")
    store.runs.promote(trained.run_id, "released")
    return store


def rows_of(path: Path) -> list[list[object]]:
    name, rows = re.fullmatch(
        r'tunixrt\("([a-z0-9-]+)", (\[.*\])\);\n', path.read_text(encoding="utf-8"), re.DOTALL
    ).groups()  # type: ignore[union-attr]
    assert name == path.stem
    return list(json.loads(rows))
