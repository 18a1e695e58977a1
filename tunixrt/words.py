"""Text for people: counts, lists, shortened texts, and the name that was probably meant.

Suggestions are made in one way for every name that a person types: commands, options, keys of a
configuration, formats, judges, datasets, eval sets, runs. A name is near another one when it is the
same but for letter case and hyphens, is what the field calls the same thing (``lr``), has the same
words in it (``warmup`` and ``warmup_steps``), or differs by a slip of the keyboard.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Likeness from which on a word is another one misspelt: surely, and where nothing else is near.
_SURE: Final = 0.8
_LIKELY: Final = 0.6
#: A beginning of fewer characters fits too many names.
_SHORTEST: Final = 3
#: What is longer is not a name, and comparing takes the square of the length.
_LONGEST: Final = 100
_SEPARATORS: Final = re.compile(r"[-_\s]+")
_PATH: Final = re.compile(r"[.\s]")

#: What other tools and papers call our things. A name is looked up here only where one of the
#: words on the right is known at that place, so a word may mean several things.
ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    # keys of a configuration, by their last part
    "accumulation": ("gradient_accumulation_steps",),
    "b1": ("adam_b1",),
    "b2": ("adam_b2",),
    "beta1": ("adam_b1",),
    "beta2": ("adam_b2",),
    "beta_1": ("adam_b1",),
    "beta_2": ("adam_b2",),
    "block_size": ("max_length",),
    "bs": ("batch_size",),
    "bsz": ("batch_size",),
    "clip": ("max_grad_norm",),
    "clip_norm": ("max_grad_norm",),
    "context": ("max_length",),
    "context_length": ("max_length",),
    "ctx": ("max_length",),
    "d_ff": ("intermediate_size",),
    "d_model": ("hidden_size",),
    "decay": ("weight_decay",),
    "depth": ("num_hidden_layers",),
    "dim": ("hidden_size",),
    "dtype": ("numeric_mode",),
    "epoch": ("num_steps",),
    "epochs": ("num_steps",),
    "eps": ("adam_eps",),
    "epsilon": ("adam_eps",),
    "ffn": ("intermediate_size",),
    "grad_accum": ("gradient_accumulation_steps",),
    "grad_accum_steps": ("gradient_accumulation_steps",),
    "grad_clip": ("max_grad_norm",),
    "heads": ("num_attention_heads",),
    "hidden": ("hidden_size",),
    "hidden_dim": ("hidden_size",),
    "iterations": ("num_steps",),
    "iters": ("num_steps",),
    "kv_heads": ("num_key_value_heads",),
    "layers": ("num_hidden_layers",),
    "log_every": ("logging_steps",),
    "lr": ("learning_rate",),
    "max_iters": ("num_steps",),
    "max_len": ("max_length",),
    "max_seq_len": ("max_length",),
    "max_seq_length": ("max_length",),
    "max_steps": ("num_steps",),
    "micro_batch_size": ("batch_size",),
    "mlp": ("intermediate_size",),
    "momentum": ("muon_momentum",),
    "n_embd": ("hidden_size",),
    "n_head": ("num_attention_heads",),
    "n_heads": ("num_attention_heads",),
    "n_layer": ("num_hidden_layers",),
    "n_layers": ("num_hidden_layers",),
    "n_steps": ("num_steps",),
    "num_epochs": ("num_steps",),
    "num_heads": ("num_attention_heads",),
    "num_iterations": ("num_steps",),
    "num_layers": ("num_hidden_layers",),
    "num_train_epochs": ("num_steps",),
    "optim": ("optimizer",),
    "per_device_train_batch_size": ("batch_size",),
    "precision": ("numeric_mode",),
    "preset": ("name",),
    "prompt": ("system_instruction",),
    "random_seed": ("seed",),
    "rng_seed": ("seed",),
    "save_every": ("save_steps",),
    "schedule": ("lr_scheduler",),
    "scheduler": ("lr_scheduler",),
    "seq_len": ("max_length",),
    "seq_length": ("max_length",),
    "steps": ("num_steps",),
    "system": ("system_instruction",),
    "system_prompt": ("system_instruction",),
    "template": ("format",),
    "total_steps": ("num_steps",),
    "wd": ("weight_decay",),
    # options
    "dir": ("output", "store"),
    "directory": ("output", "store"),
    "eval_set": ("evalset",),
    "max_tokens": ("max_new_tokens",),
    "n_samples": ("samples",),
    "name": ("as",),
    "num_samples": ("samples",),
    "out": ("output",),
    "override": ("set",),
    "quiet": ("ids",),
    "temp": ("temperature",),
    # commands
    "add_label": ("label",),
    "checkpoint": ("snapshot",),
    "delete": ("retract", "redact"),
    "diff": ("compare",),
    "evaluate": ("eval",),
    "evaluation": ("eval",),
    "fit": ("train",),
    "get": ("show",),
    "info": ("show", "status"),
    "inspect": ("show",),
    "leaderboard": ("run list",),
    "ls": ("list",),
    "model": ("run",),
    "models": ("run",),
    "name_run": ("promote",),
    "new": ("init",),
    "rebuild": ("reproduce",),
    "remove": ("retract", "redact"),
    "rerun": ("reproduce",),
    "rm": ("retract", "redact"),
    "score": ("eval",),
    "tag": ("promote",),
    # formats, judges, metrics, splits
    "accuracy": ("avg_score",),
    "adam": ("adamw",),
    "bf16": ("fast",),
    "dev": ("validation",),
    "exact_match": ("exact", "verbatim"),
    "float32": ("fast",),
    "fp32": ("fast",),
    "held_out": ("test",),
    "math": ("math-verify",),
    "jsonl": ("tunixrt", "trace"),
    "maj": ("majority",),
    "random_sample": ("random",),
    "sft": ("tunix_sft",),
    "strict": ("verbatim",),
    "training": ("train",),
    "val": ("validation",),
    "valid": ("validation",),
    "vote": ("majority",),
}


def near(name: str, known: Iterable[str], *, dotted: bool = False) -> list[str]:
    """The known names that may have been meant, the most similar first; empty where none is near.

    Args:
        name: what was typed.
        known: the names that would have been right.
        dotted: whether names are paths (``training.seed``): then their last parts are compared, so
            that a key in the wrong section, or without one, is near the key.
    """
    if len(name) > _LONGEST:
        return []
    leaf = _leaf if dotted else _plain
    candidates = {key: leaf(key) for key in known}
    word = leaf(name)
    whole = [key for key in candidates if _plain(key) == _plain(name)]
    same = whole or [key for key, text in candidates.items() if text == word]
    if same:
        return _by_spelling(name, same)
    for alias in ALIASES.get(word, ()):
        called = [key for key, text in candidates.items() if _plain(alias) in {text, _plain(key)}]
        if called:
            return _by_spelling(name, called)
    return (
        _misspelt(word, candidates, _SURE)
        or _with_the_words(word, candidates)
        or _misspelt(word, candidates, _LIKELY)
    )


def nearest(name: str, known: Iterable[str], *, dotted: bool = False) -> str | None:
    """The first of `near`, or None."""
    return next(iter(near(name, known, dotted=dotted)), None)


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """``Did you mean "prompt"?`` where one known name is near; else the list of them."""
    return suggestion(name, known).lstrip() or f"The known ones are {', '.join(known)}."


def suggestion(name: str, known: Iterable[str], *, dotted: bool = False) -> str:
    """`` Did you mean "prompt"?``, to end a message about an unknown name; empty if none is near.

    Args:
        name: what was typed.
        known: the names that would have been right.
        dotted: as in `near`.
    """
    meant = nearest(name, known, dotted=dotted)
    return "" if meant is None else f" Did you mean {quoted(meant)}?"


def quoted(text: str, *, at_most: int = 60) -> str:
    """A text in quotes for use in a sentence: shortened, without control characters."""
    shown = shorten(text, at_most)
    return '"' + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown) + '"'


def shorten(text: str, at_most: int) -> str:
    """The text, or its beginning and ``…``: at most ``at_most`` characters."""
    return text if len(text) <= at_most else text[: at_most - 1] + "…"


def plural(n: int, noun: str, many: str | None = None) -> str:
    """``1 trace``, ``7,473 traces``; ``many`` is the plural where it is not the noun with an s."""
    return f"{n:,} {noun if n == 1 else many or noun + 's'}"


def choice(names: Iterable[str]) -> str:
    """``a``, ``a or b``, ``a, b or c``: the names of which one is expected."""
    return _series(names, "or")


def series(items: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``: all of these."""
    return _series(items, "and")


def _series(items: Iterable[str], conjunction: str) -> str:
    *most, last = tuple(items) or ("",)
    return f"{', '.join(most)} {conjunction} {last}" if most else last


def _plain(text: str) -> str:
    return _SEPARATORS.sub("_", text.lower()).strip("_")


def _leaf(text: str) -> str:
    return _plain(_PATH.split(text)[-1])


def _by_spelling(name: str, keys: Sequence[str]) -> list[str]:
    """Most alike first; in the given order where they are equally so."""
    return sorted(keys, key=lambda key: -_likeness(_plain(name), _plain(key)))


def _misspelt(word: str, candidates: Mapping[str, str], cutoff: float) -> list[str]:
    likeness = {key: _likeness(word, text) for key, text in candidates.items()}
    best = max(likeness.values(), default=0.0)
    return [key for key, ratio in likeness.items() if ratio == best][:1] if best >= cutoff else []


def _with_the_words(word: str, candidates: Mapping[str, str]) -> list[str]:
    """The name with the fewest words besides those that were typed, which may be cut short."""
    wanted = word.split("_")
    if len(word) < _SHORTEST:
        return []
    found = [
        (len(text), place, key)
        for place, (key, text) in enumerate(candidates.items())
        if all(any(part.startswith(w) for part in text.split("_")) for w in wanted)
    ]
    return [key for _, _, key in sorted(found)[:1]]


def _likeness(a: str, b: str) -> float:
    """0 to 1: by what two words share in order, or by how few characters were mistyped."""
    import difflib  # not on every start of the command line

    in_order = difflib.SequenceMatcher(None, a, b).ratio()
    if not a or not b or in_order == 1.0:
        return in_order
    return max(in_order, 1 - _n_edits(a, b) / max(len(a), len(b)))


def _n_edits(a: str, b: str) -> int:
    """How many characters have to be put in, left out or exchanged (Levenshtein 1966)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        above, row = row, [i]
        for j, y in enumerate(b, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1]
