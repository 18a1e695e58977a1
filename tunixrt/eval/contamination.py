"""Whether an eval set is in the training data: equal prompts, or prompts that share most words.

Three rules are applied to each sample; the first that matches counts:

- ``exact``: a training prompt has the same characters.
- ``normalised``: a training prompt has the same tokens; see :mod:`tunixrt.traces.normal_text`.
- ``overlap``: at least 70% of the sample's distinct 8-grams of tokens occur in training prompts,
  in any of them. This is the rule of PaLM (Chowdhery et al. 2022, section 8), over prompts. A
  prompt of fewer than 8 tokens has one gram, the whole prompt, which only the same prompt
  has; so questions that share a short frame (``What is 12 + 30?``) are not taken for one another.

Of a conversation every text of a user counts as a training prompt, and every text that the
assistant learns: an eval question that the model is trained to write is known to it, too.

Training prompts are read once, one at a time: memory grows with the eval set, not with the data.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from tunixrt.runs.lines import Overlap, OverlapKind
from tunixrt.traces.conversation import Conversation, Role
from tunixrt.traces.normal_text import Gram, grams_of, tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tunixrt.eval.evalsets import EvalSample
    from tunixrt.log.digests import Digest
    from tunixrt.traces.schema import AnyTrace

#: The version of the rules above; it changes whenever the result for any sample might.
METHOD: Final = "prompts-2"
NGRAM: Final = 8
THRESHOLD: Final = Fraction(7, 10)

K = TypeVar("K")


class Contamination(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of an eval set is in training data, for display.

    Attributes:
        method: the name of the rules.
        ngram: the length of the grams of the rule ``overlap``, in tokens.
        threshold: the share of a sample's grams at which it counts as an overlap, as a decimal.
        datasets: what was compared, ``KEY`` or ``KEY/SPLIT``, by the names of this store; of a
            model, the datasets of its base runs among them.
        complete: whether these are all; False where training started from external weights.
        n_prompts: prompts that were compared; of conversations, their texts.
        n_redacted: members whose prompts were redacted.
        n_samples: samples of the eval set.
        n_exact: samples whose prompt equals one of them character by character.
        n_normalised: further samples equal to one but for case, spaces and punctuation.
        n_overlap: further samples that share at least ``threshold`` of their grams.
        examples: the ids of contaminated samples, the first 20 in the eval set's order.
    """

    method: str
    ngram: int
    threshold: float
    datasets: list[str]
    complete: bool
    n_prompts: int
    n_redacted: int
    n_samples: int
    n_exact: int
    n_normalised: int
    n_overlap: int
    examples: list[str]

    @property
    def n_contaminated(self) -> int:
        """How many samples are in the data, by any rule."""
        return self.n_exact + self.n_normalised + self.n_overlap


def compared_texts(trace: AnyTrace) -> Iterator[str]:
    """Yield the texts of a trace that are compared: its prompt, or those of a conversation."""
    if not isinstance(trace, Conversation):
        yield trace.prompt
        return
    for message in trace.messages:
        if message.role is Role.USER:
            yield message.content
        elif message.is_learned:
            yield from filter(None, (message.thought, message.content))


class ContaminationCheck:
    """Reads training prompts one by one, then returns the samples that are among them."""

    def __init__(self, samples: Sequence[EvalSample]) -> None:
        self._samples = samples
        self._exact: dict[str, Digest | None] = {sample.prompt: None for sample in samples}
        self._normalised: dict[Gram, Digest | None] = {
            tuple(tokens_of(sample.prompt)): None for sample in samples
        }
        self._grams: dict[Gram, Digest | None] = {
            gram: None for sample in samples for gram in grams_of(sample.prompt, NGRAM)
        }
        self.n_prompts = 0

    def add_trace(self, trace_id: Digest, trace: AnyTrace) -> None:
        """Take every compared text of a trace into account."""
        for text in compared_texts(trace):
            self.add(trace_id, text)

    def add(self, trace: Digest, prompt: str) -> None:
        """Take a training prompt into account; of equal prompts the lowest id is named."""
        self.n_prompts += 1
        _note(self._exact, prompt, trace)
        _note(self._normalised, tuple(tokens_of(prompt)), trace)
        for gram in grams_of(prompt, NGRAM):
            _note(self._grams, gram, trace)

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
        grams = grams_of(sample.prompt, NGRAM)
        seen = Counter(trace for gram in grams if (trace := self._grams[gram]) is not None)
        share = Fraction(seen.total(), len(grams))
        if share < THRESHOLD:
            return None
        most = min(seen, key=lambda trace: (-seen[trace], trace))
        return Overlap(sample.id, OverlapKind.OVERLAP, most, round(float(share), 4))


def _note(known: dict[K, Digest | None], key: K, trace: Digest) -> None:
    """Record the source of an eval-set key: the lowest id, in whatever order sources arrive."""
    if key in known:
        before = known[key]
        known[key] = trace if before is None else min(before, trace)
