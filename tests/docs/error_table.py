"""The table of errors in docs/python.md, from the sources: `python -m tests.docs.error_table`."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "python.md"
_TABLE = re.compile(r"(?<=<!-- errors -->\n).*(?=<!-- end of errors -->)", re.DOTALL)


def error_table() -> str:
    """Every error that a program can meet, by module: its name, its class, what it says."""
    classes: dict[str, tuple[str, ast.ClassDef]] = {}
    for path in sorted((ROOT / "tunixrt").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if module.startswith("tunixrt.cli"):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                classes[node.name] = (module, node)
    rows = ["| Error | Kind | When |", "|---|---|---|"]
    for name, (module, node) in classes.items():
        if module != "tunixrt.errors" and (kind := _kind(name, classes)) is not None:
            when = (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " ")
            rows.append(f"| `{module}.{name}` | `{kind}` | {when.replace('|', chr(92) + '|')} |")
    return "\n".join(rows) + "\n"


def page_with(table: str) -> str:
    """The page with this table in its place."""
    return _TABLE.sub(lambda _: table, PAGE.read_text(encoding="utf-8"))


def _kind(name: str, classes: dict[str, tuple[str, ast.ClassDef]]) -> str | None:
    """The class of `tunixrt.errors` that an error derives from; None where it is no such error."""
    while name in classes:
        module, node = classes[name]
        if module == "tunixrt.errors":
            return name if _is_error(name, classes) else None
        bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
        if not bases:
            return None
        name = bases[0]
    return None


def _is_error(name: str, classes: dict[str, tuple[str, ast.ClassDef]]) -> bool:
    while name in classes and name != "TunixrtError":
        (base,) = classes[name][1].bases
        name = base.id if isinstance(base, ast.Name) else ""
    return name == "TunixrtError"


if __name__ == "__main__":
    PAGE.write_text(page_with(error_table()), encoding="utf-8")
