"""The name that was meant: one mechanism, at every place that takes a name."""

from __future__ import annotations

import pytest

from tunixrt.runs.config import ConfigError, known_keys, value_keys
from tunixrt.runs.config_sources import load_config
from tunixrt.words import ALIASES, choice, near, nearest, plural, series, shorten

COMMON = {
    "training.lr": "training.learning_rate",
    "lr": "training.learning_rate",
    "training.LR": "training.learning_rate",
    "training.learning-rate": "training.learning_rate",
    "trainig.lr": "training.learning_rate",
    "optimizer.lr": "training.learning_rate",
    "training.steps": "training.num_steps",
    "training.max_steps": "training.num_steps",
    "training.epochs": "training.num_steps",
    "num_train_epochs": "training.num_steps",
    "bs": "training.batch_size",
    "training.batch": "training.batch_size",
    "training.wd": "training.weight_decay",
    "training.warmup": "training.warmup_steps",
    "training.warm_up_steps": "training.warmup_steps",
    "training.grad_clip": "training.max_grad_norm",
    "training.grad_norm": "training.max_grad_norm",
    "training.grad_accum": "training.gradient_accumulation_steps",
    "training.beta2": "training.adam_b2",
    "training.scheduler": "training.lr_scheduler",
    "training.optimiser": "training.optimizer",
    "training.shuffle": "data.shuffle_seed",
    "seed": "training.seed",
    "model.layers": "model.architecture.num_hidden_layers",
    "model.d_model": "model.architecture.hidden_size",
    "model.seq_len": "model.max_length",
    "data.pack": "data.packing",
    "system_prompt": "system_instruction",
}


@pytest.mark.parametrize(("typed", "meant"), COMMON.items())
def test_an_abbreviation_of_the_field_suggests_the_key_and_never_a_section(
    typed: str, meant: str
) -> None:
    assert nearest(typed, value_keys(), dotted=True) == meant
    if "-" not in typed and typed == typed.lower():
        with pytest.raises(ConfigError, match=f'Did you mean "{meant}"\\?'):
            load_config("nano", [f"{typed}=1"])


def test_a_misspelt_section_of_a_file_suggests_a_section() -> None:
    sections = [key for key in known_keys() if key not in value_keys()]
    assert nearest("trainig", sections, dotted=True) == "training"


def test_a_misspelt_value_of_a_key_suggests_the_value() -> None:
    with pytest.raises(ConfigError, match=r"""found 'adam'\. Did you mean "adamw"\?"""):
        load_config("nano", ["training.optimizer=adam"])


@pytest.mark.parametrize(
    ("typed", "known", "meant"),
    [
        ("Exact", ["exact", "verbatim"], "exact"),
        ("math_verify", ["exact", "math-verify"], "math-verify"),
        ("sums", ["other-v1", "sums-v1"], "sums-v1"),
        ("sums-v", ["sums-v1", "sums-v2"], "sums-v1"),
        ("nono", ["nano", "micro"], "nano"),
        ("--eval-set", ["--evalset", "--seed"], "--evalset"),
        ("a", ["alpha", "beta"], None),
        ("zebra", ["nano", "micro"], None),
        ("", ["nano"], None),
        ("x" * 10_000, ["x" * 9_999], None),
        ("x", [], None),
    ],
)
def test_a_name_is_near_what_it_was_probably_meant_to_be(
    typed: str, known: list[str], meant: str | None
) -> None:
    assert nearest(typed, known) == meant


def test_several_names_with_one_last_part_are_all_named_the_likeliest_first() -> None:
    commands = ["trace compare", "run compare", "run list"]
    assert near("compare", commands, dotted=True) == ["run compare", "trace compare"]


def test_every_alias_is_written_as_names_are_compared() -> None:
    for alias in ALIASES:
        assert alias == alias.lower()
        assert "-" not in alias
    keys = {key.rpartition(".")[2] for key in value_keys()}
    assert {"learning_rate", "num_steps", "batch_size"} <= keys


@pytest.mark.parametrize(
    ("items", "one_of", "all_of"),
    [
        ([], "", ""),
        (["a"], "a", "a"),
        (["a", "b"], "a or b", "a and b"),
        (["a", "b", "c"], "a, b or c", "a, b and c"),
    ],
)
def test_a_list_in_a_sentence_has_its_conjunction_before_the_last(
    items: list[str], one_of: str, all_of: str
) -> None:
    assert choice(iter(items)) == one_of
    assert series(iter(items)) == all_of


def test_a_count_agrees_with_its_noun() -> None:
    assert [plural(n, "trace") for n in (0, 1, 2, 7473)] == [
        "0 traces",
        "1 trace",
        "2 traces",
        "7,473 traces",
    ]
    assert plural(2, "entry", "entries") == "2 entries"


@pytest.mark.parametrize(("text", "shown"), [("abcd", "abcd"), ("abcde", "abc…"), ("", "")])
def test_a_shortened_text_is_never_longer_than_asked_for(text: str, shown: str) -> None:
    assert shorten(text, 4) == shown
