from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tunixrt.log.eventlog import EventLog
from tunixrt.log.layout import init

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    """An empty log in a new store."""
    root = tmp_path / "home"
    root.mkdir()
    return EventLog(init(root))


@pytest.fixture
def refusable() -> Iterator[Path]:
    """A directory of a user to whom the file system can say no, which it never does to root."""
    with tempfile.TemporaryDirectory() as name:
        is_root = os.geteuid() == 0
        if is_root:
            os.chown(name, 65534, 65534)
            os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            if is_root:
                os.seteuid(0)


@pytest.fixture
def without_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests about what is in the files: that it outlives a power cut has tests of its own."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
