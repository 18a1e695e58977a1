"""The run id: the digest of everything that decides the bits of a run, and of nothing else.

Two runs with one id are one run, so asking for a run that exists finds it done. What does not
change the bits stays out: logging and saving intervals, host, time, the commit (an edit of the
README must not orphan a run). What does is in: the numeric sources themselves and the versions of
the numeric packages.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from tunixrt.log.digests import Digest, digest_file, digest_value, hex_of

if TYPE_CHECKING:
    from tunixrt.log.canonical import JsonValue

IDENTITY_FORMAT = 1

#: The packages whose version may change a bit of a weight.
NUMERIC_PACKAGES = ("flax", "jax", "jaxlib", "ml_dtypes", "numpy", "optax", "safetensors")

_ML_SOURCES = Path(__file__).resolve().parent.parent / "ml"


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a trace becomes text: the data format, the version of its template, the system text."""

    format: str
    version: str
    system_instruction: str | None = None


class Code(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The digest of the sources of ``tunixrt/ml`` and the versions of the numeric packages."""

    sources: Digest
    packages: dict[str, str]


class TrainingIdentity(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="training"
):
    """What decides the bits of a training run.

    ``numeric_class`` is the digest of the machine's numeric class in ``fast`` mode; in
    ``portable`` mode it is absent (null), since the machine decides nothing there.
    """

    format: int
    dataset: Digest
    base: Digest | None
    config: dict[str, object]
    tokenizer: Digest
    template: Template
    numeric_mode: Literal["fast", "portable"]
    numeric_class: Digest | None
    code: Code

    @property
    def run_id(self) -> str:
        """The 64 hex digits that name the run."""
        return hex_of(digest_value(msgspec.to_builtins(self)))


class Draws(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sampled responses: ``n`` to each sample of the eval set, each from a number of its own.

    The number is made from the seed, the sample's id and the response's place among the ``n``: see
    ``tunixrt.eval.compare.draws``.
    """

    temperature: float
    top_p: float
    n: int
    seed: int

    def __str__(self) -> str:
        """All but the seed, in words."""
        each = "1 response" if self.n == 1 else f"{self.n:,} responses"
        return f"temperature {self.temperature:g}, top-p {self.top_p:g}, {each} a sample"


class GenerationSettings(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """How answers were generated. Greedy: the highest logit, the lowest token id on a tie.

    ``draws`` says how tokens were sampled; it is absent where they were not.
    """

    strategy: Literal["greedy", "sampling"]
    max_new_tokens: int
    batch_size: int
    draws: Draws | None = None


class Judge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which judge decided right and wrong."""

    name: str
    version: str


class EvaluationIdentity(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="evaluation"
):
    """What decides the bits of an evaluation run."""

    format: int
    weights: Digest
    model_config: Digest
    tokenizer: Digest
    evalset: Digest
    template: Template
    generation: GenerationSettings
    judge: Judge
    numeric_mode: Literal["fast", "portable"]
    numeric_class: Digest | None
    code: Code

    @property
    def run_id(self) -> str:
        """The 64 hex digits that name the run."""
        return hex_of(digest_value(msgspec.to_builtins(self)))

    @property
    def responses_id(self) -> str:
        """The 64 hex digits that name the responses: the digest of all of this but the judge.

        A judge reads what was generated and decides no token of it, so evaluations that differ in
        the judge alone have the same responses.
        """
        decides = {key: part for key, part in msgspec.to_builtins(self).items() if key != "judge"}
        return hex_of(digest_value(decides))


def current_code() -> Code:
    """The numeric code that is installed now."""
    return Code(
        sources=sources_digest(_ML_SOURCES),
        packages={name: metadata.version(name) for name in NUMERIC_PACKAGES},
    )


def sources_digest(directory: Path) -> Digest:
    """The digest of every ``.py`` file below ``directory``: JCS of ``{relative path: digest}``."""
    sources: dict[str, JsonValue] = {
        path.relative_to(directory).as_posix(): digest_file(path)
        for path in sorted(directory.rglob("*.py"))
    }
    return digest_value(sources)
