"""A program on a pseudo-terminal, and what it wrote there."""

from __future__ import annotations

import os

#: The command line with a clock that advances by a second each time it is read, so that the line is
#: due at every report, however fast the machine is.
PROGRAM = """
import itertools, time
time.monotonic = map(float, itertools.count(100)).__next__
from tunixrt.cli.main import main
main()
"""


def read_all(terminal: int) -> str:
    text = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # Linux says so when the other end is closed
            part = b""
        if not part:
            return text.decode()
        text += part
