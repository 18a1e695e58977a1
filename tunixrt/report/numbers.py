"""Numbers for display: few digits, a true minus sign, no negative zero."""

from __future__ import annotations

MINUS = "−"


def decimal(value: float, n_digits: int) -> str:
    """A number with ``n_digits`` decimal places."""
    text = format(value, f",.{n_digits}f")
    if not text.strip("-0.,"):
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def signed(value: float, n_digits: int) -> str:
    """A difference: with its sign, except for zero."""
    text = decimal(value, n_digits)
    return text if text.startswith(MINUS) or not text.strip("0.,") else f"+{text}"


def significant(value: float, n_digits: int) -> str:
    """A number with ``n_digits`` significant digits: losses, learning rates."""
    return format(value, f".{n_digits}g").replace("-", MINUS)


def interval(low: float, high: float, n_digits: int = 1) -> str:
    """Both ends of an interval."""
    return f"{decimal(low, n_digits)} to {decimal(high, n_digits)}"


def signed_interval(low: float, high: float, n_digits: int = 1) -> str:
    """Both ends of an interval of differences."""
    return f"{signed(low, n_digits)} to {signed(high, n_digits)}"


def p_value(value: float) -> str:
    """A p-value in words: ``p = 0.012``, ``p < 0.001``."""
    if value < 0.001:
        return "p < 0.001"
    return f"p = {decimal(value, 3)}"


def count(n: int, noun: str) -> str:
    """``1 sample``, ``2 samples``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
