"""`tunixrt snapshot diff|prove|check-proof`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome


@pytest.fixture
def store(cli: Callable[..., Outcome], tmp_path: Path) -> tuple[str, str, str]:
    """A trace, a snapshot that holds it, and a later snapshot."""
    assert cli("init").code == 0
    assert cli("trace", "generate", "arithmetic", "-n", "9").code == 0
    trace = cli("trace", "list", "--json").document["traces"][4]["id"]
    assert cli("dataset", "build", "all", "v1").code == 0
    old = cli("snapshot", "create").out.strip()
    assert cli("trace", "generate", "arithmetic", "-n", "12").code == 0
    return trace, old, cli("snapshot", "create").out.strip()


def test_proofs_are_written_and_checked_where_there_is_no_store(
    cli: Callable[..., Outcome],
    store: tuple[str, str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trace, old, new = store
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    dataset = cli("dataset", "show", "all-v1", "--json").document["manifest"]["digest"]
    for name, args, about in (
        ("a.json", (trace, "--snapshot", old), (trace, old)),
        ("b.json", (trace[7:15],), (trace, new)),
        ("c.json", (trace, "--dataset", "all-v1"), (trace, dataset)),
        ("d.json", ("--contains", old, "--snapshot", new), (old, new)),
    ):
        target = str(outside / name)
        written = cli("snapshot", "prove", *args, "-o", target)
        assert written.code == 0
        assert "checks it without a store" in written.err
        assert cli("snapshot", "prove", *args).out == (outside / name).read_text()
        document = cli("snapshot", "prove", *args, "--json").document
        assert document["file"] is None
        assert document["proof"] == json.loads((outside / name).read_text())
        monkeypatch.chdir(outside)
        checked = cli("snapshot", "check-proof", name)
        assert checked.code == 0
        assert all(digest in checked.out for digest in about)
        assert "one that you trust" in checked.err
        named = [option for digest in about for option in ("--about", digest)]
        exact = cli("snapshot", "check-proof", name, *named, "--json").document
        assert exact["ok"] is True
        wrong = cli("snapshot", "check-proof", name, "--about", "sha256:" + "1" * 64)
        assert wrong.code == 1
        monkeypatch.chdir(tmp_path)
    assert cli("snapshot", "check-proof", "absent.json").code == 2
    assert cli("snapshot", "check-proof", "absent.json", "--about", "x").code == 2


@pytest.mark.parametrize(
    "args",
    [(), ("abcdef", "--contains", "abcdef"), ("abcdef", "--dataset", "d-1", "--snapshot", "abc")],
)
def test_what_to_prove_must_be_clear(cli: Callable[..., Outcome], args: tuple[str, ...]) -> None:
    assert cli("init").code == 0
    outcome = cli("snapshot", "prove", *args)
    assert outcome.code == 2
    assert "Give a TRACE" in outcome.err


def test_snapshots_are_compared(cli: Callable[..., Outcome], store: tuple[str, str, str]) -> None:
    _, old, new = store
    text = cli("snapshot", "diff", old[7:15], new[7:15]).out
    assert "B contains A. 1 segment in common." in text
    assert "only in B: 1 segment (3 trace.recorded)" in text
    assert "only in A" not in text
    assert "A contains B." in cli("snapshot", "diff", new, old).out
    document = cli("snapshot", "diff", old, old, "--json").document
    assert (document["relation"], document["n_common"]) == ("same", 1)
