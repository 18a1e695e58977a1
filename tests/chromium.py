"""A page of the disk as a browser sees it."""

from __future__ import annotations

import re
import shutil
import subprocess
from html import unescape
from typing import TYPE_CHECKING

from tests.report.page_rules import problems

if TYPE_CHECKING:
    from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=8000",
    "--dump-dom",
)


class Opened:
    """A page after its scripts have run: its elements, and what it said to the console.

    What scripts have made of it has to be as valid as what they began with.
    """

    def __init__(self, site: Path, address: str, profile: Path) -> None:
        done = subprocess.run(
            [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", f"file://{site}/{address}"],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        self.html = done.stdout
        assert problems(self.html) == []
        self.console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    def text(self, selector: str) -> str:
        """The text within the first element with this id."""
        inner = self.html.split(f'id="{selector}"', 1)[1].partition(">")[2]
        return unescape(re.sub("<[^>]+>", "", inner))
