"""The configuration of a training run: its sections and keys, validated before anything starts.

`tunixrt.runs.config_sources` reads one from a preset, a TOML file and overrides.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tunixrt.datasets.render import DataFormat
from tunixrt.errors import BadInputError
from tunixrt.runs.architecture import Architecture
from tunixrt.words import suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pydantic_core import ErrorDetails

Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Interval = Annotated[int, Field(ge=0, le=2**31 - 1)]
Seed = Annotated[int, Field(ge=0, lt=2**53)]
Share = Annotated[float, Field(ge=0.0, lt=1.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


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
        description="muon updates the hidden matrices, and adamw the other parameters.",
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
        return validated(resolved, source, lambda _: "")


def validated(values: Mapping[str, Any], source: str, place: Callable[[str], str]) -> RunConfig:
    """Return the configuration with these values.

    Args:
        values: every key with its value, in sections.
        source: what they come from, as the beginning of a message.
        place: returns where in the source a dotted key is; empty where that is unknown.

    Raises:
        ConfigError: they are not a configuration.
    """
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
            return f"{key} is not a key.{suggestion(key, known, dotted=True)}"
        case "literal_error":
            known = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
            found = detail["input"]
            hint = suggestion(found, known) if isinstance(found, str) else ""
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
