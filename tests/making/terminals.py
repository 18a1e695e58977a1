"""What a person would see on a terminal, without a person or a clock."""

from __future__ import annotations

import os

#: The command line with a clock that advances by a second each time it is read, so that a line of
#: progress is due at every report, however fast the machine is.
PROGRAM = """
import itertools, time
time.monotonic = map(float, itertools.count(100)).__next__
from tunixrt.cli.main import main
main()
"""


def read_all(terminal: int) -> str:
    """What was written to the other end of a pseudo-terminal until it was closed."""
    text = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # Linux says so when the other end is closed
            part = b""
        if not part:
            return text.decode()
        text += part
