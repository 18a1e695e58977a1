"""How the records of a dataset become tokens: as for a run, a configuration, or a tokenizer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tunixrt.datasets.render import DataFormat
from tunixrt.errors import BadInputError
from tunixrt.jobs.models import TOKENIZER_NAME, model_digests, model_directory, training_of
from tunixrt.jobs.overlong import context_length
from tunixrt.ml.input.encoding import Tokenizer
from tunixrt.ml.tokenizer import ByteTokenizer
from tunixrt.runs.catalogue import Catalogue
from tunixrt.runs.config import RunConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunixrt.log.layout import Layout


class SpanTokenizer(Tokenizer, Protocol):
    """A tokenizer that knows which characters its tokens make."""

    def spans(self, text: str) -> Iterator[tuple[tuple[int, ...], str]]:
        """Yield the ids of a text piece by the characters that they make."""


@dataclass(frozen=True)
class TokenSettings:
    """How a record becomes tokens.

    Attributes:
        data_format: the template.
        system: the system instruction.
        tokenizer: makes the tokens.
        tokenizer_name: ``bytes``, or the path of the file.
        max_length: the longest record; None without a limit.
        refuses: whether a longer record keeps training from starting, instead of being dropped.
        split: the split that is trained on.
    """

    data_format: DataFormat = DataFormat.TUNIX_SFT
    system: str | None = None
    tokenizer: SpanTokenizer = field(default_factory=ByteTokenizer)
    tokenizer_name: str = "bytes"
    max_length: int | None = None
    refuses: bool = False
    split: str = "train"


def settings_of(
    layout: Layout,
    *,
    run: str | None = None,
    config: RunConfig | None = None,
    tokenizer: Path | None = None,
) -> TokenSettings:
    """Return the settings of a run, of a configuration, of a tokenizer, or the defaults.

    Args:
        layout: where the runs are.
        run: a training run, or a model directory: its template, tokenizer and context.
        config: a configuration: its template and context.
        tokenizer: a ``tokenizer.json``; it takes the place of the byte tokenizer.

    Raises:
        BadInputError: a run is given together with one of the others, or one cannot be read.
    """
    if run is not None:
        if config is not None or tokenizer is not None:
            raise BadInputError(
                "A run has a configuration and a tokenizer of its own: give either the run, or a "
                "configuration and a tokenizer."
            )
        directory = model_directory(layout, run)
        tokenizer = directory / TOKENIZER_NAME
        trained = training_of(Catalogue(layout), model_digests(directory))
        if trained is None:
            made, name = read_tokenizer(tokenizer)
            return TokenSettings(
                tokenizer=made, tokenizer_name=name, max_length=context_length(directory)
            )
        config = RunConfig.from_resolved(trained.identity.config)
    made, name = (ByteTokenizer(), "bytes") if tokenizer is None else read_tokenizer(tokenizer)
    if config is None:
        return TokenSettings(tokenizer=made, tokenizer_name=name)
    return TokenSettings(
        data_format=config.data.format,
        system=config.system_instruction,
        tokenizer=made,
        tokenizer_name=name,
        max_length=config.model.max_length,
        refuses=config.data.overlong == "error",
        split=config.data.split,
    )


def read_tokenizer(path: Path) -> tuple[SpanTokenizer, str]:
    """Return the tokenizer of a ``tokenizer.json``, and its name.

    The byte tokenizer is recognised, and needs no other package.

    Raises:
        BadInputError: the file cannot be read, or is not a tokenizer with the template's tokens.
    """
    from tunixrt.ml.tokenizer_file import FileTokenizer, TokenizerFileError

    try:
        data = path.read_bytes()
    except OSError as error:
        raise TokenizerFileError(path, f"The file cannot be read ({error.strerror}).") from error
    if data == ByteTokenizer().tokenizer_json():
        return ByteTokenizer(), "bytes"
    try:
        return FileTokenizer(path, data.decode()), str(path)
    except UnicodeDecodeError as error:
        raise TokenizerFileError(path, f"The file is not UTF-8 ({error.reason}).") from error
