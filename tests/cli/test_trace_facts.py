"""`tunixrt trace add|score|label|supersede|retract|reinstate|redact`."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from tests.making.files import TRACE, tree
from tests.making.locks import held
from tunixrt import Store
from tunixrt.log.digests import Digest, digest_bytes
from tunixrt.log.layout import Layout
from tunixrt.log.segment.events import Envelope
from tunixrt.runs.promotions import promoted
from tunixrt.traces.facts import LABELLED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

_AUTHOR = ("-c", "user.name=A", "-c", "user.email=a@example.org")


@pytest.fixture
def ids(cli: Callable[..., Outcome], tmp_path: Path) -> list[str]:
    """Three traces in a new store."""
    assert cli("init").code == 0
    return [
        cli(
            "trace", "add", "--prompt", f"{n}+1?", "--step", "compute", "Add 1", "--answer", f"{n}"
        ).out.strip()
        for n in range(3)
    ]


def test_a_trace_is_added_from_options_or_stdin(
    cli: Callable[..., Outcome], ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = cli("trace", "show", ids[0], "--json").document
    assert shown["prompt"] == "0+1?"
    assert shown["steps"] == [{"i": 0, "type": "compute", "content": "Add 1"}]
    stdin = SimpleNamespace(buffer=io.BytesIO(json.dumps(TRACE).encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    added = cli("trace", "add", "-", "--json").document
    assert (added["recorded"], added["duplicates"]) == (1, 0)
    again = ("trace", "add", "--prompt", "0+1?", "--step", "compute", "Add 1", "--answer", "0")
    outcome = cli(*again)
    assert outcome.out.strip() == ids[0]
    assert "Nothing was recorded: it is known already." in outcome.err
    with_meta = cli(*again, "--meta", "source=hand", "--json").document
    assert with_meta["recorded"] == 1


@pytest.mark.parametrize(
    ("stdin", "sentence"),
    [
        (b"[]", "an object"),
        (b'{"prompt": "x"}', "trace_version"),
        (b"{", "end"),
        (b'{"a":1,"a":2}', "a"),
    ],
)
def test_what_is_no_trace_is_refused_with_a_sentence(
    cli: Callable[..., Outcome],
    ids: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stdin: bytes,
    sentence: str,
) -> None:
    before = tree(tmp_path)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(stdin)))
    outcome = cli("trace", "add", "-")
    assert outcome.code == 2
    assert sentence in outcome.err
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "args",
    [
        ("trace", "add"),
        ("trace", "add", "-", "--answer", "1"),
        ("trace", "add", "--answer", "1"),
        ("trace", "redact"),
        ("trace", "redact", "abcdef"),
        ("trace", "retract", "abcdef"),
        ("trace", "label", "abcdef", "x"),
        ("trace", "label", "quality=good"),
        ("trace", "label", "abcdef", "=good"),
        ("trace", "reinstate"),
        ("trace", "redact", "--sweep", "--lock-timeout", "-1"),
    ],
)
def test_bad_usage_exits_2(cli: Callable[..., Outcome], ids: list[str], args: list[str]) -> None:
    assert cli(*args).code == 2


def test_facts_are_stated_once_and_shown(cli: Callable[..., Outcome], ids: list[str]) -> None:
    a, b, c = ids
    scored = cli("trace", "score", a, b)
    assert "2 events recorded." in scored.err
    assert "5.50" in scored.out
    again = cli("trace", "score", a, b, "--json").document
    assert again["n_new"] == 0
    assert again["scores"][1]["score"] == 5.5
    assert "the log states this already" in cli("trace", "score", a).err
    labelled = cli("trace", "label", a, "quality=good", "seen=")
    assert labelled.out.startswith("sha256:")
    shown = cli("trace", "show", a, "--json").document
    assert (shown["labels"], shown["scores"]) == ({"quality": "good"}, {"baseline": 5.5})
    assert cli("trace", "supersede", b, "--by", c, "--json").document["n_new"] == 1
    assert cli("trace", "retract", c, "--reason", "wrong").code == 0
    listed = cli("trace", "list", "--all", "--json").document["traces"]
    assert [t["state"] for t in listed] == ["active", "superseded", "retracted"]
    assert "the log states this already" in cli("trace", "retract", c, "--reason", "wrong").err


def test_several_traces_get_several_labels_in_any_order(
    cli: Callable[..., Outcome], ids: list[str]
) -> None:
    a, b, c = ids
    done = cli("trace", "label", "topic=a=b", a, "seen=yes", b, "--json").document
    assert (done["traces"], done["n_new"]) == ([a, b], 4)
    labels = {t["id"]: t["labels"] for t in cli("trace", "list", "--json").document["traces"]}
    expected = {"topic": "a=b", "seen": "yes"}
    assert labels == {a: expected, b: expected, c: {}}
    refused = cli("trace", "label", a, b)
    assert "At least one ID and one KEY=VALUE are needed; found no KEY=VALUE." in refused.err


def test_a_retraction_and_a_supersession_are_undone(
    cli: Callable[..., Outcome], ids: list[str]
) -> None:
    a, b, c = ids
    assert cli("trace", "retract", a, "--reason", "wrong").code == 0
    assert cli("trace", "supersede", b, "--by", c).code == 0
    assert cli("dataset", "build", "less", "v1", "--json").document["trace_count"] == 1
    done = cli("trace", "reinstate", a, b, c, "--reason", "right after all", "--json").document
    assert (done["traces"], done["n_new"]) == ([a, b, c], 2)
    listed = cli("trace", "list", "--json").document["traces"]
    assert [t["state"] for t in listed] == ["active"] * 3
    assert cli("dataset", "build", "all", "v1", "--json").document["trace_count"] == 3
    assert "the log states this already" in cli("trace", "reinstate", a).err
    assert cli("trace", "redact", c, "--reason", "asked for").code == 0
    refused = cli("trace", "reinstate", c)
    assert (refused.code, refused.out) == (2, "")
    assert "was redacted, which is final" in refused.err
    assert cli("verify").code == 0


def test_a_redaction_says_what_it_did_and_what_remains(
    cli: Callable[..., Outcome], ids: list[str], tmp_path: Path
) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "evalsets" / "quotes.jsonl").write_text('{"prompt": "0+1?"}\n')
    assert cli("dataset", "build", "all", "v1").code == 0
    outcome = cli("trace", "redact", ids[0], "f" * 64, "--reason", "asked for")
    assert outcome.code == 0
    assert "2 traces redacted; 1 not recorded here yet." in outcome.err
    assert "1 payload removed" in outcome.err
    assert outcome.out.startswith("store/log/")
    for remains in (
        "A guess of the text can be confirmed",
        "datasets list the id: all-v1",
        "files quote the prompt: evalsets/quotes.jsonl",
        "git filter-repo --force --blob-callback",
        ids[0][7:],
    ):
        assert remains in outcome.err
    again = cli("trace", "redact", ids[0], "--reason", "asked for", "--json").document
    assert (again["n_new"], again["removed"]) == (0, [])
    manifest = next(tmp_path.rglob("manifest.json"))
    original = manifest.read_bytes()
    manifest.write_bytes(b"{}")
    unread = cli("trace", "redact", ids[0], "--reason", "asked for")
    assert unread.code == 0
    assert "This could not be read" in unread.err
    manifest.write_bytes(original)
    both = cli("trace", "redact", ids[0], ids[1], "--reason", "asked for")
    assert "1 trace redacted, 1 redacted before." in both.err
    assert cli("verify", "--rebuild").code == 0
    assert cli("trace", "show", ids[0]).code == 2


def test_a_sweep_removes_what_came_back(
    cli: Callable[..., Outcome], ids: list[str], tmp_path: Path
) -> None:
    parts = {path: path.read_bytes() for path in tmp_path.rglob("0000.jsonl")}
    assert cli("trace", "redact", ids[0], "--reason", "asked for").code == 0
    quiet = cli("trace", "redact", "--sweep")
    assert "0 payloads removed" in quiet.err
    assert "What remains" not in quiet.err
    for path, data in parts.items():
        path.write_bytes(data)
    assert cli("verify").code == 1
    swept = cli("trace", "redact", "--sweep")
    assert "1 payload removed" in swept.err
    assert "not a Git repository" in swept.err
    assert cli("verify").code == 0
    path = next(path for path, data in parts.items() if b"1+1?" in data)
    data = path.read_bytes()
    envelope = data.split(b"\n")[0]
    sides = (b"<<<<<<< a\n", data, b"=======\n", envelope, b"\nnull\n", b">>>>>>> b\n")
    path.write_bytes(b"".join(sides))
    assert "repaired: store/log/" in cli("trace", "redact", "--sweep").err
    assert path.read_bytes() == data


def test_who_waits_for_the_lock_is_told_whose_it_is_and_exits_4(
    cli: Callable[..., Outcome], ids: list[str], tmp_path: Path
) -> None:
    with held(Layout(tmp_path)) as process:
        sweep = ("trace", "redact", "--sweep", "--lock-timeout")
        outcome = cli(*sweep, "0.05")
        assert outcome.code == 4
        assert f"held by process {process.pid} on" in outcome.err
        assert f"Another process, process {process.pid} on" in outcome.err
        assert "waiting" not in cli(*sweep, "0").err
        (tmp_path / ".tunixrt" / "store.lock.holder").unlink()
        assert "held by another process ..." in cli(*sweep, "0.05").err
    assert cli(*sweep, "0").code == 0


@pytest.mark.parametrize(
    "command",
    [
        ("trace", "score", "{0}"),
        ("trace", "label", "{0}", "quality=good"),
        ("trace", "supersede", "{0}", "--by", "{1}"),
        ("trace", "retract", "{0}", "--reason", "wrong"),
        ("trace", "reinstate", "{2}"),
        ("trace", "redact", "{0}", "--reason", "asked"),
        ("dataset", "build", "all", "v1"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_every_command_that_looks_before_it_writes_waits_for_the_lock_and_gives_up(
    cli: Callable[..., Outcome], ids: list[str], tmp_path: Path, command: tuple[str, ...]
) -> None:
    named = [word.format(*(i.removeprefix("sha256:") for i in ids)) for word in command]
    assert cli("trace", "retract", ids[2], "--reason", "for reinstate").code == 0
    before = tree(tmp_path / "store")
    with held(Layout(tmp_path)) as process:
        outcome = cli(*named, "--lock-timeout", "0.05")
        assert outcome.code == 4
        assert outcome.out == ""
        waits, gives_up = outcome.err.splitlines()
        for line in (waits, gives_up):
            assert f"process {process.pid} on" in line
            assert "(redaction, since " in line
        assert "waiting up to 0.05 s for the lock of the store" in waits
        assert "did not finish within 0.05 seconds" in gives_up
    assert tree(tmp_path / "store") == before
    assert cli(*named, "--lock-timeout", "0").code == 0
    assert tree(tmp_path / "store") != before


def test_recording_waits_for_nobody(
    cli: Callable[..., Outcome], ids: list[str], tmp_path: Path
) -> None:
    with held(Layout(tmp_path)):
        added = ("trace", "add", "--prompt", "9+1?", "--step", "compute", "Add", "--answer", "10")
        assert cli(*added).code == 0
        assert cli("snapshot", "create").code == 0
        assert cli("trace", "generate", "arithmetic", "-n", "2").code == 0


def test_status_names_events_that_make_no_sense_and_names_of_runs_that_are_gone(
    cli: Callable[..., Outcome], ids: list[str], tmp_path: Path
) -> None:
    store = Store.open(tmp_path)
    odd = b'{"label":"quality"}'
    envelope = Envelope(LABELLED, payload=digest_bytes(odd), trace=Digest(ids[0]))
    segment = store.log.append([(envelope, odd), promoted("baseline", "ab" * 32)])
    assert segment is not None
    status = cli("status")
    assert (
        f"passed over: segment {segment[7:19]}, 0000.jsonl, line 1: An event of the type "
        "trace.labelled cannot be read: " in status.out
    )
    assert "the name baseline was given to the run abababababab, which is not here" in status.out
    document = cli("status", "--json").document
    assert document["missing_promoted"] == {"baseline": "ab" * 32}
    assert [problem["line"] for problem in document["problems"]] == [1]
    verified = cli("verify")
    assert verified.code == 1
    assert "The name baseline was given to this run" in verified.out + verified.err


def test_verify_since_says_what_it_compared(
    cli: Callable[..., Outcome], ids: list[str], tmp_path: Path
) -> None:
    assert cli("verify", "--since", "HEAD").code == 2
    for command in (["init", "-q"], ["add", "-A"], [*_AUTHOR, "commit", "-q", "-m", "three"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    assert cli("trace", "redact", ids[0], "--reason", "asked for").code == 0
    verified = cli("verify", "--since", "HEAD")
    assert verified.code == 0
    assert "Compared with HEAD: 7 files, 1 payload redacted since." in verified.err
    next(tmp_path.rglob("0000.jsonl")).unlink()
    failed = cli("verify", "--since", "HEAD", "--json")
    assert failed.code == 1
    assert failed.document["since"]["n_files"] == 7
    assert cli("verify", "--since", "nothing").code == 2


def test_traces_are_perturbed_by_id_or_selected(
    cli: Callable[..., Outcome], ids: list[str]
) -> None:
    outcome = cli("trace", "perturb", *ids[:2], "--kind", "digit", "--seed", "1")
    assert outcome.err == "2 perturbed traces recorded, 0 duplicates.\n"
    assert len(outcome.out.strip()) == len(ids[0])
    found = cli("trace", "list", "--where", f"perturbed_from={ids[0]}", "--json").document
    (copy,) = found["traces"]
    assert copy["labels"] == {"step.0": "wrong"}
    assert copy["final_answer"] == "0"
    assert copy["steps"][0]["content"] != "Add 1"
    assert copy["meta"]["perturbation"] == "digit"
    again = cli(
        *("trace", "perturb", "--where", "source=perturbed", "--kind", "digit", "--seed", "1"),
        "--json",
    ).document
    assert (again["recorded"], again["segment"]) == (0, None)
    assert again["omitted"] == {"a step is wrong already": 2}
    assert again["omissions"][0] == {"trace": copy["id"], "reason": "a step is wrong already"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "by ID, or select them with --where"),
        (("ID", "--where", "a=b"), "by ID, or select them with --where"),
        (("ID", "-n", "1"), "--limit has no effect here: it goes with --where"),
        (("ID", "--kind", "digits"), "Did you mean 'digit'"),
        (("abcdef",), "abcdef"),
    ],
)
def test_what_cannot_be_perturbed_is_refused(
    cli: Callable[..., Outcome],
    ids: list[str],
    tmp_path: Path,
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    before = tree(tmp_path)
    given = [ids[0] if argument == "ID" else argument for argument in arguments]
    outcome = cli("trace", "perturb", "--kind", "digit", "--seed", "0", *given)
    assert outcome.code == 2
    assert sentence in outcome.err
    assert tree(tmp_path) == before
