"""Another process that holds the lock of a store."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunixrt.log.layout import Layout

_HOLD = (
    "import sys, pathlib\n"
    "from tunixrt.log.layout import Layout\n"
    "from tunixrt.log.lock import store_lock\n"
    "with store_lock(Layout(pathlib.Path(sys.argv[1])), 'redaction'):\n"
    "    print('held', flush=True); sys.stdin.read()\n"
)


@contextlib.contextmanager
def held(layout: Layout) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock until the block ends."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(layout.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()
