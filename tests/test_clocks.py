"""No test looks at a clock: a fast, a slow and a busy machine give the same answer."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import HealthCheck, settings

TESTS = Path(__file__).parent

#: Reading a clock, sleeping, and time-outs that end work; in embedded programs, too.
CLOCK = re.compile(
    r"\bsleep\(|\b(?:perf_counter|process_time|thread_time)\b|\btime\.(?:time|monotonic)\b"
    r"|\bfrom time import\b|\balarm\(|\bsetitimer\(|\.(?:communicate|wait|join)\([^)]*timeout"
    r"|\bdeadline=(?!None)"
)

#: The exceptions, with their reasons.
MAY = {
    "portability/__main__.py": "prints how long a variation took",
    "cli/test_progress.py": "sets the clock that the product reads",
    "making/terminals.py": "sets the clock that the product reads",
    "jobs/test_strange_things.py": "a net: a command that waits for a FIFO would wait for ever",
    "pythons.py": "prints how long each interpreter took",
    "test_clocks.py": "the pattern",
}


def test_no_test_waits_for_a_clock_or_reads_one() -> None:
    found = {
        f"{path.relative_to(TESTS)}:{number}: {line.strip()}"
        for path in sorted(TESTS.rglob("*.py"))
        if path.relative_to(TESTS).as_posix() not in MAY
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if CLOCK.search(line)
    }
    assert found == set(), "stop at a named moment instead: see tests.moments"


def test_no_example_of_a_property_has_a_deadline() -> None:
    assert settings.default is not None
    assert settings.default.deadline is None
    assert HealthCheck.too_slow in settings.default.suppress_health_check
