"""Reads a configuration: a preset, a TOML file that starts from one, and overrides.

``load_config("nano", ["training.seed=1"])``, or a TOML file whose ``model.name`` names the preset
that it starts from. Every key that is not set comes from the preset, and ``RunConfig.resolved``
shows the whole result.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunixrt.runs.config import ConfigError, RunConfig, known_keys, validated, value_keys
from tunixrt.runs.presets import PRESETS
from tunixrt.traces.importers.file_kinds import without_mark
from tunixrt.words import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_KEY = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")


def load_config(
    path_or_preset: str, overrides: Sequence[str] | Mapping[str, object] = ()
) -> RunConfig:
    """Read a preset or a TOML file, and set ``a.b=value`` over it.

    Args:
        path_or_preset: the name of a preset, or the path of a TOML file (which ends in ``.toml``).
        overrides: ``key.key=value`` each; the value as TOML has it, and a bare word is a string.
            Or a mapping of ``key.key`` to Python values, or of sections to such mappings.

    Raises:
        ConfigError: the preset or file does not exist, or is invalid; the message has
            a sentence for each fault.
    """
    if path_or_preset in PRESETS:
        written: dict[str, Any] = {}
        preset, source, text = path_or_preset, f"The preset {path_or_preset}", ""
    else:
        source = path_or_preset
        text = _read_file(path_or_preset)
        written = _parse_toml(text, source)
        preset = _preset_of(written, source, text)
    merged = _merge(PRESETS[preset], written)
    set_keys: set[str] = set()
    given = (
        _python_values(overrides)
        if isinstance(overrides, Mapping)
        else map(_command_line_value, overrides)
    )
    for said, key, value in given:
        set_keys.add(_apply_override(merged, said, key, value))
    model = merged["model"]
    if isinstance(model, dict) and model.get("name") != preset:
        raise ConfigError(
            "--set model.name", [f" cannot change the preset: give {model['name']!r} in its place."]
        )

    how = "overrides" if isinstance(overrides, Mapping) else "--set"

    def place(key: str) -> str:
        is_set = any(f"{set_key}.".startswith(f"{key}.") for set_key in set_keys)
        return f" ({how})" if is_set else _line_of(text, key)

    return validated(merged, source, place)


def _read_file(path: str) -> str:
    if not path.endswith(".toml"):
        raise ConfigError(
            repr(path),
            [
                (
                    " is neither a preset nor the name of a TOML file."
                    f"{suggestion(path, PRESETS)} The presets are {', '.join(PRESETS)}."
                )
            ],
        )
    try:
        return without_mark(path, Path(path).read_bytes(), "TOML").decode()
    except UnicodeDecodeError as error:
        raise ConfigError(path, [f" is not UTF-8: bad byte at offset {error.start}."]) from error
    except OSError as error:
        raise ConfigError(path, [f" cannot be read: {error.strerror}."]) from error


def _parse_toml(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(source, [f" is not TOML: {error}."]) from error


def _preset_of(written: Mapping[str, Any], source: str, text: str) -> str:
    model = written.get("model")
    name = model.get("name") if isinstance(model, dict) else None
    if isinstance(name, str) and name in PRESETS:
        return name
    found = "is missing" if name is None else f"is {name!r}, which is not a preset"
    place = _line_of(text, "model.name")
    raise ConfigError(
        source,
        [
            (
                f"{place}: model.name {found}.{suggestion(str(name), PRESETS)} "
                f"Name the preset to start from: {', '.join(PRESETS)}."
            )
        ],
    )


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = {k: _merge(v, {}) if isinstance(v, dict) else v for k, v in base.items()}
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = (
            _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
        )
    return merged


def _command_line_value(override: str) -> tuple[str, str, object]:
    """What messages call it, the key and the value of ``KEY=VALUE``."""
    key, equals, text = override.partition("=")
    if not equals or not _KEY.fullmatch(key.strip()):
        raise ConfigError(
            f"--set {override}", [": expected KEY=VALUE, such as training.num_steps=50."]
        )
    return f"--set {override}", key.strip(), _override_value(text)


def _python_values(
    overrides: Mapping[str, object], above: str = ""
) -> Iterator[tuple[str, str, object]]:
    """What messages call it, the dotted key and the value of each entry of a nested mapping."""
    for name, value in overrides.items():
        key = f"{above}{name}"
        said = f"The override {key!r}"
        if not _KEY.fullmatch(key):
            raise ConfigError(said, [" is not a key, such as training.num_steps."])
        if isinstance(value, Mapping):
            yield from _python_values(value, f"{key}.")
        else:
            yield said, key, value


def _apply_override(config: dict[str, Any], said: str, key: str, value: object) -> str:
    path = key.split(".")
    # Said here, where the whole key is known: below an unknown section it would be lost.
    if ".".join(path) not in known_keys() and not _is_below_a_value(path):
        problem = f": {'.'.join(path)} is not a key."
        hint = suggestion(".".join(path), value_keys(), dotted=True)
        raise ConfigError(said, [problem + hint])
    section = config
    for part in path[:-1]:
        section = section.setdefault(part, {})
        if not isinstance(section, dict):
            raise ConfigError(said, [f": {part} is a value and has no keys in it."])
    section[path[-1]] = value
    return ".".join(path)


def _is_below_a_value(path: Sequence[str]) -> bool:
    values = value_keys()
    return any(".".join(path[:n]) in values for n in range(1, len(path)))


def _override_value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _line_of(text: str, key: str) -> str:
    """Return the line of a dotted key in a TOML text, as ``:12``; empty if it is not found.

    tomllib keeps no positions. Only headers and plain keys are found, the common forms.
    """
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\s*([A-Za-z0-9_.\-]+)\s*\]", line):
            table = header[1] + "."
            if header[1] == key:
                return f":{number}"
        elif (entry := re.match(r"\s*([A-Za-z0-9_.\-]+)\s*=", line)) and table + entry[1] == key:
            return f":{number}"
    return ""
