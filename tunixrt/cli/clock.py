"""The only place that reads the clock; what it says goes where nothing is hashed."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunixrt.derive import Execution


def stopwatch() -> Callable[[], Execution]:
    """Start a stopwatch; calling the result says when it was started and how long ago."""
    from tunixrt.derive import Execution

    started_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    start = time.monotonic()

    def read() -> Execution:
        return Execution(started_at=started_at, duration_s=round(time.monotonic() - start, 3))

    return read
