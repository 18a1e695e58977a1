"""What the tests of the model layer share; jax may not be imported before the flags are set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunixrt.ml import environment

environment.prepare("fast")

import jax  # noqa: E402
import pytest  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def fast_mode() -> None:
    """Undo what a test of the portable mode, or the mode's training, has set for the process."""
    environment.prepare("fast")


@pytest.fixture(scope="session", autouse=True)
def _compile_the_same_program_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Most of the time of these tests would be XLA compiling one program again and again."""
    settings = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)  # type: ignore[no-untyped-call]
    yield
    for name, value in before.items():
        jax.config.update(name, value)  # type: ignore[no-untyped-call]
