"""Bad input gets a sentence and exit code 2, and nothing is written."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.making.files import TRACE, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome


def changed(**fields: Any) -> dict[str, Any]:
    return copy.deepcopy(TRACE) | fields


def lines(*records: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def without(field: str) -> dict[str, Any]:
    record = copy.deepcopy(TRACE)
    del record[field]
    return record


STEP: dict[str, Any] = {"i": 0, "type": "compute", "content": "Add"}

BAD_FILES = {
    "empty": (b"", ["holds no records"]),
    "blank lines only": (b"\n\n \n", ["holds no records"]),
    "broken JSON on line 5,001": (
        lines(*(changed(prompt=f"What is {n} + 1?") for n in range(5000)))
        + b'{"trace_version": \n',
        ["line 5001"],
    ),
    "a missing field": (lines(TRACE, without("final_answer")), ["line 2", "final_answer"]),
    "a step without content": (
        lines(changed(steps=[{"i": 0, "type": "compute"}])),
        ["line 1", "steps[0]", "content"],
    ),
    "duplicate step indices": (lines(changed(steps=[STEP, STEP])), ["line 1", "steps"]),
    "a prompt over the limit": (lines(changed(prompt="x" * 50_001)), ["prompt", "50,000"]),
    "too many steps": (
        lines(changed(steps=[STEP | {"i": i} for i in range(1001)])),
        ["steps", "1,000"],
    ),
    "an unknown field": (lines(changed(promt="?")), ["promt", "Did you mean"]),
    "invalid UTF-8": (lines(TRACE) + b'{"prompt": "\xff"}\n', ["line 2", "UTF-8"]),
    "a duplicate key": (b'{"prompt": "a", "prompt": "b"}\n', ["line 1", "prompt"]),
    "NaN": (lines(changed(meta={"x": float("nan")})), ["line 1"]),
    "no object": (b"[1, 2]\n", ["record 1"]),
}


@pytest.fixture
def store(cli: Callable[..., Outcome], tmp_path: Path) -> Path:
    assert cli("init").code == 0
    (tmp_path / "good.jsonl").write_bytes(lines(TRACE))
    assert cli("trace", "import", "good.jsonl", "--from", "tunixrt").code == 0
    return tmp_path


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_rejected_whole(name: str, cli: Callable[..., Outcome], store: Path) -> None:
    data, fragments = BAD_FILES[name]
    (store / "bad.jsonl").write_bytes(data)
    before = tree(store)
    outcome = cli("trace", "import", "bad.jsonl", "--from", "tunixrt")
    assert outcome.code == 2
    assert outcome.out == ""
    for fragment in [*fragments, "bad.jsonl"]:
        assert fragment in outcome.err
    assert tree(store) == before


BAD_COMMANDS = {
    "a file that does not exist": (
        ["trace", "import", "absent.jsonl", "--from", "tunixrt"],
        ["absent.jsonl"],
    ),
    "an unknown source format": (
        ["trace", "import", "good.jsonl", "--from", "tunix"],
        ["tunix", "Did you mean", "tunixrt"],
    ),
    "an unknown export format": (
        ["dataset", "export", "all-v1", "--format", "tunix"],
        ['"tunix"', "trace", "tunix_sft", "training_example"],
    ),
    "random without a seed": (
        ["dataset", "build", "some", "v1", "--strategy", "random", "--limit", "1"],
        ["random", "seed"],
    ),
    "an unknown strategy": (["dataset", "build", "some", "v1", "--strategy", "newest"], ["newest"]),
    "a limit of 0": (["dataset", "build", "some", "v1", "--limit", "0"], ["limit", "0"]),
    "a split that is no number": (
        ["dataset", "build", "some", "v1", "--split", "test=ten"],
        ["test", "ten"],
    ),
    "an option without its value": (
        ["dataset", "build", "some", "v1", "--where", "source"],
        ['field "source" does not exist', "meta.source", "^"],
    ),
    "one key with two values": (
        ["dataset", "build", "some", "v1", "--where", "a=1", "--where", "a=2"],
        ["'1'", "'2'"],
    ),
    "a name with a capital letter": (["dataset", "build", "Some", "v1"], ["Some", "a-z"]),
    "nothing that matches": (
        ["dataset", "build", "some", "v1", "--where", "source=gsm8k"],
        ["source", "gsm8k", "manual"],
    ),
    "a key that exists with another recipe": (
        ["dataset", "build", "all", "v1", "--where", "source=manual"],
        ["all-v1", "exists already", "sha256:"],
    ),
    "an unknown dataset": (["dataset", "show", "al-v1"], ["al-v1", "all-v1"]),
    "a config key that does not exist": (
        ["train", "nano", "--dataset", "all-v1", "--set", "training.learning_rat=1"],
        ["training.learning_rat", "training.learning_rate"],
    ),
    "an unknown preset": (["train", "nan", "--dataset", "all-v1"], ["nan", "nano"]),
    "an unknown eval set": (["eval", "untrained:nano", "--evalset", "sums"], ["sums"]),
    "an unknown run": (["run", "show", "abcdef"], ["abcdef"]),
    "a run prefix that is too short": (["run", "show", "abc"], ["abc", "6"]),
    "an unknown trace": (["trace", "show", "abcdef0"], ["abcdef0"]),
    "an unknown snapshot": (["snapshot", "show", "abcdef0"], ["abcdef0"]),
    "a snapshot prefix that is too short": (["snapshot", "show", "abc"], ["abc", "6"]),
    "nothing to reproduce": (["reproduce", "--all"], ["no runs"]),
    "reproduce what": (["reproduce"], ["RUN", "--all"]),
    "one run at a time": (
        ["reproduce", "ab12cd", "--jobs", "2"],
        ["--jobs has no effect here: it goes with --all"],
    ),
    "no job at all": (["reproduce", "--all", "--jobs", "0"], ["--jobs", "0"]),
    "nothing at once": (["reproduce", "--all", "--jobs", "2"], ["no runs"]),
    "a misspelt command": (["verfy"], ["Did you mean", "verify"]),
    "a misspelt subcommand": (["trace", "imprt"], ["Did you mean", "import"]),
    "held-out problems without a file": (
        ["trace", "generate", "arithmetic", "-n", "3", "--held-out"],
        ["--held-out", "-o"],
    ),
    "more problems than there are": (
        ["trace", "generate", "arithmetic", "-n", "100", "--digits", "1"],
        ["100"],
    ),
}


@pytest.mark.parametrize("name", BAD_COMMANDS)
def test_a_bad_command_gets_a_sentence_and_writes_nothing(
    name: str, cli: Callable[..., Outcome], store: Path
) -> None:
    args, fragments = BAD_COMMANDS[name]
    assert cli("dataset", "build", "all", "v1").code == 0
    before = tree(store)
    outcome = cli(*args)
    assert outcome.code == 2, outcome
    for fragment in fragments:
        assert fragment in outcome.err
    assert tree(store) == before


def test_no_store_exits_3_and_says_what_to_do(cli: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = cli("status")
    assert outcome.code == 3
    assert "tunixrt init" in outcome.err
    assert str(tmp_path) in outcome.err


def test_bad_records_can_be_set_aside(cli: Callable[..., Outcome], store: Path) -> None:
    (store / "mixed.jsonl").write_bytes(
        lines(changed(prompt="One?"), without("prompt"), changed(prompt="Two?")) + b"\xff\n"
    )
    outcome = cli(
        "trace", "import", "mixed.jsonl", "--from", "tunixrt", "--on-error", "quarantine", "--json"
    )
    assert outcome.code == 0
    assert outcome.document["recorded"] == 2
    assert outcome.document["rejected"] == 2
    rejects = [
        json.loads(line) for line in (store / "mixed.jsonl.rejects.jsonl").read_text().splitlines()
    ]
    assert [reject["line"] for reject in rejects] == [2, 4]
    assert rejects[0]["field"] == "prompt"
    assert rejects[0]["raw"] == json.dumps(without("prompt"))


@pytest.mark.parametrize("epoch", ["soon", "-1", "99999999999999"])
def test_a_bad_source_date_epoch_is_refused(
    epoch: str, cli: Callable[..., Outcome], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    outcome = cli("trace", "import", "good.jsonl", "--from", "tunixrt")
    assert outcome.code == 2
    assert "SOURCE_DATE_EPOCH" in outcome.err
