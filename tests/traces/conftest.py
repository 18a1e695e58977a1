"""A store on disk for every test that wants one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.making.traces import Place

if TYPE_CHECKING:
    from pathlib import Path


# Examples that write to a disk have no deadline that every machine keeps.
settings.register_profile("data", deadline=None)
settings.load_profile("data")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty store, and a directory beside it for files to import."""
    return Place.at(tmp_path / "root")
