r"""The families of grammar pairs that were looked at while version 2 of the judge was made.

Written, and committed with what version 1 made of them, before the judge was changed. The other
half is in ``judge_pairs_held_out``.
"""

from __future__ import annotations

from tests.eval.judge.judge_grammar import (
    Family,
    clock,
    fraction,
    money,
    pairs_of_units,
    scientific,
    whole,
)

SEED = "open"
WORDS = {
    "Name": ("Kylar", "Janet", "Tom", "Maria", "Weng"),
    "things": ("glasses", "apples", "marbles", "tickets", "books"),
}
SMALL = whole(2, 60)
BIG = whole(1_000, 9_999_999)
UNITS = {
    "km": (("kilometres", "kilometers", "km."), ("m", "miles", "km^2", "kg", "km/h")),
    "kg": (("kilograms", "kilos", "kg."), ("g", "pounds", "km")),
    "m^2": (("square metres", "m²", "square meters", "sq m"), ("m", "m^3", "cm^2")),
    "hours": (("hour", "h", "hrs"), ("minutes", "days", "seconds")),
    "km/h": (("km per hour", "kilometres per hour", "kph"), ("m/s", "km", "mph")),
    "dollars": (("dollar", "USD"), ("euros", "cents", "pounds")),
    "apples": (("apple", "red apples"), ("pears", "bananas", "boxes")),
}

OPEN = (
    Family(
        "digits grouped in LaTeX",
        BIG,
        (
            r"\boxed{«brace»}", r"$«brace»$", r"«bang»", r"The answer is $«brace»$.",
            "\\[\n\\boxed{«brace»}\n\\]", r"Answer: $«small»$",
            r"So the total is $\boxed{«after»}$.", r"\( «brace» \)", r"Answer: \textbf{«brace»}",
            r"#### «brace»", r"$«braced_small»$", r"\boxed{\text{«comma»}}",
        ),
        (r"\boxed{-«brace»}", r"\boxed{\frac{«brace»}{2}}", r"\boxed{\sqrt{«brace»}}"),
    ),
    Family(
        "last line of markup",
        SMALL,
        (
            "The sum is\n\\[\n«n»\n\\]", "So\n$$\n«n»\n$$", "Result:\n```\n«n»\n```",
            "```text\n«n»\n```\n", "We add.\n\\[\n«a» + «b» = «n»\n\\]", "**«n»**\n\n---",
            "\\(\n«n»\n\\)", "«Name» has\n\n$$ «n» $$\n", "\\[\n«n»\n\\]\n\\[\n\\]",
        ),
        ("\\[\n«n» + 1\n\\]", "$$\n«n»^2\n$$", "So\n$$\n\\sqrt{«n»}\n$$", "\\[\n«n» = x + 1\n\\]"),
    ),
    Family(
        "answer tags",
        SMALL,
        (
            "<answer>«n»</answer>", "<think>«a» + «b» is «n».</think>\n<answer>«n»</answer>",
            "<think>\nFirst «o».\n</think>\n\n<answer>\n«n»\n</answer>",
            "<answer>\n«n»\n</answer>\n",
            "I add them.\n<answer> «n» </answer>", "<answer>$«n»$</answer>",
            "<think>Easy.</think><answer>\\boxed{«n»}</answer>",
            "<answer>«o»</answer> Wait. <answer>«n»</answer>",
        ),
        (
            "<think><answer>«n»</answer></think>\n<answer>«o»</answer>",
            "<think>«n»</think>\n<answer>«o»</answer>", "<answer>«n» or «o»</answer>",
            "<answer></answer>", "<answer>not «n»</answer>", "«n»\n<answer>\n«o»\n</answer>",
        ),
    ),
    Family(
        "one bold number",
        SMALL,
        (
            "«Name» needs to pay **$«n»** for the «o» «things».",
            "«Name» has **«n»** «things» after «o» days.",
            "After «o» days there are **«n» «things»** left.",
            "The «o» «things» weigh **«n»** kg in all.", "So, in «o» weeks, «Name» earns **$«n»**.",
        ),
        (
            "«Name» pays **$«o»** for the «n» «things».", "Between **«n»** and **«o»** «things».",
            "It is **not «n»** «things» in «o» days.",
            "There are **«n»** boys and **«o»** girls.",
            "In «n» days «Name» sells **more than «o»** «things».",
        ),
    ),
    Family(
        "one number denied for another",
        SMALL,
        (
            "The answer is «n» (not «o»).", "«n», not «o»", "«n» rather than «o»",
            "not «o» but «n»", "Answer: «n», not «o».", "It is «n», not «o».",
            "Answer: not «o», but «n»", "Answer: «n» instead of «o»", "#### «n» (not «o»)",
            "The answer is not «o» but «n».", "The answer is «n» rather than «o».",
        ),
        (
            "not «n»", "Answer: not «n»", "The answer is not «n».", "«o», not «n»",
            "not «n» but «o»", "The answer is «o» (not «n»).", "«o» rather than «n»",
            "It isn't «n».", "Answer: «o» instead of «n»", "Answer: not «o», not «n»",
        ),
    ),
    Family(
        "times of day",
        clock(),
        (
            "«h»:«mm» «dotted»", "«h»:«mm»«low»", "«h»:«mm» «up»", "Answer: «h»:«mm»«up»",
            "The answer is «h»:«mm» «low».", "**«h»:«mm» «up»**", r"\boxed{«h»:«mm» \text{ «low»}}",
            "#### «h»:«mm» «dotted»",
        ),
        (
            "«h»:«mm» «other»", "«h».«mm»", "«h» «up»", "Answer: «h»:«mm»«other»", "«mm» «low»",
            "«h»:«mm» «other_dotted»",
        ),
    ),
    Family(
        "full hours",
        clock(full=True),
        (
            "«h» «up»", "«h»:00 «dotted»", "«h» «dotted»", "«h»«low»", "Answer: «h» «low»",
            "The answer is «h» «dotted»",
        ),
        ("«h» «other»", "«h» hours", "«h»:01 «up»", "«h»:30 «low»", "Answer: «h» «Other»"),
    ),
    Family(
        "cents",
        money("$"),
        (
            "«c» cents", "«c»¢", "Answer: «c» cents.", "$«amount»", "$.«cc»", "«amount» dollars",
            "The answer is «c» cents.", r"\boxed{\$«amount»}", r"\boxed{«c»\text{ cents}}",
        ),
        ("«c» dollars", "$«c»", "«c» euros", "«amount» cents", "«c»", "€«amount»", "«c» pence"),
    ),
    Family(
        "functions of the number",
        whole(3, 12),
        (
            "x = «n»", r"\sqrt{«square»} = «n»", "|-«n»| = «n»", r"\log_2 «power» = «n»",
            "$x = «n»$", "f(«o») = «n»", "«a» + «b» = «n»", r"$\sqrt{«square»} = «n»$",
        ),
        (
            "ln «n»", "sin «n»", "log «n»", "|x| = «n»", r"\sqrt{x} = «n»", r"\ln «n»",
            r"$\sin(«n»)$", "cos «n»", "log_2 «n»", "«n»!", "«n»^2", "«n»%", "x^2 = «n»",
            "2x = «n»", r"\frac{x}{2} = «n»", "e^«n»", "√«n»", "1/«n»", "-«n»", "«n»x", "exp(«n»)",
            "arctan «n»", "x + 1 = «n»", r"\boxed{\ln «n»}", "Answer: tan «n»", "Answer: log(«n»)",
            "The answer is sin «n».", "«n»th", "x > «n»", r"$\sqrt{x} = «n»$", "Answer: |x| = «n»",
            "ln(«n»)", "Answer: ln «n»", "sqrt(x) = «n»", "Answer: 3x = «n»",
        ),
    ),
    Family(
        "digit groups",
        BIG,
        (
            "«space»", "«thin»", "«nbsp»", "«narrow»", "«apostrophe»", "«raised»", "«underscore»",
            "«indian»", "Answer: «space»", "The answer is «space».", "**«space»**", "#### «space»",
            "Answer: «apostrophe»", "Answer: «indian»",
        ),
        ("«space» 000", "«comma»,000", "-«space»", "«space» or «ospace»", "«space» %"),
    ),
    Family(
        "units",
        pairs_of_units(UNITS),
        (
            "«n» «alias»", "Answer: «n» «alias»", "«n»", "The answer is «n» «alias».",
            r"\boxed{«n» \text{ «alias»}}", "**«n» «alias»**",
        ),
        ("«n» «alien»", "Answer: «n» «alien»", "«o» «alias»", r"\boxed{«n» \text{ «alien»}}"),
        n_values=4,
    ),
    Family(
        "fractions",
        fraction(),
        (
            r"\frac{«t»}{«u»}", r"$\frac{«t»}{«u»}$", r"\boxed{\frac{«t»}{«u»}}", "«t»/«u»",
            r"Answer: \tfrac{«t»}{«u»}", r"x = \frac{«t»}{«u»}", "«t» / «u»", "«t3»/«u3»",
            "«decimal»", "Answer: «percent»%", r"$\dfrac{«t»}{«u»}$", "The answer is «t»/«u».",
        ),
        ("«u»/«t»", "«t».«u»", "«t», «u»", "«t» - «u»", "-«t»/«u»", "«percent»"),
    ),
    Family(
        "scientific notation",
        scientific(),
        (
            "«f»e«e»", r"$«f» \times 10^{«e»}$", "«f» × 10^«e»", "«f»·10«raised»", "«f» x 10^«e»",
            r"\boxed{«f» \cdot 10^«e»}", "Answer: «f»E«e»", "«f»*10**«e»",
        ),
        ("«f» × 10^-«e»", "-«f»e«e»", "«f»^«e»", "«f»"),
    ),
    Family(
        "ranges",
        whole(2, 60),
        (
            "The difference from «o» to «p» is «n».", "Answer: «n» (from «o» to «p»)",
            "Going from «o» to «p» takes «a» + «b» = «n» steps.",
        ),
        (
            "«n»-«p»", "«below»-«n»", "«below» to «n»", "between «below» and «n»", "«n»–«p»",
            "from «n» to «p»", "Answer: «below»-«n»", r"\boxed{«below»-«n»}", "«p» - «n»",
            "[«n», «p»]", "«below» ≤ x ≤ «n»", "«below» < «n»", "«n» to «p»", "Answer: «n» - «p»",
            "The answer is «n» to «p».",
        ),
    ),
    Family(
        "several candidates",
        SMALL,
        (
            "«n» («word»)", "Answer: «word» («n»)", "«n» or «word»", "«Word».",
            "The answer is «n», that is «word».",
        ),
        (
            "«n» or «o»", "either «n» or «o»", "«n» and «o»", "«n», «o»",
            "Answer: «n» or maybe «o»",
            r"\boxed{«n», «o»}", "The answer is «n» or «o».", "It could be «n».",
            "maybe «n», maybe «o»", "«n»/«o»", r"\boxed{«n»} or \boxed{«o»}",
        ),
    ),
    Family(
        "corrections",
        SMALL,
        (
            "The answer is «o». Wait, the answer is «n».",
            "Answer: «o»\nWait, I forgot the tax.\nAnswer: «n»", "«o». Wait, «n»",
            "Answer: «o». Wait, «n».", "The answer is «o»... no, «n».",
            "#### «o»\nSorry, that is wrong.\n#### «n»",
            r"\boxed{«o»} Actually, it is \boxed{«n»}.", "«o»? No, «n».",
            "The answer is «o». Wait, no, it is «n».",
        ),
        (
            "«n». Wait, «o»", "Answer: «n». Wait, «o».", "The answer is «n». Actually, it is «o».",
            "Answer: «n»\nOn second thought, «o».", "#### «n»\nWait, that is wrong. It is «o».",
        ),
    ),
    Family(
        "numbers on the way",
        SMALL,
        (
            "«a» + «b» = «n»", "«Name» buys «a» and then «b», so «a» + «b» = «n» «things».",
            "1. «a» «things»\n2. «b» more\n3. «a» + «b» = «n»",
            "First «o», then «p» - «o» = «n»\n#### «n»", "Step 1: «o»\nStep 2: «n»",
        ),
        (
            "«n» + «o» = «p»", "First «n», then «o»", "«Name» has «n» «things» and «o» hats.",
            "Step 1: «n»\nStep 2: «o»", "«n»\n«o»",
        ),
    ),
    Family(
        "a base model that runs on",
        SMALL,
        (
            "#### «n»\n\nQuestion: 2+2?\n#### 4",
            "«a» + «b» = «n»\n#### «n»\n\nQuestion: «Name» has «o» «things».\n2 + 1\n#### «nextn»",
            "Answer: «n»\n\nQuestion: How many «things»?\nAnswer: «o»",
            "The answer is «n».\n\nQ: How many «things»?\nA: The answer is «o».",
        ),
        (
            "#### «o»\n\nQuestion: How many «things»?\n#### «n»",
            "Answer: «o»\n\nQ: And «Name»?\nA: «n»\nAnswer: «n»",
        ),
        run_on=True,
    ),
)  # fmt: skip
