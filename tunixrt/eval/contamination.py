"""Is an eval set in the training data: the same prompts, or prompts that share most of their words.

Three questions are asked of each sample, the first that is answered yes counts:

- ``exact``: a training prompt has the same characters.
- ``normalised``: a training prompt has the same tokens. Tokens are words without letter case,
  numbers without thousands separators, and signs; white space, quotes and ``. , ; : ! ?`` are none.
  Signs stay because ``2 + 3`` and ``2 - 3`` are two questions.
- ``overlap``: at least 70% of the sample's distinct 8-grams of tokens stand in training prompts,
  whichever they are. This is the rule of PaLM (Chowdhery et al. 2022, section 8), over prompts. A
  prompt of fewer than 8 tokens has one gram, the whole of it, which nothing but the same prompt
  has; so questions that share a short frame (``What is 12 + 30?``) are not taken for one another.

Training prompts are read once, one at a time: memory grows with the eval set, not with the data.
"""

from __future__ import annotations

import re
from collections import Counter
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import msgspec

from tunixrt.log.digests import Digest
from tunixrt.unicode_14 import pin

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tunixrt.eval.evalsets import EvalSample

#: The version of the rules above; it changes whenever one sample might be found otherwise.
METHOD: Final = "prompts-1"
NGRAM: Final = 8
THRESHOLD: Final = Fraction(7, 10)

_SEPARATOR: Final = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_TOKEN: Final = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+|[^\w\s.,;:!?\"'`“”‘’«»]")

Gram = tuple[str, ...]


class OverlapKind(StrEnum):
    """How a sample is in the training data; each kind is stronger than those after it."""

    EXACT = "exact"
    NORMALISED = "normalised"
    OVERLAP = "overlap"


class Overlap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sample that is in the training data.

    Attributes:
        example_id: the id of the sample.
        kind: how it is there.
        trace: the training trace with that prompt; for ``overlap`` the one that first showed most
            of the shared grams.
        share: how many of the sample's grams training prompts have, 0 to 1, four decimals.
    """

    example_id: str
    kind: OverlapKind
    trace: Digest
    share: float


def tokens_of(text: str) -> list[str]:
    """The tokens that two prompts are compared by."""
    return _TOKEN.findall(_SEPARATOR.sub("", pin(text).casefold()))


def grams_of(text: str) -> set[Gram]:
    """The distinct 8-grams of a text; the whole of it where it is shorter."""
    tokens = tokens_of(text)
    if len(tokens) <= NGRAM:
        return {tuple(tokens)}
    return {tuple(tokens[i : i + NGRAM]) for i in range(len(tokens) - NGRAM + 1)}


class ContaminationCheck:
    """Reads training prompts one after the other and then says which samples they hold."""

    def __init__(self, samples: Sequence[EvalSample]) -> None:
        self._samples = samples
        self._exact: dict[str, Digest | None] = {sample.prompt: None for sample in samples}
        self._normalised: dict[Gram, Digest | None] = {
            tuple(tokens_of(sample.prompt)): None for sample in samples
        }
        self._grams: dict[Gram, Digest | None] = {
            gram: None for sample in samples for gram in grams_of(sample.prompt)
        }
        self.n_prompts = 0

    def add(self, trace: Digest, prompt: str) -> None:
        """Take a training prompt into account; of equal ones the first is named."""
        self.n_prompts += 1
        if self._exact.get(prompt, trace) is None:
            self._exact[prompt] = trace
        tokens = tuple(tokens_of(prompt))
        if self._normalised.get(tokens, trace) is None:
            self._normalised[tokens] = trace
        for gram in grams_of(prompt):
            if self._grams.get(gram, trace) is None:
                self._grams[gram] = trace

    def overlaps(self) -> Iterator[Overlap]:
        """The samples that are in the training data, in the order of the eval set."""
        for sample in self._samples:
            found = self._overlap(sample)
            if found is not None:
                yield found

    def _overlap(self, sample: EvalSample) -> Overlap | None:
        exact = self._exact[sample.prompt]
        if exact is not None:
            return Overlap(sample.id, OverlapKind.EXACT, exact, 1.0)
        normalised = self._normalised[tuple(tokens_of(sample.prompt))]
        if normalised is not None:
            return Overlap(sample.id, OverlapKind.NORMALISED, normalised, 1.0)
        grams = grams_of(sample.prompt)
        seen = Counter(trace for gram in grams if (trace := self._grams[gram]) is not None)
        share = Fraction(seen.total(), len(grams))
        if share < THRESHOLD:
            return None
        most = min(seen, key=lambda trace: (-seen[trace], trace))
        return Overlap(sample.id, OverlapKind.OVERLAP, most, round(float(share), 4))
