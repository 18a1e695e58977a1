"""Reasoning traces, datasets, training and evaluation runs as plain files in Git."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunixrt.store import Store

    __version__: str

__all__ = ["Store", "__version__"]


def __getattr__(name: str) -> object:
    # Imported when asked for, so that importing a part of the package does not import all of it.
    if name == "Store":
        from tunixrt.store import Store

        return Store
    if name == "__version__":
        from importlib.metadata import version

        return version("tunixrt")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
