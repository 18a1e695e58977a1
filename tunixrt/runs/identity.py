"""The identities of runs: everything that decides their bytes, by digest, and nothing else.

A run id is the digest of its identity. Two runs with one id are one run, so a command that asks for
an existing run finds it done. What does not change the bytes is left out: paths, keys and names,
logging and saving intervals, host, time, the commit (an edit of the README must not orphan a run).
What changes them is included: the text that is read, the numeric sources and the versions of the
numeric packages.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from tunixrt.derive import derivation_id
from tunixrt.extras import TRAIN, require
from tunixrt.log.digests import Digest, digest_file, digest_value, hex_of
from tunixrt.words import plural

if TYPE_CHECKING:
    from tunixrt.log.canonical import JsonValue

IDENTITY_FORMAT = 2

#: The packages whose version may change a bit of a weight.
NUMERIC_PACKAGES = ("flax", "jax", "jaxlib", "ml_dtypes", "numpy", "optax", "safetensors")

#: Prompts that are generated for at a time, if no other number is chosen.
BATCH_SIZE = 64

_ML_SOURCES = Path(__file__).resolve().parent.parent / "ml"


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a trace is rendered: the data format, the version of its template, the system text."""

    format: str
    version: str
    system_instruction: str | None = None


class Code(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The digest of the sources of ``tunixrt/ml`` and the versions of the numeric packages."""

    sources: Digest
    packages: dict[str, str]


class ModelDigests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The files of a model directory that decide what it computes."""

    weights: Digest
    model_config: Digest
    tokenizer: Digest


class TrainingIdentity(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="training"
):
    """What decides the bytes of a training run.

    Attributes:
        format: of this structure.
        dataset: the digest of the dataset, which determines the number of members of the split.
        text: the digest of the examples that are read: see `tunixrt.datasets.text.Text`. A redacted
            member is not among them, so a redaction changes the digest.
        validation_text: the same for the validation split; None if no loss over it is computed.
        base: the model that training starts from; None for initial weights.
        config: the configuration, without settings that change no bit.
        tokenizer: the digest of ``tokenizer.json``.
        template: how a trace becomes text.
        numeric_mode: fast or portable.
        numeric_class: the digest of the machine's numeric class in ``fast`` mode; in ``portable``
            mode it is absent (null), since the machine does not matter there.
        code: the numeric sources and packages.
    """

    format: int
    dataset: Digest
    text: Digest
    validation_text: Digest | None
    base: ModelDigests | None
    config: dict[str, object]
    tokenizer: Digest
    template: Template
    numeric_mode: Literal["fast", "portable"]
    numeric_class: Digest | None
    code: Code

    @property
    def run_id(self) -> str:
        """The 64 hex digits that name the run."""
        return derivation_id(self)


class Draws(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sampled responses: ``n`` per sample of the eval set, each from its own random number.

    The number is derived from the seed, the sample's id and the response's index among the ``n``:
    see ``tunixrt.eval.compare.draws``.
    """

    temperature: float
    top_p: float
    n: int
    seed: int

    def __str__(self) -> str:
        """Return all but the seed, in words."""
        each = plural(self.n, "response")
        return f"temperature {self.temperature:g}, top-p {self.top_p:g}, {each} per sample"


class GenerationSettings(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """How answers were generated; greedy is the highest logit, the lowest token id on a tie.

    ``draws`` is how tokens were sampled; absent for greedy decoding. ``overlong`` is what was done
    with prompts that leave no room for an answer; absent if every prompt fitted.
    """

    strategy: Literal["greedy", "sampling"]
    max_new_tokens: int
    batch_size: int
    draws: Draws | None = None
    overlong: Literal["wrong", "omit"] | None = None


class Judge(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The judge that decided right and wrong.

    Attributes:
        name: of the judge, or ``module:function``.
        version: absent where a user's function has none.
        source: the digest of the file that defines a user's function; absent for other judges.
    """

    name: str
    version: str | None = None
    source: Digest | None = None

    def __str__(self) -> str:
        """Return name and version, and which source."""
        source = None if self.source is None else f"(source {hex_of(self.source)[:12]})"
        return " ".join(filter(None, (self.name, self.version, source)))


class ResponsesIdentity(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="responses"
):
    """What decides what a model answers to an eval set.

    ``untrained`` is the configuration whose initial weights answer; None for other models.
    """

    format: int
    model: ModelDigests
    untrained: dict[str, object] | None
    evalset: Digest
    template: Template
    generation: GenerationSettings
    numeric_mode: Literal["fast", "portable"]
    numeric_class: Digest | None
    code: Code

    @property
    def run_id(self) -> str:
        """The 64 hex digits that name the responses."""
        return derivation_id(self)


class EvaluationIdentity(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
    tag="evaluation",
):
    """What decides the bytes of an evaluation: the responses, the judge, and how figures are made.

    It contains the whole identity of the responses, so an evaluation states by itself what was
    asked of which model; the digest of that identity names the directory of the responses.

    Attributes:
        format: of this structure.
        responses: what is judged.
        judge: the judge that reads them.
        summary: the version of the figures (averages, intervals, categories, draws), see
            ``tunixrt.eval.evaluation``; absent for version 1.
    """

    format: int
    responses: ResponsesIdentity
    judge: Judge
    summary: int = 1

    @property
    def run_id(self) -> str:
        """The 64 hex digits that name the run."""
        return derivation_id(self)


class ContaminationIdentity(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="contamination"
):
    """What decides which samples of an eval set are in training data.

    Attributes:
        format: of this structure.
        method: the name of the rules, ``prompts-2``: see ``tunixrt.eval.contamination``.
        ngram: the length of the grams of the rule ``overlap``, in tokens.
        threshold: the minimal share of a sample's grams that counts, as a fraction.
        evalset: the digest of the eval set.
        texts: the digests of all texts that were trained on, including those of base runs, sorted.
        complete: whether these are all; False if training started from weights of unknown origin.
    """

    format: int
    method: str
    ngram: int
    threshold: str
    evalset: Digest
    texts: list[Digest]
    complete: bool

    @property
    def run_id(self) -> str:
        """The 64 hex digits that name the check."""
        return derivation_id(self)


def current_code() -> Code:
    """Return the numeric code that is installed now.

    Raises:
        MissingExtraError: the packages of the extra ``train`` are not installed.
    """
    require(TRAIN, "A training or an evaluation")
    return Code(
        sources=sources_digest(_ML_SOURCES),
        packages={name: metadata.version(name) for name in NUMERIC_PACKAGES},
    )


def sources_digest(directory: Path) -> Digest:
    """Return the digest of the ``.py`` files below a directory: JCS of ``{path: digest}``."""
    sources: dict[str, JsonValue] = {
        path.relative_to(directory).as_posix(): digest_file(path)
        for path in sorted(directory.rglob("*.py"))
    }
    return digest_value(sources)
