r"""The steps and the final answer in the text that a model generated.

Steps are numbered 1, 2, 3...; without numbers, each line after ``Reasoning:`` is one, which is how
a model answers that was trained on conversations.

The final answer is searched for in this order; the first form found decides:

1. A form that marks it. If several occur, the last one in the text counts, since a model that
   corrects itself does so at the end:

   - a line that begins with ``Answer:`` or ``Final answer:`` (the form that training uses,
     ``Reasoning:\n1. ...\nAnswer: ...``; Markdown around the words does not matter; when the line
     ends there, the next line that is not blank is the answer),
   - GSM8K's ``#### 42``,
   - LaTeX's ``\boxed{42}``,
   - the tags ``<answer>42</answer>`` (over several lines, too),
   - the field of a JSON object, ``"answer": 42``.
2. A sentence ``the answer is ...``, again the last one.
3. The last line of the text, without its step number. It is a guess, and the judge reads it as a
   sentence: it must contain exactly one number, or end in an equation.

Lines that are nothing but markup (``\]``, ``$$``, a code fence, ``---``) do not count as lines. An
answer that is retracted immediately (``12. Wait, 13``, ``12... no, 13``) is replaced by what
follows the retraction: see ``tunixrt.eval.judge.second_thoughts``.

In a response with ``<think>...</think>`` only what follows it can be the answer, and a
response whose ``<think>`` is never closed has none. End-of-turn tokens at the end are not part of
the text.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import msgspec

from tunixrt.eval.judge.second_thoughts import second_thought


class AnswerForm(StrEnum):
    """How the final answer was marked."""

    ANSWER_LINE = "answer_line"
    HASHES = "hashes"
    BOXED = "boxed"
    TAG = "tag"
    FIELD = "field"
    SENTENCE = "sentence"
    LAST_LINE = "last_line"
    NONE = "none"


class ParsedResponse(msgspec.Struct, frozen=True):
    """The steps and the answer parsed from a response.

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
_TAG: Final = re.compile(r"<(/?)(?:final[_ -]?)?answer>", re.IGNORECASE)
_FIELD: Final = re.compile(
    r"[\"'](?:final[_ -]?)?answer[\"']\s{0,8}:\s{0,8}(?:\"([^\"\n]*)\"|([^\s\",}][^\",}\n]*))",
    re.IGNORECASE,
)
_ANSWER_WORD: Final = re.compile(r"(?:the[ \t]+)?(?:final[ \t]+)?answer[ \t]*:\s*", re.IGNORECASE)
_MARKUP_LINE: Final = re.compile(
    r"[ \t>]*(?:\\[\[\]()]|\$\$|(?:`{3,}|~{3,})[ \t]*[\w+-]{0,20}|\\(?:begin|end)\{[a-z]{1,20}\*?\}"
    r"|[-*_=]{2,}|</?[a-z]{1,20}>)[ \t]*[.,]?[ \t]*",
    re.IGNORECASE,
)
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
_CALL: Final = re.compile(r"Call \d{1,4}: \{")
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
    if (later := second_thought(visible, found.start, found.end)) is not None:
        found = _Found(AnswerForm.LAST_LINE, found.marker_start, *later)
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
    """The thinking and the visible text; after an unclosed ``<think>`` nothing is visible."""
    before, opened, after = text.partition(_THINK_OPEN)
    if _THINK_CLOSE in text:
        thoughts, _, visible = text.rpartition(_THINK_CLOSE)
        return thoughts.replace(_THINK_OPEN, "\n") + "\n", visible
    if opened:
        return before + "\n" + after, None
    return "", text


def _closed(found: _Found) -> bool:
    """A box is closed by its brace, so it is complete even at the end of the text."""
    return found.form is AnswerForm.BOXED


def _marked(text: str) -> _Found | None:
    candidates = [*_answer_lines(text), *_hashes(text), *_boxes(text), *_tags(text), *_fields(text)]
    return max(candidates, key=lambda found: found.marker_start, default=None)


def _answer_lines(text: str) -> list[_Found]:
    return [
        _line_after(text, match, AnswerForm.ANSWER_LINE) for match in _ANSWER_LINE.finditer(text)
    ]


def _hashes(text: str) -> list[_Found]:
    return [_line_after(text, match, AnswerForm.HASHES) for match in _HASHES.finditer(text)]


def _line_after(text: str, match: re.Match[str], form: AnswerForm) -> _Found:
    """The rest of the marker's line, or the next line that is neither blank nor markup."""
    start, end = _next_line(text, match.end())
    return _Found(form, match.start(), start, end)


def _next_line(text: str, start: int) -> tuple[int, int]:
    """Start and end of the rest of a line, or of the next line with content."""
    while True:
        while start < len(text) and text[start].isspace():
            start += 1
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        if end == len(text) or not _MARKUP_LINE.fullmatch(text, start, end):
            return start, end
        start = end


def _boxes(text: str) -> list[_Found]:
    """The boxes whose brace is closed; one pass, since repetitive model output can be long."""
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


def _tags(text: str) -> list[_Found]:
    """The text between ``<answer>`` and ``</answer>``; to the end where it is never closed.

    Of several lines the last one counts, and an ``Answer:`` inside the tags is not part of it.
    """
    found: list[_Found] = []
    opened: re.Match[str] | None = None
    for tag in _TAG.finditer(text):
        if not tag[1]:
            opened = tag
        elif opened is not None:
            found.append(_inside(text, opened, tag.start()))
            opened = None
    if opened is not None:
        found.append(_inside(text, opened, len(text)))
    return found


def _fields(text: str) -> list[_Found]:
    return [
        _Found(AnswerForm.FIELD, match.start(), *match.span(match.lastindex or 0))
        for match in _FIELD.finditer(text)
    ]


def _inside(text: str, opened: re.Match[str], end: int) -> _Found:
    inner = text[opened.end() : end]
    line = _last_line(inner)
    start, stop = (0, len(inner)) if line is None else (line.start, line.end)
    if word := _SENTENCE.match(inner, start) or _ANSWER_WORD.match(inner, start):
        start = word.end()
    offset = opened.end()
    return _Found(AnswerForm.TAG, opened.start(), offset + start, offset + stop)


def _sentence(text: str) -> _Found | None:
    for match in reversed(list(_SENTENCE.finditer(text))):
        start, _ = _next_line(text, match.end())
        end = _SENTENCE_END.search(text, start)
        stop = len(text) if end is None else end.start()
        if text[start:stop].strip():
            return _Found(AnswerForm.SENTENCE, match.start(), start, stop)
    return None


def _last_line(text: str) -> _Found | None:
    """The last line with content; a text of nothing but markup is its own last line."""
    if not text.strip():
        return None
    end = len(text.rstrip())
    start = text.rfind("\n", 0, end) + 1
    last = start, end
    while _MARKUP_LINE.fullmatch(text, start, end) or not text[start:end].strip():
        if start == 0:
            start, end = last
            break
        end = start - 1
        start = text.rfind("\n", 0, end) + 1
    # `1. 42` is a step; a line that is nothing but `42.` is an answer.
    step = _STEP.match(text[start:end])
    if step and start + step.end() < end:
        start += step.end()
    return _Found(AnswerForm.LAST_LINE, end, start, end)


def _steps(text: str) -> tuple[str, ...]:
    """Steps numbered 1, 2, 3...; a number out of sequence is text of the step that contains it.

    Without numbers, they are the lines after ``Reasoning:`` up to the tool calls.
    """
    heading = _REASONING.search(text)
    begin = heading.end() if heading else 0
    starts: list[tuple[int, int]] = []
    for match in _STEP.finditer(text, begin):
        if int(match[1] or match[2]) == len(starts) + 1:
            starts.append((match.start(), match.end()))
    if not starts:
        return _lines(text[begin:]) if heading else ()
    ends = [start for start, _ in starts[1:]] + [len(text)]
    return tuple(text[start:end].strip() for (_, start), end in zip(starts, ends, strict=True))


def _lines(text: str) -> tuple[str, ...]:
    """The lines that are neither blank nor a tool call of the training template."""
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not _CALL.match(line))
