r"""Plain text of an answer that was written in Markdown, LaTeX or typographic characters.

``plain(r"$\frac{3}{4}$")`` is ``3/4``, ``plain("**−1 198**")`` with a narrow space is ``-1198``.
The result is for comparison only; stored or displayed text does not pass through here.
"""

from __future__ import annotations

import re
import unicodedata

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_SUPERSCRIPT_RUN = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+")
_VULGAR = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5",
    "⅗": "3/5", "⅘": "4/5", "⅙": "1/6", "⅚": "5/6", "⅐": "1/7", "⅛": "1/8", "⅜": "3/8",
    "⅝": "5/8", "⅞": "7/8", "⅑": "1/9", "⅒": "1/10",
}  # fmt: skip
_VULGAR_SIGN = re.compile("|".join(_VULGAR))
_CHARACTERS = str.maketrans(
    {
        "−": "-", "‐": "-", "‑": "-", "–": "-", "﹣": "-", "－": "-",
        "⁄": "/", "∕": "/", "·": "×", "⋅": "×", "∙": "×", "✕": "×", "✖": "×",
        "’": "'", "‘": "'", "“": '"', "”": '"', "º": "°", "˚": "°", "π": "pi",
    }
)  # fmt: skip
#: What separates groups of three digits: spaces, apostrophes, underscores, two or more full stops;
#: and India's groups of two. A comma alone may also separate the items of a list: see ``values``.
_DIGIT_GROUPS = re.compile(
    r"(?<![\w.,:'])(?:\d{1,3}(?:[ \u00a0\u2007\u2009\u202f'’_]\d{3})+|\d{1,3}(?:\.\d{3}){2,}"
    r"|\d{1,2}(?:,\d{2})+,\d{3})(?![\d'’_]|\s?/|,\d)"
)
_NOT_DIGITS = re.compile(r"\D+")
_LATEX_GROUP = re.compile(
    r"(?<=\d)(?:\{,\}|\\!,|,\\!|\\[,;: ]|\{\\[,;: ]\}|~|\\thinspace\s?)(?=\d{3}(?!\d))"
)
_ROOT_SIGN = re.compile(r"√\s*(?:\(([^()]*)\)|(\d+|[a-z]\b))")

_MATH_DOLLARS = re.compile(r"(?<!\\)\$(?!\s)([^$\n]+?)(?<![\s\\])\$(?!\d)")
_LATEX_DELIMITERS = re.compile(r"\\[()\[\]]|\$\$|\\(?:begin|end)\{[a-z]+\*?\}")
#: Alignment marks of equations, and their line ends.
_ALIGNMENT = re.compile(r"&(?==)|(?<==)&|\\\\")
#: ``!`` inside mathematics, where it cannot be an exclamation.
_FACTORIAL = re.compile(r"(?<=[\d)])\s*!+(?=\s*(?:\$|\\[)\]]|\}))")
_LATEX_WORDS = {
    "times": "×", "cdot": "×", "ast": "×", "div": "÷", "pm": "±", "approx": "≈", "sim": "≈",
    "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥", "neq": "≠", "ne": "≠", "pi": "pi",
    "infty": "infinity", "degree": "°", "circ": "°", "left": "", "right": "", "displaystyle": "",
    "quad": " ", "qquad": " ", "ldots": "...", "dots": "...", "lt": "<", "gt": ">",
}  # fmt: skip
_LATEX_WORD = re.compile(r"\\([A-Za-z]+)\s*")
_FRACTION = re.compile(
    r"\\[dtc]?frac\s*(?:\{([^{}]*)\}|(\d))\s*(?:\{([^{}]*)\}|(\d))",
)
_ROOT = re.compile(r"\\sqrt\s*(?:\{([^{}]*)\}|(\w))")
_WRAPPER = re.compile(
    r"\\(?:boxed|fbox|text|textbf|textit|textrm|mathrm|mathbf|mathit|mathsf|operatorname|mbox"
    r"|underline|ensuremath)\s*\{([^{}]*)\}"
)
_REPEATING = re.compile(r"\\(?:overline|bar)\s*\{?(\d+)\}?")
_LATEX_ESCAPE = re.compile(r"\\([$%#&_])")
_LATEX_SPACE = re.compile(r"\\[,;:! ]|~")
_SIMPLE = re.compile(r"-?(?:\d+(?:\.\d+)?|[A-Za-z]|pi)\Z")
_MAX_NESTING = 8

_STRONG = re.compile(r"(\*\*|__|`)(?=\S)(.+?)(?<=\S)\1")
_HTML = re.compile(r"</?(?:b|strong|i|em|u|code|p|div|span)>", re.IGNORECASE)
#: Not `-`, `+` and `>`: in front of a number they are signs.
_LINE_PREFIX = re.compile(r"^(?:#+\s+|[*•]\s+|>\s+(?=\*\*|__))+")
_NEGATIVE_WORD = re.compile(r"\b(?:minus|negative)\s+(?=[$€£]?\.?\d)", re.IGNORECASE)
_SPACES = re.compile(r"\s+")


def plain(text: str) -> str:
    """The text without markup: one line, ASCII signs, no trailing full stop."""
    text = _typography(text.strip())
    if "\\" in text or "$" in text or "{,}" in text:
        text = _latex(text)
    text = unicodedata.normalize("NFKC", text)
    text = _markdown(text)
    text = _NEGATIVE_WORD.sub("-", text)
    text = _SPACES.sub(" ", text).strip()
    return _trim(text)


def _typography(text: str) -> str:
    text = _DIGIT_GROUPS.sub(lambda m: _NOT_DIGITS.sub("", m[0]), text)
    text = _VULGAR_SIGN.sub(
        lambda m: (" " if m.start() and text[m.start() - 1].isdigit() else "") + _VULGAR[m[0]],
        text,
    )
    text = _SUPERSCRIPT_RUN.sub(lambda m: "^" + m[0].translate(_SUPERSCRIPTS), text)
    text = text.translate(_CHARACTERS)
    return _ROOT_SIGN.sub(lambda m: f"sqrt({m[1] or m[2]})", text)


def _latex(text: str) -> str:
    text = _LATEX_GROUP.sub("", text)
    text = _FACTORIAL.sub(" factorial", text)
    text = _LATEX_DELIMITERS.sub("", text)
    text = _MATH_DOLLARS.sub(r"\1", text)
    if "\\" not in text:
        return text
    text = _ALIGNMENT.sub(" ", text)
    text = _LATEX_ESCAPE.sub(r"\1", text)
    text = _REPEATING.sub(r"(\1)", text)
    text = re.sub(r"\^\s*\{?\\circ\}?", "°", text)
    for _ in range(_MAX_NESTING):
        before = text
        text = _WRAPPER.sub(r"\1", text)
        text = _ROOT.sub(lambda m: f"sqrt({m[1] or m[2]})", text)
        text = _FRACTION.sub(_fraction, text)
        if text == before:
            break
    text = _LATEX_SPACE.sub(" ", text)
    text = re.sub(r"\\([{}])", lambda m: {"{": "\x01", "}": "\x02"}[m[1]], text)
    text = _LATEX_WORD.sub(lambda m: _LATEX_WORDS.get(m[1], m[0]), text)
    return text.translate({ord("{"): "", ord("}"): "", 1: "{", 2: "}"})


def _fraction(match: re.Match[str]) -> str:
    top = (match[1] if match[1] is not None else match[2]).strip()
    bottom = (match[3] if match[3] is not None else match[4]).strip()
    # After a digit it is part of a mixed number: 1\frac{1}{2} is 1 1/2, not 11/2.
    mixed = match.start() > 0 and match.string[match.start() - 1].isdigit()
    top = top if _SIMPLE.match(top) else f"({top})"
    bottom = bottom if _SIMPLE.match(bottom) else f"({bottom})"
    return f"{' ' if mixed else ''}{top}/{bottom}"


def _markdown(text: str) -> str:
    text = _LINE_PREFIX.sub("", _HTML.sub("", text))
    return _STRONG.sub(r"\2", text)


def _trim(text: str) -> str:
    """Without the punctuation that ends a sentence, and quotes and emphasis around the whole.

    Emphasis may be unbalanced: ``**Answer: 42**`` leaves ``42**``.
    """
    while True:
        shorter = text.rstrip(" .!;,:*`_✅✓✔☑🎉👍\ufe0f").lstrip(" *`_✅✓✔☑")
        if len(shorter) > 1 and shorter[0] == shorter[-1] and shorter[0] in "\"'":
            shorter = shorter[1:-1].strip()
        if shorter == text:
            return text
        text = shorter
