"""Fail when line coverage is below 95% or branch coverage below 90%, over the whole package."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

LINES_PERCENT = 95.0
BRANCHES_PERCENT = 90.0


def main() -> int:
    # pytest-cov has combined the workers' data; programs that the tests started left their own.
    subprocess.run(
        [sys.executable, "-m", "coverage", "combine", "--append", "--quiet"],
        check=False,
        capture_output=True,
    )
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory) / "coverage.json"
        subprocess.run(
            [sys.executable, "-m", "coverage", "json", "--quiet", "-o", str(target)], check=True
        )
        report = json.loads(target.read_text())
    totals = report["totals"]
    lines = 100 * totals["covered_lines"] / totals["num_statements"]
    branches = 100 * totals["covered_branches"] / totals["num_branches"]
    files = sorted(report["files"].items(), key=lambda item: -item[1]["summary"]["missing_lines"])
    for name, entry in files[:12]:
        summary = entry["summary"]
        if summary["missing_lines"] or summary["missing_branches"]:
            print(
                f"{name}: {summary['missing_lines']} lines and {summary['missing_branches']} "
                f"branches not run; lines {entry['missing_lines'][:20]}"
            )
    print(
        f"coverage: {lines:.2f}% of lines (at least {LINES_PERCENT:g}%), "
        f"{branches:.2f}% of branches (at least {BRANCHES_PERCENT:g}%)"
    )
    return int(lines < LINES_PERCENT or branches < BRANCHES_PERCENT)


if __name__ == "__main__":
    sys.exit(main())
