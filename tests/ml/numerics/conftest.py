"""Every test below runs in the portable mode, and leaves the fast one behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tunixrt.ml import environment

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _portable_mode() -> Iterator[None]:
    environment.prepare("portable")
    yield
    environment.prepare("fast")
