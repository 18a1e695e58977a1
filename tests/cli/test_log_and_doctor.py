"""`tunixrt log`, `doctor` and `dataset diff`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome


@pytest.fixture
def trace(cli: Callable[..., Outcome]) -> str:
    """A store with twelve traces in two segments; the id of the first."""
    assert cli("init").code == 0
    for n in ("9", "12"):
        assert cli("trace", "generate", "arithmetic", "-n", n).code == 0
    return str(cli("trace", "list", "--json").document["traces"][0]["id"])


def test_the_log_lists_events_newest_last(
    cli: Callable[..., Outcome], trace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert cli("trace", "label", trace, "quality=good").code == 0
    assert cli("trace", "redact", trace, "--reason", "asked for").code == 0
    lines = cli("log").out.splitlines()
    assert len(lines) == 14
    assert "trace.recorded  " + trace[7:19] + "  (redacted)" in lines[0]
    assert "trace.labelled  " + trace[7:19] in lines[12]
    assert '{"label": "quality", "value": "good"}  2023-11-14T22:13:20Z' in lines[12]
    for limit in (1, 2, 5, 14, 99):
        assert cli("log", "--limit", str(limit)).out.splitlines() == lines[-limit:]
    documents = [json.loads(line) for line in cli("log", "--json").out.splitlines()]
    assert [d["schema_version"] for d in documents] == ["1"] * 14
    assert documents[0]["trace"] == trace
    assert documents[0]["has_payload"] is False
    assert documents[1]["content"] is None
    assert documents[13]["content"] == {"reason": "asked for"}
    assert documents[13]["type"] == "trace.redacted"


def test_an_empty_log_lists_nothing(cli: Callable[..., Outcome]) -> None:
    assert cli("init").code == 0
    assert cli("log").out == cli("log", "--limit", "3").out == ""


def test_the_doctor_exits_with_1_when_something_must_be_done(
    cli: Callable[..., Outcome], trace: str, tmp_path: Path
) -> None:
    sound = cli("doctor")
    assert sound.code == 0
    assert "ok    store format" in sound.out
    (tmp_path / "store" / "store.json").write_text("{}")
    assert cli("doctor", "--json").document["ok"] is False
    assert "FIX   store format" in cli("doctor").out
    assert cli("doctor").code == 1


def test_datasets_are_compared(cli: Callable[..., Outcome], trace: str) -> None:
    assert cli("dataset", "build", "d", "v1").code == 0
    assert cli("trace", "retract", trace, "--reason", "wrong").code == 0
    assert cli("trace", "add", "--prompt", "x", "--step", "a", "b", "--answer", "1").code == 0
    assert cli("dataset", "build", "d", "v2", "--split", "test=0.5", "--seed", "1").code == 0
    outcome = cli("dataset", "diff", "d-v1", "d-v2")
    assert f"- {trace[7:19]} train" in outcome.out
    assert "~ " in outcome.out
    assert "+ " in outcome.out
    assert "left out: 1 trace (1 train)" in outcome.err
    assert "moved: " in outcome.err
    assert "other recipes" in outcome.err
    document = cli("dataset", "diff", "d-v1", "d-v2", "--json", "--limit", "1").document
    assert len(document["changes"]) == 1
    assert document["n_changes"] > 2
    limited = cli("dataset", "diff", "d-v1", "d-v2", "--limit", "0")
    assert limited.out == ""
    assert "more; --limit shows more" in limited.err
    assert "the same recipe" in cli("dataset", "diff", "d-v1", "d-v1").err
    assert cli("dataset", "diff", "d-v1", "d-v3").code == 2


def test_a_stream_that_died_is_recovered(
    cli: Callable[..., Outcome], trace: str, tmp_path: Path
) -> None:
    from tests.making.traces import trace as make
    from tunixrt import Store

    store = Store.open(tmp_path)
    stream = store.traces.stream()
    ids = [stream.add(make(text)).id for text in ("a?", "secret?")]
    journal = next(tmp_path.rglob("journal.jsonl"))
    data = journal.read_bytes()
    assert "stream-" in cli("status").out
    assert "holds 2 traces of a stream" in cli("doctor").out
    stream.close()
    assert store.traces.redact([ids[1]], reason="r").n_new == 1
    dead = tmp_path / "store" / ".tmp" / "stream-dead"
    dead.mkdir()
    (dead / "journal.jsonl").write_bytes(data + b"torn")
    outcome = cli("trace", "recover")
    assert "0 traces recovered, 1 known already." in outcome.err
    assert "1 trace dropped: redacted in the meantime." in outcome.err
    assert "The unfinished end of a stream is in store/.tmp/" in outcome.err
    assert "never acknowledged" in cli("doctor").out
    assert cli("status", "--json").document["torn"] != []
    assert cli("status", "--json").document["leftovers"] == []
    dead.mkdir()
    (dead / "journal.jsonl").write_bytes(data)
    other = tmp_path / "other"
    assert cli("init", str(other)).code == 0
    (other / "store" / ".tmp").mkdir(exist_ok=True)
    dead.rename(other / "store" / ".tmp" / "stream-dead")
    assert cli("trace", "recover", "--store", str(other)).out.startswith("sha256:")
    document = cli("trace", "recover", "--json", "--store", str(other)).document
    assert document["n_recovered"] == 0
