r"""The families of grammar pairs that were not looked at while version 2 of the judge was made.

Other wordings of what ``judge_pairs`` holds, with other words and another seed, and kinds that it
does not hold at all. Written before the judge was changed; judged pair by pair only when the judge
was done. What was found then, and what was changed after it, is in docs/benchmarks.md.
"""

from __future__ import annotations

from tests.eval.judge.judge_grammar import (
    Family,
    clock,
    fraction,
    money,
    pairs_of_units,
    two,
    whole,
    word,
)

SEED = "held out"
WORDS = {
    "Name": ("Priya", "Oskar", "Mei", "Fatima", "Diego"),
    "things": ("pencils", "crates", "oranges", "coins", "stickers"),
}
SMALL = whole(2, 80)
BIG = whole(10_000, 99_999_999)
MILLIONS = whole(1_000_000, 999_999_999)
UNITS = {
    "cm": (("centimetres", "centimeters", "cm."), ("mm", "m", "cm²", "inches")),
    "litres": (("liters", "L", "l"), ("ml", "gallons", "kg")),
    "cm^3": (("cubic centimetres", "cm³", "cubic cm"), ("cm^2", "cm", "m^3")),
    "minutes": (("min", "mins", "minute"), ("seconds", "hours", "h")),
    "mph": (("miles per hour", "mi/h", "miles/hour"), ("km/h", "miles", "mpg")),
    "euros": (("euro", "EUR"), ("dollars", "cents", "yen")),
    "students": (("student", "students in all"), ("teachers", "classes", "schools")),
    "°C": (("degrees Celsius", "°C", "degrees C"), ("°F", "K", "degrees Fahrenheit")),
}
MONTHS = ("Friday", "Monday", "Tuesday", "Saturday", "Paris", "Mercury", "triangle", "Shakespeare")

HELD_OUT = (
    Family(
        "LaTeX around the number",
        SMALL,
        (
            r"\boxed{«n»\text{ km}}", r"\(\boxed{«n»}\)", r"$\mathbf{«n»}$", r"\boxed{\$«n»}",
            r"\boxed{x = «n»}", r"$\displaystyle «n»$", r"\boxed{«n»\,\text{kg}}", r"\boxed{«n».}",
            r"\[\boxed{«n»}\]", r"\fbox{«n»}", r"\boxed{ «n» }", r"\boxed{\mathrm{«n»}}",
            r"\boxed{\text{«n» «things»}}", r"$\boxed{«a» + «b» = «n»}$",
        ),
        (
            r"\boxed{«n»\text{ or }«o»}", r"\boxed{«n»\%}", r"\boxed{\sqrt{«n»}}",
            r"\boxed{«n»\pi}",
            r"\boxed{«n»x}", r"\boxed{\text{not }«n»}", r"\boxed{«n»!}", r"\boxed{\approx «o»}",
        ),
    ),
    Family(
        "markup at the end",
        SMALL,
        (
            "Count:\n~~~\n«n»\n~~~", "Hence\n$$«n»$$\n",
            "Then\n\\begin{equation}\n«n»\n\\end{equation}",
            "\\begin{align*}\nx &= «n»\n\\end{align*}", "```latex\n«n»\n```", "> **«n»**",
            "***\n«n»\n***", "\\[ x = «n» \\]", "We get\n\\[\n\\boxed{«n»}\n\\]\n",
            "«Name» keeps\n```\n«n» «things»\n```\n",
        ),
        ("```\n«n» + «o»\n```", "$$\n\\frac{«n»}{7}\n$$", "\\[\n2x = «n»\n\\]", "~~~\n-«n»\n~~~"),
    ),
    Family(
        "tags again",
        SMALL,
        (
            "<ANSWER>«n»</ANSWER>", "<answer>«n» «things»</answer>",
            "<think>«Name» has «o».</think>\nThe total is:\n<answer>\n\n«n»\n\n</answer><|im_end|>",
            "<think>Add.</think><answer>«a» + «b» = «n»</answer>", "<answer>Answer: «n»</answer>",
            "<answer>«n»</answer>\nI hope this helps!",
            "<reasoning>«o»</reasoning>\n<answer>«n»</answer>",
            "<think>Maybe <answer>«o»</answer>?</think><answer>«n»</answer>",
            "<answer>The answer is «n».</answer>", "<answer>\n«n»\n</answer></s>",
        ),
        (
            "<think><answer>«n»</answer>", "<answer>«o»</answer> («n» was wrong)",
            "<answer>«n», «o»</answer>", "<answer>«n»?</answer>", "<answer>«o»</answer>\n«n»",
            "<answer>\n\n</answer>",
        ),
    ),
    Family(
        "emphasis",
        SMALL,
        (
            "So the price for «o» crates is **«n» euros**.", "**Final result: «n»**",
            "**«n»** is how many «things» «Name» keeps of the «o».",
            "In «o» hours the pump moves **«n» litres** of water.",
            "«Name» has __«n»__ «things» after «o» days.", "`«n»`",
            "Of the «o» «things», «Name» gives away **«n»**.",
        ),
        (
            "So the price for «n» crates is **«o» euros**.",
            "Of the **«n»** «things» **«o»** are red.",
            "**«n»** «things» are **not** enough.", "«Name» needs **at least «n»** of the «o».",
            "**«o»** is how many «things» «Name» keeps of the «n».",
        ),
    ),
    Family(
        "contrasts",
        SMALL,
        (
            "It is «n», and not «o».", "«n» and definitely not «o»", "Not «o». It is «n».",
            "The answer isn't «o», it's «n».", "«n» as opposed to «o»", "«n» (and not «o»)",
            "Answer: «n» — not «o»", "The correct value is «n», not «o».",
            "«Name» has «n» «things», not «o».",
        ),
        (
            "It is «o», and not «n».", "Not «n». It is «o».", "The answer isn't «n», it's «o».",
            "«o» as opposed to «n»", "The correct value is «o», not «n».", "neither «n» nor «o»",
            "Answer: «o» — not «n»", "Certainly not «n»",
        ),
    ),
    Family(
        "times in sentences",
        clock(),
        (
            "«Name» arrives at «h»:«mm» «low».", "The train leaves at «h»:«mm» «up».",
            "«hh»:«mm» «up»", "$«h»:«mm»$ «dotted»", "Answer: «h»:«mm» «Dotted»",
            "It is «h»:«mm» «dotted»", "<answer>«h»:«mm»«up»</answer>",
        ),
        (
            "«Name» arrives at «h»:«mm» «other».", "Answer: «h»:«mm» «Other»", "«h»«mm» «low»",
            "«h»:«mm» «low» or «h»:«mm» «other»", "not «h»:«mm» «low»",
        ),
    ),
    Family(
        "dollars and cents",
        money("$", whole_too=True),
        (
            "«c» cents", "$«whole» and «rest» cents", "«whole» dollars and «rest» cents",
            "$«amount» per box", "Answer: «c»¢", "USD «amount»", "«amount»",
        ),
        ("«c» dollars", "«whole» dollars", "«rest» cents", "$«c»", "€«amount»", "«amount»¢"),
    ),
    Family(
        "pence",
        money("£"),
        ("«c» pence", "«c»p", "£«amount»", "Answer: «c» pence", "«amount» pounds sterling"),
        ("«c» pounds", "£«c»", "«c» cents", "$«amount»", "«amount» pence"),
    ),
    Family(
        "more functions of the number",
        whole(3, 9),
        (
            r"\sqrt[3]{«cube»} = «n»", r"\lfloor «n».7 \rfloor = «n»", "y = «n»",
            r"\max(«n», 1) = «n»", "«double» / 2 = «n»", "«square» ÷ «n» = «n»",
        ),
        (
            r"\tan «n»", r"\cot(«n»)", "sinh «n»", r"\arcsin(«n»)", "lg «n»", r"\log_{10} «n»",
            r"\lfloor x \rfloor = «n»", r"\sqrt[3]{x} = «n»", "x^3 = «n»", "x! = «n»",
            r"\binom{«n»}{2}", "C(«n», 2)", "gcd(«n», 10)", r"\ln x = «n»", r"\sin x = «n»",
            "x/2 = «n»", "«n»²", "«n» squared", "«n» factorial", r"\sqrt[3]{«n»}",
            "cube root of «n»", "the square root of «n»", "half of «n»", "«n» choose 2",
            "«n» mod 3", "f(«n»)", "x - 3 = «n»", r"\sum_{i=1}^{«n»} i", "Answer: log_2(«n»)",
            "Answer: sin(«n»)", "The answer is ln(«n»).", r"$\cos «n»$", "ln x = «n»",
            "log(x) = «n»",
            "sin(x) = «n»", "cos x = «n»", r"\boxed{x^2 = «n»}", "Answer: sqrt(x) = «n»",
            "xy = «n»",
        ),
    ),
    Family(
        "groups in sentences",
        BIG,
        (
            "There are «space» «things».", "Answer: $«comma»", "«thin» km",
            "«comma» «things» in all",
            "Rs. «indian»", r"\boxed{«apostrophe»}", "«comma».00", "«Name» earns $«space» a year.",
            "The population is «narrow».", r"$«tilde»$", "«space» km", "Answer: «space».",
        ),
        ("There are «space» or «ospace» «things».", "«space»%", "Answer: «space» million"),
    ),
    Family(
        "dots as groups",
        MILLIONS,
        (
            "«dots»", "Answer: «dots»", "The answer is «dots».", "«space»", "«underscore»",
            "«indian»",
        ),
        ("«dots».000", "-«dots»"),
    ),
    Family(
        "unit phrases",
        pairs_of_units(UNITS),
        (
            "It is «n» «alias».", "Answer: **«n» «alias»**", r"$«n»\text{ «alias»}$",
            "The total comes to «n» «alias»", "«n» «unit»", "#### «n» «alias»",
        ),
        (
            "It is «n» «alien».", r"$«n»\text{ «alien»}$", "#### «n» «alien»",
            "«n» «unit» or «o» «unit»",
        ),
        n_values=4,
    ),
    Family(
        "mixed numbers",
        fraction(mixed=True),
        (
            r"«w»\frac{«r»}{«u»}", r"$«w» \frac{«r»}{«u»}$", "«decimal»", "«t»/«u»",
            "«w» and «r»/«u»", r"\boxed{«w»\frac{«r»}{«u»}}", "«w» «r»/«u» hours",
            r"Answer: $«w»\tfrac{«r»}{«u»}$",
        ),
        (
            "«w»«r»/«u»", "«w» × «r»/«u»", "«w» - «r»/«u»", "«r»/«u»", "«w»", "«w», «r»/«u»",
            "-«w» «r»/«u»",
        ),
    ),
    Family(
        "percentages",
        whole(11, 95, behind="%"),
        (
            "«n» %", "«n» percent", r"«n»\%", r"$«n»\%$", r"\boxed{«n»\%}", "0.«nn»", "«n»/100",
            "The answer is «n»%.", "About **«n»%** of the students.",
        ),
        ("«n»", "0.«n»%", "«n»% of «o»", "-«n»%", "«n»% or «o»%", "1.«n»", "«n» per mille"),
    ),
    Family(
        "negative numbers",
        whole(2, 90, signed="-"),
        (
            "«minus»", "minus «m»", "negative «m»", "$«n»$", r"\boxed{«n»}", "x = «n»", "«n».0",
            "The answer is «n».", "#### «n»", "Answer: **«n»**",
        ),
        ("«m»", r"\boxed{«m»}", "±«m»", "|«n»|", "«n» or «m»", "not «n»", "1 - «m»"),
    ),
    Family(
        "bounds and hedges",
        SMALL,
        (
            "exactly «n»", "I am sure it is «n».", "Without doubt, «n».", "It must be «n».",
            "I get «n».", "The total: «n»",
        ),
        (
            "at least «n»", "more than «n»", "up to «n»", "«n»+", "≥ «n»", "almost «n»",
            "perhaps «n»",
            "«n»?", "I am not sure, «n» or «o»", "no more than «n»", "fewer than «n» «things»",
            "«n» ± 1", "«n» at most", "«n» or more", "over «n»", "Answer: «n» or less",
            "The answer is possibly «n».", "«n», or is it «o»?", "close to «n»",
        ),
    ),
    Family(
        "second thoughts",
        SMALL,
        (
            "Answer: «o»\nHmm, that can't be right.\nAnswer: «n»",
            "The answer is «o». Correction: the answer is «n».", "#### «o»\nCorrection:\n#### «n»",
            "Answer: «o». Oops, I mean «n».", "Answer: «o». Scratch that: «n».",
            "The answer is «o», no wait, «n».", r"\boxed{«o»}. Let me recheck: \boxed{«n»}",
            "It is «o». Sorry, it is «n».",
        ),
        (
            "Answer: «n». Oops, I mean «o».", "The answer is «n», no wait, «o».",
            "Answer: «n». Scratch that: «o».", "#### «n»\nCorrection: «o»",
            "\\boxed{«n»}\nActually, that is wrong; it should be «o».",
            "The answer is «n». No, sorry, it is «o».",
        ),
    ),
    Family(
        "choices",
        word(("A", "B", "C", "D")),
        (
            "(«x»)", r"\boxed{«x»}", r"\boxed{\text{(«x»)}}", "«x».", "«x»)", "Option «x»",
            "The answer is «x».", "**«x»**", "Answer: («x»)", "<answer>«x»</answer>", "«low»",
            r"\boxed{\text{«x»}}", "The correct answer is («x»).",
        ),
        (
            "«x» or «y»", "not «x»", "«x»«y»", "«x» and «y»", "(«y»), not («x»)",
            "<answer>«y»</answer>",
        ),
        n_values=1,
    ),
    Family(
        "words",
        word(MONTHS),
        (
            "Answer: «x»", r"\boxed{\text{«x»}}", "The answer is «x».", "**«x»**", "«low»",
            "<answer>«x»</answer>", "It is «x».",
            '"«x»"', "<think>«y»?</think>\n<answer>\n«x»\n</answer>",
        ),
        ("«x» or «y»", "not «x»", "Answer: «y» (not «x»)", "«y», not «x»", "<answer>«y»</answer>"),
        n_values=1,
    ),
    Family(
        "remarks behind the answer",
        SMALL,
        (
            "Answer: «n» (since «a» + «b» = «n»)", "Answer: «n», because «a» + «b» = «n»",
            "#### «n» «things»", "Answer: «n».\n\nI hope this helps!",
            "The answer is «n». Let me know if you have questions.",
            r"Final Answer: The final answer is $«n»$. I hope it is correct.",
            r"The final answer is: $\boxed{«n»}$. I hope it is correct.", "Answer: «n» ✅",
            "Therefore, the final answer is **«n»**.", "#### «n»\n", "Answer: «n»<|eot_id|>",
        ),
        (
            "Answer: «o» (since «n» - 1 + 2 is not it)", "#### «o»\nI first had «n».",
            "Answer: «o», because «n» is too small", r"\boxed{«o»} I hope «n» people agree.",
        ),
    ),
    Family(
        "points and sets",
        two("(«a», «b»)"),
        (
            "(«a»,«b»)", r"$(«a», «b»)$", r"\boxed{(«a», «b»)}", r"\left(«a», «b»\right)",
            "The answer is («a», «b»).", "Answer: «a», «b»", "x = «a», y = «b»",
        ),
        ("(«b», «a»)", "(«a», «b», 1)", "«a»", "(-«a», «b»)", "(«a», «b») or («b», «a»)"),
    ),
    Family(
        "other ways to run on",
        SMALL,
        (
            "#### «n»\n\nProblem: «Name» has «o» «things».\n#### «nextn»",
            "Answer: «n»\n\n### Instruction:\nCount.\n\n### Response:\nAnswer: «o»",
            "Answer: «n»\n\nUser: And now?\nAssistant: Answer: «o»",
            "Answer: «n»<|im_end|>\n<|im_start|>user\nMore?<|im_end|>\nAnswer: «o»",
            "Answer: «n»<end_of_turn>\n<start_of_turn>user\nMore?<end_of_turn>\nAnswer: «o»",
            "Answer: «n»\n\nHuman: And now?\n\nAssistant: Answer: «o»",
            "#### «n»\n\n**Question:** How many «things»?\n#### «o»",
            "#### «n»\n\nQuestion 2: How many «things»?\n#### «o»",
        ),
        ("Answer: «o»\n\nHuman: No.\n\nAssistant: Answer: «n»", "#### «o»\n\nProblem: x\n#### «n»"),
        run_on=True,
    ),
)  # fmt: skip
