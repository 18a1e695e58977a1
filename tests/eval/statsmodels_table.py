"""Write ``statsmodels.json``: what statsmodels says, for a test that runs without it.

    pip install statsmodels && python -m tests.eval.statsmodels_table

statsmodels has Wilson's interval and McNemar's exact test; the mid-p value is the exact one less
the probability of what was seen, which scipy gives. Versions stand in the file.
"""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

TABLE = Path(__file__).with_name("statsmodels.json")
LEVELS = (0.8, 0.9, 0.95, 0.99)
PROPORTIONS = ((0, 1), (1, 1), (0, 20), (1, 29), (3, 7), (15, 148), (81, 263), (128, 256),
               (255, 256), (1318, 1319), (700, 1319), (9_999, 10_000))  # fmt: skip
DISCORDANT = ((0, 1), (1, 0), (1, 1), (0, 5), (1, 7), (7, 1), (3, 4), (12, 5), (30, 30), (18, 40),
              (55, 31), (150, 150), (260, 301), (0, 64), (2, 90))  # fmt: skip


def main() -> None:
    # Only who writes the table has it.
    from statsmodels.stats.contingency_tables import mcnemar  # type: ignore[import-not-found]
    from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-not-found]

    wilson = [
        [n_correct, n, level, *map(float, proportion_confint(n_correct, n, 1 - level, "wilson"))]
        for n_correct, n in PROPORTIONS
        for level in LEVELS
    ]
    exact = [
        [fixed, broken, float(mcnemar([[10, broken], [fixed, 10]], exact=True).pvalue)]
        for fixed, broken in DISCORDANT
    ]
    versions = {name: metadata.version(name) for name in ("scipy", "statsmodels")}
    rows = {"versions": versions, "wilson": wilson, "mcnemar_exact": exact}
    lines = [f" {json.dumps(key)}: {_rows(value)}" for key, value in rows.items()]
    TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _rows(value: object) -> str:
    if not isinstance(value, list):
        return json.dumps(value)
    return "[\n" + ",\n".join(f"  {json.dumps(row)}" for row in value) + "\n ]"


if __name__ == "__main__":
    main()
