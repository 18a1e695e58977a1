r"""Finds reasoning and answers in a text: ``<think>``, ``<answer>``, ``\boxed{}``.

Templates add the opening tag themselves, so a text may have only the closing one; a text that was
cut off has only the opening one. Both are reasoning, and noted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from tunixrt.traces.importers.reading import Note

if TYPE_CHECKING:
    from collections.abc import Sequence

    Tags = tuple[str, str]

THINK: Final = (("<think>", "</think>"),)
ALL: Final = (
    *THINK,
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
)
_ANSWER: Final = ("<answer>", "</answer>")
_SOLUTION: Final = ("<|begin_of_solution|>", "<|end_of_solution|>")
_BOX: Final = re.compile(r"\\boxed\s*\{")
_BLANKS: Final = re.compile(r"\s*")
_BRACE: Final = re.compile(r"\\.|[{}]", re.DOTALL)


class Thought(NamedTuple):
    """The reasoning at the beginning of a text, the rest of it, and what was noted."""

    reasoning: str
    text: str
    notes: tuple[Note, ...] = ()


class Answer(NamedTuple):
    """A text without its answer tags, the answer in it (empty if not found), and the notes."""

    text: str
    answer: str
    notes: tuple[Note, ...] = ()


def has_tags(text: str) -> bool:
    """Return whether a text has a tag of reasoning or of an answer, or a box."""
    every = (*ALL, _ANSWER, _SOLUTION)
    return any(tag in text for tags in every for tag in tags) or _BOX.search(text) is not None


def split_thought(text: str, known: Sequence[Tags] = THINK) -> Thought:
    """Return the reasoning in front of a text, and the text after it.

    A text without reasoning is returned unchanged, even if it has a tag further on.

    Args:
        text: The text of a turn.
        known: The pairs of tags.
    """
    if not any(tag in text for tags in known for tag in tags):
        return Thought("", text)
    thoughts, rest, notes = _closed(text, known)
    if not thoughts and not notes:
        thoughts, rest, notes = _half_open(text, known)
    if any(tag in rest for tags in known for tag in tags):
        notes = [*notes, Note.TAG_IN_TEXT]
    written = [thought for thought in thoughts if thought]
    if thoughts and not written:
        notes = [*notes, Note.EMPTY_REASONING]
    return Thought("\n".join(written), rest, tuple(notes))


def _closed(text: str, known: Sequence[Tags]) -> tuple[list[str], str, list[Note]]:
    """Return the thoughts that begin at the start of a text; the last one may be cut off."""
    thoughts: list[str] = []
    place = _after_blanks(text, 0)
    while (tags := _opened(text, place, known)) is not None:
        begin = place + len(tags[0])
        end = text.find(tags[1], begin)
        if end < 0:
            # What was cut off may have begun to answer.
            inner, opening, after = text[begin:].partition(_ANSWER[0])
            thoughts.append(inner.strip())
            return thoughts, opening + after, [Note.NO_CLOSING_TAG]
        thoughts.append(text[begin:end].strip())
        place = _after_blanks(text, end + len(tags[1]))
    return thoughts, text[place:] if thoughts else text, []


def _after_blanks(text: str, place: int) -> int:
    match = _BLANKS.match(text, place)
    return place if match is None else match.end()


def _opened(text: str, place: int, known: Sequence[Tags]) -> Tags | None:
    return next((tags for tags in known if text.startswith(tags[0], place)), None)


def _half_open(text: str, known: Sequence[Tags]) -> tuple[list[str], str, list[Note]]:
    """Return the thought that ends with a closing tag without an opening one."""
    for opening, closing in known:
        before, found, after = text.partition(closing)
        if found and opening not in before:
            return [before.strip()], after.lstrip(), [Note.NO_OPENING_TAG]
    return [], text, []


def find_answer(text: str) -> Answer:
    r"""Return the answer that a text marks: in ``<answer>``, else in the last ``\boxed{}``.

    An answer that holds a box is the content of the box.
    """
    text = text.replace(_SOLUTION[0], "").replace(_SOLUTION[1], "").strip()
    opening, closing = _ANSWER
    notes: list[Note] = []
    marked: str | None = None
    if opening in text:
        marked, closed, _ = text.rpartition(opening)[2].partition(closing)
        notes = [] if closed else [Note.ANSWER_NOT_CLOSED]
    elif closing in text:
        marked = text.partition(closing)[0]
        notes = [Note.ANSWER_NOT_OPENED]
    plain = text.replace(opening, "").replace(closing, "").strip()
    boxed, box_notes = _last_box(plain if marked is None else marked)
    answer = boxed or ("" if marked is None else marked.strip())
    return Answer(plain, answer, (*notes, *box_notes))


def _last_box(text: str) -> tuple[str, tuple[Note, ...]]:
    """Return the content of the last box; braces in it may be nested or escaped."""
    begins = [match.end() for match in _BOX.finditer(text)]
    if not begins:
        return "", ()
    depth = 1
    for match in _BRACE.finditer(text, begins[-1]):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return text[begins[-1] : match.start()].strip(), ()
    return "", (Note.OPEN_BOX,)
