"""The only module that reads the clock; its times go into files that are not hashed."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunixrt.derive import Execution


def stopwatch() -> Callable[[], Execution]:
    """Start a stopwatch; calling the result returns the start time and the seconds since."""
    from tunixrt.derive import Execution

    started_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    start = time.monotonic()

    def read() -> Execution:
        return Execution(started_at=started_at, duration_s=round(time.monotonic() - start, 3))

    return read
