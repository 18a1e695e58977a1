"""Running the command line inside the test process, as a person would from a shell."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tunixrt.cli.main import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        document = json.loads(self.out)
        assert document["schema_version"] == "1"
        return dict(document)


Cli = "Callable[..., Outcome]"


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """A function that runs ``tunixrt ARGS...`` in the test's directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNIXRT_STORE", raising=False)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)

    def run_command(*args: str) -> Outcome:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["tunixrt", *args])
        code = run()
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return Outcome(int(code), captured.out, captured.err)

    return run_command
