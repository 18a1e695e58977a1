"""A store on disk for every test that wants one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.making.traces import Place

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty store, and a directory beside it for files to import."""
    return Place.at(tmp_path / "root")
