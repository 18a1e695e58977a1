"""What `pip install tunixrt` without extras would give, made of links to what is installed here."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

import tunixrt

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def base_distributions() -> list[metadata.Distribution]:
    """tunixrt's requirements without those of its extras, and theirs, and so on."""
    found: dict[str, metadata.Distribution] = {}
    waiting = ["tunixrt"]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = metadata.distribution(name)
        for requirement in found[name].requires or []:
            wanted, _, marker = requirement.partition(";")
            match = _NAME.match(wanted)
            # Markers other than extras (of platforms, of old Pythons) may name what is not here.
            if match is not None and "extra" not in marker and _is_installed(match[0]):
                waiting.append(match[0])
    return list(found.values())


def link_base_install(directory: Path) -> Path:
    """Fill a directory that serves as ``PYTHONPATH`` of ``python -S``."""
    directory.mkdir(parents=True)
    (directory / "tunixrt").symlink_to(Path(tunixrt.__file__).parent)
    for distribution in base_distributions():
        tops = {Path(str(file)).parts[0] for file in distribution.files or []}
        for top in sorted(tops - {"..", "__pycache__", "tunixrt"}):
            if top.endswith(".pth") or top.startswith("_editable"):
                continue
            target = Path(str(distribution.locate_file(top))).resolve()
            if target.exists() and not (directory / top).exists():
                (directory / top).symlink_to(target)
    return directory


def base_python() -> list[str]:
    """The interpreter that sees its ``PYTHONPATH`` and the standard library alone."""
    return [sys.executable, "-S"]


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
