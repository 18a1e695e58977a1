"""A program of its own: make one of everything that has a digest, and print the digests as JSON.

Usage: python -m tests.python_digests. `python -m tests.pythons` runs it on every interpreter and
compares: another version of Python must not change a byte.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tests.making.files import tree
from tests.making.trainings import TINY, TINY_FILE, make_store
from tunixrt.datasets.exports import REBUILT_FORMATS
from tunixrt.eval import judge_answer
from tunixrt.runs.manifests import kind_of
from tunixrt.traces.normal_text import tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt import Store

_AT = "2026-01-31T12:00:00Z"
#: Texts on which versions of Python have differed, or could: cases, digits, widths, new letters.
_NEW_CHARACTERS = (0x1E4F4, 0x11F54, 0x10D44, 0x10D50, 0x1CCD6, 0x1CCF4, 0x16EA0, 0xA7DA, 0x31350)
_PROMPTS = (
    "What is 15 + 27?",
    "İstanbul, Straße, ΣΑΣ, ﬁne: 1⁄2 + ½ = ?",
    "Wie viel ist ١٢ + ३?\u2028\u0085\u00a0\u3000",
    "\U0001e4f0\U00011f51\U0001ccf0 _\U00010d50_ \U0001fae8",
    "e\u0301 é \u1e9b\u0323 \ufb01",
)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _digest_of_tree(directory: Path) -> str:
    return _digest(json.dumps({n: _digest(d) for n, d in tree(directory).items()}).encode())


def _fill(store: Store) -> None:
    """Imports, single traces, a stream, and facts of every kind."""
    lines = [
        {
            "trace_version": "1.0",
            "prompt": prompt,
            "steps": [{"i": 0, "type": "compute", "content": f"{prompt} = {n / 7!r}"}],
            "final_answer": str(n),
            "meta": {"source": "made", "x": [n / 3, 10.0**n, -0.0, None], "letter": prompt[0]},
        }
        for n, prompt in enumerate(_PROMPTS)
    ]
    file = Path("traces.jsonl")
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    store.traces.import_(file, source_format="tunixrt", recorded_at=_AT)
    ids = []
    for n in range(6):
        (trace_id,), _ = store.traces.add({**lines[0], "prompt": f"{n}?"}, recorded_at=_AT)
        ids.append(trace_id)
    call = {"name": "f", "arguments": lines[1]["meta"], "id": _PROMPTS[4]}
    messages = [
        {"role": "user", "content": _PROMPTS[1]},
        {"role": "assistant", "content": _PROMPTS[2], "train": False, "tool_calls": [call]},
        {"role": "tool", "content": _PROMPTS[3], "tool_call_id": _PROMPTS[4]},
        {"role": "assistant", "content": _PROMPTS[0], "reasoning": "\n".join(_PROMPTS)},
    ]
    store.traces.add({"trace_version": "1.1", "messages": messages}, recorded_at=_AT)
    with store.traces.stream(recorded_at=_AT) as stream:
        for n in range(20):
            stream.add({**lines[1], "prompt": f"streamed {n}?"})
    store.traces.score(ids, recorded_at=_AT)
    store.traces.label(ids[:3], {"difficulty": "½"}, recorded_at=_AT)
    store.traces.supersede([ids[0]], by=ids[1], recorded_at=_AT)
    store.traces.retract([ids[2]], reason="wrong", recorded_at=_AT)
    store.traces.redact([ids[3]], reason="a name", recorded_at=_AT)


def _judgements() -> Iterator[str]:
    """What judge and search for contamination make of characters that are new in Unicode 15 on."""
    for character in (*"٤４⑤½éß", *map(chr, _NEW_CHARACTERS)):
        for answer in (f"4{character}", character, f"4 {character}m"):
            judged = judge_answer(expected="4", response=f"1. Add.\nAnswer: {answer}")
            # Not repr: which characters it escapes depends on the version, too.
            yield json.dumps([msgspec.to_builtins(judged), tokens_of(answer)])


def digests() -> dict[str, str]:
    """The digest of everything, by name; the current directory is empty at first."""
    found: dict[str, str] = {}
    store = make_store(Path("demo"))
    # A relative path, and another directory afterwards: what works on one version must on all.
    Path("elsewhere").mkdir()
    os.chdir("elsewhere")
    _fill(store)
    for number, ref in enumerate(store.log.segments()):
        found[f"segment {number}"] = ref.digest
    store.datasets.build("all", "v1", splits={"test": "0.3", "validation": "0.1"})
    store.datasets.build("some", "v1", where={"source": "made"}, limit=9, strategy="random", seed=3)
    for dataset in store.datasets:
        found[f"dataset {dataset.key}"] = dataset.digest
        for export_format in REBUILT_FORMATS:
            out = io.BytesIO()
            store.datasets[dataset.key].export(out, export_format)
            found[f"export {dataset.key} {export_format}"] = _digest(out.getvalue())
    found |= {f"snapshot {n}": one.digest for n, one in enumerate(list(store.snapshots))}
    found |= {f"eval set {one.name}": one.digest for one in store.evalsets}

    trained = store.runs.train("nano", dataset="sums-v1", overrides=TINY).manifest
    # Of one size with the trained model, so that what generates is compiled once.
    Path("tiny.toml").write_text(TINY_FILE, encoding="utf-8")
    before = store.runs.evaluate("untrained:tiny.toml", evalset="sums", max_new_tokens=6).manifest
    after = store.runs.evaluate(trained.run_id, evalset="sums", max_new_tokens=6).manifest
    names = {trained.run_id: "training", before.run_id: "before", after.run_id: "after"}
    for number, manifest in enumerate([run.manifest for run in store.runs]):
        name = names.get(manifest.run_id, f"{kind_of(manifest)} {number}")
        found[f"run id {name}"] = manifest.run_id
        for file, digest in manifest.outputs.items():
            found[f"{name} {file}"] = digest
    found["judgements"] = _digest("\n".join(_judgements()).encode())
    store.runs.report(before.run_id, after.run_id, "report")
    found["report"] = _digest_of_tree(Path("report"))
    store.build_site("site")
    found["site"] = _digest_of_tree(Path("site"))
    assert store.verify(rebuild=True).ok
    found["store"] = _digest_of_tree(store.layout.store)
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
        found = digests()
    json.dump({"python": sys.version.split()[0], "digests": found}, sys.stdout)


if __name__ == "__main__":
    main()
