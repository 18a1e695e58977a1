r"""The numbered steps and the final answer in the text that a model generated.

The final answer is looked for in this order; the first form that is there decides:

1. A form that marks it. If several are there, the last one in the text counts, since a model that
   corrects itself does so at the end:

   - a line that begins with ``Answer:`` or ``Final answer:`` (the form that training uses,
     ``Reasoning:\n1. ...\nAnswer: ...``; Markdown around the words does not matter; when the line
     ends there, the next line that is not blank is the answer),
   - GSM8K's ``#### 42``,
   - LaTeX's ``\boxed{42}``.
2. A sentence ``the answer is ...``, again the last one.
3. The last line of the text, without its step number. It is a guess, and the judge reads it as a
   sentence: it has to hold one single number, or to end in an equation.

In a response with ``<think>...</think>`` only what stands behind it can be the answer, and a
``<think>`` that is never closed has none. End-of-turn tokens at the end are not part of the text.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import msgspec


class AnswerForm(StrEnum):
    """How the final answer was marked."""

    ANSWER_LINE = "answer_line"
    HASHES = "hashes"
    BOXED = "boxed"
    SENTENCE = "sentence"
    LAST_LINE = "last_line"
    NONE = "none"


class ParsedResponse(msgspec.Struct, frozen=True):
    """What a response says.

    Attributes:
        steps: the text of the steps, in order, without their numbers.
        answer: the final answer as it is written, or None.
        form: how the answer was marked.
        remainder: everything from the answer to the end of the text (a final answer of several
            lines is longer than ``answer``).
        at_end: whether the answer is the last thing in the text; a generation that was cut may
            have been cut inside it.
    """

    steps: tuple[str, ...] = ()
    answer: str | None = None
    form: AnswerForm = AnswerForm.NONE
    remainder: str = ""
    at_end: bool = False


class _Found(msgspec.Struct, frozen=True):
    form: AnswerForm
    marker_start: int
    start: int
    end: int


_END_TOKENS: Final = (
    "<end_of_turn>", "<eos>", "<pad>", "</s>", "<|im_end|>", "<|eot_id|>", "<|endoftext|>",
)  # fmt: skip
_ANSWER_LINE: Final = re.compile(
    r"^[ \t>*_#-]*(?:the[ \t]+)?(?:final[ \t]+)?answer[*_ \t]*[:：](?:[*_]+(?=\s|\Z))?[ \t]*"
    r"|^[ \t]*#{1,6}[ \t]*(?:the[ \t]+)?(?:final[ \t]+)?answer[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_HASHES: Final = re.compile(
    r"^[ \t]*####(?![ \t]*(?:step|part|case|section|method|example))(?=[^\n]*\d)[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
_BOXED: Final = re.compile(r"\\(?:boxed|fbox)\s*\{")
_BRACE: Final = re.compile(r"[{}]")
_SENTENCE: Final = re.compile(
    r"\banswer\s+(?:is|would be|should be|must be|equals|comes to)\b\s*:?\s*"
    r"|(?<![/\w])answer\s*:\s*",
    re.IGNORECASE,
)
_SENTENCE_END: Final = re.compile(r"[.!?](?=\s|\Z)|\n")
_STEP: Final = re.compile(
    r"^[ \t>*_#-]*(?:step[ \t]+(\d{1,4})[*_]*[ \t]*[:.)-]|(\d{1,4})[.)])[*_]*(?:[ \t]+|$)",
    re.IGNORECASE | re.MULTILINE,
)
_REASONING: Final = re.compile(
    r"^[ \t>*_#-]*reasoning[*_ \t]*:[*_ \t]*$", re.IGNORECASE | re.MULTILINE
)
_THINK_OPEN: Final = "<think>"
_THINK_CLOSE: Final = "</think>"


def parse_response(text: str) -> ParsedResponse:
    """Find the steps and the final answer in a generated text.

    Args:
        text: the response as the model wrote it. A bare answer (``42``) is a response too.
    """
    text = strip_end_tokens(text.replace("\r\n", "\n"))
    thoughts, visible = _split_thoughts(text)
    if visible is None:
        return ParsedResponse(steps=_steps(thoughts))
    found = _marked(visible) or _sentence(visible) or _last_line(visible)
    if found is None:
        return ParsedResponse(steps=_steps(thoughts + visible))
    answer = visible[found.start : found.end].strip()
    before = visible[: found.marker_start]
    steps = _steps(thoughts) or _steps(before)
    if not steps and found.form is AnswerForm.HASHES:
        steps = tuple(line.strip() for line in before.splitlines() if line.strip())
    on_a_line = found.form is AnswerForm.ANSWER_LINE
    tail = visible[found.end :]
    return ParsedResponse(
        steps=steps,
        answer=answer or None,
        form=found.form if answer else AnswerForm.NONE,
        remainder=visible[found.start :].strip() if on_a_line else answer,
        at_end=not tail.strip() and not _closed(found),
    )


def strip_end_tokens(text: str) -> str:
    """The text without end-of-turn tokens and white space at its end."""
    text = text.rstrip()
    while text.endswith(_END_TOKENS):
        token = next(token for token in _END_TOKENS if text.endswith(token))
        text = text.removesuffix(token).rstrip()
    return text


def _split_thoughts(text: str) -> tuple[str, str | None]:
    """What is thought and what is said; nothing is said behind a ``<think>`` without its end."""
    before, opened, after = text.partition(_THINK_OPEN)
    if _THINK_CLOSE in text:
        thoughts, _, visible = text.rpartition(_THINK_CLOSE)
        return thoughts.replace(_THINK_OPEN, "\n") + "\n", visible
    if opened:
        return before + "\n" + after, None
    return "", text


def _closed(found: _Found) -> bool:
    """A box is closed by its brace, so nothing is missing from it even at the end of the text."""
    return found.form is AnswerForm.BOXED


def _marked(text: str) -> _Found | None:
    candidates = [*_answer_lines(text), *_hashes(text), *_boxes(text)]
    return max(candidates, key=lambda found: found.marker_start, default=None)


def _answer_lines(text: str) -> list[_Found]:
    return [
        _line_after(text, match, AnswerForm.ANSWER_LINE) for match in _ANSWER_LINE.finditer(text)
    ]


def _hashes(text: str) -> list[_Found]:
    return [_line_after(text, match, AnswerForm.HASHES) for match in _HASHES.finditer(text)]


def _line_after(text: str, match: re.Match[str], form: AnswerForm) -> _Found:
    """The rest of the marker's line, or the next line that is not blank."""
    start = match.end()
    while start < len(text) and text[start].isspace():
        start += 1
    end = text.find("\n", start)
    return _Found(form, match.start(), start, len(text) if end < 0 else end)


def _boxes(text: str) -> list[_Found]:
    """The boxes whose brace is closed; one pass, since models repeat themselves without end."""
    opened: list[int] = []
    closing: dict[int, int] = {}
    for brace in _BRACE.finditer(text):
        if brace[0] == "{":
            opened.append(brace.end())
        elif opened:
            closing[opened.pop()] = brace.start()
    return [
        _Found(AnswerForm.BOXED, match.start(), match.end(), closing[match.end()])
        for match in _BOXED.finditer(text)
        if match.end() in closing
    ]


def _sentence(text: str) -> _Found | None:
    for match in reversed(list(_SENTENCE.finditer(text))):
        sentence = _SENTENCE_END.split(text[match.end() :], maxsplit=1)[0]
        if sentence.strip():
            end = match.end() + len(sentence)
            return _Found(AnswerForm.SENTENCE, match.start(), match.end(), end)
    return None


def _last_line(text: str) -> _Found | None:
    if not text.strip():
        return None
    start = text.rfind("\n") + 1
    # `1. 42` is a step; a line that is nothing but `42.` is an answer.
    step = _STEP.match(text[start:])
    if step and start + step.end() < len(text):
        start += step.end()
    return _Found(AnswerForm.LAST_LINE, len(text), start, len(text))


def _steps(text: str) -> tuple[str, ...]:
    """Steps numbered 1, 2, 3...; a number out of turn is text of the step that it stands in."""
    heading = _REASONING.search(text)
    begin = heading.end() if heading else 0
    starts: list[tuple[int, int]] = []
    for match in _STEP.finditer(text, begin):
        if int(match[1] or match[2]) == len(starts) + 1:
            starts.append((match.start(), match.end()))
    if not starts:
        return ()
    ends = [start for start, _ in starts[1:]] + [len(text)]
    return tuple(text[start:end].strip() for (_, start), end in zip(starts, ends, strict=True))
