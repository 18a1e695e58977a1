"""Prompts that leave a model no room for an answer: detected before anything is generated.

A prompt is overlong if its tokens fill the model's context, so that no token could follow.
Detecting them needs the tokenizer and the model's sizes. Which prompts are overlong is a
function of eval set, template and model configuration; how they are treated is a setting of the
generation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tunixrt.datasets.render import DataFormat, render_prompt
from tunixrt.errors import BadInputError
from tunixrt.jobs.evaluation.target import template_of_model
from tunixrt.jobs.models import (
    CONFIG_NAME,
    UNTRAINED,
    NoModelError,
    is_untrained,
    model_digests,
    model_directory,
    training_of,
)
from tunixrt.jobs.training import template_of
from tunixrt.log import canonical
from tunixrt.runs.catalogue import Catalogue
from tunixrt.runs.config_sources import load_config
from tunixrt.runs.manifests import OverlongPrompts
from tunixrt.traces.violations import describe
from tunixrt.words import choice, plural, suggestion

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path
    from typing import Literal

    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.log.layout import Layout
    from tunixrt.runs.identity import Template

    Treatment = Literal["wrong", "omit"]

REFUSE = "refuse"
TREATMENTS: tuple[Treatment, ...] = ("wrong", "omit")

#: The key of the context length in Hugging Face's config.json.
_CONTEXT = "max_position_embeddings"


class PromptLengths(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The prompts of an eval set as tokens of one model.

    Attributes:
        evalset: the name of the eval set.
        max_length: the model's context in tokens, for a prompt and its answer together.
        n_samples: samples of the eval set.
        longest: tokens of the longest prompt that fits; 0 where none fits.
        overlong: the tokens of every prompt that does not fit, by sample id, in eval-set order.
    """

    evalset: str
    max_length: int
    n_samples: int
    longest: int
    overlong: dict[str, int]


class OverlongPromptsError(BadInputError):
    """Prompts of an eval set leave the model no room for an answer.

    Attributes:
        lengths: the lengths of the prompts.
    """

    def __init__(self, lengths: PromptLengths) -> None:
        super().__init__(f"{overlong_sentence(lengths)} {_what_to_do(lengths)}")
        self.lengths = lengths


def overlong_sentence(lengths: PromptLengths) -> str:
    """Which samples are overlong, all of them by id and tokens."""
    n, found = lengths.n_samples, lengths.overlong
    listed = ", ".join(f"{sample} ({n_tokens:,})" for sample, n_tokens in found.items())
    return (
        f"{len(found):,} of {plural(n, 'prompt')} of the eval set "
        f"{lengths.evalset} leave no room for an answer in the model's context of "
        f"{lengths.max_length:,} tokens: {listed}."
    )


def _what_to_do(lengths: PromptLengths) -> str:
    if len(lengths.overlong) == lengths.n_samples:
        return "No question is left: use a model with a larger model.max_length."
    return (
        "Shorten them, use a model with a larger model.max_length, or choose: "
        "`--on-overlong wrong` counts them as wrong answers, `--on-overlong omit` leaves them out "
        "of the score."
    )


def prompt_tokens(template: Template, prompt: str) -> list[int]:
    """A question as the model sees it."""
    from tunixrt.ml.tokenizer import ByteTokenizer

    text = render_prompt(
        prompt, data_format=DataFormat(template.format), system=template.system_instruction
    )
    return ByteTokenizer().encode(text)


def prompt_lengths(evalset: EvalSet, template: Template, max_length: int) -> PromptLengths:
    """Measure every prompt of an eval set under a template."""
    n_tokens = {s.id: len(prompt_tokens(template, s.prompt)) for s in evalset.samples}
    return PromptLengths(
        evalset=evalset.name,
        max_length=max_length,
        n_samples=len(evalset.samples),
        longest=max((n for n in n_tokens.values() if n < max_length), default=0),
        overlong={sample: n for sample, n in n_tokens.items() if n >= max_length},
    )


def without(evalset: EvalSet, overlong: Container[str]) -> EvalSet:
    """An eval set without the samples with these ids: the questions that a model is asked."""
    if not overlong:
        return evalset
    fitting = tuple(sample for sample in evalset.samples if sample.id not in overlong)
    return msgspec.structs.replace(evalset, samples=fitting)


def overlong_of(
    treatment: Treatment | None, evalset: EvalSet, template: Template, directory: Path
) -> OverlongPrompts | None:
    """The record of overlong prompts in responses; None where none was overlong.

    Raises:
        NoModelError: the model's config.json has no context length.
    """
    if treatment is None:
        return None
    lengths = prompt_lengths(evalset, template, context_length(directory))
    return OverlongPrompts(treatment, lengths.max_length, dict(sorted(lengths.overlong.items())))


def check_prompts(layout: Layout, evalset: EvalSet, model: str) -> PromptLengths:
    """Measure every prompt of an eval set for a model; makes no weights and generates nothing.

    Raises:
        BadInputError: the model does not exist, or its config.json has no context length.
    """
    if is_untrained(model):
        config = load_config(model.removeprefix(UNTRAINED))
        template = template_of(config.data.format, config.system_instruction)
        return prompt_lengths(evalset, template, config.model.max_length)
    directory = model_directory(layout, model)
    trained = training_of(Catalogue(layout), model_digests(directory))
    return prompt_lengths(evalset, template_of_model(trained), context_length(directory))


def treatment_of(on_overlong: str, lengths: PromptLengths) -> Treatment | None:
    """How overlong prompts are treated; None where every prompt fits.

    Raises:
        OverlongPromptsError: there are some and they are refused, or all prompts are overlong.
        BadInputError: the text is not one of refuse, wrong and omit.
    """
    treatment = check_treatment(on_overlong)
    if not lengths.overlong:
        return None
    if treatment is None or len(lengths.overlong) == lengths.n_samples:
        raise OverlongPromptsError(lengths)
    return treatment


def check_treatment(on_overlong: str) -> Treatment | None:
    """``wrong`` or ``omit`` as it is, and None for ``refuse``.

    Raises:
        BadInputError: the text is another one.
    """
    if on_overlong == REFUSE:
        return None
    for treatment in TREATMENTS:
        if on_overlong == treatment:
            return treatment
    known = (REFUSE, *TREATMENTS)
    raise BadInputError(
        f"on_overlong is {on_overlong!r}: expected {choice(known)}.{suggestion(on_overlong, known)}"
    )


def context_length(directory: Path) -> int:
    """The context of a model in tokens, from its ``config.json``; imports no jax.

    Raises:
        NoModelError: it has none.
    """
    path = directory / CONFIG_NAME
    try:
        described = canonical.decode(path.read_bytes())
    except canonical.CanonicalError as error:
        raise NoModelError(str(directory), f"{path} is not JSON: {error}") from error
    length = described.get(_CONTEXT) if isinstance(described, dict) else None
    if isinstance(length, int) and not isinstance(length, bool) and length > 0:
        return length
    raise NoModelError(
        str(directory),
        f"{path} should give the model's context as {_CONTEXT}, a whole number of tokens; found "
        f"{describe(length) if length is not None else 'nothing'}.",
    )
