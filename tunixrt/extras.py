"""Optional packages: which extra of tunixrt installs which, and the one sentence where they lack.

The store half runs on the base install. What needs more asks for it here, before it writes
anything, and the command line turns an import that fails all the same into the same sentence.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from tunixrt.errors import BadInputError
from tunixrt.words import series

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TRAIN: Final = "train"
MATH: Final = "math"
PARQUET: Final = "parquet"
ZSTD: Final = "zstd"
SQL: Final = "sql"
DEDUPE: Final = "dedupe"
GYM: Final = "gym"
TOKENIZERS: Final = "tokenizers"

#: The packages of each extra by their import names; those of `_BELOW` are installed with them.
EXTRAS: Final[Mapping[str, tuple[str, ...]]] = {
    TRAIN: ("flax", "jax", "jaxlib", "numpy", "optax", "safetensors"),
    MATH: ("math_verify",),
    PARQUET: ("pyarrow",),
    ZSTD: ("zstandard",),
    SQL: ("duckdb",),
    DEDUPE: ("datasketch",),
    GYM: ("reasoning_gym",),
    TOKENIZERS: ("tokenizers",),
}
_BELOW: Final[Mapping[str, tuple[str, ...]]] = {
    TRAIN: ("ml_dtypes", "scipy", "opt_einsum"),
    MATH: ("sympy", "latex2sympy2_extended", "antlr4"),
    PARQUET: (),
    ZSTD: (),
    SQL: (),
    DEDUPE: ("scipy", "numpy"),
    GYM: (),
    TOKENIZERS: (),
}


class MissingExtraError(BadInputError):
    """Packages that the base install does not have are needed.

    Attributes:
        extra: the extra of tunixrt that installs them.
        packages: those that are not installed, by their import names.
    """

    def __init__(self, what: str, extra: str, packages: Sequence[str]) -> None:
        listed = series(package.replace("_", "-") for package in packages)
        are = "is" if len(packages) == 1 else "are"
        super().__init__(
            f"{what} needs {listed}, which {are} not installed: pip install 'tunixrt[{extra}]'"
        )
        self.extra = extra
        self.packages = tuple(packages)


def require(extra: str, what: str) -> None:
    """Check that the packages of an extra can be imported; imports none of them.

    Args:
        extra: one of `EXTRAS`.
        what: what needs them, as the beginning of a sentence.

    Raises:
        MissingExtraError: a package is not installed; the message has the line that installs it.
    """
    missing = [package for package in EXTRAS[extra] if not _is_installed(package)]
    if missing:
        raise MissingExtraError(what, extra, missing)


def missing_extra(error: ImportError) -> MissingExtraError | None:
    """The sentence for an import (or a version) that was not found; None where it is a bug."""
    package = (error.name or "").partition(".")[0].replace("-", "_")
    for extra, packages in EXTRAS.items():
        if package in (*packages, *_BELOW[extra]):
            return MissingExtraError("This", extra, [package])
    return None


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):  # another finder refuses it, or it is half imported
        return False
