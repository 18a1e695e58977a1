"""The sizes of a decoder: what a config may set, and their names in Hugging Face's config.json.

The names are those of ``Gemma3TextConfig`` in ``transformers``, so the two files use the same
keys. Nothing here needs jax, so that ``tunixrt train --dry-run`` runs without it.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  (pydantic reads annotations at run time)
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tunixrt.errors import BadInputError

Size = Annotated[int, Field(ge=1, le=2**20)]
Theta = Annotated[float, Field(gt=1.0, le=1e12, allow_inf_nan=False)]


class ArchitectureError(BadInputError):
    """A config.json describes a model that tunixrt does not support.

    Attributes:
        problem: a sentence about what is wrong, without the file's name.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class Architecture(BaseModel):
    """The sizes of a Gemma 3 text decoder; frozen and hashable, so that jit may depend on it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    family: Literal["gemma3_text"] = "gemma3_text"
    hidden_size: Size
    intermediate_size: Size
    num_hidden_layers: Size
    num_attention_heads: Size
    num_key_value_heads: Size
    head_dim: Size
    query_pre_attn_scalar: Size
    rms_norm_eps: Annotated[float, Field(gt=0.0, lt=1.0)]
    rope_theta: Theta
    rope_local_base_freq: Theta
    sliding_window: Size
    sliding_window_pattern: Size

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"num_attention_heads ({self.num_attention_heads}) must be a multiple of "
                f"num_key_value_heads ({self.num_key_value_heads})"
            )
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size ({self.hidden_size}) must be a multiple of num_attention_heads "
                f"({self.num_attention_heads}), or transformers refuses the model"
            )
        if self.head_dim % 2:
            raise ValueError(f"head_dim ({self.head_dim}) must be even, for rotary positions")
        return self

    def is_sliding(self, layer: int) -> bool:
        """Return whether layer ``layer`` (from 0) attends only to ``sliding_window`` tokens."""
        return (layer + 1) % self.sliding_window_pattern != 0

    def layer_types(self) -> list[str]:
        """Return the type of each layer, as ``transformers`` names it."""
        return [
            "sliding_attention" if self.is_sliding(layer) else "full_attention"
            for layer in range(self.num_hidden_layers)
        ]

    def to_huggingface(self) -> dict[str, object]:
        """Return the architecture's part of config.json.

        The rotary bases are in it twice: ``transformers`` 5 reads ``rope_parameters``, 4 reads
        the two flat keys.
        """
        fields = self.model_dump(exclude={"family"})
        return fields | {
            "architectures": ["Gemma3ForCausalLM"],
            "model_type": self.family,
            "hidden_activation": "gelu_pytorch_tanh",
            "attention_bias": False,
            "attention_dropout": 0.0,
            "attn_logit_softcapping": None,
            "final_logit_softcapping": None,
            "layer_types": self.layer_types(),
            "rope_parameters": {
                "full_attention": {"rope_theta": self.rope_theta, "rope_type": "default"},
                "sliding_attention": {
                    "rope_theta": self.rope_local_base_freq,
                    "rope_type": "default",
                },
            },
            "tie_word_embeddings": True,
        }

    @classmethod
    def from_huggingface(cls, config: Mapping[str, object]) -> Self:
        """Return the architecture of a config.json.

        Raises:
            ArchitectureError: the model is of another family, or uses an unsupported feature.
        """
        for key, computed in _ONLY.items():
            found = config.get(key, computed[0])
            if found not in computed:
                raise ArchitectureError(
                    f"has {key} = {found!r}, and tunixrt computes only {computed[0]!r}."
                )
        fields = {key: config[key] for key in cls.model_fields if key in config}
        fields["family"] = config.get("model_type")
        fields |= _rotary_bases(config)
        fields.setdefault("sliding_window_pattern", _pattern(config))
        try:
            architecture = cls.model_validate(fields)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "its sizes"
            raise ArchitectureError(
                f"does not describe a model: {where}: {first['msg']}."
            ) from error
        layer_types = config.get("layer_types", architecture.layer_types())
        if layer_types != architecture.layer_types():
            raise ArchitectureError(
                "has layer_types that are not 'every sliding_window_pattern-th layer is full'."
            )
        return architecture


# The settings that the forward pass supports; the first value is the default of a missing key.
_ONLY: dict[str, tuple[object, ...]] = {
    "hidden_activation": ("gelu_pytorch_tanh",),
    "attention_bias": (False,),
    "attn_logit_softcapping": (None,),
    "final_logit_softcapping": (None,),
    "use_bidirectional_attention": (False, None),
    "tie_word_embeddings": (True,),
    "rope_scaling": (None,),
}


def _rotary_bases(config: Mapping[str, object]) -> dict[str, object]:
    parameters = config.get("rope_parameters")
    if not isinstance(parameters, dict):
        return {}
    bases: dict[str, object] = {}
    for kind, key in (
        ("full_attention", "rope_theta"),
        ("sliding_attention", "rope_local_base_freq"),
    ):
        given = parameters.get(kind)
        if not isinstance(given, dict):
            continue
        if given.get("rope_type", "default") != "default":
            raise ArchitectureError(
                f"has rope_type {given['rope_type']!r} for {kind}, and tunixrt computes only "
                "'default'."
            )
        if "rope_theta" in given:
            bases[key] = given["rope_theta"]
    return bases


def _pattern(config: Mapping[str, object]) -> int:
    """Return the period of full-attention layers, which ``transformers`` does not write."""
    layer_types = config.get("layer_types")
    if isinstance(layer_types, list) and layer_types:
        if "full_attention" in layer_types:
            return layer_types.index("full_attention") + 1
        return len(layer_types) + 1
    return 6
