r"""Where a response ends if a base model continues after its answer with a new question.

``#### 18\n\nQuestion: 2+2?\n#### 4`` ends after ``#### 18``. lm-evaluation-harness does the same
with stop sequences (``until: ["Question:", "</s>", "<|im_end|>"]`` for GSM8K); here the judge ends
the response, so that one generation can be judged either way.
"""

from __future__ import annotations

import re
from typing import Final

#: A line that starts a question or the next turn, and tokens that end this one.
_NEW_QUESTION: Final = re.compile(
    r"^[ \t>*_#]{0,12}(?:"
    r"(?:(?:next|new|another)[ ])?(?:question|problem|exercise|example|task)"
    r"[ ]?(?:no\.?|number|#)?[ ]?"
    r"\d{0,4}[*_]{0,3}[ \t]?[:：.)]"
    r"|q[ ]?\d{0,4}[ ]?[:：]"
    r"|(?:user|human|instruction|input|prompt)[*_]{0,3}[ \t]?[:：]"
    r"|\[INST\])"
    r"|^[ \t]*\#{1,6}[ \t]*(?:instruction|question|problem|input|user|human)\b"
    r"|<start_of_turn>|<end_of_turn>|<eos>|</s>|<\|(?:im_(?:start|end)|eot_id|endoftext|end|user"
    r"|start_header_id)\|>",
    re.IGNORECASE | re.MULTILINE,
)


def before_new_question(text: str) -> str:
    """The response up to the start of a new question; all of it if it starts none.

    A question at the very start is the model repeating its prompt, and is kept.
    """
    for match in _NEW_QUESTION.finditer(text):
        if text[: match.start()].strip():
            return text[: match.start()]
    return text
