"""The configuration of a training run, validated before anything starts.

A configuration is a preset and its differences: ``load_config("nano", ["training.seed=1"])``, or a
TOML file whose ``model.name`` names the preset that it starts from. Every key that is not set
comes from the preset, and ``RunConfig.resolved`` shows the whole result.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tunixrt.datasets.render import DataFormat
from tunixrt.errors import BadInputError
from tunixrt.runs.architecture import Architecture
from tunixrt.runs.presets import PRESETS
from tunixrt.traces.importers.file_kinds import without_mark
from tunixrt.words import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pydantic_core import ErrorDetails

Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Interval = Annotated[int, Field(ge=0, le=2**31 - 1)]
Seed = Annotated[int, Field(ge=0, lt=2**53)]
Share = Annotated[float, Field(ge=0.0, lt=1.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]

_KEY = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")


class ConfigError(BadInputError):
    """A configuration that cannot be used.

    Attributes:
        source: the file or preset that was asked for.
        problems: one sentence per fault.
    """

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        super().__init__("\n".join(f"{source}{problem}" for problem in problems))
        self.source = source
        self.problems = tuple(problems)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ModelSection(_Section):
    """Which decoder is trained."""

    name: str = Field(description="The preset that this configuration starts from.")
    max_length: Annotated[int, Field(ge=8, le=131_072)] = Field(
        description="The longest row in tokens, for training and generation."
    )
    architecture: Architecture = Field(description="The decoder's sizes; the preset fills them in.")


class TrainingSection(_Section):
    """How it is trained."""

    num_steps: Count = Field(description="Updates of the weights.")
    learning_rate: Positive = Field(description="The highest learning rate, after the warm-up.")
    batch_size: Count = Field(
        description="Rows in one forward pass; a row is an example, or several with data.packing."
    )
    gradient_accumulation_steps: Count = Field(
        default=1, description="Forward passes whose gradients make one update."
    )
    optimizer: Literal["adamw", "muon"] = Field(
        default="adamw",
        description="muon updates the hidden matrices, and adamw what is left.",
    )
    muon_momentum: Share = 0.95
    adam_b1: Share = 0.9
    adam_b2: Share = 0.98
    adam_eps: Positive = 1e-8
    weight_decay: NotNegative = Field(
        default=0.0, description="Decoupled decay of the matrices; norm scales do not decay."
    )
    lr_scheduler: Literal["constant", "linear", "cosine"] = Field(
        default="linear", description="linear and cosine fall to zero after the last step."
    )
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    max_grad_norm: NotNegative = Field(
        default=1.0, description="The global norm that gradients are clipped to; 0 clips nothing."
    )
    logging_steps: Count = Field(default=20, description="Steps between two reports of progress.")
    save_steps: Interval = Field(
        default=100,
        description="Steps between two checkpoints; 0 makes one only when training is interrupted.",
    )
    eval_steps: Interval = Field(
        default=0,
        description="Steps between two losses over data.validation_split; 0 computes none.",
    )
    seed: Seed = Field(default=0, description="Decides the initial weights.")
    numeric_mode: Literal["portable", "fast"] = Field(
        default="portable",
        description="portable: the same bits on any x86-64 CPU; fast: plain float32.",
    )

    @model_validator(mode="after")
    def _warm_up_ends(self) -> Self:
        if self.warmup_steps >= self.num_steps and self.warmup_steps:
            raise ValueError(
                f"warmup_steps ({self.warmup_steps}) must be less than num_steps ({self.num_steps})"
            )
        return self


class DataSection(_Section):
    """What it is trained on, and in which order."""

    format: DataFormat = Field(
        default=DataFormat.TUNIX_SFT, strict=False, description="How a trace becomes text."
    )
    split: Literal["train", "validation", "test"] = "train"
    shuffle_seed: Seed = Field(default=0, description="Decides the order of the examples.")
    overlong: Literal["error", "drop"] = Field(
        default="error",
        description="What happens to an example of more than model.max_length tokens.",
    )
    packing: bool = Field(
        default=False,
        description="Several short examples share a row, and none sees another.",
    )
    validation_split: Literal["train", "validation", "test"] = Field(
        default="validation", description="What training.eval_steps computes the loss over."
    )


class RunConfig(_Section):
    """All settings of a training run."""

    model: ModelSection
    training: TrainingSection
    data: DataSection = DataSection()
    system_instruction: str | None = Field(
        default=None,
        min_length=1,
        description="Put before the prompt (the first user text) with a blank line.",
    )

    def resolved(self) -> dict[str, Any]:
        """Return every key with its value, as JSON-like values; ``from_resolved`` reads it back."""
        return self.model_dump(mode="json")

    def identity(self) -> dict[str, Any]:
        """Return the part of ``resolved`` that can change a bit of the run.

        Intervals of reports and checkpoints are left out, and so is an unused validation split.
        """
        resolved = self.resolved()
        del resolved["training"]["logging_steps"], resolved["training"]["save_steps"]
        if not self.training.eval_steps:
            del resolved["data"]["validation_split"]
        return resolved

    @classmethod
    def from_resolved(cls, resolved: Mapping[str, Any], source: str = "The manifest") -> RunConfig:
        """Return the configuration that ``resolved`` (or ``identity``) came from.

        Raises:
            ConfigError: it is not a configuration.
        """
        return _validate(resolved, source, lambda _: "")


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

    return _validate(merged, source, place)


def _read_file(path: str) -> str:
    if not path.endswith(".toml"):
        raise ConfigError(
            repr(path),
            [
                (
                    " is neither a preset nor the name of a TOML file."
                    f"{_did_you_mean(path, PRESETS)} The presets are {', '.join(PRESETS)}."
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
                f"{place}: model.name {found}.{_did_you_mean(str(name), PRESETS)} "
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
    """What is said, the key and the value of ``KEY=VALUE``."""
    key, equals, text = override.partition("=")
    if not equals or not _KEY.fullmatch(key.strip()):
        raise ConfigError(
            f"--set {override}", [": expected KEY=VALUE, such as training.num_steps=50."]
        )
    return f"--set {override}", key.strip(), _override_value(text)


def _python_values(
    overrides: Mapping[str, object], above: str = ""
) -> Iterator[tuple[str, str, object]]:
    """What is said, the dotted key and the value of everything in a mapping, however nested."""
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
        hint = _did_you_mean(".".join(path), value_keys(), dotted=True)
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


def _validate(values: Mapping[str, Any], source: str, place: Callable[[str], str]) -> RunConfig:
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        problems = []
        for detail in error.errors():
            key = ".".join(str(part) for part in detail["loc"])
            problems.append(f"{place(key)}: {_sentence(key, detail)}")
        raise ConfigError(source, problems) from error


def _sentence(key: str, detail: ErrorDetails) -> str:
    """Return what is wrong with one key, without the terms of pydantic."""
    match detail["type"]:
        case "extra_forbidden":
            known = value_keys()
            if isinstance(detail["input"], dict):  # a section, so not a key that holds a value
                known = [section for section in known_keys() if section not in known]
            return f"{key} is not a key.{_did_you_mean(key, known, dotted=True)}"
        case "literal_error":
            known = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
            found = detail["input"]
            hint = _did_you_mean(found, known) if isinstance(found, str) else ""
            return f"{key} should be {detail['ctx']['expected']}; found {found!r}.{hint}"
        case "model_type":
            return f"{key} should be a table; found {detail['input']!r}."
        case "missing":
            return f"{key} is missing."
        case "value_error":
            return f"{key}: {detail['ctx']['error']}."
        case _:
            expected = detail["msg"].removeprefix("Input should be ")
            return f"{key} should be {expected}; found {detail['input']!r}."


def known_keys() -> list[str]:
    """Return every key of a configuration, dotted, in the order of the documentation."""
    return list(_keys_of(RunConfig, ""))


def value_keys() -> list[str]:
    """Return the keys that hold a value, not further keys."""
    keys = known_keys()
    return [key for key in keys if not any(other.startswith(f"{key}.") for other in keys)]


def _keys_of(model: type[BaseModel], prefix: str) -> Iterable[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys_of(field.annotation, f"{prefix}{name}.")


def _did_you_mean(word: str, known: Iterable[str], *, dotted: bool = False) -> str:
    """Return a sentence with the nearest known word, or nothing if none is near."""
    meant = nearest(word, known, dotted=dotted)
    return "" if meant is None else f" Did you mean {meant}?"


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
